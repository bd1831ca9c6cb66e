#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/run counts right: a sum that is wrong would hide every other failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
mkdir -p "$top/tests/golden"
cp tests/run "$top/tests/run"

# fake NAME: a test program whose body comes from stdin.
fake() {
	{
		echo '#!/bin/sh'
		cat
	} >"$top/tests/golden/$1.sh"
	chmod +x "$top/tests/golden/$1.sh"
}

# check NAME EXPECTED-SUM EXPECTED-STATUS [CI]: runs what fake() made, then forgets it.
check() {
	local out status
	out=$(BUILD=build CI=${4:-} V=0 LIMIT_SECONDS=${LIMIT:-60} "$top/tests/run" golden 2>&1)
	status=$?
	out=$(tail -n 1 <<<"$out")
	verdict "runner: $1" "$([ "$out" = "$2" ] && [ "$status" = "$3" ] ||
		echo "got '$out', status $status; wanted '$2', status $3")"
	rm -rf "$top/tests/golden/"* "$top/build"
}

printf 'echo 1..3\necho ok 1 - a\necho ok 2 - b\necho ok 3 - c\n' | fake one
printf 'echo ok 1 - a\necho ok 2 - b\n' | fake two
check "cases are counted, not files" "5 passed, 0 failed" 0

printf 'echo ok 1 - a\necho not ok 2 - b\nexit 1\n' | fake one
check "a failed case" "1 passed, 1 failed" 1

printf 'echo not ok 1 - a\n' | fake one
check "a failed case whose program says success" "0 passed, 1 failed" 1

printf 'echo 1..3\necho ok 1 - a\nkill -SEGV $$\n' | fake one
check "a program that dies" "1 passed, 1 failed" 1

printf 'echo 1..3\necho ok 1 - a\n' | fake one
check "a program that stops early" "1 passed, 1 failed" 1

printf 'echo 1..2\necho ok 1 - a\necho 1..1\necho ok 1 - b\n' | fake one
check "a program that stops early in one of its groups" "2 passed, 1 failed" 1

printf 'exit 0\n' | fake one
check "a program without a case" "0 passed, 1 failed" 1

printf 'echo ok 1 - a\nexit 1\n' | fake one
check "a status that no case explains" "1 passed, 1 failed" 1

printf 'echo ok 1 - a\nsleep 60\n' | fake one
LIMIT=2 check "a program that hangs" "1 passed, 1 failed" 1

printf 'echo ok 1 - a\necho "ok 2 - b # SKIP needs a feature"\n' | fake one
check "a skip" "1 passed, 0 failed, 1 skipped" 0

printf 'echo ok 1 - a\necho "not ok 2 # SKIP b"\n' | fake one
check "a skip as cmocka prints it" "1 passed, 0 failed, 1 skipped" 0

printf 'echo ok 1 - a\necho "ok 2 - b # SKIP needs a feature"\n' | fake one
check "a skip in CI" "1 passed, 1 failed" 1 true

printf 'echo ok 1 - a\necho "ok 2 - b # SKIP n/a: another machine"\n' | fake one
check "a skip in CI for what can never run here" "1 passed, 0 failed, 1 skipped" 0 true
plan
