# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by tests for other machines: test cases in TAP. $name says what they are about.
#
# shellcheck disable=SC2154 # which is set by who sources this

nr=0
failed=0

verdict() { # NAME PROBLEM: one test case; no problem is success
	nr=$((nr + 1))
	if [ -z "$2" ]; then
		echo "ok $nr - $1"
	else
		failed=1
		echo "not ok $nr - $1"
		echo "# ${2//$'\n'/$'\n'# }"
	fi
}

skip_all() {
	echo "ok 1 - $name # SKIP $1"
	echo "1..1"
	exit 0
}

finish() {
	echo "1..$nr"
	exit "$failed"
}
