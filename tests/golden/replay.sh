#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seep report on stored captures, compared byte for byte with what it must print, in every format, with its exit status.
# tests/unit/test_replay.c makes the captures. UPDATE_GOLDEN=1 rewrites what is expected.
set -u
here=$TOP/tests/golden
. "$TOP/tests/tap.sh"

lines() { # FILE: JSON is one line: a line a member, so that a difference can be read
	sed 's/,"/,\n"/g' "$1"
}

# replay EXPECTED-FILE STATUS CAPTURE OPTION...
replay() {
	local expected=$here/$1 status=$2 capture=$3 out=$WORK/$1 got problem=""
	shift 3
	"$SEEP" report "$capture" "$@" >"$out" 2>"$out.err"
	got=$?
	[ -z "${UPDATE_GOLDEN:-}" ] || cp "$out" "$expected"
	if [ "$got" != "$status" ]; then
		problem="exit status $got, not $status"$'\n'$(<"$out.err")
	elif ! cmp -s "$expected" "$out"; then
		problem=$(diff -u <(lines "$expected") <(lines "$out") | head -n 20)
	fi
	verdict "replay: ${expected##*/}" "$problem"
}

for run in leaks:0 faults:0 losses:3 steps:0; do
	name=replay-${run%:*}
	for format in text:txt json:json folded:folded; do
		replay "$name.${format#*:}" "${run#*:}" "$here/$name.seepcap" --format "${format%:*}"
	done
done
replay replay-options.txt 0 "$here/replay-leaks.seepcap" --top 1 --min-age 10s --allocator-frames

# Of a version that counted fewer things.
replay replay-losses.json 3 "$here/replay-older.seepcap" --json

# What is cut in the middle of the last record still gives all that stands before.
head -c -20 "$here/replay-leaks.seepcap" >"$WORK/cut.seepcap"
replay replay-cut.txt 3 "$WORK/cut.seepcap"
verdict "replay: a cut capture is said to be one" \
	"$(grep -q "ends early, at byte" "$WORK/replay-cut.txt.err" || cat "$WORK/replay-cut.txt.err")"

# One flipped bit in the middle.
cp "$here/replay-leaks.seepcap" "$WORK/damaged.seepcap"
printf '\377' | dd of="$WORK/damaged.seepcap" bs=1 seek=20000 conv=notrunc 2>/dev/null
"$SEEP" report "$WORK/damaged.seepcap" >/dev/null 2>"$WORK/damaged.err"
got=$?
verdict "replay: a damaged capture is said to be one" \
	"$([ "$got" = 3 ] && grep -q "is damaged at byte" "$WORK/damaged.err" ||
		echo "status $got: $(<"$WORK/damaged.err")")"

# Standard output is a file like any other.
"$SEEP" report "$here/replay-leaks.seepcap" -f json -o "$WORK/written.json"
verdict "replay: -o writes the same" "$(cmp "$here/replay-leaks.json" "$WORK/written.json" 2>&1)"

finish
