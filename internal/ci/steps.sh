# What `make test` and `make check` have in common. Sourced from the root of the repository.
# The last lines say what was tested, how long it took, and what could not be tested: with
# REQUIRE_ALL=1 the latter is a failure.
GO=${GO:-go}
GOTESTSUM=${GOTESTSUM:?is set by make}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
tested=() missing=() failed=()
start=$SECONDS

# step NAME COMMAND…: runs it, remembers how it went, goes on either way.
step() {
	local name=$1 since=$SECONDS
	shift
	echo "== $name"
	if "$@"; then
		tested+=("$name ($((SECONDS - since)) s)")
	else
		failed+=("$name")
	fi
}

# tests NAME DIR [FLAGS…] runs the tests below DIR. A skipped test must not go
# unnoticed: the reasons are printed, and those that say NOT TESTED end up in the
# last lines. So are the figures that a test logs with COUNT in front.
tests() {
	local json=$log/$1.json dir=$2 rc=0
	shift 2
	(cd "$dir" && "$GOTESTSUM" --format pkgname --jsonfile "$json" -- -shuffle=on -count=1 -timeout 20m "$@" ./...) || rc=1
	grep -oh 'COUNT [^"\\]*' "$json"
	return $rc
}

# summary prints the last lines, and ends the script.
summary() {
	while IFS= read -r line; do missing+=("$line"); done < <(grep -oh 'NOT TESTED: [^"\\]*' "$log"/*.json | sort -u)
	echo
	echo "== what was tested, in $((SECONDS - start)) s"
	printf '  passed: %s\n' "${tested[@]:-nothing}"
	[ ${#missing[@]} -eq 0 ] || printf '  %s\n' "${missing[@]}"
	[ ${#failed[@]} -eq 0 ] || printf '  FAILED: %s\n' "${failed[@]}"
	[ ${#failed[@]} -eq 0 ] || exit 1
	if [ ${#missing[@]} -ne 0 ] && [ "${REQUIRE_ALL:-}" = 1 ]; then
		echo "  REQUIRE_ALL=1: what was not tested counts as a failure"
		exit 1
	fi
	[ ${#missing[@]} -ne 0 ] || echo "  nothing was left out"
	exit 0
}
