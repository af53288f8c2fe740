#!/usr/bin/env bash
# What `make test` does: every guarantee on every backend with its real server, the examples,
# and the programs of the docs.
set -uo pipefail
cd "$(dirname "$0")/../.."
. internal/ci/steps.sh
# Packages with servers of their own, one after the other: two cores are few. One server for
# each backend; `make check` has the others, and the tests of what starts them.
step "every guarantee on every backend, examples and docs" tests main . -p 2 -skip '^TestMySQL$|^TestServers$|^TestKinds$/^(TLS|Sentinel|Ring)$'
summary
