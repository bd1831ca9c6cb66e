#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The edge cases of tests/e2e/edge_world.c under seep: other libraries, memory without an allocator, namespaces.
# shellcheck disable=SC2016 # these are variables of jq
set -u
. "$TOP/tests/e2e/lib.sh"

WORLD=$BUILD/tests/e2e/edge_world

# session OPTION...: a target and a seep that watches it.
session() {
	target_start "$WORLD" && seep_watch "$@" -p "$TARGET_PID"
}

# holds NAME FILTER [ARGUMENT...]: of the last report
holds() {
	local name=$1
	shift
	if jq_true "$@" <"$WORK/snapshot.json"; then
		passes "$name"
	else
		fails "$name" "not so: $1" "$(jq -c '.probes' "$WORK/snapshot.json")"
	fi
}

one_process() {
	PREPARE=edge_24_open session || fails "attach" "$(cat "$WORK/seep.err")"
	do_case edge_24 "edge-24 a second C library in the same process" .allocs=48 .frees=13 .frees_unknown=0 \
		edge_24_first.live_objects=17 edge_24_first.live_bytes=4267 edge_24_second.live_objects=18 \
		edge_24_second.live_bytes=4626
	do_case edge_29 "edge-29 mappings by system calls alone" .allocs=0 map:edge_29_raw.live_bytes=$((26 * 4096))
	do_case edge_30 "edge-30 pages given back without a free, and a break that was moved" .allocs=102 .frees=101 \
		edge_30_malloc.live_bytes=$((31 * 4096)) edge_30_trimmed.live_objects=0 \
		map:edge_30_sbrk.live_bytes=$((23 * 4096))
	holds "edge-39 a function of several names and versions has one probe" \
		'[.probes[] | [.object, .offset]] | length > 5 and length == (unique | length)'
	session_end
}

who_it_is() {
	session --by cgroup || fails "attach, by control group" "$(cat "$WORK/seep.err")"
	target_do edge_46 && snapshot
	holds "a target has its program and its control group" \
		'.target.exe == $exe and (.sites[0].cgroup | startswith("/"))' --arg exe "$(realpath "$WORLD")"
	session_end
}

page_faults() {
	local name="edge-32 a huge page is one fault"
	target_start "$WORLD"
	target_do edge_32_prepare
	seep_start faults --json -i 100ms -p "$TARGET_PID" || fails "attach to page faults" "$(cat "$WORK/seep.err")"
	snapshot
	snapshot
	target_do edge_32_touch_huge && snapshot
	if [ "${RESULT:-512}" -lt 512 ]; then
		expect "$name" "edge_32_huge.minor=$RESULT"
	else
		skips "$name" "n/a: this kernel gives no huge page"
	fi
	target_do edge_32_touch_memfd && snapshot
	expect "edge-32 pages of a memfd are shared memory" "edge_32_memfd.minor=$RESULT" "kind:shmem.minor=$RESULT"
	session_end
}

# The first stack takes all the room there is.
no_room_for_stacks() {
	session --max-stacks 1 || fails "attach with room for one stack" "$(cat "$WORK/seep.err")"
	do_case edge_34 "edge-34 without room for stacks no bytes are lost" .allocs=41 .frees=5 \
		.live_bytes=$((11 * 269 + 8 * 271 + 17 * 277))
	holds "edge-34 what has no stack is said" '.balance.stacks_unknown > 0'
	session_end
}

from_the_start() {
	LD_LIBRARY_PATH=$WORK/lib seep_run leaks --json -- "$WORLD" edge_26
	forget_facts
	read_facts "$WORK/seep.out"
	expect "edge-26 a command from its exec on: nothing is freed that was not seen" .frees_unknown=0 \
		edge_26_malloc.alloc_objects=19 edge_26_malloc.free_objects=7
}

# One file, one inode, one breakpoint.
two_processes() {
	local other_pid other_in other_out
	target_start "$WORLD" || { fails "edge-46 another process on the same library" "no target"; return; }
	other_pid=$TARGET_PID other_in=$TARGET_IN other_out=$TARGET_OUT
	session || fails "attach beside another process" "$(cat "$WORK/seep.err")"
	echo edge_46 >&"$other_in"
	read -r -t "$DEADLINE" -u "$other_out" _
	do_case edge_46 "edge-46 another process on the same library does not count" .allocs=23 edge_46_malloc.live_objects=23
	session_end
	kill -KILL "$other_pid"
}

# --- PID namespaces -----------------------------------------------------------------------------------

# Its number is another inside.
in_a_namespace() {
	local name="edge-50 a process of another PID namespace" pid
	target_start unshare -p -f --kill-child "$WORLD" || { skips "$name" "n/a: no PID namespace can be made here"; return; }
	pid=$(pgrep -P "$TARGET_PID")
	seep_start leaks --json -i 100ms -p "$pid" || fails "$name" "$(cat "$WORK/seep.err")"
	forget_facts
	snapshot
	do_case edge_50 "$name" .allocs=29 .frees=3 edge_50_malloc.live_objects=26 edge_50_malloc.live_bytes=7358
	if [ "$RESULT" != "$pid" ]; then
		passes "edge-50 its number is another inside"
	else
		fails "edge-50 its number is another inside" "it is $pid there, too"
	fi
	session_end
}

from_a_namespace() {
	timeout -k 5 "$DEADLINE" unshare -p -f --mount-proc "$SEEP" leaks -d 1s -- "$WORLD" edge_50 \
		>"$WORK/seep.out" 2>"$WORK/seep.err" </dev/null
	STATUS=$?
	expect_refusal "edge-50 seep in a PID namespace refuses to count by wrong numbers" 1 "inside a PID namespace"
}

private_libraries libc.so.6 || exit 1
one_process
who_it_is
page_faults
no_room_for_stacks
from_the_start
two_processes
in_a_namespace
from_a_namespace
plan
