#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# docs/seep.8 and the option table of the program name the same options for the same commands, and mandoc finds nothing
# wrong with the page.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

SEEP=${SEEP:-${BUILD:-build}/seep}
page=docs/seep.8

# "COMMAND --OPTION" for each item of the page, as `seep help --options` prints it from the table.
documented() {
	awk '
		/^\.It .*Fl -/ {
			option = $0
			sub(/.*Fl -/, "--", option)
			sub(/ .*/, "", option)
			next
		}
		option != "" {
			if ($1 != ".Pq")
				print "no line of commands below " option
			gsub(/^\.Pq |,/, "")
			for (i = 1; i <= NF && $0 !~ /^\./; i++)
				print $i " " option
			option = ""
		}' "$page" | sort
}

if [ -x "$SEEP" ]; then
	table=$("$SEEP" help --options | sort)
	verdict "man: the program lists its options" "$([ -n "$table" ] || echo "no output of $SEEP help --options")"
	verdict "man: the options are those of the program" \
		"$(diff <(echo "$table") <(documented) | sed -n -e 's/^< /not in the manual: /p' -e 's/^> /only in the manual: /p')"
else
	verdict "man: the options are those of the program" "$SEEP is not built"
fi

if need_tool mandoc "man: mandoc -Tlint"; then
	# mandoc also complains of pages that are not installed on this machine.
	verdict "man: mandoc -Tlint" "$(mandoc -Tlint -W style "$page" 2>&1 | grep -v 'outdated mandoc.db')"
fi
plan
