#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make format` has nothing to do, and no file has blanks where nobody sees them.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

if need_tool clang-format "format: clang-format"; then
	unformatted=$(c_files | xargs -r clang-format --dry-run -Werror 2>&1 |
		sed -n 's/^\([^: ]*:[0-9]*\):.*/\1/p' | sort -u -t: -k1,1)
	verdict "format: clang-format (make format mends it)" "$unformatted"
fi

text_files() {
	project_files | grep -vE '^(LICENSE|tests/golden/.*[^h]|tests/fuzz/corpus/.*)$' | while IFS= read -r file; do
		grep -qI . "$file" && echo "$file"
	done
}
trailing=$(text_files | xargs -r grep -nE '[[:blank:]]+$|'$'\r' | sed -E 's/^([^:]*:[0-9]+):.*/\1/')
verdict "format: no blanks at the end of a line" "$trailing"

no_newline=$(text_files | while IFS= read -r file; do
	[ -z "$(tail -c 1 "$file")" ] || echo "$file"
done)
verdict "format: each file ends with a newline" "$no_newline"

plan
