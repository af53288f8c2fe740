#!/usr/bin/env bash
# What `make check` does: all that `make test` leaves out.
set -uo pipefail
cd "$(dirname "$0")/../.."
. internal/ci/steps.sh

# The race detector needs a C compiler.
bash internal/testserver/install.sh .cache cc || { tail -n 3 .cache/install.log; exit 1; }

gofmt_clean() {
	local bad
	bad=$(gofmt -l $(git ls-files '*.go' 2>/dev/null || find . -name '*.go'))
	[ -z "$bad" ] || { echo "not gofmt-clean: $bad"; return 1; }
}

# module NAME DIR: a module of its own.
module() { (cd "$2" && $GO vet ./...) && tests "$1" "$2" -race; }

step "gofmt" gofmt_clean
step "vet on linux, windows, darwin, and 32 bits" make -s vet
if make -s linter >"$log/lint" 2>&1; then
	step "golangci-lint" make -s lint
else
	tail -n 3 "$log/lint"
	missing+=("NOT TESTED: golangci-lint could not be built")
fi
step "everything with the race detector" tests main . -race -p 2
# What go.mod requires is the oldest that an application may have. This is the newest.
newest() {
	$GO test -modfile=internal/ci/newest.mod -race -shuffle=on -count=1 -timeout 20m . ./cookie ./driver/drivertest ./sessiontest ./sqlite ./internal/gobstream
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
step "compatibility with flamego/session v1.6.6" module compat test/compat
step "the example with flamego/csrf" module csrf examples/csrf
step "the example with Prometheus" module prometheus examples/prometheus
step "the demo, driven by a real browser" module browser test/browser
step "servers that fail under load" module outage test/outage
step "the tools that compare speed" module compare test/compare
summary
