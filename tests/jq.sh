# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by tests that look at JSON.

# jq_true FILTER [OPTION...]: is it true of the first text on standard input? Of nothing it is not, where jq 1.6 -e says that
# all is well.
jq_true() {
	local filter=$1
	shift
	jq -es "$@" ".[0] | . != null and ($filter)" >/dev/null 2>&1
}
