#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version, and fails if it says nothing: notes.sh v1.7.0
set -euo pipefail
cd "$(dirname "$0")/../.."
notes=$(awk -v v="${1#v}" '/^## /{on = index($2, v) == 1 && length($2) == length(v)} on && !/^## /' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || { echo "CHANGELOG.md has no section \"## ${1#v}\"" >&2; exit 1; }
printf '%s\n' "$notes"
