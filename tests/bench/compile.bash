# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The whole system, while many short processes come and go: a parallel compile. Sourced by tests/bench/run.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

COMPILE_FILES=300
COMPILE_ROUNDS=${COMPILE_ROUNDS:-9}
COMPILE_PROGRAMS="gcc cc1 as" # of each one process a file

# --- measuring -------------------------------------------------------------------------------------

prepare_compile() {
	local i
	mkdir -p "$WORK/compile"
	for ((i = 0; i < COMPILE_FILES; i++)); do
		printf '%s\n' '#include <stddef.h>' "static int table[] = {$i, $((i + 1)), $((i * 7))};" \
			"int sum$i(size_t n) { int s = 0; for (size_t i = 0; i < n; i++) s += table[i % 3]; return s; }" \
			>"$WORK/compile/file$i.c"
	done
	cat >"$WORK/compile/Makefile" <<-'END'
		OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
		all: $(OBJECTS)
		%.o: %.c; gcc -O1 -c $< -o $@
	END
}

# compile CONFIG ROUND
compile() {
	local start_ns end_ns
	rm -f "$WORK"/compile/*.o
	start_ns=$(date +%s%N)
	make -s -j"$(nproc)" -C "$WORK/compile" all || die "the compile failed"
	end_ns=$(date +%s%N)
	echo "$1 $2 $(((end_ns - start_ns) / 1000000))" >>"$WORK/compiles"
}

# "PROCESSES COMPLETE LOST" of a report.
compile_account() {
	jq -r --arg programs "$COMPILE_PROGRAMS" '($programs | split(" ")) as $known |
		"\([.target[] | select(.comm | IN($known[]))] | length) \(.complete) \(.balance.lost_events)"' "$1"
}

compile_watched() {
	local report=$WORK/compile.$1.json
	start_seep leaks -a --max-overhead 5% --json -o "$report"
	compile seep "$1"
	stop_seep
	compile_account "$report" >>"$WORK/compile-accounts"
}

# The machine's speed wanders by more than what is measured, so each compile that is watched has one without before it and
# one behind it.
measure_compile() {
	local round
	prepare_compile
	make -s -j"$(nproc)" -C "$WORK/compile" all || die "the compile failed" # so that all is in the page cache
	compile none 0
	for ((round = 1; round <= COMPILE_ROUNDS; round++)); do
		say "compile of $COMPILE_FILES files, round $round of $COMPILE_ROUNDS"
		compile_watched "$round"
		compile none "$round"
	done
}

# --- facts -----------------------------------------------------------------------------------------

sum_up_compile() {
	local config
	for config in none seep; do
		awk -v config="$config" '$1 == config { print $3 }' "$WORK/compiles" | put_spread "compile_ms.$config"
	done
	awk '$1 == "none" { none[$2] = $3 } $1 == "seep" { seep[$2] = $3 }
		END { for (round in seep) print (2 * seep[round] / (none[round - 1] + none[round]) - 1) * 100 }' "$WORK/compiles" |
		put_spread compile_overhead_percent
	awk '{ print $1 }' "$WORK/compile-accounts" | put_spread compile_processes
	put compile_complete "$(awk '$2 == "true"' "$WORK/compile-accounts" | wc -l)"
}

judge_compile() {
	local expected=$((COMPILE_FILES * $(wc -w <<<"$COMPILE_PROGRAMS")))
	goal compile_time "${fact[compile_overhead_percent.median]:-}" "<= 10" \
		"compile under -a --max-overhead 5%%: %.1f %% longer, at most 10"
	# Whoever else compiles at the time is in the report, too.
	goal compile_processes "${fact[compile_processes.min]:-}" ">= $expected" \
		"compile: %d processes in the report, at least $expected"
	goal compile_complete "${fact[compile_complete]:-}" "== $COMPILE_ROUNDS" \
		"compile: balance complete in %d of $COMPILE_ROUNDS runs"
}

# --- the table -------------------------------------------------------------------------------------

print_compile() {
	printf 'compile of %s files by make -j%s, median of %s rounds [least..most]\n' "$COMPILE_FILES" "$(nproc)" "$COMPILE_ROUNDS"
	printf '  no probes             %s ms\n' "$(spread compile_ms.none %.0f)"
	printf '  -a --max-overhead 5%%  %s ms, %s %% longer; %s processes\n\n' "$(spread compile_ms.seep %.0f)" \
		"$(spread compile_overhead_percent %.1f)" "$(spread compile_processes %.0f)"
}
