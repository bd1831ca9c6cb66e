#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Functions of at most 80 lines, .c files of at most 500, .bpf.c of 400, .h of 250. What must be longer stands in
# size.allow with its reason. Function bodies are found by the braces in column 0 that .clang-format puts there.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

allowed() { # PATH[:FUNCTION] LINES
	awk -v what="$1" -v lines="$2" '$1 == what && lines <= $2 { found = 1 } END { exit !found }' \
		tests/lint/size.allow
}

limit_of() {
	case $1 in
	tests/*) echo 1000 ;; # a test file holds one module's cases, however many
	*.bpf.c) echo 400 ;;
	*.c) echo 500 ;;
	*) echo 250 ;;
	esac
}

long_files=$(c_files | while IFS= read -r file; do
	lines=$(wc -l <"$file")
	limit=$(limit_of "$file")
	[ "$lines" -le "$limit" ] || allowed "$file" "$lines" || echo "$file: $lines lines, at most $limit"
done)
verdict "size: files" "$long_files"

functions_of() {
	awk '/^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *\t]/, "", name)
			if (name == "") name = "?" }
		/^\{/ { start = NR }
		/^\}/ && start { print name, NR - start - 1; start = 0 }' "$1"
}

long_functions=$(c_files | while IFS= read -r file; do
	functions_of "$file" | while read -r name lines; do
		[ "$lines" -le 80 ] || allowed "$file:$name" "$lines" ||
			echo "$file: $name() has $lines lines, at most 80"
	done
done)
verdict "size: functions" "$long_functions"

stale=$(grep -vE '^(#|$)' tests/lint/size.allow | while read -r what lines reason; do
	[ -f "${what%%:*}" ] || echo "size.allow: '$what' does not exist"
	[ -n "$lines" ] && [ -n "$reason" ] || echo "size.allow: '$what' needs a number of lines and a reason"
done)
verdict "size: size.allow is true" "$stale"
plan
