#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Children of targets: followed, by process and exactly, or left alone, without a trap.
set -u
. "$TOP/tests/e2e/lib.sh"

FORKS=$BUILD/tests/e2e/forks
CHILDREN=(101 103 107 109 113) # blocks that each child leaks

targets_are() {
	in_report ".target | type == \"array\" and length == $1"
}

# blocks_of PID SITE: live blocks of a site, by a function of its stack, in one process
blocks_of() {
	jq --argjson pid "$1" --arg site "$2" '[.sites[] | select(.pid == $pid and
		(.stack | map(.function) | index($site))) | .live_objects] | add // 0' "$WORK/snapshot.json"
}

pids_of_children() {
	jq -r --argjson parent "$TARGET_PID" '[.target[].pid | select(. != $parent)] | sort[]' "$WORK/snapshot.json"
}

session() { # OPTION...
	target_start "$FORKS" && seep_watch "$@" -p "$TARGET_PID"
}

each_child_has_its_own() {
	local pid nr found=() wrong=()
	mapfile -t found < <(pids_of_children)
	for nr in "${!CHILDREN[@]}"; do
		pid=$(blocks_of "${found[nr]:-0}" follow_child)
		[ "$pid" = "${CHILDREN[nr]}" ] || wrong+=("child $nr (${found[nr]:-none}) holds $pid blocks, not ${CHILDREN[nr]}")
	done
	pid=$(blocks_of "$TARGET_PID" follow_child)
	[ "$pid" = 0 ] || wrong+=("the parent holds $pid blocks of its children")
	pid=$(blocks_of "$TARGET_PID" follow_parent)
	[ "$pid" = 23 ] || wrong+=("the parent holds $pid blocks, not 23")
	if [ ${#wrong[@]} = 0 ]; then
		passes "$1"
	else
		fails "$1" "${wrong[@]}" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

followed() {
	session --follow || fails "attach" "$(cat "$WORK/seep.err")"
	target_do children
	wait_until targets_are 6 || fails "children are in the report" "$(jq -c .target "$WORK/last.json")"
	snapshot && target_do children_leak && snapshot
	expect "children's blocks are counted exactly" .allocs=556 .live=556 .frees_unknown=0 \
		follow_child.live_bytes=537797 follow_parent.live_bytes=23299
	each_child_has_its_own "each child has its own blocks"
	target_do children_end && snapshot
	expect "children that have exited have released their blocks" .released=533 .live=-533 \
		follow_parent.live_objects=23
	each_exited "they are known to have exited"
	session_end
}

each_exited() {
	local nr
	nr=$(jq '[.target[] | select(.exited)] | length' "$WORK/snapshot.json")
	if [ "$nr" = 5 ]; then
		passes "$1"
	else
		fails "$1" "$nr, not 5: $(jq -c '.target | map([.pid, .exited])' "$WORK/snapshot.json")"
	fi
}

no_trap_in_children() {
	target_do children_code && [ "$RESULT" = 0 ]
}

not_followed() {
	session || fails "attach" "$(cat "$WORK/seep.err")"
	target_do code
	if [ "${RESULT:-0}" -gt 0 ]; then
		passes "the target has breakpoints ($RESULT)"
	else
		fails "the target has breakpoints" "none in malloc and free"
	fi
	target_do children
	if wait_until no_trap_in_children; then
		passes "children that are not followed have none, soon"
	else
		fails "children that are not followed have none, soon" "$RESULT bytes of code are changed"
	fi
	target_do code
	if [ "${RESULT:-0}" -gt 0 ]; then
		passes "and the target has them still"
	else
		fails "and the target has them still" "none in malloc and free"
	fi
	target_do children_leak && snapshot
	expect "their blocks are not counted, the parent's are" .allocs=23 follow_parent.live_objects=23 \
		follow_child.alloc_objects=0
	session_end
}

# More than are probed one by one: each of the short lives is told of, whatever could be seen of it.
every_child_is_told_of() { # NAME OPTION...
	local name=$1
	shift
	LD_LIBRARY_PATH=$WORK/lib seep_run leaks --json "$@" -- "$FORKS" short
	read_facts "$WORK/seep.out"
	tail -n 1 "$WORK/seep.out" >"$WORK/last.json"
	if [ "$STATUS" = 0 ] && in_report "(.target | if type == \"array\" then length else 1 end) == $WANTED" &&
		[ "$(value_of .sum)" = 0 ]; then
		passes "$name"
	else
		fails "$name" "status $STATUS, $(jq -c '.target | length' "$WORK/last.json") targets" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

private_libraries libc.so.6 || exit 1
followed
not_followed
WANTED=62 every_child_is_told_of "a command's children are followed, however short they live"
WANTED=1 every_child_is_told_of "unless that is not wanted" --no-follow
plan
