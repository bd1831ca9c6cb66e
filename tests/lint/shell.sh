#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No shell script has anything that shellcheck would complain of.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

if need_tool shellcheck "shell: shellcheck"; then
	# What a script sources is checked by itself; -x would need every path to be constant.
	# SC2317 takes what only a trap calls for unreachable.
	complaints=$(shell_scripts | xargs -r shellcheck --exclude=SC1090,SC1091,SC2317 --format=gcc 2>&1)
	verdict "shell: shellcheck" "$complaints"
fi

not_executable=$(shell_scripts | while IFS= read -r file; do
	head -n 1 "$file" | grep -q '^#!' || continue
	[ -x "$file" ] || echo "$file: begins with #! but is not executable"
done)
verdict "shell: scripts are executable" "$not_executable"
plan
