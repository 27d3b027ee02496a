#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the claims on a directory: COHFS_DIR, or one that is made for it here and removed again.
# Arguments go to `claims run`. Exit status as kselftest has it: 0 pass, 1 fail, 4 skip.

here=$(cd "$(dirname "$0")" && pwd)
program=$here/claims
[ -x "$program" ] || program=./claims
if [ -n "$COHFS_DIR" ]; then
	exec "$program" run --dir "$COHFS_DIR" "$@"
fi
dir=$(mktemp -d "$here/claims.XXXXXX") || exit 4
trap 'rm -rf "$dir"' EXIT
"$program" run --dir "$dir" "$@"
