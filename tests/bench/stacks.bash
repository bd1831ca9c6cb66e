# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What a stack costs: a probe on malloc whose program takes the stack and nothing else, against an empty program there.
# The kernel measures both alike. Sourced by tests/bench/run.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

STACK_PATHS="same:6 same:16 same:36 three:16 varied:16 varied:36" # MODE:FRAMES of the path program
STACK_PROGRAMS="python3 perl sqlite3 clang"
STACK_CALLS=200003 # of malloc, in a run of the path program
PATH_ROUNDS=5
PROGRAM_ROUNDS=3
CHECK_SIZE=7 # more than a million hits of each
PYTHON=/usr/bin/python3 # the first in PATH may be a script that looks for the real one

# --- measuring -------------------------------------------------------------------------------------

# stack_run WHAT CONFIG ROUND COMMAND...: a line of $WORK/stacks. CONFIG is full, empty or check.
stack_run() {
	local what=$1 config=$2 round=$3 option=()
	[ "$config" = full ] || option=("--$config")
	shift 3
	printf '%s %s %s ' "$what" "$config" "$round" >>"$WORK/stacks"
	PYTHONMALLOC=malloc LD_LIBRARY_PATH=$LIBS "$HELPERS/stacks" "${option[@]}" -- "$@" 2>"$WORK/stacks.err" |
		grep -a '^runs ' >>"$WORK/stacks" || die "no stacks of '$1': $(tail -n 1 "$WORK/stacks.err")"
}

# stack_order ROUND: turn about, so that a machine that gets slower or faster favours neither.
stack_order() {
	if (($1 % 2)); then echo empty full; else echo full empty; fi
}

# What an empty program costs does not depend on the stack: one run of it a round.
measure_path_round() {
	local config what
	for config in $(stack_order "$1"); do
		for what in $STACK_PATHS; do
			stack_run "$what" "$config" "$1" "$HELPERS/paths" "${what%:*}" "${what#*:}" "$STACK_CALLS"
			[ "$config" = full ] || break
		done
	done
}

measure_program_round() {
	local config what
	for what in $STACK_PROGRAMS; do
		program_command "$what" 1
		for config in $(stack_order "$1"); do
			stack_run "$what" "$config" "$1" "${command[@]}"
		done
	done
}

# program_command NAME SIZE: $command. At size 1 it takes some 200 thousand blocks, clang 600.
program_command() {
	local i
	case $1 in
	python3) command=("$PYTHON" tests/bench/json_work.py $(($2 * 40))) ;;
	perl) command=(perl tests/bench/words.pl $(($2 * 40))) ;;
	sqlite3)
		command=(sqlite3 -batch -init /dev/null :memory:)
		for ((i = 0; i < $2 * 4; i++)); do
			command+=(".read tests/bench/rows.sql")
		done
		;;
	clang) command=(clang++ -std=gnu++17 -O1 "-DCASES=$((($2 + 1) / 2))" -c -o /dev/null tests/bench/templates.cc) ;;
	esac
}

measure_stacks() {
	local round what
	for ((round = 1; round <= PATH_ROUNDS; round++)); do
		say "stacks of the path program, round $round of $PATH_ROUNDS"
		measure_path_round "$round"
	done
	for ((round = 1; round <= PROGRAM_ROUNDS; round++)); do
		say "stacks of real programs, round $round of $PROGRAM_ROUNDS"
		measure_program_round "$round"
	done
	say "stacks of real programs, each hit of the memo checked"
	for what in $STACK_PROGRAMS; do
		program_command "$what" "$CHECK_SIZE"
		stack_run "$what" check 1 "${command[@]}"
	done
}

# --- facts -----------------------------------------------------------------------------------------

# "NAME VALUE NAME VALUE..." behind the first three words; stack_values WHAT CONFIG NAME, one a round.
stack_values() {
	awk -v what="$1" -v config="$2" -v name="$3" '$1 == what && $2 == config {
		for (i = 4; i < NF; i += 2) if ($i == name) print $(i + 1) }' "$WORK/stacks"
}

# stack_costs WHAT [EMPTY]: what a stack costs over the empty program of the same round, one a round.
stack_costs() {
	awk -v what="$1" -v empty="${2:-$1}" '$1 == what && $2 == "full" { full[$3] = $7 }
		$1 == empty && $2 == "empty" { floor[$3] = $7 }
		END { for (round in full) print full[round] - floor[round] }' "$WORK/stacks"
}

sum_up_stacks() {
	local what name wrong=0
	for what in $STACK_PATHS; do
		stack_costs "$what" "${STACK_PATHS%% *}" | put_spread "stack_ns.${what/:/.}"
	done
	for what in $STACK_PROGRAMS; do
		stack_costs "$what" | put_spread "stack_ns.$what"
		for name in runs distinct frames; do
			stack_values "$what" full "$name" | put_spread "stack_$name.$what"
		done
		put "stack_hits.$what" "$(stack_values "$what" check hits)"
		put "stack_wrong.$what" "$(stack_values "$what" check wrong)"
		wrong=$((wrong + ${fact[stack_wrong.$what]}))
	done
	put stack_hits.fewest "$(for what in $STACK_PROGRAMS; do echo "${fact[stack_hits.$what]}"; done | sort -g | head -n 1)"
	put stack_wrong.all "$wrong"
	for what in python3 perl sqlite3; do
		echo "${fact[stack_ns.$what.median]}"
	done | awk '{ sum += $1 } END { print sum / NR }' | put_spread stack_ns.mean
}

judge_stacks() {
	local frames
	goal stack_three "${fact[stack_ns.three.16.median]:-}" "<= 250" \
		"a stack of 16 frames, three in turn: %.0f ns, at most 250"
	for frames in 16 36; do
		goal "stack_varied_$frames" "$(calculate "${fact[stack_ns.varied.$frames.median]} / $frames")" "<= 30" \
			"a new stack of $frames frames: %.1f ns a frame, at most 30"
	done
	goal stack_programs "${fact[stack_ns.mean.median]:-}" "<= 500" \
		"a stack in python3, perl and sqlite3: %.0f ns in the mean, at most 500"
	goal stack_clang "${fact[stack_ns.clang.median]:-}" "<= 1800" "a stack in clang: %.0f ns, at most 1800"
	goal stack_hits "${fact[stack_hits.fewest]:-}" ">= 1e6" \
		"hits of the memo checked in each program: %d at the least, at least 1000000"
	goal stack_wrong "${fact[stack_wrong.all]:-}" "== 0" "%d of them wrong"
}

# --- the table -------------------------------------------------------------------------------------

print_stacks() {
	print_stack_paths
	print_stack_programs
}

print_stack_paths() {
	local mode frames
	declare -A title=([same]="always the same" [three]="three in turn" [varied]="2048 in turn: new ones")
	printf 'ns for one stack without frame pointers, over an empty program; median of %s rounds [least..most]\n' \
		"$PATH_ROUNDS"
	printf '  %-22s %22s %22s %22s\n' "" "6 frames" "16 frames" "36 frames"
	for mode in same three varied; do
		printf '  %-22s' "${title[$mode]}"
		for frames in 6 16 36; do
			printf ' %22s' "$(spread "stack_ns.$mode.$frames" %.0f)"
		done
		echo
	done
	echo
}

print_stack_programs() {
	local name
	printf 'ns for one stack in a real program, over an empty program; median of %s rounds [least..most]\n' \
		"$PROGRAM_ROUNDS"
	printf '  %-12s %22s %10s %10s %8s   %10s %6s\n' "" "ns a malloc" mallocs stacks frames "hits" wrong
	for name in $STACK_PROGRAMS; do
		printf '  %-12s %22s %10d %10d %8.1f   %10d %6d\n' "$name" "$(spread "stack_ns.$name" %.0f)" \
			"${fact[stack_runs.$name.median]}" "${fact[stack_distinct.$name.median]}" \
			"${fact[stack_frames.$name.median]}" "${fact[stack_hits.$name]}" "${fact[stack_wrong.$name]}"
	done
	printf '  stacks: different ones; frames: their mean, each counted once; hits: of the memo, in a run that checks\n\n'
}
