#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cannot be done is said in one line, with the right exit status.
set -u
. "$TOP/tests/e2e/lib.sh"

UNLIMITED=() # what is said of options is wanted as it is

# refuse NAME STATUS PATTERN ARGUMENT...
refuse() {
	local name=$1 status=$2 pattern=$3
	shift 3
	seep_run "$@"
	expect_refusal "$name" "$status" "$pattern"
}

free_pid() {
	local pid=$(($(cat /proc/sys/kernel/pid_max) - 1))
	while [ -e "/proc/$pid" ]; do
		pid=$((pid - 1))
	done
	echo "$pid"
}

targets() {
	refuse "no such process" 1 "no such process" leaks -p "$(free_pid)" -d 1s
	refuse "no such process, faults" 1 "no such process" faults -p "$(free_pid)" -d 1s
	refuse "no process of that name" 1 "no process is called 'no-such-name'" leaks -n no-such-name -d 1s
	refuse "no such cgroup" 1 "no such cgroup: '/no/such/cgroup'" leaks --cgroup /no/such/cgroup -d 1s
	refuse "a directory that is no cgroup" 1 "'/sys/fs/cgroup/../../kernel' is no cgroup" leaks --cgroup /sys/fs/cgroup/../../kernel
	refuse "one of two processes does not exist" 1 "no such process" leaks -p "$$,$(free_pid)" -d 1s
	if [ "$(cat /proc/2/comm 2>/dev/null)" = kthreadd ]; then
		refuse "a kernel thread" 1 "kernel thread" leaks -p 2 -d 1s
	else
		skips "a kernel thread" "n/a: none is seen in this PID namespace"
	fi
	timeout -k 5 "$DEADLINE" sh -c "exec \"$SEEP\" faults -p \$\$" >"$WORK/seep.out" 2>"$WORK/seep.err"
	STATUS=$?
	expect_refusal "seep itself" 1 "seep itself"
	refuse "a command that does not exist" 1 "cannot run.*no-such-command" leaks -- no-such-command
	refuse "a command that cannot be executed" 1 "cannot run" leaks -- /etc/passwd
	a_thread
	a_zombie
}

a_thread() {
	local tid
	target_start "$BUILD/tests/e2e/cases"
	target_do load_start
	tid=$(find "/proc/$TARGET_PID/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | grep -vx "$TARGET_PID" | head -n 1)
	refuse "a thread" 1 "it is a thread" leaks -p "$tid" -d 1s
	target_stop
}

a_zombie() {
	target_start "$BUILD/tests/e2e/lives"
	target_do zombie
	wait_until grep -q '^State:.Z' "/proc/$RESULT/status"
	refuse "a process that has exited already" 1 "has exited" leaks -p "$RESULT" -d 1s
	target_stop
}

# Killed when seep says where its first probe will be; it cannot go on, for nobody reads what it says (write is 1, on arm64 64).
exits_during_attach() {
	local full
	target_start "$BUILD/tests/e2e/cases"
	open_pipe seep.full
	full=$FD
	dd if=/dev/zero of="$WORK/seep.full" bs=4096 oflag=nonblock conv=notrunc 2>/dev/null
	open_pipe seep.status
	SEEP_TOLD=$FD
	spawn "$SEEP_TOLD" run_seep_into "$WORK/seep.full" leaks -v -p "$TARGET_PID"
	wait_until grep -qE '^(1|64) 0x2 ' "/proc/$PID/syscall"
	target_stop
	exec {FD}<"$WORK/seep.full" {full}>&-
	timeout -k 5 "$DEADLINE" tr -d '\0' <&"$FD" >"$WORK/seep.err"
	exec {FD}<&-
	seep_wait
	if grep -q "exited while probes were being attached" "$WORK/seep.err" && grep -q "seep leaks: pid" "$WORK/seep.out"; then
		expect_status "a process that exits during the attach" 3 "incomplete"
	else
		fails "a process that exits during the attach" "status $STATUS" "$(cat "$WORK/seep.err")"
	fi
}

# Killed at some time after the start: whatever happens has to be one of the ends that there are.
exits_at_any_time() {
	local delay wrong=()
	for delay in 0.01 0.1 0.3 0.7; do
		target_start "$BUILD/tests/e2e/cases"
		open_pipe seep.status
		SEEP_TOLD=$FD
		spawn "$SEEP_TOLD" run_seep leaks -d 100ms -p "$TARGET_PID"
		read -r -t "$delay" -u "$NOTHING"
		target_stop
		seep_wait
		case $STATUS in
		0 | 3) [ -s "$WORK/seep.out" ] || wrong+=("killed after $delay s: status $STATUS without a report") ;;
		1) [ "$(wc -l <"$WORK/seep.err")" = 1 ] || wrong+=("killed after $delay s: $(cat "$WORK/seep.err")") ;;
		*) wrong+=("killed after $delay s: status $STATUS $(cat "$WORK/seep.err")") ;;
		esac
	done
	if [ ${#wrong[@]} = 0 ]; then
		passes "a process that exits at any time"
	else
		fails "a process that exits at any time" "${wrong[@]}"
	fi
}

# Touches a page of its own every millisecond, 20000 times, then waits.
# shellcheck disable=SC2016 # no expansions, immediate values
STATIC_64='
.globl _start
_start:	lea memory(%rip), %rbx
	mov $20000, %r12d
1:	movb $1, (%rbx)
	add $4096, %rbx
	mov $35, %eax
	lea time(%rip), %rdi
	xor %esi, %esi
	syscall
	dec %r12d
	jnz 1b
2:	mov $34, %eax
	syscall
	jmp 2b
	.data
time:	.quad 0, 1000000
	.lcomm memory, 20001 * 4096
'
# shellcheck disable=SC2016
STATIC_32='
.globl _start
_start:	mov $29, %eax
	int $0x80
	jmp _start
'

other_programs() {
	if [ "$(uname -m)" != x86_64 ]; then
		skips "a program without an allocator" "n/a: its source is for x86-64"
		skips "edge-43 a 32-bit program" "n/a: its source is for x86-64"
		return
	fi
	echo "$STATIC_64" | as --64 -o static.o - && ld -m elf_x86_64 -o static static.o || exit 1
	echo "$STATIC_32" | as --32 -o static32.o - && ld -m elf_i386 -o static32 static32.o || exit 1
	open_pipe static.told
	spawn "$FD" ./static
	refuse "a program without an allocator: leaks" 1 "no allocator found in $PID \(static\): searched [0-9]+ " leaks -p "$PID" -d 1s
	seep_run faults --json -p "$PID" -d 500ms
	if [ "$STATUS" = 0 ] && [ "$(jq .totals.minor "$WORK/seep.out")" -gt 50 ]; then
		passes "a program without an allocator: faults"
	else
		fails "a program without an allocator: faults" "status $STATUS" "$(cat "$WORK/seep.err" "$WORK/seep.out")"
	fi
	kill -KILL "$PID"
	open_pipe static.told
	spawn "$FD" ./static32
	if wait_until grep -q static32 "/proc/$PID/comm"; then
		refuse "edge-43 a 32-bit program" 1 "32-bit" leaks -p "$PID" -d 1s
		kill -KILL "$PID"
	else
		skips "edge-43 a 32-bit program" "n/a: this kernel runs none"
	fi
}

rights() {
	local share
	share=$(mktemp -d) || exit 1
	chmod 755 "$share"
	install -m 755 "$SEEP" "$share/seep"
	for command in leaks faults; do
		timeout -k 5 "$DEADLINE" setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=-all --bounding-set=-all \
			"$share/seep" "$command" -p $$ -d 1s >"$WORK/seep.out" 2>"$WORK/seep.err"
		STATUS=$?
		expect_refusal "without root, $command: names what is missing" 1 "CAP_BPF.* missing"
	done
	rm -rf "$share"
	mkdir -p empty
	timeout -k 5 "$DEADLINE" unshare -m sh -c "mount --bind '$WORK/empty' /sys/kernel/btf && exec '$SEEP' leaks -p $$ -d 1s" \
		>"$WORK/seep.out" 2>"$WORK/seep.err"
	STATUS=$?
	expect_refusal "a kernel without type information" 1 "/sys/kernel/btf/vmlinux"
}

output() {
	refuse "output into a directory that is not there" 1 "cannot write '/no/such/file'" leaks -p $$ -d 1s -o /no/such/file
	refuse "output to a directory" 1 "cannot write '/tmp'" faults -p $$ -d 1s -o /tmp
	refuse "capture into a directory that is not there" 1 "cannot write '/no/such/file'" leaks -p $$ -d 1s --capture /no/such/file
	refuse "record into a directory that is not there" 1 "cannot write '/no/such/file'" record -p $$ -d 1s -o /no/such/file
}

# Nothing is attached to for any of these: the process is this shell.
options() {
	local line
	while IFS= read -r line; do
		# shellcheck disable=SC2086 # words are arguments
		refuse "wrong use: seep $line" 2 "seep: .*" $line
	done <<END

nonsense
leaks
leaks -p
leaks -p abc
leaks -p 0
leaks -p -1
leaks -p 1,,2
leaks -p $$ -d abc
leaks -p $$ -d 0
leaks -p $$ -d -1s
leaks -p $$ -d 1x
leaks -p $$ -d 1s2
leaks -p $$ -i 0
leaks -p $$ -i 1us
leaks -p $$ --top -1
leaks -p $$ --top 0
leaks -p $$ --top many
leaks -p $$ -f xml
leaks -p $$ -f folded -i 1s
leaks -p $$ -f text --json
leaks -p $$ --ring-size 5000
leaks -p $$ --ring-size 1
leaks -p $$ --max-blocks 0
leaks -p $$ --max-overhead 0
leaks -p $$ --max-overhead 0%
leaks -p $$ --max-overhead -1
leaks -p $$ --max-overhead many
leaks -p $$ --max-cpu 0
leaks -p $$ --max-memory 0
leaks -p $$ --sample 0
leaks -p $$ --sample most
leaks -p $$ --no-such-option
leaks -p $$ -x
leaks -p $$ -- true
leaks -a -- true
leaks -a -p $$
leaks -p $$ -n bash
leaks -n bash --cgroup /
leaks -n
leaks --cgroup
leaks --cgroup=
leaks --all=yes
leaks -p $$ --follow --no-follow
leaks -p $$ more
leaks --
faults -p $$ --min-age 1s
faults -p $$ -f json -f nonsense
record -p $$
report
report one two
report -p $$ file
END
}

private_libraries libc.so.6 || exit 1
cd "$WORK" || exit 1
options
output
targets
rights
other_programs
exits_during_attach
exits_at_any_time
plan
