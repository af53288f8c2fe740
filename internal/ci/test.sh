#!/usr/bin/env bash
# What `make test` does: every guarantee on every backend with its real server, the examples,
# and the programs of the docs.
set -uo pipefail
cd "$(dirname "$0")/../.."
. internal/ci/steps.sh
# Packages with servers of their own, one after the other: two cores are few.
step "every guarantee on every backend, examples and docs" tests main . -p 2
summary
