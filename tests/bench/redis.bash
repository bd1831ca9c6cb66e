# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# redis-server, with a module that leaks: exact, beside empty programs and bpftrace, and governed, as one would run it on a server that works.
# Sourced by tests/bench/run.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

REDIS_REQUESTS=30000
REDIS_ROUNDS=${REDIS_ROUNDS:-5}
GOVERNED_REQUESTS=500000 # some five seconds

# --- measuring -------------------------------------------------------------------------------------

# redis_throughput CONFIG REQUESTS TESTS ROUND
redis_throughput() {
	redis-benchmark -s "$WORK/redis.sock" -t "$3" -n "$2" -r 100000 --csv 2>/dev/null |
		tr -d '"' | awk -F, -v config="$1" -v round="$4" \
		'$1 ~ /^(SET|GET|LPUSH)$/ { print config, tolower($1), $2, round }' >>"$WORK/redis"
}

measure_redis_exact() {
	local round=$1 cpu_ms
	redis_throughput none "$REDIS_REQUESTS" set,get,lpush "$round"
	start_floor "$redis_pid"
	redis_throughput floor "$REDIS_REQUESTS" set,get,lpush "$round"
	stop_floor
	start_seep leaks -p "$redis_pid" "${UNGOVERNED[@]}" --json -o "$WORK/redis.$round.json"
	cpu_ms=$(cpu_ms_of "$seep_pid")
	redis_throughput seep "$REDIS_REQUESTS" set,get,lpush "$round"
	cpu_ms=$(($(cpu_ms_of "$seep_pid") - cpu_ms))
	stop_seep
	jq --argjson cpu_ms "$cpu_ms" '.balance | $cpu_ms * 1e6 / (.allocs + .frees)' \
		"$WORK/redis.$round.json" >>"$WORK/redis-cpu"
	start_bpftrace "$redis_pid" "$LIBS/libjemalloc.so.2"
	redis_throughput bpftrace $((REDIS_REQUESTS / 10)) set,get,lpush "$round"
	stop_bpftrace
}

# The first of the two runs has the governor find its place, the second tells what it keeps to.
measure_redis_governed() {
	local round=$1 report=$WORK/governed.$1.json
	redis_throughput free "$GOVERNED_REQUESTS" set "$round"
	start_seep leaks -p "$redis_pid" --max-overhead 5% --json -o "$report"
	redis_throughput settling "$GOVERNED_REQUESTS" set "$round"
	redis_throughput governed "$GOVERNED_REQUESTS" set "$round"
	stop_seep
	redis_throughput free_again "$GOVERNED_REQUESTS" set "$round"
	jq -r '[.sites[] | .function = any(.stack[]; .function == "planted_leak")] |
		(map(.function) | index(true)) as $at |
		if $at then "\($at + 1) \(.[$at].verdict) \(.[$at].live_bytes)" else "0 none 0" end' \
		"$report" >>"$WORK/redis-leak"
}

measure_redis() {
	local round
	start_redis "$HELPERS/leaky_module"
	for ((round = 1; round <= REDIS_ROUNDS; round++)); do
		say "redis, round $round of $REDIS_ROUNDS"
		measure_redis_exact "$round"
		measure_redis_governed "$round"
	done
	stop_redis
}

# --- facts -----------------------------------------------------------------------------------------

# redis_ratios CONFIG OTHER: of the throughput of SET, one a round; of the other there may be two runs.
redis_ratios() {
	awk -v a="$1" -v b="$2" '$2 != "set" { next } $1 == a { x[$4] = $3 }
		$1 == b || $1 == b "_again" { y[$4] += $3; nr[$4]++ }
		END { for (round in x) if (y[round]) print x[round] / (y[round] / nr[round]) }' "$WORK/redis"
}

sum_up_redis() {
	local config test
	for test in set get lpush; do
		for config in none floor seep bpftrace free settling governed; do
			awk -v config="$config" -v test="$test" '$1 == config && $2 == test { print $3 }' "$WORK/redis" |
				put_spread "redis_per_s.$config.$test"
		done
	done
	put_spread redis_userspace_ns_per_event <"$WORK/redis-cpu"
	put redis_lost_events "$(jq -s 'map(.balance.lost_events) | add' "$WORK"/redis.*.json)"
	redis_ratios seep bpftrace | put_spread redis_over_bpftrace
	redis_ratios floor bpftrace | put_spread redis_floor_over_bpftrace
	redis_ratios settling free | awk '{ print $1 * 100 }' | put_spread redis_settling_percent
	redis_ratios governed free | awk '{ print $1 * 100 }' | put_spread redis_governed_percent
	put redis_leaks_found "$(awk '$2 == "LEAKING" || $2 == "GROWING"' "$WORK/redis-leak" | wc -l)"
}

judge_redis() {
	goal redis_bpftrace "${fact[redis_over_bpftrace.median]:-}" ">= 10" \
		"redis, exact: %.1f times the SETs that bpftrace leaves, at least 10"
	goal redis_governed "${fact[redis_governed_percent.median]:-}" ">= 93" \
		"redis, --max-overhead 5%%: %.1f %% of the SETs without probes, at least 93"
	goal redis_leak "${fact[redis_leaks_found]:-}" "== $REDIS_ROUNDS" \
		"redis, --max-overhead 5%%: the leak of a module told as one in %d of $REDIS_ROUNDS runs"
}

# --- the table -------------------------------------------------------------------------------------

print_redis() {
	local config test
	printf 'redis-server, requests a second, median of %s rounds; %s events lost, userspace %.0f ns an event\n' \
		"$REDIS_ROUNDS" "${fact[redis_lost_events]}" "${fact[redis_userspace_ns_per_event.median]}"
	printf '  %-12s %26s %26s %26s\n' "" set get lpush
	for config in none floor seep bpftrace; do
		printf '  %-12s' "$config"
		for test in set get lpush; do
			printf ' %26s' "$(spread "redis_per_s.$config.$test" %.0f)"
		done
		echo
	done
	printf '  SETs, times those that bpftrace leaves: %s; empty programs: %s\n' \
		"$(spread redis_over_bpftrace %.1f)" "$(spread redis_floor_over_bpftrace %.1f)"
	printf 'redis-benchmark -t set, --max-overhead 5%%: requests a second, and of those without probes\n'
	printf '  %-12s %26s\n' "none" "$(spread redis_per_s.free.set %.0f)"
	for config in settling governed; do
		printf '  %-12s %26s   %s %%\n' "$config" "$(spread "redis_per_s.$config.set" %.0f)" \
			"$(spread "redis_${config}_percent" %.1f)"
	done
	awk '{ printf "  the planted leak: site %d of the report, %s, %.1f MiB\n", $1, $2, $3 / 1048576 }' "$WORK/redis-leak"
	echo
}
