#!/usr/bin/env bash
# What `make test` does: every guarantee on every backend with its real server, the examples,
# and the programs of the docs. `make check` repeats it with the race detector, tries what is a
# matter of chance ten times as often, and has the rest: other kinds of servers, those that go
# away, and what starts them.
set -uo pipefail
cd "$(dirname "$0")/../.."
. internal/ci/steps.sh
export DRIVERTEST_FEW=1
rest='^Test(MySQL|Servers|OneID|ServerGone|ServerHangs|StartWhileDown|Certificate|LostAnswer|Failover.*|SiteOverOutage|ClusterRedirects)$|^TestKinds$/^(TLS|Sentinel|Ring)$'
# Packages with servers of their own, one after the other: two cores are few.
step "every guarantee on every backend, examples and docs" tests main . -p 2 -skip "$rest"
summary
