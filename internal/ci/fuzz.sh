#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: Go fuzzes one at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
GO=${GO:-go}
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
	for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //'); do
		echo "== $dir $target"
		$GO test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" "$dir"
	done
done
