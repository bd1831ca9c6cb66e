#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Finding processes: by name, by cgroup, all of them, very many; those that come later; what is mapped later.
# shellcheck disable=SC2016 # these are variables of jq
set -u
. "$TOP/tests/e2e/lib.sh"

FORKS=$BUILD/tests/e2e/forks
SHORT=61	# processes of `forks short`, each with 17 blocks, of which it frees 4
MILLISECONDS=400 # blocks of `forks of_...`, one a millisecond
LATE=100	# of them may be over before the probes are there

# check NAME FILTER [ARGUMENT...]: of the last report
check() {
	local name=$1
	shift
	if in_report "$@"; then
		passes "$name"
	else
		fails "$name" "not so: $1" "$(jq -c '.target | if type == "array" then length else . end' "$WORK/last.json")" \
			"$(tail -n 3 "$WORK/seep.err")"
	fi
}

targets_are() {
	in_report '(.target | if type == "array" then length else 1 end) == $nr' --argjson nr "$1"
}

# Each process of the last short lives, of this name, with all that it did.
SHORT_ONES='[.target[] | select(.comm == $comm and .balance.allocs == 17 and .balance.frees == 4 and
	.balance.released == 13 and .exited)] | length == $nr'

# --- names ----------------------------------------------------------------------------------------

by_name() {
	cp "$FORKS" "$WORK/seep-named" || return
	FORKS_NAMED=$WORK/seep-named target_start "$WORK/seep-named"
	seep_watch -n seep-named || fails "attach by name" "$(cat "$WORK/seep.err")"
	check "a process is found by its name" '.target.pid == $pid' --argjson pid "$TARGET_PID"
	target_do run_named && wait_until targets_are $((2 + SHORT))
	check "one that bears the name from an exec on is followed, and its children, which bear it too" \
		'.target | length == $nr and all(.comm == "seep-named")' --argjson nr $((2 + SHORT))
	session_end
	FORKS_NAMED=$FORKS target_start "$WORK/seep-named"
	seep_watch -n seep-named || fails "attach by name" "$(cat "$WORK/seep.err")"
	target_do run_named && snapshot
	check "one of another name is not" '.target.pid == $pid' --argjson pid "$TARGET_PID"
	session_end
}

# --- cgroups --------------------------------------------------------------------------------------

# A new cgroup of a version, in CGROUP; false: none can be made here.
make_cgroup() { # 1|2
	local root type=cgroup
	[ "$1" = 2 ] && type=cgroup2
	while read -r root; do
		CGROUP=$root/seep-test-$$
		mkdir "$CGROUP" 2>/dev/null && [ -e "$CGROUP/cgroup.procs" ] && return 0
	done < <(awk -v type="$type" '$3 == type && $2 !~ /cpuset/ { print $2 }' /proc/mounts)
	return 1
}

remove_cgroup() {
	rmdir "$CGROUP/below" "$CGROUP" 2>/dev/null
	[ ! -e "$CGROUP" ]
}

by_cgroup() { # 1|2
	if ! make_cgroup "$1"; then
		skips "processes of a cgroup, version $1" "no cgroup of version $1 can be made here"
		return
	fi
	target_start "$FORKS"
	mkdir "$CGROUP/below"
	echo "$TARGET_PID" >"$CGROUP/below/cgroup.procs"
	seep_watch --cgroup "$CGROUP" || fails "attach to a cgroup" "$(cat "$WORK/seep.err")"
	check "version $1: a process of a cgroup below" '.target.pid == $pid' --argjson pid "$TARGET_PID"
	target_do short && wait_until targets_are $((1 + SHORT))
	snapshot
	check "version $1: short processes are accounted for, each block of each" "$SHORT_ONES" \
		--arg comm forks --argjson nr "$SHORT"
	if [ "$1" = 2 ]; then
		a_newcomer
	else
		a_stayer
	fi
	session_end
	wait_until remove_cgroup
}

in_cgroup() {
	echo $BASHPID >"$CGROUP/cgroup.procs" && exec "$@"
}

# Moved into it, and then another program.
a_newcomer() {
	(in_cgroup env "LD_LIBRARY_PATH=$WORK/lib" "$FORKS" short >/dev/null)
	wait_until targets_are $((2 + SHORT + SHORT))
	check "version 2: a process that is moved into it, and its children" '.target | length == $nr' \
		--argjson nr $((2 + SHORT + SHORT))
}

# Nothing tells of a move into a cgroup of version 1: it has to be looked for.
a_stayer() {
	open_pipe stayer
	spawn "$FD" in_cgroup "$FORKS" <&"$NOTHING"
	wait_until targets_are $((2 + SHORT))
	check "version 1: a process that is moved into it" '[.target[].pid] | index($pid)' --argjson pid "$PID"
	kill "$PID"
}

an_empty_cgroup() {
	if ! make_cgroup 2; then
		skips "a cgroup without processes" "no cgroup of version 2 can be made here"
		return
	fi
	seep_start leaks --json -i 100ms --cgroup "$CGROUP" || fails "attach to an empty cgroup" "$(cat "$WORK/seep.err")"
	(in_cgroup env "LD_LIBRARY_PATH=$WORK/lib" "$FORKS" short >/dev/null)
	wait_until targets_are $((1 + SHORT))
	seep_stop
	check "a cgroup without processes, until there are some" '.target | length == $nr' --argjson nr $((1 + SHORT))
	wait_until remove_cgroup
}

# Links that are for all processes act in a child of vfork, too.
a_vfork_child() {
	local name="edge-21 what a child of vfork does is its parent's, with links for all processes"
	if ! make_cgroup 2; then
		skips "$name" "no cgroup of version 2 can be made here"
		return
	fi
	target_start "$BUILD/tests/e2e/lives"
	echo "$TARGET_PID" >"$CGROUP/cgroup.procs"
	seep_watch --cgroup "$CGROUP" || fails "attach to a cgroup" "$(cat "$WORK/seep.err")"
	target_do edge_21 && snapshot
	expect "$name" edge_21_child.alloc_objects=43 edge_21_child.live_objects=30 edge_21_child.live_bytes=6330
	check "edge-21 and not that of another process" '[.sites[] | select(.stack | map(.function) | index("edge_21_child"))
		| .pid] | unique == [$pid]' --argjson pid "$TARGET_PID"
	session_end
	wait_until remove_cgroup
}

# --- all ------------------------------------------------------------------------------------------

all_processes() {
	target_start "$FORKS"
	seep_start leaks --json --top 3 -a || fails "attach to all processes" "$(cat "$WORK/seep.err")"
	if grep -qE "^seep: attached to all [0-9]+ processes: [0-9]+ probes in .*libc.so.6 \(glibc\)" "$WORK/seep.err"; then
		passes "all processes: said in one line"
	else
		fails "all processes: said in one line" "$(cat "$WORK/seep.err")"
	fi
	target_do short
	seep_stop
	read_facts "$WORK/seep.out"
	check "all processes: short ones are accounted for, each block of each" "$SHORT_ONES" \
		--arg comm forks --argjson nr "$SHORT"
	check "all processes: but ourselves" '[.target[].pid] | (index($ours) | not) and index($other)' \
		--argjson ours "$SEEP_PID" --argjson other "$TARGET_PID"
	expect "all processes: the balance sums"
	target_stop
}

# --- many -----------------------------------------------------------------------------------------

many_processes() {
	local pids
	target_start "$FORKS"
	target_do sleepers
	pids=$TARGET_PID,$(ps -o pid= --ppid "$TARGET_PID" | tr -d ' ' | paste -sd,)
	seep_watch -p "$pids" || fails "attach to 500 processes" "$(tail -n 3 "$WORK/seep.err")"
	check "500 processes at once" '.target | length == 500'
	target_do sleepers_wake && snapshot
	expect "each block of each" .allocs=1497 .live=1497 follow_sleeper.live_bytes=64371
	check "by process" '[.target[] | select(.balance.live == 3)] | length == 499'
	session_end
}

many_threads() {
	target_start "$FORKS"
	if ! target_do threads; then
		skips "a process of 5,000 threads" "it cannot be made here"
		target_stop
		return
	fi
	seep_watch -p "$TARGET_PID" || fails "attach to 5,000 threads" "$(tail -n 3 "$WORK/seep.err")"
	target_do threads_wake && snapshot
	expect "a process of 5,000 threads" .allocs=15000 .live=15000 follow_sleeper.live_objects=15000
	session_end
}

# --- later ----------------------------------------------------------------------------------------

many_images() {
	LD_LIBRARY_PATH=$WORK/lib seep_run leaks --json -- "$FORKS" images
	forget_facts
	read_facts "$WORK/seep.out"
	expect "eighteen images of one process, one after the other" follow_image.alloc_objects=54
}

# in_time NAME COMMAND...: the command counts blocks that were seen, in SEEN. A machine that is busy with something else may
# keep seep waiting: the best of seven counts.
in_time() {
	local name=$1 tries=() nr
	shift
	for nr in 1 2 3 4 5 6 7; do
		SEEN=0
		"$@"
		if [ "$SEEN" -ge $((MILLISECONDS - LATE)) ] && [ "$SEEN" -le $MILLISECONDS ]; then
			passes "$name"
			return
		fi
		tries+=("try $nr: $SEEN of $MILLISECONDS blocks are seen")
	done
	fails "$name" "${tries[@]}" "$(tail -n 3 "$WORK/seep.err")"
}

seen_of() {
	SEEN=$(tail -n 1 "$WORK/seep.out" | jq --arg site "$1" \
		'[.sites[] | select(.stack | map(.function) | index($site)) | .alloc_objects] | add // 0')
}

make_root() {
	local file
	mkdir -p "$WORK/root" && cp "$FORKS" "$WORK/root/forks" || return
	while read -r file; do
		mkdir -p "$WORK/root/${file%/*}" && cp -L "$file" "$WORK/root/$file" || return
	done < <(ldd "$FORKS" | grep -oE '/[^ ]+')
}

# Another libc than the one that the probes are in, as in a container.
chrooted() {
	seep_run leaks --json -- chroot "$WORK/root" /forks of_libc
	[ "$STATUS" = 0 ] && seen_of follow_millisecond
}

plugged_in() {
	GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384 FORKS_LIBRARY=$WORK/lib/libjemalloc.so.2 target_start "$FORKS" || return
	if seep_start leaks --json -p "$TARGET_PID" && target_do of_dlopen; then
		seep_stop
		seen_of follow_library
	fi
	target_stop
}

soon_enough() {
	if make_root; then
		in_time "edge-42 a process in a chroot with its own libc is seen within 100 ms" chrooted
	else
		fails "edge-42 a process in a chroot with its own libc is seen within 100 ms" "no root can be made"
	fi
	if private_libraries libjemalloc.so.2; then
		in_time "edge-24 jemalloc that is loaded after the attach is seen within 100 ms" plugged_in
	else
		skips "edge-24 jemalloc that is loaded after the attach is seen within 100 ms" "libjemalloc.so.2 is not installed"
	fi
}

private_libraries libc.so.6 || exit 1
by_name
by_cgroup 2
by_cgroup 1
an_empty_cgroup
a_vfork_child
all_processes
many_processes
many_threads
many_images
soon_enough
plan
