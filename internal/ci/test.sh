#!/usr/bin/env bash
# What `make test` does. Its last lines tell what was tested and what could not be:
# with REQUIRE_ALL=1 the latter is a failure.
set -uo pipefail
cd "$(dirname "$0")/../.."
GO=${GO:-go}
GOTESTSUM=${GOTESTSUM:?is set by make test}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
tested=() missing=() failed=()
start=$SECONDS

# The race detector needs a C compiler.
bash internal/testserver/install.sh .cache cc || { tail -n 3 .cache/install.log; exit 1; }

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

gofmt_clean() {
	local bad
	bad=$(gofmt -l $(git ls-files '*.go' 2>/dev/null || find . -name '*.go'))
	[ -z "$bad" ] || { echo "not gofmt-clean: $bad"; return 1; }
}

vet_all() {
	$GO vet ./... && GOOS=windows $GO vet ./... && GOOS=darwin $GO vet ./... && GOARCH=386 CGO_ENABLED=0 $GO vet ./...
}

# tests NAME DIR [FLAGS…] runs the tests below DIR. A skipped test must not go
# unnoticed: the reasons are printed, and those that say NOT TESTED end up in the
# last lines. So are the figures that a test logs with COUNT in front.
tests() {
	local json=$log/$1.json dir=$2 rc=0
	shift 2
	(cd "$dir" && $GO vet ./... && "$GOTESTSUM" --format pkgname --jsonfile "$json" -- \
		-race -shuffle=on -count=1 -timeout 20m "$@" ./...) || rc=1
	grep -oh 'COUNT [^"\\]*' "$json"
	return $rc
}

step "gofmt" gofmt_clean
step "vet on linux, windows, darwin, and 32 bits" vet_all
if make -s linter >"$log/lint" 2>&1; then
	step "golangci-lint" make -s lint
else
	tail -n 3 "$log/lint"
	missing+=("NOT TESTED: golangci-lint could not be built")
fi
# Packages with servers of their own, one after the other: two cores are few.
step "unit tests, conformance suite on every backend, examples and docs, with the race detector" tests main . -p 2
# What go.mod requires is the oldest that an application may have. This is the newest.
newest() {
	$GO test -modfile=internal/ci/newest.mod -race -shuffle=on -count=1 -timeout 20m . ./cookie ./sessiontest ./sqlite ./internal/gobstream
}
step "core on the newest Flamego and drivers" newest
# An int has 32 bits there, and file times end in 2038. It has no race detector. Some virtual
# machines run no such programs: there the tests are compiled, which finds constants that do
# not fit, and the last lines say so.
small() {
	GOARCH=386 CGO_ENABLED=0 $GO test "$@" -short -shuffle=on -count=1 . ./internal/codec ./internal/gobstream ./internal/memstore ./internal/txn
}
printf 'package main\n\nfunc main() {}\n' >"$log/small.go"
if GOARCH=386 CGO_ENABLED=0 $GO build -o "$log/small" "$log/small.go" && ! "$log/small" 2>"$log/small.err" && grep -qi 'exec format error' "$log/small.err"; then
	step "core on 32 bits, compiled only: this machine runs no programs of 32 bits" small -exec true
else
	step "core on 32 bits" small
fi
step "compatibility with flamego/session v1.6.6" tests compat test/compat
step "the example with flamego/csrf" tests csrf examples/csrf
step "the example with Prometheus" tests prometheus examples/prometheus
step "the demo, driven by a real browser" tests browser test/browser
step "servers that fail under load" tests outage test/outage
step "the tools that compare speed" tests compare test/compare
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
[ ${#missing[@]} -ne 0 ] || echo "  everything was tested"
