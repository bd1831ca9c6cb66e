# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The head of tests/bench/run: from samples to facts, from facts to a table and to JSON. Sourced.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this
# shellcheck disable=SC2059 # formats are put together

# A fact is "dotted.key value"; $WORK/facts has them all.
declare -A fact

put() {
	fact[$1]=$2
	echo "$1 $2" >>"$WORK/facts"
}

# put_spread KEY: KEY.median, KEY.min and KEY.max of the numbers on standard input; nothing where there are none.
put_spread() {
	local median min max
	read -r median min max < <(sort -g | awk '{ value[NR] = $1 }
		END { if (NR) print value[int((NR + 1) / 2)], value[1], value[NR] }') || return 0
	put "$1.median" "$median"
	put "$1.min" "$min"
	put "$1.max" "$max"
}

# "CONFIG ROUND FRAMES MEDIAN_NS PAIRS" for each measurement.
sum_up_samples() {
	sort -k1,1 -k2,2n -k3,3n -k4,4g "$WORK/samples" | awk '
		function flush() { if (nr) print group, value[int((nr + 1) / 2)], pairs }
		$1 " " $2 " " $3 != group { flush(); group = $1 " " $2 " " $3; nr = 0; pairs = 0 }
		{ value[++nr] = $4; pairs += $5 }
		END { flush() }' >"$WORK/medians"
}

# ratios CONFIG OTHER FRAMES: of the same round.
ratios() {
	awk -v a="$1" -v b="$2" -v frames="$3" '$3 == frames && $1 == a { x[$2] = $4 }
		$3 == frames && $1 == b { y[$2] = $4 }
		END { for (round in x) if (y[round]) print x[round] / y[round] }' "$WORK/medians"
}

sum_up_pairs() {
	local config frames
	sum_up_samples
	for config in none floor seep bpftrace heaptrack dhat; do
		for frames in $DEPTHS; do
			awk -v config="$config" -v frames="$frames" '$1 == config && $3 == frames { print $4 }' \
				"$WORK/medians" | put_spread "pair_ns.$config.$frames"
			ratios "$config" floor "$frames" | put_spread "over_floor.$config.$frames"
			ratios "$config" seep "$frames" | put_spread "over_seep.$config.$frames"
		done
	done
}

sum_up_userspace() {
	# A pair is two events.
	awk 'NR == FNR { if ($1 == "seep") events[$2] += 2 * $5; next } events[$1] { print $2 * 1e6 / events[$1] }' \
		"$WORK/medians" "$WORK/seep-runs" | put_spread userspace_ns_per_event
	awk -v s="$WINDOW_S" '$1 == "seep" { events[$2] += 2 * $5 } END { for (r in events) print events[r] / s }' \
		"$WORK/medians" | put_spread events_per_s
	put lost_events "$(jq -s 'map(.balance.lost_events) | add' "$WORK"/seep.*.json)"
	put events "$(jq -s 'map(.balance | .allocs + .frees) | add' "$WORK"/seep.*.json)"
	awk '{ print $1 }' "$WORK/starts" | put_spread start.ready_ms
	awk '$2 != "" { print $2 }' "$WORK/starts" | put_spread start.first_event_ms
	put memory.0.seep_kib "$(awk '{ print $4 }' "$WORK/seep-runs" | sort -n | tail -n 1)"
}

sum_up_programs() {
	local frames name ns
	for frames in $DEPTHS; do
		ns=$(awk -v frames="$frames" '$1 == "floor" && $2 == frames { print $4; exit }' "$WORK/programs")
		put "program_ns.probe_floor.$frames" "$ns"
		for name in alloc_enter alloc_return free_enter; do
			ns=$(awk -v frames="$frames" -v name="$name" \
				'$1 == "seep" && $2 == frames && $3 == name { print $4 }' "$WORK/programs")
			put "program_ns.$name.$frames" "${ns:-0}"
		done
	done
}

sum_up_redis() {
	local config test
	for test in set get lpush; do
		for config in none seep bpftrace; do
			awk -v config="$config" -v test="$test" '$1 == config && $2 == test { print $3 }' "$WORK/redis" |
				put_spread "redis_per_s.$config.$test"
		done
	done
	put_spread redis_userspace_ns_per_event <"$WORK/redis-cpu"
	put redis_lost_events "$(jq -s 'map(.balance.lost_events) | add' "$WORK"/redis.*.json)"
}

sum_up() {
	sum_up_pairs
	sum_up_userspace
	sum_up_programs
	sum_up_redis
	sum_up_stacks
	sum_up_tables
	sum_up_memory seep
	sum_up_memory kernel
}

# Of seep itself, or of the kernel for it: what one more block takes, between the two numbers of blocks.
sum_up_memory() {
	local few=${BENCH_BLOCKS%% *} many=${BENCH_BLOCKS##* }
	[ "$few" != "$many" ] && [ -n "${fact[memory.$many.$1_kib]:-}" ] || return 0
	put "memory.$1_bytes_per_block" \
		"$(calculate "(${fact[memory.$many.$1_kib]} - ${fact[memory.$few.$1_kib]}) * 1024 / ($many - $few)")"
}

calculate() {
	awk "BEGIN { print $1 }"
}

# --- goals -----------------------------------------------------------------------------------------

goals=()

# goal KEY VALUE "<= LIMIT" TEXT: TEXT is a format for VALUE. Nothing where it was not measured.
goal() {
	local verdict=MISS
	[ -n "$2" ] || return 0
	[ "$(calculate "($2 $3)")" = 0 ] || verdict=ok
	put "goal.$1" "$([ $verdict = ok ] && echo true || echo false)"
	goals+=("$(printf "%-4s  $4" "$verdict" "$2")")
}

judge() {
	goal floor "${fact[over_floor.seep.6.median]:-}" "<= 1.5" "exact, 6 frames: %.2f times the floor, at most 1.5"
	goal bpftrace "${fact[over_seep.bpftrace.6.median]:-}" ">= 8" \
		"exact, 6 frames: %.1f times cheaper than bpftrace, at least 8"
	goal userspace "${fact[userspace_ns_per_event.median]:-}" "<= 300" "userspace: %.0f ns an event, at most 300"
	goal lost_events "${fact[lost_events]:-}" "== 0" "%d events lost of ${fact[events]}, at what one core can allocate"
	goal block_bytes "${fact[memory.seep_bytes_per_block]:-}" "<= 48" "userspace: %.1f bytes a live block, at most 48"
	judge_stacks
	judge_tables
}

# --- the table -------------------------------------------------------------------------------------

# spread KEY FORMAT: "median [min..max]"
spread() {
	[ -n "${fact[$1.median]:-}" ] || return 0
	printf "$2 [$2..$2]" "${fact[$1.median]}" "${fact[$1.min]}" "${fact[$1.max]}"
}

print_pairs() {
	local config frames
	declare -A title=([none]="no probes" [floor]="floor: empty programs" [seep]="seep leaks, exact"
		[bpftrace]="bpftrace script" [heaptrack]="heaptrack, preloaded" [dhat]="valgrind --tool=dhat")
	printf 'ns for one malloc(64) and its free(), median of %s rounds [least..most], and times the floor\n' \
		"$ROUNDS"
	printf '  %-22s %-31s   %s\n' "" "stacks of 6 frames" "stacks of 16 frames"
	for config in none floor seep bpftrace heaptrack dhat; do
		[ -n "${fact[pair_ns.$config.6.median]:-}" ] || continue
		printf '  %-22s' "${title[$config]}"
		for frames in $DEPTHS; do
			printf ' %-24s %6.2f  ' "$(spread "pair_ns.$config.$frames" %.0f)" \
				"${fact[over_floor.$config.$frames.median]:-0}"
		done
		echo
	done
	printf '  %-22s' "seep, times the floor"
	for frames in $DEPTHS; do
		printf ' %31s  ' "$(spread "over_floor.seep.$frames" %.2f)"
	done
	printf '\n\n'
}

print_programs() {
	local frames name
	printf 'ns inside each program, by the kernel (the clock that measures is in all of them)\n'
	for frames in $DEPTHS; do
		printf '  %2d frames: ' "$frames"
		for name in probe_floor alloc_enter alloc_return free_enter; do
			printf '  %s %.0f' "$name" "${fact[program_ns.$name.$frames]}"
		done
		echo
	done
	echo
}

print_rest() {
	local nr
	printf 'userspace             %s ns an event\n' "$(spread userspace_ns_per_event %.0f)"
	printf 'events                %s a second\n' "$(spread events_per_s %.0f)"
	printf 'start to ready        %s ms\n' "$(spread start.ready_ms %.0f)"
	printf 'start to first event  %s ms\n' "$(spread start.first_event_ms %.0f)"
	printf 'memory of seep        %.1f MiB without live blocks\n' "$(mib memory.0.seep_kib)"
	for nr in $BENCH_BLOCKS; do
		[ -n "${fact[memory.$nr.seep_kib]:-}" ] || continue
		printf '  %-9s blocks    %.1f MiB, %.1f MiB in the kernel; %d live, %d events lost\n' "$nr" \
			"$(mib "memory.$nr.seep_kib")" "$(mib "memory.$nr.kernel_kib")" \
			"${fact[memory.$nr.live]}" "${fact[memory.$nr.lost_events]}"
	done
	[ -z "${fact[memory.seep_bytes_per_block]:-}" ] ||
		printf '  one more block      %.1f bytes, %.1f bytes in the kernel\n' \
			"${fact[memory.seep_bytes_per_block]}" "${fact[memory.kernel_bytes_per_block]}"
	echo
}

mib() {
	calculate "${fact[$1]} / 1024"
}

print_redis() {
	local config test
	printf 'redis-server, requests a second, median of %s rounds; %s events lost, userspace %.0f ns an event\n' \
		"$REDIS_ROUNDS" "${fact[redis_lost_events]}" "${fact[redis_userspace_ns_per_event.median]}"
	printf '  %-12s %26s %26s %26s\n' "" set get lpush
	for config in none seep bpftrace; do
		printf '  %-12s' "$config"
		for test in set get lpush; do
			printf ' %26s' "$(spread "redis_per_s.$config.$test" %.0f)"
		done
		echo
	done
	echo
}

print_table() {
	printf '%s, %s CPUs, Linux %s; %s\n\n' \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort -u | head -n 1)" "$(nproc)" "$(uname -r)" \
		"$("$SEEP" --version)"
	print_pairs
	print_programs
	print_rest
	print_redis
	print_stack_paths
	print_stack_programs
	print_tables
	printf 'goals\n'
	printf '  %s\n' "${goals[@]}"
}

write_json() {
	jq -Rn --arg kernel "$(uname -r)" --arg version "$("$SEEP" --version)" \
		'reduce (inputs | split(" ")) as [$key, $value] (
			{schema: "seep.bench/1", version: $version, kernel: $kernel};
			setpath($key | split("."); $value | fromjson))' "$WORK/facts" >"$1"
}
