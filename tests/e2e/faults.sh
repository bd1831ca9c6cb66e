#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seep faults on a program that touches known numbers of pages.
set -u
. "$TOP/tests/e2e/lib.sh"

# touch WORK SITE KIND PAGES: all of these faults are at this site and of this kind, as many as the kernel counted.
touch_pages() {
	local name="minor faults: $3 memory"
	if ! { target_do "$1" && snapshot; }; then
		fails "$name" "no result" "$(tail -n 3 "$WORK/seep.err")"
		return
	fi
	expect_near "$name, as many as the kernel counted" .minor "$RESULT" 1
	expect_near "$name, at their site" "$2.minor" "$4" 1
	expect_near "$name, by kind" "kind:$3.minor" "$4" 2
}

major_faults() {
	local name="major faults: a file that is not in memory"
	if ! { target_do touch_disk && snapshot; }; then
		fails "$name" "no result"
	elif [ "$RESULT" = 0 ]; then
		skips "$name" "n/a: the file system of $WORK keeps everything in memory"
	else
		expect "$name" .major="$RESULT" faults_major.major="$RESULT"
	fi
}

by_interval() {
	target_start "$BUILD/tests/e2e/faults"
	if ! seep_start faults --json -i 100ms -p "$TARGET_PID"; then
		fails "attach" "$(cat "$WORK/seep.err")"
		return
	fi
	target_do prepare
	snapshot # by now seep knows the new mappings
	snapshot
	touch_pages touch_anon faults_anon anon 5003
	touch_pages touch_shared faults_shared shmem 307
	touch_pages touch_file faults_file file 503
	touch_pages touch_heap faults_heap heap 401
	touch_pages touch_stack faults_stack stack 211
	major_faults
	target_do touch_by_read && snapshot
	expect_near "faults that the kernel makes in a system call are at its caller" faults_read.minor 5003 1
	check_stack
	seep_stop
	read_facts "$WORK/seep.out"
	expect "the last report accounts for every fault" .unattributed=0 .lost_events=0
	expect_status "a run without losses is complete" 0 "attached"
	target_stop
}

check_stack() {
	local found
	found=$(jq -r '.sites[] | select(.stack[0].function == "faults_anon") | [.stack[].function] | join(" ")' \
		"$WORK/snapshot.json" | head -n 1)
	case $found in
	"faults_anon touch touch_anon "*" main"*) passes "a fault's stack goes to main" ;;
	*) fails "a fault's stack goes to main" "$found" ;;
	esac
}

in_one_go() {
	target_start "$BUILD/tests/e2e/faults"
	target_do prepare
	if ! seep_start faults -d 3s -p "$TARGET_PID"; then
		fails "attach for a second" "$(cat "$WORK/seep.err")"
		return
	fi
	target_do touch_anon
	seep_wait
	if [ "$STATUS" = 0 ] && grep -q faults_anon "$WORK/seep.out"; then
		passes "-d ends the run, with its report as text"
	else
		fails "-d ends the run, with its report as text" "status $STATUS" "$(cat "$WORK/seep.out")"
	fi
	target_stop
}

private_libraries libc.so.6 || exit 1
cd "$WORK" || exit 1
by_interval
in_one_go
plan
