#!/usr/bin/env bash
# What `make matrix` does: contract and conformance on the servers of several of Debian's
# suites, from folders in the cache. Its last lines are a table.
set -uo pipefail
cd "$(dirname "$0")/../.."
GO=${GO:-go}
failed=0 table=()

# on SUITE KIND PACKAGE TEST VERSION runs the tests of a package that match on one server.
on() {
	local suite=$1 kind=$2 package=$3 tests=$4 version=$5 since=$SECONDS outcome=passed log
	log=$(mktemp)
	echo "== $version ($suite)"
	REQUIRE_ALL=1 FLAMEGO_SESSION_SUITE=$suite "$up" "$kind" -- \
		$GO test -count=1 -timeout 20m -run "$tests" -v "./$package" >"$log" 2>&1 || { outcome=FAILED failed=1; grep -vE '^ *(=== |--- PASS)' "$log" | tail -n 60; }
	grep -q '^ *--- PASS: .*/' "$log" || { outcome=FAILED failed=1; tail -n 20 "$log"; }
	table+=("$(printf '%-15s %-9s %s, %d tests in %d s' "$version" "$suite" "$outcome" "$(grep -c '^ *--- PASS' "$log")" $((SECONDS - since)))")
	rm -f "$log"
}

up=$(mktemp -d)/up
trap 'rm -rf "${up%/*}"' EXIT
$GO build -o "$up" ./internal/testserver/up || exit 1
suite=${ONLY:-.}
run() { [[ $* =~ $suite ]] && on "$@"; }

sql='/^(Contract|Conformance|Together|Names|Sizes|Formats|Taken|CharacterSets|View)$'
run bullseye postgres postgres "^TestPostgres$sql" "PostgreSQL 13"
run bookworm postgres postgres "^TestPostgres$sql" "PostgreSQL 15"
run trixie postgres postgres "^TestPostgres$sql" "PostgreSQL 17"
run sid postgres postgres "^TestPostgres$sql" "PostgreSQL 18"
run bullseye mariadb mysql "^TestMariaDB$sql" "MariaDB 10.5"
run bookworm mariadb mysql "^TestMariaDB$sql" "MariaDB 10.11"
run trixie mariadb mysql "^TestMariaDB$sql" "MariaDB 11.8"
run "" mysql mysql "^TestMySQL$sql" "MySQL 9"
redis='^TestKinds$/^single$'
run bullseye redis redis "$redis" "Redis 6.0"
run bookworm redis redis "$redis" "Redis 7.0"
run trixie redis redis "$redis" "Redis 8.0"
run sid redis redis "$redis" "Valkey 9"

echo
printf '  %s\n' "${table[@]}"
exit $failed
