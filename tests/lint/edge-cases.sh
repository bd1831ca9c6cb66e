#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# docs/EDGE-CASES.md: every case from 1 to 50 is there, and each of its lines names a test that there is, or words of the
# LIMITS section of docs/seep.8.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

page=docs/EDGE-CASES.md

# "NR FILE WORDS" for each line of the table, split by tabs.
rows() {
	awk -F ' *[|] *' '$2 ~ /^[0-9]+$/ { print $2 "\t" $4 "\t" $5 }' "$page"
}

numbers() {
	local nr
	for nr in $(seq 50); do
		rows | cut -f 1 | grep -qx "$nr" || echo "$page: no line of case $nr"
	done
	rows | awk -F '\t' '$1 < 1 || $1 > 50 { print "there is no case " $1 }'
}

# The section as words with one space between them, without macros.
limits() {
	sed -n '/^\.Sh LIMITS/,$p' docs/seep.8 | sed -E 's/^\.[A-Z][a-z] //' | tr -s ' \n' ' '
}

check_rows() {
	local nr file words prefix
	while IFS=$'\t' read -r nr file words; do
		prefix=$(printf 'edge-%02d' "$nr")
		if [ "$file" = docs/seep.8 ]; then
			[ -n "$words" ] && limits | grep -qF -- "$words" || echo "case $nr: no limit in $file says: $words"
		elif [[ ${words/edge_/edge-} != "$prefix"* ]]; then
			echo "case $nr: the name of its test does not begin with $prefix: $words"
		elif ! grep -qsF -- "$words" "$file"; then
			echo "case $nr: no test in $file is called: $words"
		fi
	done < <(rows)
}

verdict "edge cases: all 50" "$(numbers)"
verdict "edge cases: each has its test or its limit" "$(check_rows)"
plan
