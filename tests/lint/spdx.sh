#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every file that can hold a comment says its licence in its first line, or in the second after #!.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

# Data, and files whose every byte counts.
cannot_hold_comment() {
	case $1 in
	LICENSE | *.json | *.seep | *.folded | *.txt | tests/fuzz/corpus/*) return 0 ;;
	esac
	! grep -qI . "$1" # binary or empty
}

missing=$(project_files | while IFS= read -r file; do
	cannot_hold_comment "$file" && continue
	head -n 2 "$file" | awk 'NR == 1 && /^#!/ { next }
		/SPDX-License-Identifier: GPL-2\.0-or-later/ { found = 1 } { exit }
		END { exit !found }' || echo "$file: no 'SPDX-License-Identifier: GPL-2.0-or-later' at its head"
done)
verdict "spdx: each file names its licence" "$missing"

licence=""
grep -q 'Version 2, June 1991' LICENSE || licence="LICENSE is not the text of the GPL, version 2"
verdict "spdx: LICENSE is there" "$licence"
plan
