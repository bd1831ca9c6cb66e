# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the end-to-end tests share: processes with deadlines, seep beside a target, TAP.
#
#	target_start "$BUILD/tests/e2e/cases"
#	seep_start leaks -p "$TARGET_PID"
#	target_do edge_01				# the target answers "done edge_01 N": N is in RESULT
#	snapshot
#	expect "edge-01 what it is about" .failed_allocs=3 edge_01_malloc.live_bytes=101
#	seep_stop					# STATUS is its exit status
#
# Nothing waits by the clock: every wait is for an event, and has a deadline.

. "$TOP/tests/jq.sh"

DEADLINE=${DEADLINE:-100} # seconds for anything: what takes longer hangs

cases=0
started=() # process ids to end at the exit

# --- TAP ------------------------------------------------------------------------------------------

passes() { # NAME
	cases=$((cases + 1))
	echo "ok $cases - $1"
}

fails() { # NAME [WHY...]: each a line
	local name=$1
	shift
	cases=$((cases + 1))
	echo "not ok $cases - $name"
	[ $# = 0 ] || printf '%s\n' "$@" | sed 's/^/# /'
}

skips() { # NAME REASON; a reason that begins with "n/a:" is one that this machine can never mend
	cases=$((cases + 1))
	echo "ok $cases - $1 # SKIP $2"
}

plan() {
	echo "1..$cases"
}

# --- processes ------------------------------------------------------------------------------------

WORK=${WORK:-$(mktemp -d)}

cleanup() {
	local pid
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
}
trap cleanup EXIT

# open_pipe NAME: a fifo, open for both sides; its descriptor is in FD.
open_pipe() {
	rm -f "$WORK/$1"
	mkfifo "$WORK/$1"
	exec {FD}<>"$WORK/$1"
}

# spawn FD COMMAND...: what becomes of the command is told on FD: "pid N" before it starts, "exit STATUS" in the end.
# Its id is in PID. A command that is a function must exec.
spawn() {
	local tell=$1 word
	shift
	{
		(
			echo "pid $BASHPID" >&"$tell"
			[ "$(type -t "$1")" != function ] || "$@"
			exec "$@"
		) &
		wait $!
		echo "exit $?" >&"$tell"
	} 2>/dev/null &
	started+=($!)
	read -r -t "$DEADLINE" -u "$tell" word PID
	[ "$word" = pid ] && started+=("$PID")
}

# wait_until COMMAND...: until it succeeds; false when it does not before the deadline.
wait_until() {
	local end=$((SECONDS + DEADLINE))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		read -r -t 0.02 -u "$NOTHING"
	done
	return 0
}

open_pipe nothing
NOTHING=$FD # never readable

is_gone() {
	! kill -0 "$1" 2>/dev/null
}

# --- the target -----------------------------------------------------------------------------------

# Copies of the libraries named, with inodes of their own: probes in them disturb nobody, and nobody's disturb us.
private_libraries() {
	local name found
	mkdir -p "$WORK/lib"
	for name in "$@"; do
		found=$(ldconfig -p | awk -v name="$name" '$1 == name && /x86-64|AArch64/ { print $NF; exit }')
		[ -n "$found" ] && cp -Lf "$found" "$WORK/lib/$name" || return 1
	done
}

# target_hear WORD: reads what the target says until a line that begins with WORD; the rest of it is in REPLY.
target_hear() {
	local end=$((SECONDS + DEADLINE)) line
	while [ "$TARGET_PID" != dead ] && [ $SECONDS -lt $end ]; do
		read -r -t 1 -u "$TARGET_OUT" line || continue
		case $line in
		"$1" | "$1 "*)
			REPLY=${line#"$1"}
			REPLY=${REPLY# }
			return 0
			;;
		exit* | failed* | unknown*)
			echo "# target: $line"
			TARGET_PID=dead
			return 1
			;;
		esac
	done
	[ "$TARGET_PID" = dead ] || echo "# target: no '$1' within $DEADLINE s"
	return 1
}

# target_start COMMAND...: on the private libraries, until it says "ready", and has done $PREPARE, if that is set. Its id
# is in TARGET_PID.
target_start() {
	open_pipe target.in
	TARGET_IN=$FD
	open_pipe target.out
	TARGET_OUT=$FD
	spawn "$TARGET_OUT" run_target "$@"
	TARGET_PID=$PID
	target_hear ready || return
	[ -z "${PREPARE:-}" ] || target_do "$PREPARE"
}

run_target() {
	exec env "LD_LIBRARY_PATH=$WORK/lib" "$@" <&"$TARGET_IN" >&"$TARGET_OUT" 2>"$WORK/target.err"
}

target_do() { # WORK: and waits until it is done
	echo "$1" >&"$TARGET_IN"
	target_hear "done $1" || return
	# shellcheck disable=SC2034 # for who calls
	RESULT=$REPLY
}

target_stop() {
	if [ "$TARGET_PID" != dead ]; then
		kill -KILL "$TARGET_PID" 2>/dev/null
		target_hear exit >/dev/null
	fi
	exec {TARGET_IN}>&- {TARGET_OUT}>&-
}

# --- seep -----------------------------------------------------------------------------------------

# Targets of tests do little but allocate: what follows them in full is not to be kept below a share of their time. A
# script that is about these limits empties this.
UNLIMITED=(--max-overhead off --force)

# limits_of COMMAND: into the array `limits`.
limits_of() {
	limits=()
	case $1 in
	leaks | record) limits=("${UNLIMITED[@]}") ;;
	esac
}

# seep_start ARGUMENT...: until its probes are armed; its id is in SEEP_PID. Reports go to seep.out, the rest to
# seep.err.
seep_start() {
	open_pipe seep.status
	SEEP_TOLD=$FD
	: >"$WORK/seep.out"
	spawn "$SEEP_TOLD" run_seep "$@"
	SEEP_PID=$PID
	seep_hear "" "$DEADLINE"
}

# --ready-fd goes before the "--" of a command.
run_seep() {
	run_seep_into "$WORK/seep.err" "$@"
}

run_seep_into() { # FILE: for its stderr
	local said=$1 command=$2 limits
	shift 2
	limits_of "$command"
	exec "$SEEP" "$command" "${limits[@]}" --ready-fd "$SEEP_TOLD" "$@" >"$WORK/seep.out" 2>"$said" </dev/null
}

# seep_hear WORD SECONDS: a line on its descriptor, empty when it is ready; false when it ends or is silent. STATUS is
# its exit status then.
seep_hear() {
	local word rest
	STATUS=
	if ! read -r -t "$2" -u "$SEEP_TOLD" word rest; then
		STATUS=silent
		return 1
	fi
	[ "$word" = exit ] && STATUS=$rest
	[ "$word" = "$1" ]
}

# Until it ends by itself.
seep_wait() {
	seep_hear exit "$DEADLINE" || { [ -z "$STATUS" ] && seep_hear exit "$DEADLINE"; }
	exec {SEEP_TOLD}>&-
}

seep_stop() {
	kill -INT "$SEEP_PID" 2>/dev/null
	seep_wait
}

# seep_run ARGUMENT...: a whole run; output in seep.out and seep.err, STATUS its status.
seep_run() {
	local limits
	limits_of "${1:-}"
	timeout -k 5 "$DEADLINE" "$SEEP" "${@:1:1}" "${limits[@]}" "${@:2}" \
		>"$WORK/seep.out" 2>"$WORK/seep.err" </dev/null
	STATUS=$?
}

# --- facts from a report --------------------------------------------------------------------------

declare -A fact before

# For sites and mappings the name of a stack is that of its innermost function that belongs to a test, or else of its
# innermost function.
# shellcheck disable=SC2016 # these are variables of jq
FACTS='
def name: (map(.function | sub("^families_rust::"; "")) | (map(select(test("^(edge|threads|faults|families)_"))) + .)[0]) // "none";
def sums($keys): group_by(.stack | name)[] as $group | ($group[0].stack | name) as $name |
	$keys[] as $key | "\($name).\($key)=\([$group[][$key]] | add)";
(.balance | to_entries[] | ".\(.key)=\(.value)"),
(.losses | to_entries[] | ".\(.key)=\(.value)"),
if .schema == "seep.leaks/1" then
	".sum=\(.balance | .allocs - .frees - .live - .released - .lost_allocs)",
	".leaking=\([.sites[] | select(.verdict == "LEAKING")] | length)",
	(.sites | sums(["live_bytes", "live_objects", "alloc_bytes", "alloc_objects", "free_objects"])),
	(.mappings | sums(["live_bytes", "live_mappings"]) | "map:\(.)")
else
	".sum=\(.balance | .faults - .attributed - .unattributed)",
	".minor=\(.totals.minor)", ".major=\(.totals.major)",
	(.kinds | to_entries[] | "kind:\(.key).minor=\(.value.minor)", "kind:\(.key).major=\(.value.major)"),
	(.sites | sums(["minor", "major"]))
end
'

# read_facts FILE: of the report in it, the last one if there are several. Facts about the whole run are the difference
# to the facts before.
read_facts() {
	local line
	before=()
	for line in "${!fact[@]}"; do
		before[$line]=${fact[$line]}
	done
	fact=()
	while IFS= read -r line; do
		fact["${line%%=*}"]=${line#*=}
	done < <(tail -n 1 "$1" | jq -r "$FACTS")
}

forget_facts() {
	fact=()
	before=()
}

reports_written() {
	[ "$(wc -l <"$WORK/seep.out")" -ge "$1" ]
}

# For a seep that prints JSON reports at intervals: facts of one that was begun after now. One may be half done, so it
# is the second one from here.
snapshot() {
	if ! wait_until reports_written $(($(wc -l <"$WORK/seep.out") + 2)); then
		echo "# no report within $DEADLINE s"
		return 1
	fi
	# The last line may be half written.
	sed -n "$(wc -l <"$WORK/seep.out")p" "$WORK/seep.out" >"$WORK/snapshot.json"
	read_facts "$WORK/snapshot.json"
}

# seep_watch OPTION...: a seep that reports every 100 ms, and its first facts.
seep_watch() {
	seep_start leaks --json -i 100ms "$@" || return
	forget_facts
	snapshot
}

session_end() {
	seep_stop
	target_stop
}

# in_report FILTER [ARGUMENT...]: of jq, true of the last whole report
in_report() {
	local filter=$1
	shift
	head -n "$(wc -l <"$WORK/seep.out")" "$WORK/seep.out" | tail -n 1 >"$WORK/last.json"
	jq_true "$filter" "$@" <"$WORK/last.json"
}

# The value of a fact: of a site "function.key", of the run ".key"; 0 where the report has nothing.
value_of() {
	case $1 in
	.sum | .leaking) echo "${fact[$1]:-missing}" ;;
	.*) echo $((${fact[$1]:-0} - ${before[$1]:-0})) ;;
	*) echo "${fact[$1]:-0}" ;;
	esac
}

# expect NAME FACT=VALUE...: and that the balance sums.
expect() {
	local name=$1 item value wrong=()
	shift
	for item in "$@" .sum=0; do
		value=$(value_of "${item%%=*}")
		[ "$value" = "${item#*=}" ] || wrong+=("${item%%=*} is $value, not ${item#*=}")
	done
	if [ ${#wrong[@]} = 0 ]; then
		passes "$name"
	else
		fails "$name" "${wrong[@]}" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

# do_case WORK NAME FACT=VALUE...: what the target's work changes
do_case() {
	local work=$1
	shift
	if target_do "$work" && snapshot; then
		expect "$@"
	else
		fails "$1" "no result" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

# expect_near NAME FACT VALUE PERCENT
expect_near() {
	local value
	value=$(value_of "$2")
	if [ $((value * 100)) -ge $(($3 * (100 - $4))) ] && [ $((value * 100)) -le $(($3 * (100 + $4))) ]; then
		passes "$1"
	else
		fails "$1" "$2 is $value, not $3 within $4 %" "$(tail -n 3 "$WORK/seep.err")"
	fi
}

# expect_status NAME STATUS PATTERN: of the last run, and that its last line on stderr matches the extended regular
# expression; what it says about names aside.
expect_status() {
	local said
	said=$(grep -vE "have no names|the same holds" "$WORK/seep.err" | tail -n 1)
	if [ "$STATUS" = "$2" ] && [[ $said =~ $3 ]]; then
		passes "$1"
	else
		fails "$1" "exit status $STATUS, not $2" "said: $said"
	fi
}

# expect_refusal NAME STATUS PATTERN: the last run printed nothing but one line on stderr.
expect_refusal() {
	if [ -s "$WORK/seep.out" ] || [ "$(wc -l <"$WORK/seep.err")" != 1 ]; then
		fails "$1" "exit status $STATUS" "$(cat "$WORK/seep.err" "$WORK/seep.out")"
	else
		expect_status "$@"
	fi
}
