# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by tests that are scripts: test cases in TAP.

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

finish() {
	echo "1..$nr"
	exit "$failed"
}
