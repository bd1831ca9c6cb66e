#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# `make demo`: starts a server that leaks, attaches to it while it runs, prints the report, writes the folded stacks.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
SECONDS_ATTACHED=20
server=$BUILD/tools/leaky
capture=$BUILD/demo.seep
folded=$BUILD/demo.folded

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)

say() {
	printf '\n== %s\n' "$*"
}

server_pid=""
stop_server() {
	[ -n "$server_pid" ] || return 0
	kill "$server_pid" 2>/dev/null || true
	wait "$server_pid" 2>/dev/null || true
}
trap stop_server EXIT

# The server prints its readiness line into this; reading it is waiting for it.
ready=$BUILD/demo.ready
rm -f "$ready"
mkfifo "$ready"
say "starting $server (its source: tools/leaky.c)"
exec 3<>"$ready"
"$server" >"$ready" 3<&- &
server_pid=$!
if ! IFS= read -r -t 10 -u 3 line; then
	echo "demo: the server did not start" >&2
	exit 1
fi
echo "$line"
rm -f "$ready"

say "attaching for $SECONDS_ATTACHED s:" "${sudo[@]}" "$BUILD/seep leaks -p $server_pid -d ${SECONDS_ATTACHED}s --capture $capture"
status=0
"${sudo[@]}" "$BUILD/seep" leaks -p "$server_pid" -d "${SECONDS_ATTACHED}s" --capture "$capture" || status=$?
# 3: a report that says itself what is missing from it
if [ "$status" != 0 ] && [ "$status" != 3 ]; then
	echo "demo: seep ended with status $status" >&2
	exit "$status"
fi
[ ${#sudo[@]} = 0 ] || "${sudo[@]}" chown "$(id -u):$(id -g)" "$capture"

say "the same run as folded stacks, made from the capture without root"
"$BUILD/seep" report -f folded -o "$folded" "$capture"
awk '{ print $NF "\t" $0 }' "$folded" | sort -rn | cut -f2- | sed -n '1,3p'

say "where things are"
cat <<END
  $folded   folded stacks: feed them to flamegraph.pl or speedscope
  $capture     the capture: $BUILD/seep report $capture
  tools/leaky.c       the server; the leak is in session_copy_headers()
END

if ! kill -0 "$server_pid" 2>/dev/null; then
	echo "demo: the server did not survive" >&2
	exit 1
fi
exit "$status"
