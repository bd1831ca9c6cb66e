#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What seep doctor says of the code that a process maps, that it says what everything costs, and what it predicts. What
# it says of hazards is in hazard.sh.
set -u
. "$TOP/tests/e2e/lib.sh"

E2E=$BUILD/tests/e2e

# expect_line NAME PATTERN: one line of the last run matches the extended regular expression as a whole. Lines that go
# on in the next one are taken for one.
expect_line() {
	local nr
	nr=$(awk '/^ {16}/ { sub(/^ +/, " "); line = line $0; next } NR > 1 { print line } { line = $0 } END { print line }' \
		"$WORK/seep.out" | grep -cxE -- "$2")
	if [ "$nr" = 1 ]; then
		passes "$1"
	else
		fails "$1" "$nr lines match: $2" "$(grep -A 20 '^code' "$WORK/seep.out")" "$(cat "$WORK/seep.err")"
	fi
}

costs_are_measured() {
	if [ "$(grep -cE '^  (perf|multi|session)( +[1-9][0-9,]* ns){4}$' "$WORK/seep.out")" = 3 ] ||
		{ [ "$(grep -cE '^  (multi|session) +not on this kernel$' "$WORK/seep.out")" -ge 1 ] &&
			grep -qE '^  perf( +[1-9][0-9,]* ns){4}$' "$WORK/seep.out"; }; then
		passes "what a probe costs"
	else
		fails "what a probe costs" "$(grep -A 4 '^cost' "$WORK/seep.out")"
	fi
}

sizes_fall() {
	if grep -oE '^ +[0-9]+ KiB  /' "$WORK/seep.out" | awk '{ print $1 }' | sort -rnc 2>"$WORK/order"; then
		passes "the largest file is the first"
	else
		fails "the largest file is the first" "$(cat "$WORK/order")" "$(grep -A 20 '^code' "$WORK/seep.out")"
	fi
}

code_of() { # STATUS COMMAND...
	target_start "${@:2}" || return
	seep_run doctor -p "$TARGET_PID"
	target_stop
	expect_status "a process is looked at" "$1" ""
}

private_libraries libc.so.6 || exit 1
cp "$E2E/cases" "$WORK/full"
code_of 0 "$WORK/full"
expect_line "new code is told of" "  yes  records of new code \(perf MMAP2\) +followed as it is mapped"
costs_are_measured
expect_line "a file with debug information" \
	" +[1-9][0-9]* KiB  $WORK/full [1-9][0-9]* unwind rows, names from its debug information"
expect_line "the C library" " +[1-9][0-9]* KiB  $WORK/lib/libc\.so\.6 [1-9][0-9]{3,} unwind rows, .*names.*"
expect_line "no code made at run time" "  none made at run time"
sizes_fall

# number PATTERN: what stands before PATTERN in the last run, without its commas.
number() {
	sed -nE "s/^ +([0-9,.]+) +$1\$/\\1/p" "$WORK/seep.out" | tr -d ,
}

# expect_number NAME PATTERN CONDITION: an awk condition on n.
expect_number() {
	local n
	n=$(number "$2")
	if [ -n "$n" ] && awk -v n="$n" "BEGIN { exit !($3) }"; then
		passes "$1"
	else
		fails "$1" "'$n' and not $3" "$(grep -A 12 '^calls' "$WORK/seep.out")"
	fi
}

if grep -q '^calls: not counted: this kernel has no multi links$' "$WORK/seep.out"; then
	skips "calls are counted" "this kernel has no multi links"
else
	expect_number "nobody calls an allocator" "allocating calls in all" "n == 0"
	expect_line "of an idle process a share is of more than it uses" \
		"predicted overhead with [a-z]+ links, of a fifth of a CPU: it uses less"
	expect_number "and it would cost nothing" "%  every allocation" "n == 0"
	expect_line "so every allocation would be followed" " +0\.0 %  as a run would start: every allocation"
	LD_LIBRARY_PATH=$WORK/lib perl -e 'while (1) { @a = map { "x" x $_ } 1 .. 500; $sum += $_ for 1 .. 20000 }' &
	started+=($!)
	seep_run doctor -p $!
	kill -KILL $!
	wait $! 2>/dev/null
	expect_line "a share is of what the process uses" "predicted overhead with [a-z]+ links, of its CPU time"
	expect_number "calls are counted" "allocating calls in all" "n > 0"
	every=$(number "%  every allocation")
	expect_number "what it would cost" "%  every allocation" "n > 0 && n < 100"
	expect_number "less with samples" "%  a sample each 512\.0 KiB" "n > 0 && n < ${every:-0}"
	expect_number "and no more than a run may" "%  as a run would start: .*" "n <= 5"
fi
# Names of functions and reasons are as long as they are.
if awk '/^code/ { exit } length > 80 && !/  \// && !/ ns  (emulated|single-stepped)/ && !/^ +family / { exit 1 }' "$WORK/seep.out"; then
	passes "no line is too long"
else
	fails "no line is too long" "$(awk 'length > 80' "$WORK/seep.out")"
fi

strip -o "$WORK/stripped" "$E2E/cases"
objcopy --remove-section .eh_frame --remove-section .eh_frame_hdr --strip-debug "$E2E/cases" "$WORK/bare"
code_of 0 "$WORK/stripped"
expect_line "a file that was stripped" \
	" +[1-9][0-9]* KiB  $WORK/stripped [1-9][0-9]* unwind rows, (names from dynamic symbols only|no names)"
code_of 0 "$WORK/bare"
expect_line "a file without call frame information" \
	" +[1-9][0-9]* KiB  $WORK/bare no call frame information, names from its symbol table only"
plan
