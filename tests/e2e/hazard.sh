#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Targets that probes might kill: they live, and the numbers are right; or seep refuses them.
set -u
. "$TOP/tests/e2e/lib.sh"

HAZARD=$BUILD/tests/e2e/hazard

# What edge_37 leaves behind when it has been run once.
FACTS_37=(
	.allocs=23471 .frees=23260 .live=211 .live_bytes=32229 .failed_allocs=0 .lost_events=0
	edge_37_churn.alloc_objects=23207 edge_37_churn.live_objects=0
	edge_37_kept.live_objects=158 edge_37_kept.live_bytes=15958 edge_37_kept.free_objects=53
	edge_37_resized.live_objects=53 edge_37_resized.live_bytes=16271
)

# How much of a process's C library a probe has given it a copy of its own of, in kB.
patched_kb() {
	awk '/^[0-9a-f]+-[0-9a-f]+ / { code = $2 ~ /x/ && /libc\.so\.6/ }
		code && /^Anonymous:/ { sum += $2 }
		END { print sum + 0 }' "/proc/$1/smaps"
}

# follow MODE NAME: two seconds of a target; after them it still works.
follow() {
	target_start "$HAZARD" "$1" || { fails "$2" "no target"; return; }
	if ! { seep_start leaks --json -p "$TARGET_PID" && target_do edge_37; }; then
		fails "$2" "$(cat "$WORK/seep.err")"
	elif [ "$(patched_kb "$TARGET_PID")" = 0 ]; then
		fails "$2" "no probe was set"
	else
		seep_stop
		forget_facts
		read_facts "$WORK/seep.out"
		expect "$2" "${FACTS_37[@]}"
	fi
	if [ "$STATUS" = 0 ] && target_do edge_37; then
		passes "$2: alive and well"
	else
		fails "$2: alive and well" "exit status of seep: $STATUS" "$(cat "$WORK/seep.err")"
	fi
	target_stop
}

follow_traced() {
	local said
	follow traced "edge-44 a target that is being traced"
	said=$(grep -cE "^seep: warning: process $TARGET_PID is being traced by [0-9]+ \(edge_44_tracer\): its debugger will see our breakpoints$" "$WORK/seep.err")
	if [ "$said" = 1 ]; then
		passes "edge-44 it is said once"
	else
		fails "edge-44 it is said once" "said $said times" "$(cat "$WORK/seep.err")"
	fi
}

# A seep that may put nobody under seccomp cannot find out what would happen there.
blinded() {
	printf '#!/bin/sh\nexec "%s" launch "%s" "$@"\n' "$HAZARD" "$SEEP" >"$WORK/blinded"
	chmod +x "$WORK/blinded"
	local SEEP=$WORK/blinded unknown="whether this kernel's return probes kill processes under"
	local other kb
	follow plain "edge-37 no seccomp, nothing to find out"

	target_start "$HAZARD" plain || { fails "edge-37 a refused target" "no target"; return; }
	other=$TARGET_PID
	target_start "$HAZARD" filter || { fails "edge-37 a refused target" "no target"; return; }
	seep_run leaks --json -d 2s -p "$TARGET_PID"
	expect_status "edge-37 what cannot be found out is refused" 1 \
		"^seep: cannot profile $TARGET_PID \(hazard\): cannot find out $unknown seccomp: Operation not permitted$"
	seep_run leaks --json -d 2s -p "$other,$TARGET_PID"
	expect_status "edge-37 one target that is refused ends the run" 1 "^seep: cannot profile $TARGET_PID "
	kb="$(patched_kb "$other") $(patched_kb "$TARGET_PID")"
	if [ "$kb" = "0 0" ]; then
		passes "edge-37 no probe was set before"
	else
		fails "edge-37 no probe was set before" "kB of code changed: $kb" "$(cat "$WORK/seep.err")"
	fi
	seep_run doctor -p "$TARGET_PID"
	expect_doctor "doctor tells what is not known" 1 \
		"  unknown    return probes and seccomp filters: Operation not permitted; such processes are refused" \
		"  unknown    cannot find out $unknown seccomp: Operation not permitted"
	seep_run faults --json -d 100ms -p "$TARGET_PID"
	expect_status "edge-37 page faults need no probes" 0 "."
	target_stop
	kill -KILL "$other"
}

# expect_doctor NAME STATUS LINE...: of the last run.
expect_doctor() {
	local name=$1 status=$2 line wrong=()
	shift 2
	[ "$STATUS" = "$status" ] || wrong+=("exit status $STATUS, not $status")
	for line; do
		grep -qxF -- "$line" "$WORK/seep.out" || wrong+=("no line '$line'")
	done
	if [ ${#wrong[@]} = 0 ]; then
		passes "$name"
	else
		fails "$name" "${wrong[@]}" "$(cat "$WORK/seep.out" "$WORK/seep.err")"
	fi
}

doctor() {
	target_start "$HAZARD" filter || { fails "doctor knows the hazards" "no target"; return; }
	seep_run doctor -p "$TARGET_PID"
	expect_doctor "edge-36 doctor knows the hazards" 0 "hazards" \
		"  safe       return probes and seccomp filters" \
		"  safe       return probes and strict seccomp" \
		"  safe       return probes and shadow stacks" \
		"  avoided    nop5 in leaf functions: never chosen for a probe" \
		"  safe       seccomp filter, no strict seccomp, no shadow stack"
	target_stop
}

private_libraries libc.so.6 || exit 1
follow filter "edge-37 a target under a seccomp filter"
follow strict "edge-37 a target under strict seccomp"
follow_traced
blinded
doctor
plan
