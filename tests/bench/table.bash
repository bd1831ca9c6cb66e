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

# spread_of_medians CONFIG FRAMES KEY
spread_of_medians() {
	awk -v config="$1" -v frames="$2" '$1 == config && $3 == frames { print $4 }' "$WORK/medians" | put_spread "$3"
}

sum_up_pairs() {
	local config frames
	for config in none floor seep skip sampled bpftrace heaptrack dhat; do
		for frames in $DEPTHS; do
			spread_of_medians "$config" "$frames" "pair_ns.$config.$frames"
			ratios "$config" floor "$frames" | put_spread "over_floor.$config.$frames"
			ratios "$config" skip "$frames" | put_spread "over_skip.$config.$frames"
			ratios "$config" seep "$frames" | put_spread "over_seep.$config.$frames"
		done
	done
	sum_up_userspace
}

sum_up_jemalloc() {
	local config
	for config in none floor seep bpftrace; do
		spread_of_medians "jemalloc.$config" 6 "jemalloc_pair_ns.$config"
		ratios "jemalloc.$config" jemalloc.floor 6 | put_spread "jemalloc_over_floor.$config"
	done
	ratios jemalloc.bpftrace jemalloc.seep 6 | put_spread jemalloc_over_seep.bpftrace
}

sum_up_userspace() {
	# A pair is two events.
	awk 'NR == FNR { if ($1 == "seep") events[$2] += 2 * $5; next }
		$1 == "seep" && events[$2] { print $3 * 1e6 / events[$2] }' \
		"$WORK/medians" "$WORK/seep-runs" | put_spread userspace_ns_per_event
	awk -v s="$WINDOW_S" '$1 == "seep" { events[$2] += 2 * $5 } END { for (r in events) print events[r] / s }' \
		"$WORK/medians" | put_spread events_per_s
	put lost_events "$(jq -s 'map(.balance.lost_events) | add' "$WORK"/seep.*.json)"
	put events "$(jq -s 'map(.balance | .allocs + .frees) | add' "$WORK"/seep.*.json)"
}

sum_up_start() {
	awk '{ print $1 }' "$WORK/starts" | put_spread start.ready_ms
	awk '$2 != "" { print $2 }' "$WORK/starts" | put_spread start.first_event_ms
}

sum_up_programs() {
	local frames name ns
	for frames in $DEPTHS; do
		ns=$(awk -v frames="$frames" '$1 == "floor" && $2 == frames { print $4; exit }' "$WORK/programs")
		put "program_ns.probe_floor.$frames" "$ns"
		for name in alloc_session alloc_enter alloc_return free_enter; do
			ns=$(awk -v frames="$frames" -v name="$name" \
				'$1 == "seep" && $2 == frames && $3 == name { print $4 }' "$WORK/programs")
			put "program_ns.$name.$frames" "${ns:-0}"
		done
	done
}

sum_up() {
	local part
	sum_up_samples
	for part in $PARTS; do
		! wants "$part" || "sum_up_$part"
	done
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

judge_pairs() {
	goal floor_6 "${fact[over_floor.seep.6.median]:-}" "<= 1.3" "exact, 6 frames: %.2f times the floor, at most 1.3"
	goal floor_16 "${fact[over_floor.seep.16.median]:-}" "<= 1.4" "exact, 16 frames: %.2f times the floor, at most 1.4"
	goal sampled "${fact[over_skip.sampled.6.median]:-}" "<= 1.15" \
		"sampled at 512 KiB, 6 frames: %.2f times the floor without returns, at most 1.15"
	goal bpftrace "${fact[over_seep.bpftrace.6.median]:-}" ">= 10" \
		"exact, 6 frames: %.1f times cheaper than bpftrace, at least 10"
	goal userspace "${fact[userspace_ns_per_event.median]:-}" "<= 150" "userspace: %.0f ns an event, at most 150"
	goal lost_events "${fact[lost_events]:-}" "== 0" "%d events lost of ${fact[events]}, at what one core can allocate"
}

judge_jemalloc() {
	goal bpftrace_jemalloc "${fact[jemalloc_over_seep.bpftrace.median]:-}" ">= 10" \
		"exact, 6 frames, jemalloc: %.1f times cheaper than bpftrace, at least 10"
}

# Of these there is only the table.
judge_start() {
	:
}

judge_programs() {
	:
}

judge() {
	local part
	for part in $PARTS; do
		! wants "$part" || "judge_$part"
	done
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
		[skip]="floor without returns" [sampled]="seep leaks, 512K"
		[bpftrace]="bpftrace script" [heaptrack]="heaptrack, preloaded" [dhat]="valgrind --tool=dhat")
	printf 'ns for one malloc(64) and its free(), median of %s rounds [least..most], and times the floor\n' \
		"$ROUNDS"
	printf '  %-22s %-31s   %s\n' "" "stacks of 6 frames" "stacks of 16 frames"
	for config in none floor seep skip sampled bpftrace heaptrack dhat; do
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
	printf '\n  %-22s' "512K, without returns"
	for frames in $DEPTHS; do
		printf ' %31s  ' "$(spread "over_skip.sampled.$frames" %.2f)"
	done
	printf '\n\n'
	printf 'userspace             %s ns an event\n' "$(spread userspace_ns_per_event %.0f)"
	printf 'events                %s a second\n\n' "$(spread events_per_s %.0f)"
}

print_jemalloc() {
	local config
	declare -A title=([none]="no probes" [floor]="floor: empty programs" [seep]="seep leaks, exact"
		[bpftrace]="bpftrace script")
	printf 'the same with jemalloc, stacks of 6 frames, median of %s rounds\n' "$JEMALLOC_ROUNDS"
	for config in none floor seep bpftrace; do
		printf '  %-22s %-24s %6.2f\n' "${title[$config]}" "$(spread "jemalloc_pair_ns.$config" %.0f)" \
			"${fact[jemalloc_over_floor.$config.median]:-0}"
	done
	echo
}

print_programs() {
	local frames name
	printf 'ns inside each program, by the kernel (the clock that measures is in all of them)\n'
	for frames in $DEPTHS; do
		printf '  %2d frames: ' "$frames"
		for name in probe_floor alloc_session alloc_enter alloc_return free_enter; do
			[ "${fact[program_ns.$name.$frames]}" = 0 ] ||
				printf '  %s %.0f' "$name" "${fact[program_ns.$name.$frames]}"
		done
		echo
	done
	echo
}

print_start() {
	printf 'start to ready        %s ms\n' "$(spread start.ready_ms %.0f)"
	printf 'start to first event  %s ms\n\n' "$(spread start.first_event_ms %.0f)"
}

print_table() {
	local part
	printf '%s, %s CPUs, Linux %s; %s\n\n' \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort -u | head -n 1)" "$(nproc)" "$(uname -r)" \
		"$("$SEEP" --version)"
	for part in $PARTS; do
		! wants "$part" || "print_$part"
	done
	printf 'goals\n'
	printf '  %s\n' "${goals[@]}"
}

write_json() {
	jq -Rn --arg kernel "$(uname -r)" --arg version "$("$SEEP" --version)" \
		'reduce (inputs | split(" ")) as [$key, $value] (
			{schema: "seep.bench/1", version: $version, kernel: $kernel};
			setpath($key | split("."); $value | fromjson))' "$WORK/facts" >"$1"
}
