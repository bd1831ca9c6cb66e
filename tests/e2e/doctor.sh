#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What seep doctor says of the code that a process maps, and that it says what everything costs. What it says of hazards
# is in hazard.sh.
set -u
. "$TOP/tests/e2e/lib.sh"

E2E=$BUILD/tests/e2e

# expect_line NAME PATTERN: one line of the last run matches the extended regular expression as a whole.
expect_line() {
	local nr
	nr=$(grep -cxE -- "$2" "$WORK/seep.out")
	if [ "$nr" = 1 ]; then
		passes "$1"
	else
		fails "$1" "$nr lines match: $2" "$(grep -A 20 '^code' "$WORK/seep.out")" "$(cat "$WORK/seep.err")"
	fi
}

costs_are_measured() {
	if [ "$(grep -cE '^  (perf|multi|session)( +[1-9][0-9]* ns){4}$' "$WORK/seep.out")" = 3 ] ||
		{ [ "$(grep -cE '^  (multi|session) +not on this kernel$' "$WORK/seep.out")" -ge 1 ] &&
			grep -qE '^  perf( +[1-9][0-9]* ns){4}$' "$WORK/seep.out"; }; then
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
expect_line "new code is told of" "  yes  records of new code \(perf MMAP2\)"
costs_are_measured
expect_line "a file with debug information" \
	" +[1-9][0-9]* KiB  $WORK/full: [1-9][0-9]* unwind rows, names from its debug information"
expect_line "the C library" " +[1-9][0-9]* KiB  $WORK/lib/libc\.so\.6: [1-9][0-9]{3,} unwind rows, .*names.*"
expect_line "no code made at run time" "  none made at run time"
sizes_fall

strip -o "$WORK/stripped" "$E2E/cases"
objcopy --remove-section .eh_frame --remove-section .eh_frame_hdr --strip-debug "$E2E/cases" "$WORK/bare"
code_of 0 "$WORK/stripped"
expect_line "a file that was stripped" \
	" +[1-9][0-9]* KiB  $WORK/stripped: [1-9][0-9]* unwind rows, (names from dynamic symbols only|no names)"
code_of 0 "$WORK/bare"
expect_line "a file without call frame information" \
	" +[1-9][0-9]* KiB  $WORK/bare: no call frame information, names from its symbol table only"
plan
