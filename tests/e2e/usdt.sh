#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A program, and a library in it, that sample their own allocations and tell of them by probes: these are found and used
# instead of trapping each call, and their semaphores rise and fall with seep.
set -u
. "$TOP/tests/e2e/lib.sh"

E2E=$BUILD/tests/e2e
export USDT_LIBRARY=$E2E/usdt_library
LEAKED=$((20011 * 101 + 97 * 150001)) # what the program keeps; its library:
LIBRARY_LEAKED=$((10007 * 307))
INTERVAL=65536

said() { # PATTERN
	grep -qE "$1" "$WORK/seep.err"
}

# semaphores are PATTERN: of the program and of its library, one hexadecimal digit for each of alloc, free, alloc, free.
semaphores() {
	target_do usdt_semaphores || return 1
	local value
	value=$(printf '%x%x%x%x' $((RESULT & 255)) $((RESULT >> 8 & 255)) $((RESULT >> 16 & 255)) $((RESULT >> 24)))
	[[ $value =~ ^($2)$ ]]
}

expect_semaphores() { # NAME PATTERN
	if semaphores are "$2"; then
		passes "$1"
	else
		fails "$1" "semaphores are $RESULT" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

works() { # WORD...
	local word
	for word in "$@"; do
		target_do "$word" || return 1
	done
}

# told WORD: a sum of what the program has told of.
told() {
	target_do "usdt_$1" && TOLD=$RESULT
}

# compare NAME WHAT: a sum of the capture, and what the program says.
compare() {
	told "$2" || TOLD=nothing
	if [ "${captured[$2]}" = "$TOLD" ]; then
		passes "$1"
	else
		fails "$1" "the program told of $TOLD $2, the capture has ${captured[$2]}"
	fi
}

# near NAME VALUE TRUTH ERROR
near() {
	if [ $(($2 - $3)) -le "$4" ] && [ $(($3 - $2)) -le "$4" ]; then
		passes "$1"
	else
		fails "$1" "$2, and not $3 with an error of $4"
	fi
}

# Three times the error of a sum of so many bytes, sampled.
three_sigma() {
	awk -v bytes="$1" -v interval=$INTERVAL 'BEGIN { printf "%d", 3 * sqrt(bytes * interval) }'
}

declare -A captured
read_capture() {
	local words i
	captured=()
	read -ra words < <(python3 "$TOP/tests/e2e/usdt_capture.py" "$WORK/usdt.seep")
	for ((i = 0; i + 1 < ${#words[@]}; i += 2)); do
		captured[${words[i]}]=${words[i + 1]}
	done
}

check_capture() { # NAME BYTES-THAT-ARE-LIVE
	read_capture
	compare "$1: every sampled allocation" allocs
	compare "$1: every free of a sampled block" frees
	if [ "${captured[tagged]}" = "${captured[allocs]}" ] && [ "${captured[allocs]}" -gt 100 ]; then
		passes "$1: each block says what it stands for, and no call was trapped"
	else
		fails "$1: each block says what it stands for, and no call was trapped" "$(declare -p captured)"
	fi
	told weight
	near "$1: blocks stand for what the program said" "${captured[weight]}" "$TOLD" $((TOLD / 2048))
	told bytes
	near "$1: the estimate of what was allocated" "${captured[weight]}" "$TOLD" "$(three_sigma "$TOLD")"
	near "$1: the estimate of what is live" "${captured[live_weight]}" "$2" "$(three_sigma "$2")"
}

check_stacks() {
	local found
	seep_run report --json "$WORK/usdt.seep"
	found=$(jq -r '.sites[].stack | map(.function) | select(index("main")) | .[]' "$WORK/seep.out" |
		grep -xE 'usdt_(leak|large|churn|library_blocks)' | sort -u | paste -sd ' ')
	if [ "$found" = "usdt_churn usdt_large usdt_leak usdt_library_blocks" ]; then
		passes "stacks go from the probe to main"
	else
		fails "stacks go from the probe to main" "found '$found'"
	fi
}

attach() {
	target_start "$E2E/usdt"
	works usdt_load
	expect_semaphores "semaphores are zero before" 0000
	seep_run doctor -p "$TARGET_PID"
	if grep -qE '^  otel_memory  .*/usdt$' "$WORK/seep.out" && grep -qE '^  ddheap  .*/usdt_library$' "$WORK/seep.out" &&
		grep -qE '^calls: not counted: .*heap probes$' "$WORK/seep.out" && [ "$STATUS" = 0 ]; then
		passes "doctor knows of them"
	else
		fails "doctor knows of them" "status $STATUS" "$(sed -n '/^process/,$p' "$WORK/seep.out")" "$(cat "$WORK/seep.err")"
	fi
	if ! seep_start record -o "$WORK/usdt.seep" -p "$TARGET_PID"; then
		fails "attach" "$(cat "$WORK/seep.err")"
		return
	fi
	if said "attached to $TARGET_PID .*: [0-9]+ probes that it brings along \((otel_memory, ddheap|ddheap, otel_memory)\), sampled by the program itself"; then
		passes "probes of the program and of its library are found, and said to be used"
	else
		fails "probes of the program and of its library are found, and said to be used" "$(cat "$WORK/seep.err")"
	fi
	expect_semaphores "semaphores are above zero meanwhile" '[1-9]{4}'
	works usdt_leak usdt_large usdt_churn usdt_library_leak
	seep_stop
	expect_status "a run by such probes is complete" 0 "attached"
	expect_semaphores "semaphores are zero afterwards" 0000
	check_capture "attached" $((LEAKED + LIBRARY_LEAKED))
	check_stacks
	target_stop
}

loaded_later() {
	target_start "$E2E/usdt"
	if ! seep_start record -o "$WORK/usdt.seep" -p "$TARGET_PID"; then
		fails "attach before the library is there" "$(cat "$WORK/seep.err")"
		return
	fi
	works usdt_load
	if wait_until semaphores are '[1-9]{4}'; then
		passes "a library that is loaded later is found"
	else
		fails "a library that is loaded later is found" "semaphores are $RESULT" "$(cat "$WORK/seep.err")"
	fi
	works usdt_library_leak usdt_churn usdt_large
	seep_stop
	read_capture
	compare "with a library that came later: every sampled allocation" allocs
	compare "with a library that came later: every free of a sampled block" frees
	target_stop
}

killed() {
	target_start "$E2E/usdt"
	works usdt_load
	seep_start leaks -p "$TARGET_PID" && semaphores are '[1-9]{4}' && works usdt_churn
	kill -KILL "$SEEP_PID"
	if wait_until semaphores are 0000 && works usdt_churn; then
		passes "semaphores are zero after seep was killed"
	else
		fails "semaphores are zero after seep was killed" "semaphores are $RESULT"
	fi
	seep_wait
	target_stop
}

# A child has copies of the semaphores, and of the breakpoints.
forked() {
	target_start "$E2E/usdt"
	works usdt_load
	seep_start record -o "$WORK/usdt.seep" -p "$TARGET_PID" && works usdt_fork usdt_churn
	seep_stop
	if works usdt_child && [ "$RESULT" = 17 ]; then
		passes "semaphores of a child fall to zero as well"
	else
		fails "semaphores of a child fall to zero as well" "its status is '$RESULT'"
	fi
	read_capture
	compare "with a child: every sampled allocation" allocs
	target_stop
}

# become PROGRAM: in the place of the one that runs.
become() {
	USDT_BECOME=$1 target_start "$E2E/usdt"
	if ! seep_start record -v -o "$WORK/usdt.seep" -p "$TARGET_PID"; then
		fails "attach to a program that will call exec" "$(cat "$WORK/seep.err")"
		return 1
	fi
	echo usdt_become >&"$TARGET_IN"
	target_hear ready
}

execed() {
	become "$E2E/usdt" || return
	wait_until semaphores are '[1-9]{2}00' && works usdt_churn
	seep_stop
	read_capture
	compare "after an exec of the same program: every sampled allocation" allocs
	target_stop

	EARLY_PLUGIN=$E2E/stacks_plugin become "$E2E/early" || return
	wait_until said "probe malloc" && works early_plugin
	seep_stop
	read_capture
	if [ "${captured[allocs]:-0}" -gt 0 ] && [ "${captured[tagged]}" = 0 ]; then
		passes "after an exec of a program without such probes, calls are trapped"
	else
		fails "after an exec of a program without such probes, calls are trapped" "$(declare -p captured)" \
			"$(cat "$WORK/seep.err")"
	fi
	target_stop
}

left_alone() {
	target_start "$E2E/usdt"
	if ! seep_start record --no-usdt -o "$WORK/usdt.seep" -p "$TARGET_PID"; then
		fails "attach with --no-usdt" "$(cat "$WORK/seep.err")"
		return
	fi
	expect_semaphores "--no-usdt: semaphores stay at zero" 0000
	works usdt_churn
	seep_stop
	read_capture
	if said "probes in libc.so.6 \(glibc\)" && [ "${captured[allocs]}" = 30011 ] && [ "${captured[tagged]}" = 0 ]; then
		passes "--no-usdt: every call is trapped"
	else
		fails "--no-usdt: every call is trapped" "$(declare -p captured)" "$(cat "$WORK/seep.err")"
	fi
	target_stop
}

command_from_its_start() {
	local allocs
	LD_LIBRARY_PATH=$WORK/lib timeout -k 5 "$DEADLINE" "$SEEP" record "${UNLIMITED[@]}" -o "$WORK/usdt.seep" -- \
		"$E2E/usdt" usdt_leak usdt_churn usdt_allocs >"$WORK/command.out" 2>"$WORK/seep.err"
	read_capture
	allocs=$(sed -n 's/^done usdt_allocs //p' "$WORK/command.out")
	if [ "${allocs:-0}" -gt 50 ] && [ "${captured[allocs]}" = "$allocs" ] &&
		[ "${captured[tagged]}" = "$allocs" ] && said "probes that it brings along \(otel_memory\)"; then
		passes "a command: every sampled allocation from its start on"
	else
		fails "a command: every sampled allocation from its start on" "told of '$allocs'" \
			"$(declare -p captured)" "$(cat "$WORK/seep.err")"
	fi
}

# Its calls are trapped already: not both.
too_late() {
	EARLY_PLUGIN=$E2E/usdt_library target_start "$E2E/early"
	if ! seep_start record -o "$WORK/usdt.seep" -p "$TARGET_PID"; then
		fails "attach to a program without such probes" "$(cat "$WORK/seep.err")"
		return
	fi
	works early_plugin
	if wait_until said "usdt_library.*came after"; then
		passes "probes that come when calls are trapped already are left alone"
	else
		fails "probes that come when calls are trapped already are left alone" "$(cat "$WORK/seep.err")"
	fi
	seep_stop
	target_stop
}

# What its calls would cost, were they trapped, is of no concern.
busy() {
	local UNLIMITED=() i
	target_start "$E2E/usdt"
	for ((i = 0; i < 40; i++)); do echo usdt_pairs >&"$TARGET_IN"; done
	if ! seep_start leaks --json -p "$TARGET_PID"; then
		fails "attach to a program that allocates all the time" "$(cat "$WORK/seep.err")"
		target_stop
		return
	fi
	works usdt_semaphores
	seep_stop
	if [ "$STATUS" = 0 ] && ! said 'predicted|because' &&
		jq_true '.governor.steps | map(.mode) == ["exact"]' <"$WORK/seep.out"; then
		passes "a program that allocates all the time is followed all the time, within the limit"
	else
		fails "a program that allocates all the time is followed all the time, within the limit" \
			"status $STATUS" "$(cat "$WORK/seep.err")" "$(jq -c .governor "$WORK/seep.out")"
	fi
	target_stop
}

# best WORK: the least of five results.
best() {
	BEST=
	for _ in 1 2 3 4 5; do
		target_do "$1" || return 1
		if [ -z "$BEST" ] || [ "$RESULT" -lt "$BEST" ]; then BEST=$RESULT; fi
	done
}

# Not a test: what it costs is said, whatever it is on this machine at this time.
cost() {
	local off pretended
	target_start "$E2E/usdt"
	best usdt_pairs && off=$BEST
	works usdt_pretend
	best usdt_pairs && pretended=$BEST
	works usdt_pretend_no_more
	seep_start leaks -p "$TARGET_PID" || return
	best usdt_pairs
	seep_stop
	target_stop
	awk -v off="$off" -v pretended="$pretended" -v on="$BEST" 'BEGIN {
		printf "# 500,009 blocks, %d MB/s, a sample each 512 KiB: %d us of CPU time; ", 500009 * 144 / off, off
		printf "%d while sampling, %d with seep: %.2f %% over sampling alone\n", pretended, on, (on / pretended - 1) * 100 }'
}

private_libraries libc.so.6 || exit 1
cd "$WORK" || exit 1
attach
loaded_later
killed
forked
execed
left_alone
command_from_its_start
too_late
busy
cost
plan
