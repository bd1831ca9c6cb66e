# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What a pair costs when several threads allocate at once, in CPU time, against what it costs when one does. Sourced by
# tests/bench/run.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

THREADS="1 4"

measure_threads() {
	local round config
	start_pairs_with threads "" "$HELPERS/pairs_mt" "${THREADS// /,}"
	for ((round = 1; round <= ROUNDS; round++)); do
		say "threads, round $round of $ROUNDS"
		for config in $(turn_about "$round" none floor seep); do
			"measure_$config" "$round" threads.
		done
	done
	stop_pairs
}

# How much dearer a pair is with all threads than with one, one number a round.
growths() {
	awk -v config="$1" -v few="${THREADS% *}" -v many="${THREADS#* }" '$1 == config { ns[$2 " " $3] = $4; rounds[$2] }
		END { for (r in rounds) if (ns[r " " few]) print r, ns[r " " many] / ns[r " " few] }' "$WORK/medians"
}

sum_up_threads() {
	local config nr
	for config in none floor seep; do
		for nr in $THREADS; do
			spread_of_medians "threads.$config" "$nr" "thread_pair_ns.$config.$nr"
		done
		growths "threads.$config" | awk '{ print $2 }' | put_spread "thread_growth.$config"
	done
	join <(growths threads.seep | sort) <(growths threads.floor | sort) |
		awk '{ print ($2 - $3) * 100 }' | put_spread thread_growth_over_floor
}

judge_threads() {
	goal threads "${fact[thread_growth_over_floor.median]:-}" "<= 15" \
		"four threads: a pair gets dearer by %.1f percent points more than the floor's does, at most 15"
}

print_threads() {
	local config nr
	declare -A title=([none]="no probes" [floor]="floor: empty programs" [seep]="seep leaks, exact")
	printf 'ns of CPU time for one pair while threads allocate at once, median of %s rounds [least..most]\n' "$ROUNDS"
	printf '  %-22s %-24s %-24s %s\n' "" "1 thread" "4 threads" "times as much"
	for config in none floor seep; do
		printf '  %-22s' "${title[$config]}"
		for nr in $THREADS; do
			printf ' %-24s' "$(spread "thread_pair_ns.$config.$nr" %.0f)"
		done
		printf ' %s\n' "$(spread "thread_growth.$config" %.2f)"
	done
	echo
}
