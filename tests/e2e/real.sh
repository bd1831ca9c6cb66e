#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs that were not written for this: redis, python; programs that seep starts itself.
set -u
. "$TOP/tests/e2e/lib.sh"

redis() {
	local name="redis under load" socket=$WORK/redis.sock
	if ! command -v redis-server >/dev/null || ! command -v redis-benchmark >/dev/null; then
		skips "$name" "redis is not installed"
		return
	fi
	open_pipe redis
	# Without a port, without a disk.
	spawn "$FD" env "LD_LIBRARY_PATH=$WORK/lib" redis-server --port 0 --unixsocket "$socket" --save "" \
		--appendonly no --dir "$WORK" --logfile "$WORK/redis.log"
	TARGET_PID=$PID
	if ! wait_until redis-cli -s "$socket" ping >/dev/null 2>&1; then
		fails "$name" "it does not start" "$(tail -n 3 "$WORK/redis.log")"
		return
	fi
	if ! seep_start leaks --json -p "$TARGET_PID"; then
		fails "$name" "$(cat "$WORK/seep.err")"
		return
	fi
	timeout "$DEADLINE" redis-benchmark -s "$socket" -t set,get,lpush -n 30000 -r 10000 -c 10 --csv \
		>"$WORK/benchmark.out" 2>&1
	STATUS_OF_BENCHMARK=$?
	seep_stop
	forget_facts
	read_facts "$WORK/seep.out"
	expect "$name: nothing is lost, the balance sums" .lost_events=0 .lost_allocs=0 .missed_frees=0
	expect_status "$name: a complete report" 0 "attached"
	if [ "$STATUS_OF_BENCHMARK" = 0 ] && [ "$(grep -cE '^"(SET|GET|LPUSH)","[1-9]' "$WORK/benchmark.out")" = 3 ]; then
		passes "$name: every request is answered"
	else
		fails "$name: every request is answered" "$(tail -n 3 "$WORK/benchmark.out")"
	fi
	check_redis_names "$name"
	redis-cli -s "$socket" shutdown nosave >/dev/null 2>&1
}

# A hundred thousand commands make more than that many blocks; the strings are made in sds.c.
check_redis_names() {
	local functions
	functions=$(jq -r '.sites[].stack[] | select(.module | tostring | test("redis")) | .function' "$WORK/seep.out" |
		grep -cE '^(sds|zmalloc|ztrymalloc|zrealloc|createObject|dict|quicklist|lp|readQuery|processCommand|setGeneric)')
	if [ "${fact[.allocs]:-0}" -gt 90000 ] && [ "$functions" -gt 0 ]; then
		passes "$1: redis functions are named"
	else
		fails "$1: redis functions are named" "$functions names, ${fact[.allocs]:-0} allocations" \
			"$(jq -r '.sites[:5][] | [.stack[].function] | join(" ")' "$WORK/seep.out")"
	fi
}

PYTHON_LEAK='
import time
cache = []
due = time.monotonic()
print("ready", flush=True)
while True:
    cache.append("x" * 1000000)
    due += 0.1
    time.sleep(max(0, due - time.monotonic()))
'

python() {
	local name="python3 that leaks 10 MB/s" growth python=/usr/bin/python3 verdict
	if ! [ -x "$python" ]; then
		skips "$name" "$python is not installed"
		return
	fi
	target_start "$python" -c "$PYTHON_LEAK"
	if ! seep_start leaks --json -i 1s -p "$TARGET_PID"; then
		fails "$name" "$(cat "$WORK/seep.err")"
		return
	fi
	wait_until reports_written 7
	ctrl_c
	read -r growth verdict < <(tail -n 1 "$WORK/seep.out" |
		jq -r '.sites | max_by(.live_bytes) | "\(.growth_bytes_per_s | round) \(.verdict)"')
	if [ "$growth" -ge 9500000 ] && [ "$growth" -le 10500000 ]; then
		passes "$name: found, and its rate"
	else
		fails "$name: found, and its rate" "$growth bytes/s"
	fi
	case $verdict in
	LEAKING | GROWING) passes "$name: its verdict" ;;
	*) fails "$name: its verdict" "$verdict" ;;
	esac
	check_intervals
	target_stop
}

# The report must not wait for the probes to be taken out.
ctrl_c() {
	local written start=$EPOCHREALTIME ms
	written=$(wc -l <"$WORK/seep.out")
	kill -INT "$SEEP_PID"
	wait_until reports_written $((written + 1))
	ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
	if [ "$ms" -le 5000 ]; then
		passes "Ctrl-C gives the report at once"
	else
		fails "Ctrl-C gives the report at once" "after $ms ms"
	fi
	seep_wait
}

check_intervals() {
	local found
	found=$(jq -s -r '[(length >= 8), (map(.window.duration_s) | . == (sort | unique)), (map(.window.final) | index(true) ==
		length - 1), all(.[]; .schema == "seep.leaks/1"), all(.[]; .balance | .allocs == .frees + .live + .released +
		.lost_allocs)] | map(tostring) | join(" ")' "$WORK/seep.out")
	if [ "$found" = "true true true true true" ]; then
		passes "reports at intervals: one line each, the last one final"
	else
		fails "reports at intervals: one line each, the last one final" "$found"
	fi
}

# Started by seep: nothing may be missing from the first call on. The program is over in some tenths of a second.
command_short() {
	export LD_LIBRARY_PATH=$WORK/lib
	seep_run leaks --json -- "$BUILD/tests/e2e/cases" edge_08 edge_13 cost cost cost
	unset LD_LIBRARY_PATH
	forget_facts
	sed -i '/^done/d' "$WORK/seep.out"
	read_facts "$WORK/seep.out"
	expect "a command: every call from the first one on" .allocs=$((97 + 27 * 2003)) .frees=$((38 + 27 * 2003)) \
		.released=59 .live=0 .frees_unknown=0
	expect_status "a command: complete" 0 "attached"
	expect "a command that is soon over has its names" edge_08_moved.alloc_objects=19 edge_08_in_place.alloc_bytes=2299 \
		edge_13_valloc.alloc_bytes=1661
	if [ "$(jq -r '"\(.target.comm) \(.target.exe | split("/") | last) \(.target.exited)"' "$WORK/seep.out")" = "cases cases true" ]; then
		passes "a command: the report is about it"
	else
		fails "a command: the report is about it" "$(jq -c .target "$WORK/seep.out")"
	fi
}

command_long() {
	open_pipe target.in
	TARGET_IN=$FD
	open_pipe target.out
	TARGET_OUT=$FD
	TARGET_PID=unknown
	open_pipe seep.status
	SEEP_TOLD=$FD
	spawn "$SEEP_TOLD" run_with_command
	SEEP_PID=$PID
	seep_hear "" "$DEADLINE" && target_hear ready && target_do edge_33 && target_do edge_19
	echo quit >&"$TARGET_IN"
	seep_wait
	forget_facts
	read_facts "$WORK/seep.json"
	expect "a command that is told what to do" edge_33_inner.alloc_bytes=723 edge_19_malloc.free_objects=503 .live=0
	expect_status "a command that is told what to do: complete" 0 "attached"
}

run_with_command() {
	LD_LIBRARY_PATH=$WORK/lib exec "$SEEP" leaks "${UNLIMITED[@]}" --json --ready-fd "$SEEP_TOLD" -o "$WORK/seep.json" -- \
		"$BUILD/tests/e2e/cases" <&"$TARGET_IN" >&"$TARGET_OUT" 2>"$WORK/seep.err"
}

private_libraries libc.so.6 || exit 1
private_libraries libjemalloc.so.2
redis
python
command_short
command_long
plan
