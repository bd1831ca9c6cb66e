# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The hands of tests/bench/run: starting and stopping what is measured, and taking numbers. Sourced.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

say() {
	printf 'bench: %3d s  %s\n' "$SECONDS" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

children=() # whoever is still there at the end is killed
stats_before=""

cleanup() {
	local pid
	[ -z "$stats_before" ] || echo "$stats_before" >"$STATS"
	for pid in "${children[@]}"; do
		kill -CONT "$pid" 2>/dev/null || true
		kill -TERM "$pid" 2>/dev/null || true
	done
	[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:$SUDO_GID" "$WORK" "$BUILD/bench.json" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# end PID [SIGNAL]: waits for its end, too.
end() {
	local pid kept=()
	[ -z "${2:-}" ] || kill "-$2" "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
	for pid in "${children[@]}"; do
		[ "$pid" = "$1" ] || kept+=("$pid")
	done
	children=("${kept[@]}")
}

# --- the pair program ------------------------------------------------------------------------------

# start_pairs_with NAME PRELOAD COMMAND...: on one CPU, but threads go where they like. pairs_pid, pairs_log.
start_pairs_with() {
	local name=$1 preload=$2 pin=()
	shift 2
	[ "$name" = threads ] || pin=(taskset -c "$(($(nproc) - 1))")
	pairs_log=$WORK/pairs.$name.log
	LD_PRELOAD=$preload LD_LIBRARY_PATH=$LIBS "${pin[@]}" "$@" >"$pairs_log" &
	pairs_pid=$!
	children+=("$pairs_pid")
	sleep 0.3
}

pairs_library=libc.so.6 # whose malloc() it is

start_pairs() {
	start_pairs_with "${1//,/-}" "" "$HELPERS/pairs" "$1"
}

stop_pairs() {
	end "$pairs_pid" TERM
}

# The end of the last batch but one: the last line may be half written.
stamp() {
	tail -n 2 "$pairs_log" | awk 'NR == 1 { print $1 }'
}

# wait_until fast|slow: without probes, or with them. The quickest of some batches tells: a batch that had to wait for the
# CPU looks slow.
wait_until() {
	local i speed
	for ((i = 0; i < 300; i++)); do
		speed=$(tail -n 9 "$pairs_log" | awk -v limit="$PROBED_NS" '
			NR < 9 { ns = $4 / $3; if (NR == 1 || ns < least) least = ns }
			END { print (least > limit ? "slow" : "fast") }')
		[ "$speed" = "$1" ] && return
		sleep 0.1
	done
	die "the pair program does not get $1 within 30 s"
}

# samples CONFIG ROUND FROM_NS TO_NS LOG: the batches that lie within a window.
samples() {
	awk -v config="$1" -v round="$2" -v from="$3" -v to="$4" \
		'$1 - $4 >= from && $1 <= to { print config, round, $2, $4 / $3, $3 }' "$5" >>"$WORK/samples"
}

# window CONFIG ROUND
window() {
	local from
	from=$(stamp)
	sleep "$WINDOW_S"
	samples "$1" "$2" "$from" "$(stamp)" "$pairs_log"
}

# --- processes that are talked to through pipes ----------------------------------------------------

# open_pipes NAME: $pipe_in and $pipe_out are ours, $WORK/NAME.in and .out the other's.
open_pipes() {
	rm -f "$WORK/$1.in" "$WORK/$1.out"
	mkfifo "$WORK/$1.in" "$WORK/$1.out"
	exec {pipe_in}<>"$WORK/$1.in" {pipe_out}<>"$WORK/$1.out"
}

# close_pipe FD
close_pipe() {
	local fd=$1
	exec {fd}>&-
}

# start_floor [-s] PID
start_floor() {
	local word
	open_pipes floor
	floor_in=$pipe_in floor_out=$pipe_out
	"$HELPERS/floor" "$@" <"$WORK/floor.in" >"$WORK/floor.out" {floor_in}>&- {floor_out}>&- &
	children+=("$!")
	read -r -t 60 -u "$floor_out" word floor_pid || die "the floor probes are not there after 60 s"
	[ "$word" = ready ] || die "floor said '$word'"
}

stop_floor() {
	close_pipe "$floor_in"
	end "$floor_pid"
	close_pipe "$floor_out"
}

# start_seep ARGS...: returns when it is ready; seep_pid, seep_ready_ms.
start_seep() {
	local word capture=()
	[[ $* != *--capture* ]] || capture=(-c "$WORK/start.seep")
	open_pipes seep
	seep_out=$pipe_out
	close_pipe "$pipe_in"
	"$HELPERS/launch" "${capture[@]}" "$SEEP" "$@" >"$WORK/seep.out" 2>"$WORK/seep.err" {seep_out}>&- &
	launch_pid=$!
	children+=("$launch_pid")
	read -r -t 60 -u "$seep_out" word seep_pid || die "seep was not started"
	read -r -t 60 -u "$seep_out" word seep_ready_ms || die "seep is not ready after 60 s"
}

# Waits for its end too; seep_rss_kib, and with a capture seep_first_ms, seep_complete_ms, seep_complete_armed_ms; empty
# where it is not in the capture.
stop_seep() {
	local word status rest
	seep_first_ms="" seep_complete_ms="" seep_complete_armed_ms=""
	kill -INT "$seep_pid" 2>/dev/null || true
	read -r -t 120 -u "$seep_out" word status rest seep_rss_kib || die "seep does not end within 120 s"
	[ "$status" = 0 ] || [ "$status" = 3 ] || die "seep ended with $status: $(tail -n 1 "$WORK/seep.err")"
	end "$launch_pid"
	read -r -t 0.1 -u "$seep_out" word seep_first_ms || true
	read -r -t 0.1 -u "$seep_out" word seep_complete_ms seep_complete_armed_ms || true
	close_pipe "$seep_out"
}

# User and system time of all its threads.
cpu_ms_of() {
	local line field
	line=$(<"/proc/$1/stat")
	read -ra field <<<"${line##*) }"
	echo $(((field[11] + field[12]) * 1000 / $(getconf CLK_TCK)))
}

# What one would write without seep to know as much: each block with its size and stack, and by stack what was allocated
# and freed. Its probes are set in order, so that the others are there when the last one says so.
start_bpftrace() {
	local i
	cat >"$WORK/pairs.bt" <<-END
		uprobe:$2:malloc { @pending[tid] = arg0; }
		uretprobe:$2:malloc /@pending[tid]/ {
			\$stack = ustack(perf);
			@block[retval] = (@pending[tid], \$stack);
			@count[\$stack] = count();
			@bytes[\$stack] = sum(@pending[tid]);
			delete(@pending[tid]);
		}
		uprobe:$2:free /@block[arg0].0/ {
			@freed[@block[arg0].1] = count();
			delete(@block[arg0]);
		}
		interval:ms:100 { printf("ready\n"); }
	END
	: >"$WORK/bpftrace.out" # the last one's would do for this one's
	BPFTRACE_MAP_KEYS_MAX=1000000 bpftrace -B line -p "$1" "$WORK/pairs.bt" >"$WORK/bpftrace.out" 2>&1 &
	bpftrace_pid=$!
	children+=("$bpftrace_pid")
	for ((i = 0; i < 300; i++)); do
		grep -q '^ready' "$WORK/bpftrace.out" && return
		sleep 0.1
	done
	die "bpftrace is not ready after 30 s: $(tail -n 1 "$WORK/bpftrace.out")"
}

stop_bpftrace() {
	end "$bpftrace_pid" KILL # asked to end, it would look up the names of every stack that is live
}

start_blocks() {
	local line
	open_pipes blocks
	blocks_in=$pipe_in blocks_out=$pipe_out
	LD_LIBRARY_PATH=$LIBS "$HELPERS/blocks" "$1" \
		<"$WORK/blocks.in" >"$WORK/blocks.out" {blocks_in}>&- {blocks_out}>&- &
	blocks_pid=$!
	children+=("$blocks_pid")
	IFS= read -r -t 10 -u "$blocks_out" line || die "the block program does not start"
}

stop_blocks() {
	close_pipe "$blocks_in"
	end "$blocks_pid"
	close_pipe "$blocks_out"
}

# start_redis MODULE
start_redis() {
	local i
	LD_LIBRARY_PATH=$LIBS redis-server --port 0 --unixsocket "$WORK/redis.sock" --save '' --appendonly no \
		--dir "$WORK" --loadmodule "$1" >"$WORK/redis.log" 2>&1 &
	redis_pid=$!
	children+=("$redis_pid")
	for ((i = 0; i < 100; i++)); do
		redis-cli -s "$WORK/redis.sock" ping >/dev/null 2>&1 && return
		sleep 0.1
	done
	die "redis-server does not answer"
}

stop_redis() {
	end "$redis_pid" TERM
}
