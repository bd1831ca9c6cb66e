#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The edge cases of tests/e2e/cases.c under seep: exact bytes and counts.
set -u
. "$TOP/tests/e2e/lib.sh"

CASES=$BUILD/tests/e2e/cases

# case_of WORK NAME FACT=VALUE...: by the kind of links that is tried
case_of() {
	do_case "$1" "$2${LINK:+, $LINK links}" "${@:3}"
}

# session COMMAND...: a target and a seep that watches it.
session() {
	# shellcheck disable=SC2086 # options are words
	target_start "$@" && seep_watch ${OPTIONS:-} ${LINK:+--link $LINK} -p "$TARGET_PID"
}

one_process() {
	PREPARE=edge_27_prepare session "$CASES" || fails "attach" "$(cat "$WORK/seep.err")"
	case_of edge_01 "edge-01 an allocation that fails leaves no record" \
		.failed_allocs=16 .allocs=1 .frees=0 .live_bytes=101 edge_01_malloc.alloc_objects=0 \
		edge_01_calloc.alloc_objects=0 edge_01_aligned.alloc_objects=0 edge_01_after.live_bytes=101
	case_of edge_02 "edge-02 calloc and reallocarray that overflow" \
		.failed_allocs=7 .allocs=1 .frees=0 edge_02_calloc.alloc_objects=0 \
		edge_02_reallocarray.alloc_objects=0 edge_02_malloc.live_bytes=103
	case_of edge_03 "edge-03 malloc(0) is an object of no bytes" \
		.allocs=7 edge_03_malloc.live_objects=7 edge_03_malloc.live_bytes=0
	case_of edge_04 "edge-04 free(NULL) is nothing" \
		.allocs=0 .frees=0 .frees_unknown=0 .live=0
	case_of edge_05 "edge-05 realloc(NULL, n) is counted once" \
		.allocs=13 .frees=0 .frees_unknown=0 edge_05_realloc.live_objects=13 \
		edge_05_realloc.live_bytes=1391 edge_05_realloc.alloc_objects=13
	case_of edge_06 "edge-06 realloc(p, 0) frees" \
		.allocs=17 .frees=17 .failed_allocs=0 .frees_unknown=0 .live=0 edge_06_malloc.free_objects=17 \
		edge_06_malloc.live_objects=0 edge_06_realloc.alloc_objects=0
	case_of edge_07 "edge-07 realloc that fails keeps the old block" \
		.allocs=5 .frees=2 .failed_allocs=5 edge_07_malloc.live_objects=3 edge_07_malloc.live_bytes=339 \
		edge_07_malloc.free_objects=2 edge_07_realloc.alloc_objects=0
	case_of edge_08 "edge-08 realloc in place and moved" \
		.allocs=58 .frees=38 .missed_frees=0 edge_08_malloc.live_bytes=127 edge_08_malloc.free_objects=19 \
		edge_08_in_place.alloc_bytes=2299 edge_08_in_place.free_objects=19 \
		edge_08_in_place.live_objects=0 edge_08_moved.live_objects=19 edge_08_moved.live_bytes=19171
	case_of edge_11 "edge-11 a block freed twice, an address handed out twice" \
		.allocs=12 .frees=10 .missed_frees=1 .frees_unknown=1 .live=2 edge_11_calloc.live_bytes=106 \
		edge_11_malloc.live_objects=0
	case_of edge_09 "edge-09 realloc races with the reuse of its old address" \
		.missed_frees=0 .lost_events=0 edge_09_malloc.alloc_objects=15009 \
		edge_09_malloc.free_objects=15009 edge_09_realloc.alloc_objects=15009 \
		edge_09_realloc.live_objects=7 edge_09_realloc.live_bytes=14021
	case_of edge_10 "edge-10 free races with the reuse of its address" \
		.missed_frees=0 .lost_events=0 edge_10_malloc.alloc_objects=15009 \
		edge_10_malloc.live_objects=7 edge_10_malloc.live_bytes=7427
	case_of edge_12 "edge-12 posix_memalign stores its block" \
		.allocs=23 .failed_allocs=7 .out_pointer_faults=0 edge_12_posix_memalign.live_objects=23 \
		edge_12_posix_memalign.live_bytes=3197
	case_of edge_13 "edge-13 aligned functions and their aliases count once" \
		.allocs=39 edge_13_aligned_alloc.live_bytes=768 edge_13_memalign.live_bytes=745 \
		edge_13_small_memalign.live_bytes=1099 edge_13_valloc.live_bytes=1661 \
		edge_13_pvalloc.live_bytes=2119
	case_of edge_14_strings "edge-14 strdup, asprintf and reallocarray go through malloc" \
		.live=15 .live_bytes=6413 edge_14_reallocarray.live_bytes=6293
	case_of edge_14_files "edge-14 fopen, getline and opendir leave nothing" .live=0 .frees_unknown=0
	case_of edge_17_threads "edge-17 threads that exit and are cancelled keep their blocks" \
		edge_17_exits.live_objects=33 edge_17_exits.live_bytes=5907 edge_17_cancelled.live_objects=13 \
		edge_17_cancelled.live_bytes=2353 .stale_calls=0
	case_of edge_18 "edge-18 a signal handler that allocates" \
		edge_18_handler.live_objects=17 edge_18_handler.live_bytes=3247 \
		edge_18_handler_other.live_objects=19 edge_18_handler_other.live_bytes=3629 .stale_calls=0
	case_of edge_19 "edge-19 blocks freed by another thread" \
		edge_19_malloc.alloc_objects=1009 edge_19_malloc.free_objects=503 \
		edge_19_malloc.live_objects=506 edge_19_malloc.live_bytes=97658
	case_of edge_27 "edge-27 frees of blocks older than the attach" \
		.frees_unknown=38 .frees=0 .allocs=7 edge_27_realloc.live_bytes=1673
	case_of edge_28_map "edge-28 mmap that fails, and over what is mapped" \
		map:edge_28_whole.live_bytes=$((88 * 4096)) map:edge_28_fixed.live_bytes=$((13 * 4096)) \
		map:edge_28_failed.live_bytes=0 .allocs=0
	case_of edge_28_unmap "edge-28 munmap of a part, and of several mappings" \
		map:edge_28_holes.live_bytes=$((65 * 4096)) map:edge_28_several.live_bytes=$((14 * 4096))
	case_of edge_28_mremap "edge-28 mremap shrinks, fails, grows and keeps the old range" \
		map:edge_28_resized.live_bytes=$((61 * 4096 * 2))
	case_of edge_33 "edge-33 the caller of malloc is on the stack" \
		edge_33_inner.live_bytes=723 edge_33_inner.live_objects=3
	check_callers
	case_of threads "edge-46 eight threads: every stack exact" "${thread_facts[@]}" .missed_frees=0 .lost_events=0
	end_of_one_process
}

check_callers() {
	local name="edge-33 the callers of the caller, to main" found
	found=$(jq -r '.sites[] | select(.stack[0].function == "edge_33_inner") |
		"\(.stack | map(.function) | join(" ")) \(.stack_partial) \(.stack[0].file) \(.stack[0].line > 0)"' \
		"$WORK/snapshot.json")
	case $found in
	"edge_33_inner edge_33_middle edge_33_outer fill edge_33 "*"main"*" false "*cases.c" true") passes "$name" ;;
	*) fails "$name" "stack: $found" ;;
	esac
}

# What each thread's functions must have at the end. Eleven rounds: thread i fills its row; the 53 first are resized by
# its left neighbour; 101 more are freed by the one before that; ten times all that is left is freed, at last it stays.
blocks=(211 223 227 229 233 239 241 251)
thread_facts=()
for i in 0 1 2 3 4 5 6 7; do
	n=${blocks[i]}
	thread_facts+=(
		"threads_malloc_$i.alloc_objects=$((11 * n))"
		"threads_malloc_$i.alloc_bytes=$((11 * n * (100 + i)))"
		"threads_malloc_$i.live_objects=$((n - 154))"
		"threads_malloc_$i.live_bytes=$(((n - 154) * (100 + i)))"
		"threads_malloc_$i.free_objects=$((11 * n - (n - 154)))"
		"threads_realloc_$i.alloc_objects=583"
		"threads_realloc_$i.live_objects=53"
		"threads_realloc_$i.live_bytes=$((53 * (500 + i)))"
	)
done

end_of_one_process() {
	local live=${fact[.live_bytes]:-0}
	seep_stop
	forget_facts
	read_facts "$WORK/seep.out"
	if [ "$STATUS" = 0 ] && [ "${fact[.live_bytes]:-}" = "$live" ] && [ "${fact[.sum]:-}" = 0 ]; then
		passes "Ctrl-C gives the last report, complete"
	else
		fails "Ctrl-C gives the last report, complete" "status $STATUS, live ${fact[.live_bytes]:-}, was $live" \
			"$(cat "$WORK/seep.err")"
	fi
	target_stop
}

# --- allocators with operators of their own -----------------------------------------------------------

allocator() { # LIBRARY
	local name="edge-15 operator new and delete of $1"
	if ! private_libraries "$1" libstdc++.so.6 libgcc_s.so.1; then
		skips "$name" "$1 is not installed"
		return
	fi
	OPTIONS=--throwing-new PREPARE=find_operators session env LD_PRELOAD="$WORK/lib/$1" "$CASES" || fails "attach to $1" "$(cat "$WORK/seep.err")"
	case_of edge_15 "$name" .missed_frees=0 .frees_unknown=0 .stale_calls=0 .failed_allocs=0 \
		.allocs=$((101 + 103 + 59 + 61 + 107 + 67)) .frees=$((72 + 53 + 71 + 67)) \
		edge_15_new.alloc_objects=101 edge_15_new.live_objects=29 edge_15_new.live_bytes=1189 \
		edge_15_new_array.alloc_objects=103 edge_15_new_array.live_bytes=2150 \
		edge_15_calloc.live_bytes=3009 edge_15_posix_memalign.live_bytes=7991 \
		edge_15_malloc.live_objects=36 edge_15_malloc.live_bytes=1692 \
		edge_15_realloc.alloc_objects=67 edge_15_realloc.live_objects=0
	session_end
}

# --- calls that are left ------------------------------------------------------------------------------

throwing() {
	local name="edge-16 operator new of libjemalloc.so.2 that throws" bytes=$((11 * 269 + 13 * 271))
	PREPARE=warm_up session "$BUILD/tests/e2e/throws" || fails "attach to throws" "$(cat "$WORK/seep.err")"
	# Each exception is a block as well, of the same caller, and freed.
	case_of edge_16 "edge-16 operator new that throws leaves no record" .allocs=$((7 + 11 + 13 + 17)) \
		.frees=24 .frees_unknown=0 .failed_allocs=7 .live=24 .live_bytes=$bytes \
		edge_16_throws.alloc_objects=7 edge_16_throws.live_objects=0
	session_end
	if ! private_libraries libjemalloc.so.2 libstdc++.so.6 libgcc_s.so.1; then
		skips "$name" "libjemalloc.so.2 is not installed"
		return
	fi
	PREPARE=warm_up session env LD_PRELOAD="$WORK/lib/libjemalloc.so.2" "$BUILD/tests/e2e/throws" ||
		fails "attach to throws on jemalloc" "$(cat "$WORK/seep.err")"
	# Left out without --throwing-new, or the exceptions would not be caught.
	case_of edge_16 "$name" edge_16_throws.alloc_objects=7 edge_16_throws.live_objects=0 edge_16_new.alloc_objects=0 \
		edge_16_deep.alloc_objects=0 edge_16_freed.alloc_objects=0 .stale_calls=0
	session_end
}

interposed() {
	session env LD_PRELOAD="$BUILD/tests/e2e/interpose" "$CASES" ||
		fails "attach to an interposed allocator" "$(cat "$WORK/seep.err")"
	case_of edge_17_jump "edge-17 malloc left by longjmp" .stale_calls=3 .allocs=7 .live_bytes=1211 \
		edge_17_left.alloc_objects=0 edge_17_shallow.live_objects=7
	case_of edge_17_deeper "edge-17 what comes further down the stack than a call that was left" \
		.stale_calls=1 .allocs=5 .live_bytes=835 edge_17_left.alloc_objects=0 edge_17_deep.live_objects=5
	case_of edge_18_malloc_other "edge-18 a handler on its own stack allocates inside malloc" \
		edge_18_inside_other.live_objects=23 edge_18_inside_other.live_bytes=4393 \
		edge_18_outer_other.live_objects=23 edge_18_outer_other.live_bytes=92069 .stale_calls=0
	case_of edge_18_malloc "edge-18 a handler on the same stack allocates inside malloc" \
		edge_18_outer.live_objects=23 edge_18_outer.live_bytes=92069 .stale_calls=0
	session_end
}

# --- lives of processes -------------------------------------------------------------------------------

lives() {
	local cost
	target_start "$BUILD/tests/e2e/lives"
	target_do cost
	cost=$RESULT
	target_stop
	session "$BUILD/tests/e2e/lives" || fails "attach to a process that forks" "$(cat "$WORK/seep.err")"
	case_of edge_20 "edge-20 what a child does after fork is not the parent's" .allocs=37 .frees=0 \
		.frees_unknown=0 edge_20_before.live_objects=37 edge_20_before.live_bytes=7289 \
		edge_20_child.alloc_objects=0
	full_speed "edge-20 the child of a fork runs at full speed" "$cost" "$RESULT"
	a_vfork_child
	new_image
	last_report
}

# The kernel ties a perf link to the memory, which the child shares, and the others to the process, which it is not.
a_vfork_child() {
	if [ "$(jq -r '.probes[0].link' "$WORK/snapshot.json")" = perf ]; then
		case_of edge_21 "edge-21 what a child of vfork does is its parent's" .allocs=43 .frees=13 .released=0 \
			edge_21_child.live_objects=30 edge_21_child.live_bytes=6330 .frees_unknown=0
	else
		case_of edge_21 "edge-21 what a child of vfork does is not seen" .allocs=0 .frees=0 .released=0 \
			edge_21_child.live_objects=0 .frees_unknown=0
	fi
}

# full_speed NAME BEFORE AFTER: ns for a pair of malloc and free. A probe costs a hundred times more than the pair.
full_speed() {
	if [ "$3" -le $(($2 * 3 + 50)) ]; then
		passes "$1"
	else
		fails "$1" "$3 ns for a pair of malloc and free, $2 before"
	fi
}

new_image() {
	local name="edge-22 exec releases all, and the new image is followed" live=${fact[.live]:-}
	echo edge_22 >&"$TARGET_IN"
	if ! { target_hear ready && target_do edge_22_new_image && snapshot; }; then
		fails "$name" "no result"
		return
	fi
	expect "$name" .released=$((live + 47)) edge_22_after.live_objects=53 edge_22_after.live_bytes=12031 \
		edge_22_before.alloc_objects=47 edge_22_before.live_objects=0 .live_bytes=$((12031 - ${before[.live_bytes]:-0}))
}

last_report() {
	local exited
	echo edge_23 >&"$TARGET_IN"
	target_hear exit
	seep_wait
	exec {TARGET_IN}>&- {TARGET_OUT}>&-
	read_facts "$WORK/seep.out"
	expect "edge-23 the last report of a process that exits has its names" .allocs=59 .live=-53 .released=112 \
		edge_23_malloc.alloc_objects=59 edge_23_malloc.live_objects=0 edge_22_after.alloc_objects=53
	exited=$(tail -n 1 "$WORK/seep.out" | jq .target.exited)
	if [ "$STATUS $exited" = "0 true" ]; then
		passes "edge-23 seep ends with its target"
	else
		fails "edge-23 seep ends with its target" "status $STATUS, exited $exited"
	fi
}

exec_by_thread() {
	local name="edge-22 exec by another thread: the new image is followed"
	session "$BUILD/tests/e2e/lives" || fails "$name" "$(cat "$WORK/seep.err")"
	echo edge_22_thread >&"$TARGET_IN"
	# Its probes have been set anew by the time of a report.
	if target_hear ready && snapshot; then
		case_of edge_22_new_image "$name" edge_22_after.live_objects=53 edge_22_after.live_bytes=12031 \
			edge_22_before.live_objects=0
	else
		fails "$name" "no result"
	fi
	session_end
}

leader_ends() {
	local name="edge-23 the first thread ends, others go on: that is said"
	target_start "$BUILD/tests/e2e/lives"
	seep_start leaks --json -p "$TARGET_PID" || fails "$name" "$(cat "$WORK/seep.err")"
	target_do edge_23_leader
	wait_until grep -q "first thread of process $TARGET_PID" "$WORK/seep.err"
	seep_stop
	expect_status "$name" 3 "first thread of a target ended"
	target_stop
}

# --- losses -------------------------------------------------------------------------------------------

small_ring() {
	target_start "$CASES"
	seep_start leaks --json --ring-size 4096 -p "$TARGET_PID" || fails "attach with small rings" "$(cat "$WORK/seep.err")"
	target_do edge_45_burst
	# However fast it reads: while it is stopped, it does not.
	kill -STOP "$SEEP_PID"
	wait_until grep -q '^State:.T' "/proc/$SEEP_PID/status"
	target_do edge_45_burst
	kill -CONT "$SEEP_PID"
	seep_stop
	forget_facts
	read_facts "$WORK/seep.out"
	expect "edge-45 small rings lose events, but nothing of what is live" .allocs=$((2018 * 102)) .lost_allocs=0 \
		.frees=$((2018 * 101)) .live=2018 .live_bytes=$((2018 * 251)) edge_45_kept.live_objects=2018 \
		edge_45_kept.live_bytes=$((2018 * 251)) edge_45_freed.live_objects=0 .missed_frees=0
	if [ "${fact[.lost_events]:-0}" -gt 0 ]; then
		expect_status "edge-45 lost events make the report incomplete" 3 "lost on the ring"
	else
		fails "edge-45 lost events make the report incomplete" "no event was lost"
	fi
	target_stop
}

small_map() {
	target_start "$CASES"
	seep_start leaks --json --max-blocks 1000 -p "$TARGET_PID" || fails "attach with a small map" "$(cat "$WORK/seep.err")"
	target_do edge_45_fill
	target_do edge_45_empty
	target_do edge_45_fill
	seep_stop
	forget_facts
	read_facts "$WORK/seep.out"
	expect "edge-45 a full block map loses allocations, all of them counted" .allocs=3022 .lost_allocs=1022 \
		.frees=1000 .live=1000 .frees_unknown=511 .live_bytes=263000 .leaking=0
	expect_status "edge-45 lost allocations make the report incomplete" 3 "block map"
	target_stop
}

# --- seep itself --------------------------------------------------------------------------------------

itself() {
	timeout -k 5 "$DEADLINE" sh -c "exec \"$SEEP\" leaks -p \$\$" >"$WORK/seep.out" 2>"$WORK/seep.err"
	STATUS=$?
	expect_status "edge-47 seep does not attach to itself" 1 "seep itself"
}

killed() {
	local cost
	target_start "$CASES"
	target_do cost
	cost=$RESULT
	target_do load_start
	seep_start leaks -p "$TARGET_PID" || fails "attach under load" "$(cat "$WORK/seep.err")"
	target_do cost
	if [ "$RESULT" -gt $((cost * 3 + 50)) ]; then
		passes "edge-48 a pair costs more with probes"
	else
		fails "edge-48 a pair costs more with probes" "$RESULT ns, $cost before"
	fi
	kill -KILL "$SEEP_PID"
	seep_wait
	target_do load_stop
	target_do cost
	full_speed "edge-48 seep killed under load leaves no probe" "$cost" "$RESULT"
	target_stop
}

# What edge.sh is about, with lesser links than the best that the kernel has.
lesser_links() {
	local LINK
	for LINK in multi perf; do
		one_process
		links_are "what was asked for" "$LINK"
		lives
	done
}

# links_are NAME KIND: in the last report
links_are() {
	local found
	found=$(tail -n 1 "$WORK/seep.out" | jq -r '[.probes[].link] | unique | join(" ")')
	if [ "$found" = "$2" ]; then
		passes "$2 links: $1"
	else
		fails "$2 links: $1" "links are: $found"
	fi
}

private_libraries libc.so.6 || exit 1
one_process
for library in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
	allocator "$library"
done
throwing
interposed
lives
lesser_links
exec_by_thread
leader_ends
small_ring
small_map
itself
killed
plan
