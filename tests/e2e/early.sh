#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Stacks of the first milliseconds: of a command from its exec on, of a plugin from its dlopen on. Tables are made in
# time for nearly all of them; those that come too early are partial.
set -u
. "$TOP/tests/e2e/lib.sh"

E2E=$BUILD/tests/e2e
PYTHON=/usr/bin/python3

# at_least NAME PERCENT COMMAND...: the command counts stacks, in ALL, and those of them that are complete, in COMPLETE.
# A machine that is busy with something else may keep seep waiting: the best of seven counts.
at_least() {
	local name=$1 percent=$2 tries=() nr
	shift 2
	for nr in 1 2 3 4 5 6 7; do
		COMPLETE=0 ALL=0
		"$@"
		if [ "$ALL" -ge 1009 ] && [ $((COMPLETE * 100)) -ge $((ALL * percent)) ]; then
			passes "$name"
			return
		fi
		tries+=("try $nr: $COMPLETE of $ALL stacks are complete, which is not $percent %")
	done
	fails "$name" "${tries[@]}" "$(tail -n 3 "$WORK/seep.err")"
}

# complete FILTER: allocations of the last report's sites that are complete and that the filter of jq selects.
complete() {
	tail -n 1 "$WORK/seep.out" | jq "[.sites[] | select((.stack_partial | not) and ($1)) | .alloc_objects] | add // 0"
}

command_from_its_start() {
	LD_LIBRARY_PATH=$WORK/lib PYTHONMALLOC=malloc seep_run leaks --json -- \
		"$PYTHON" -c 'kept = [[nr] * 3 for nr in range(20011)]'
	[ "$STATUS" = 0 ] || return
	ALL=$(tail -n 1 "$WORK/seep.out" | jq .balance.allocs)
	COMPLETE=$(complete true)
}

# Its tables are made anew each time: by a seep that has not seen it yet.
plugin_from_its_start() {
	EARLY_PLUGIN=$E2E/stacks_plugin target_start "$E2E/early" || return
	if seep_start leaks --json -p "$TARGET_PID" && target_do early_plugin; then
		seep_stop
		ALL=$RESULT
		COMPLETE=$(complete '.stack | map(.function) | index("plugin_outer_first") and index("main")')
	fi
	target_stop
}

private_libraries libc.so.6 || exit 1
if [ -x "$PYTHON" ]; then
	at_least "a command's stacks are complete from the start" 99 command_from_its_start
else
	skips "a command's stacks are complete from the start" "no $PYTHON"
fi
at_least "a plugin's stacks are complete as soon as it is loaded" 97 plugin_from_its_start
plan
