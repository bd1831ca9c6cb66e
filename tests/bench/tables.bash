# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What has to be there before a stack is whole and has names: how fast unwind tables are made, how long it takes from the
# start to the first whole stack, and what names cost. Files are in the page cache. Sourced by tests/bench/run.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

TABLE_ROUNDS=3
FIRST_ROUNDS=3
SYMBOL_ADDRESSES=10007

# --- measuring -------------------------------------------------------------------------------------

# The largest library that clang brings with it, or the largest there is.
find_large_library() {
	local path
	path=$(ldd "$(command -v clang)" 2>/dev/null | awk '/libLLVM/ { print $3; exit }')
	[ -n "$path" ] || path=$(ldconfig -p | awk '/=>/ { print $NF }' | xargs -r ls -LS | head -n 1)
	readlink -f "$path"
}

measure_tables() {
	local round name
	declare -A file=([large]=$(find_large_library) [libc]=$LIBS/libc.so.6 [python3]=$PYTHON)
	large_library=$(basename "${file[large]}")
	say "unwind tables and names"
	for ((round = 1; round <= TABLE_ROUNDS; round++)); do
		for name in large libc python3; do
			"$HELPERS/tables" "${file[$name]}" | awk -v name="$name" '{ print name, $4, $6, $10 }'
		done >>"$WORK/tables"
		"$HELPERS/symbols" -n "$SYMBOL_ADDRESSES" "${file[large]}" | awk 'NR == 1 { print $1 }' >>"$WORK/names"
	done
	measure_first_stacks
}

# start_worker COMMAND...: something that allocates; returns when it is in the middle of it. worker_pid.
start_worker() {
	local i
	PYTHONMALLOC=malloc LD_LIBRARY_PATH=$LIBS "$@" >/dev/null 2>&1 &
	worker_pid=$!
	children+=("$worker_pid")
	for ((i = 0; i < 300; i++)); do
		[ "$(cpu_ms_of "$worker_pid")" -lt 300 ] || return 0
		sleep 0.1
	done
	die "'$1' does not get to work within 30 s"
}

# measure_first NAME SECONDS COMMAND...: of a process that allocates all the time.
measure_first() {
	local name=$1 seconds=$2 round
	shift 2
	for ((round = 1; round <= FIRST_ROUNDS; round++)); do
		say "first stack of $name, run $round of $FIRST_ROUNDS"
		start_worker "$@"
		start_seep leaks -p "$worker_pid" "${UNGOVERNED[@]}" -o /dev/null --capture "$WORK/start.seep"
		sleep "$seconds"
		stop_seep
		end "$worker_pid" KILL
		# None in all that time: it takes longer than that.
		echo "$name ${seep_complete_ms:-"$((seconds * 1000))"} ${seep_complete_armed_ms:-"$((seconds * 1000))"}" \
			>>"$WORK/first-stacks"
	done
}

measure_first_stacks() {
	local round
	measure_first clang 2 clang++ -std=gnu++17 -O1 -DCASES=331 -c -o /dev/null tests/bench/templates.cc
	measure_first python3 1 "$PYTHON" tests/bench/json_work.py 1000000
	# The last capture is of python3.
	for ((round = 1; round <= TABLE_ROUNDS; round++)); do
		"$HELPERS/symbols" -c "$WORK/start.seep" | awk 'NR == 1 { nr = $1 } NR == 2 { print nr, $1 }' \
			>>"$WORK/report-names"
	done
}

# --- facts -----------------------------------------------------------------------------------------

sum_up_tables() {
	local name
	for name in large libc python3; do
		awk -v name="$name" '$1 == name { print $3 }' "$WORK/tables" | put_spread "rows_per_us.$name"
		put "rows.$name" "$(awk -v name="$name" '$1 == name { print $2; exit }' "$WORK/tables")"
	done
	put row_bytes "$(awk '{ print $4; exit }' "$WORK/tables")"
	for name in python3 clang; do
		awk -v name="$name" '$1 == name { print $2 }' "$WORK/first-stacks" | put_spread "first_stack_ms.$name.start"
		awk -v name="$name" '$1 == name { print $3 }' "$WORK/first-stacks" | put_spread "first_stack_ms.$name.armed"
	done
	put_spread names_ms.large <"$WORK/names"
	awk '{ print $2 }' "$WORK/report-names" | put_spread names_ms.python3
	put names.python3 "$(awk '{ print $1; exit }' "$WORK/report-names")"
}

judge_tables() {
	goal rows_per_us "${fact[rows_per_us.large.median]:-}" ">= 8" \
		"tables: %.1f million rows a second of $large_library, at least 8"
	goal row_bytes "${fact[row_bytes]:-}" "<= 8" "tables: %d bytes a row, at most 8"
	goal first_python3 "${fact[first_stack_ms.python3.armed.median]:-}" "<= 300" \
		"first whole stack of python3: %.0f ms after the probes were armed, at most 300"
	goal first_clang "${fact[first_stack_ms.clang.armed.median]:-}" "<= 1500" \
		"first whole stack of clang: %.0f ms after the probes were armed, at most 1500"
	goal names_large "${fact[names_ms.large.median]:-}" "<= 2000" \
		"names of $SYMBOL_ADDRESSES addresses of $large_library: %.0f ms, at most 2000"
	goal names_python3 "${fact[names_ms.python3.median]:-}" "<= 300" \
		"names of all stacks of python3: %.0f ms, at most 300"
}

# --- the table -------------------------------------------------------------------------------------

print_tables() {
	local name
	declare -A title=([large]=$large_library [libc]=libc.so.6 [python3]=python3)
	printf 'unwind tables, of %d bytes a row\n' "${fact[row_bytes]}"
	for name in large libc python3; do
		printf '  %-19s %8d rows, %s million a second\n' "${title[$name]}" "${fact[rows.$name]}" \
			"$(spread "rows_per_us.$name" %.1f)"
	done
	printf 'first whole stack     from the start of seep       from when the probes were armed\n'
	for name in python3 clang; do
		printf '  %-19s %-28s %s ms\n' "$name" "$(spread "first_stack_ms.$name.start" %.0f) ms" \
			"$(spread "first_stack_ms.$name.armed" %.0f)"
	done
	printf 'names, for the first time\n'
	printf '  %-19s %8d addresses, %s ms\n' "$large_library" "$SYMBOL_ADDRESSES" "$(spread names_ms.large %.0f)"
	printf '  %-19s %8d addresses, %s ms\n\n' "stacks of python3" "${fact[names.python3]}" \
		"$(spread names_ms.python3 %.1f)"
}
