#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the claims on a directory: COHFS_DIR, or one that is made for it here and removed again. Here
# others may work too, so what they would notice is left out.
# Arguments go to `claims run`. Exit status as kselftest has it: 0 pass, 1 fail, 4 skip.

here=$(cd "$(dirname "$0")" && pwd)
program=$here/claims
[ -x "$program" ] || program=./claims
if [ -n "$COHFS_DIR" ]; then
	exec "$program" run --dir "$COHFS_DIR" "$@"
fi
dir=$(mktemp -d "$here/claims.XXXXXX") || {
	echo "1..0 # SKIP no directory can be made in $here: name one by COHFS_DIR"
	exit 4
}
# Some claims try what another user may do there.
chmod 755 "$dir"
trap 'rm -rf "$dir"' EXIT
"$program" run --careful --dir "$dir" "$@"
