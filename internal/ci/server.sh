#!/usr/bin/env bash
# Runs the tests of a backend on a server that somebody has started on its usual port of
# 127.0.0.1: server.sh postgres:17
set -euo pipefail
cd "$(dirname "$0")/../.."
sql='/^(Contract|Conformance|Processes|Together|Names|Sizes|Formats|Taken|CharacterSets|View)$'
case $1 in
postgres:*)
	port=5432 package=postgres tests="^TestPostgres$sql"
	export TEST_POSTGRES_DSN='postgres://session:session@127.0.0.1:5432/session?sslmode=disable'
	;;
mariadb:*)
	port=3306 package=mysql tests="^TestMariaDB$sql"
	export TEST_MARIADB_DSN='session:session@tcp(127.0.0.1:3306)/session'
	;;
mysql:*)
	port=3306 package=mysql tests="^TestMySQL$sql"
	export TEST_MYSQL_DSN='session:session@tcp(127.0.0.1:3306)/session'
	;;
redis:* | valkey/*)
	port=6379 package=redis tests='^TestKinds$/^single$'
	export TEST_REDIS_ADDR=127.0.0.1:6379
	;;
mongo:*)
	port=27017 package=mongo tests='^Test(Contract|Conformance|Processes|Expiry|CompareAndSwap|OneID|DeleteExpired|Sizes)$'
	export TEST_MONGODB_URI=mongodb://127.0.0.1:27017/
	;;
*)
	echo "unknown: $1"
	exit 2
	;;
esac
# A database sets itself up, and listens when it has done so.
for _ in $(seq 60); do
	if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
	sleep 1
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -count=1 -timeout 15m -run "$tests" -v "./$package" | tee "$log"
grep -q '^ *--- PASS: .*/' "$log"
