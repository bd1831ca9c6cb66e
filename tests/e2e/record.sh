#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A capture replayed by somebody else, without rights, gives the live report to the byte; damaged and foreign files.
set -u
. "$TOP/tests/e2e/lib.sh"

# A place that everybody can read, whoever owns the tree.
SHARE=$(mktemp -d) || exit 1
trap 'cleanup; rm -rf "$SHARE"' EXIT
chmod 755 "$SHARE"
install -m 755 "$SEEP" "$SHARE/seep"

# replay ARGUMENT...: as nobody; output in seep.out and seep.err, STATUS its status.
replay() {
	timeout -k 5 "$DEADLINE" setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all \
		"$SHARE/seep" report "$@" >"$WORK/seep.out" 2>"$WORK/seep.err" </dev/null
	STATUS=$?
}

record() { # FORMAT
	target_start "$BUILD/tests/e2e/cases"
	target_do load_start
	if ! seep_start leaks -f "$1" --capture "$SHARE/$1.seep" -p "$TARGET_PID"; then
		fails "attach, $1" "$(cat "$WORK/seep.err")"
		return
	fi
	for work in edge_08 edge_19 edge_28_unmap edge_27_prepare threads; do
		target_do "$work"
	done
	seep_stop
	target_stop
	LIVE_STATUS=$STATUS
	chmod 644 "$SHARE/$1.seep"
	mv "$WORK/seep.out" "$WORK/live.out"
	replay -f "$1" "$SHARE/$1.seep"
	if [ "$LIVE_STATUS" = "$STATUS" ] && [ -s "$WORK/seep.out" ] && cmp -s "$WORK/live.out" "$WORK/seep.out"; then
		passes "replay without root: the live report to the byte, $1"
	else
		fails "replay without root: the live report to the byte, $1" "status $STATUS, live $LIVE_STATUS" \
			"$(diff "$WORK/live.out" "$WORK/seep.out" | cut -c 1-200 | head -n 10)" "$(cat "$WORK/seep.err")"
	fi
}

record_command() {
	target_start "$BUILD/tests/e2e/cases"
	if ! seep_start record -o "$SHARE/record.seep" -p "$TARGET_PID"; then
		fails "attach, record" "$(cat "$WORK/seep.err")"
		return
	fi
	target_do edge_08
	seep_stop
	chmod 644 "$SHARE/record.seep"
	target_stop
	replay --json "$SHARE/record.seep"
	forget_facts
	read_facts "$WORK/seep.out"
	expect "seep record, then seep report" .allocs=58 .frees=38 edge_08_moved.live_bytes=19171
}

truncated() {
	local size percent
	size=$(stat -c %s "$SHARE/json.seep")
	for percent in 30 60 90; do
		head -c $((size * percent / 100)) "$SHARE/json.seep" >"$SHARE/cut.seep"
		replay --json "$SHARE/cut.seep"
		if [ "$STATUS" = 3 ] && grep -q "ends early" "$WORK/seep.err" &&
			[ "$(jq -r .complete "$WORK/seep.out")" = false ]; then
			passes "a capture cut at $percent %: what it holds, and a warning"
		else
			fails "a capture cut at $percent %: what it holds, and a warning" "status $STATUS" "$(cat "$WORK/seep.err")"
		fi
	done
	head -c $((size - 1)) "$SHARE/json.seep" >"$SHARE/cut.seep"
	replay --json "$SHARE/cut.seep"
	expect_status "a capture that lacks its last byte" 3 "incomplete"
	head -c 20 "$SHARE/json.seep" >"$SHARE/cut.seep"
	replay "$SHARE/cut.seep"
	expect_refusal "a capture cut in its header" 1 "cut.seep"
}

damaged() {
	local size
	size=$(stat -c %s "$SHARE/json.seep")
	cp "$SHARE/json.seep" "$SHARE/bad.seep"
	printf 'xxxxxxxxxxxxxxxx' | dd of="$SHARE/bad.seep" bs=1 seek=$((size / 2)) conv=notrunc status=none
	replay --json "$SHARE/bad.seep"
	expect_status "a capture with wrong bytes in its middle" 3 "incomplete"
}

refused() {
	echo "this is no capture, though it is long enough to be one" >"$SHARE/foreign.seep"
	replay "$SHARE/foreign.seep"
	expect_refusal "a file that is no capture" 1 "not a capture"
	: >"$SHARE/empty.seep"
	replay "$SHARE/empty.seep"
	expect_refusal "an empty file" 1 "not a capture|ends early|cannot read"
	cp "$SHARE/json.seep" "$SHARE/newer.seep"
	printf '\002\000' | dd of="$SHARE/newer.seep" bs=1 seek=8 conv=notrunc status=none
	replay "$SHARE/newer.seep"
	expect_refusal "a capture of a newer seep" 1 "newer"
	replay "$SHARE/no-such-file.seep"
	expect_refusal "a capture that is not there" 1 "No such file"
	replay "$SHARE"
	expect_refusal "a directory" 1 "directory"
}

private_libraries libc.so.6 || exit 1
for format in text json folded; do
	record "$format"
done
record_command
truncated
damaged
refused
plan
