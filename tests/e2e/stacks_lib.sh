# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of stacks share, beyond lib.sh: stacks of a report as lines, and what they must be.

# Outside of main(), where the C library has its names and where it has none.
# shellcheck disable=SC2034 # for who sources this
OUTSIDE='( (__libc_start_call_main|__libc_start_main(_impl)?|_start|libc\.so\.6\+0x[0-9a-f]+))*'
# shellcheck disable=SC2034
THREAD='(start_thread|libc\.so\.6\+0x[0-9a-f]+)( (__)?clone3?| libc\.so\.6\+0x[0-9a-f]+)?'

# session COMMAND...: a target and a seep that reports every 100 ms.
session() {
	target_start "$@" && seep_start leaks --json -i 100ms -p "$TARGET_PID" && return
	# shellcheck disable=SC2153 # set by lib.sh
	fails "attach to $*" "$(tail -n 3 "$WORK/seep.err")"
	return 1
}

# Each site of the last report in FILE on a line: number of allocations (or of faults), "complete" or "partial", and the
# functions from the inside to the outside.
site_lines() {
	tail -n 1 "$1" | jq -r '.sites[] | "\(.alloc_objects // .minor + .major) \(
		if .stack_partial then "partial" else "complete" end) \(.stack | map(.function | gsub(" "; "")) | join(" "))"'
}

# expect_stacks NAME FILE FIRST "COUNT STATE STACK"...: in the report in FILE, so many allocations have a stack of that
# state, "complete", "partial" or "any", that the extended regular expression STACK matches as a whole; and no other
# stack begins with FIRST.
expect_stacks() {
	local name=$1 file=$2 first=$3 item count state stack found sum=0 all wrong=()
	shift 3
	site_lines "$file" >"$WORK/sites"
	for item; do
		read -r count state stack <<<"$item"
		[ "$state" = any ] && state='(complete|partial)'
		found=$(grep -E "^[0-9]+ $state $stack\$" "$WORK/sites" | awk '{ n += $1 } END { print n + 0 }')
		[ "$found" = "$count" ] || wrong+=("$found, not $count: $state $stack")
		sum=$((sum + count))
	done
	all=$(grep -E "^[0-9]+ [a-z]+ $first( |\$)" "$WORK/sites" | awk '{ n += $1 } END { print n + 0 }')
	[ "$all" = "$sum" ] || wrong+=("$all, not $sum, begin with $first")
	if [ ${#wrong[@]} = 0 ]; then
		passes "$name"
	else
		fails "$name" "${wrong[@]}" "there is:" "$(grep -E " $first( |\$)" "$WORK/sites" | cut -c 1-300 | head -n 8)"
	fi
}

# A regular expression for the beginnings of a stack, whose functions are given.
beginnings_of() {
	local i pattern=""
	for ((i = $#; i > 1; i--)); do
		pattern="( ${!i}$pattern)?"
	done
	echo "$1$pattern"
}

# expect_sound NAME FILE FIRST COUNT STACK...: so many allocations have a stack that begins with FIRST. Those that are
# complete have one of these, those that are not have a beginning of one.
expect_sound() {
	local name=$1 file=$2 first=$3 count=$4 stack all whole="" beginning="" wrong
	shift 4
	site_lines "$file" | grep -E "^[0-9]+ [a-z]+ $first( |\$)" >"$WORK/sites"
	for stack; do
		whole+="|$stack"
		# shellcheck disable=SC2086 # one word for each function
		beginning+="|$(beginnings_of $stack)"
	done
	all=$(awk '{ n += $1 } END { print n + 0 }' "$WORK/sites")
	wrong=$(grep -vE "^[0-9]+ (complete (${whole#|})|partial (${beginning#|}))\$" "$WORK/sites")
	if [ "$all" = "$count" ] && [ -z "$wrong" ]; then
		passes "$name"
	else
		fails "$name" "$all, not $count" "${wrong:0:600}"
	fi
}

# do_stacks WORK NAME FIRST "COUNT STATE STACK"...: after that piece of work.
do_stacks() {
	local work=$1 name=$2
	shift 2
	if target_do "$work" && snapshot; then
		expect_stacks "$name" "$WORK/snapshot.json" "$@"
	else
		fails "$name" "no result" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

# --- programs that wait ---------------------------------------------------------------------------

# waiting_start INPUT COMMAND...: a command that is about to read INPUT from its standard input, and gets it only when
# waiting_go is called, so that all of its work is seen. Its id is in WAITING, its output in waiting.out.
waiting_start() {
	local input=$1
	shift
	rm -f "$WORK/waiting.in"
	mkfifo "$WORK/waiting.in"
	open_pipe waiting.go
	WAITING_GO=$FD
	open_pipe waiting.told
	WAITING_TOLD=$FD
	# Nobody else may have the writing side, or the reader would never see the end.
	spawn "$WAITING_TOLD" feed_waiting "$input"
	spawn "$WAITING_TOLD" run_waiting "$@"
	WAITING=$PID
	wait_until is_reading "$WAITING"
}

feed_waiting() {
	# shellcheck disable=SC2016 # the inner shell's
	exec bash -c 'exec >"$1"; read -r -u "$2"; exec cat "$3"' feed "$WORK/waiting.in" "$WAITING_GO" "$1"
}

run_waiting() {
	exec "$@" <"$WORK/waiting.in" >"$WORK/waiting.out" 2>"$WORK/waiting.err"
}

# In a pipe, that is: "pipe_read", or "anon_pipe_read" in newer kernels.
is_reading() {
	case $(cat "/proc/$1/wchan" 2>/dev/null) in *pipe_read*) return 0 ;; esac
	is_gone "$1"
}

waiting_go() {
	echo go >&"$WAITING_GO"
}

waiting_end() {
	wait_until is_gone "$WAITING" || kill -KILL "$WAITING"
	exec {WAITING_GO}>&- {WAITING_TOLD}>&-
}
