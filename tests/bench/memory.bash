# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Memory, of seep and of the kernel for it: at the start, and with many live blocks. Sourced by tests/bench/run.
#
# shellcheck disable=SC2034,SC2153,SC2154 # variables are shared with who sources this

# --- measuring -------------------------------------------------------------------------------------

# "ID TYPE BYTES" for each map that a process holds by a descriptor.
maps_of() {
	awk 'FNR == 1 { type = bytes = "" } /^map_type:/ { type = $2 } /^memlock:/ { bytes = $2 }
		/^map_id:/ && !seen[$2]++ { print $2, type, bytes }' /proc/"$1"/fdinfo/*
}

# The numbers of the maps in a map of maps, which nobody needs to hold otherwise.
inner_maps_of() {
	"$BPFTOOL" map dump id "$1" | awk '/value: [0-9a-f]/ { print "0x" $(NF) $(NF - 1) $(NF - 2) $(NF - 3) }' |
		while read -r id; do echo $((id)); done
}

# KiB that the kernel counts for the maps of a process, those in maps of maps and rings among them, and its programs.
kernel_kib_of() {
	local id type bytes held maps=() programs
	held=$(maps_of "$1")
	while read -r id type bytes; do
		maps+=("$id")
		[ "$type" = "$MAP_OF_MAPS" ] || continue
		for id in $(inner_maps_of "$id"); do
			maps+=("$id")
		done
	done <<<"$held"
	programs=$(sed -n 's/^prog_id:[[:blank:]]*//p' /proc/"$1"/fdinfo/* 2>/dev/null | sort -u | paste -sd, -)
	{
		"$BPFTOOL" map show -j | jq --argjson ids "$(printf '%s\n' "${maps[@]}" | sort -u | jq -s .)" \
			'.[] | select(.id | IN($ids[])) | .bytes_memlock // 0'
		"$BPFTOOL" prog show -j | jq --argjson ids "[$programs]" \
			'.[] | select(.id | IN($ids[])) | .bytes_memlock // 0'
	} | awk '{ sum += $1 } END { printf "%d\n", sum / 1024 }'
}

# Nothing is allocated: what seep takes to begin with.
measure_no_blocks() {
	say "no live blocks"
	start_blocks 1
	start_seep leaks -p "$blocks_pid" "${UNGOVERNED[@]}" -o /dev/null
	sleep "$SETTLE_S"
	put memory.0.kernel_kib "$(kernel_kib_of "$seep_pid")"
	stop_seep
	stop_blocks
	put memory.0.seep_kib "$seep_rss_kib"
}

measure_blocks() {
	local nr=$1 line kernel_kib
	say "$nr live blocks"
	if [ "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" -lt $((nr * 2 / 5 + 1000000)) ]; then
		say "not enough memory, skipping"
		return
	fi
	start_blocks "$nr"
	start_seep leaks -p "$blocks_pid" "${UNGOVERNED[@]}" --max-blocks 16M --json -o "$WORK/blocks.$nr.json"
	echo >&"$blocks_in"
	IFS= read -r -t 120 -u "$blocks_out" line
	[ "$line" = "done" ]
	sleep "$SETTLE_S"
	kernel_kib=$(kernel_kib_of "$seep_pid")
	stop_seep
	stop_blocks
	put "memory.$nr.seep_kib" "$seep_rss_kib"
	put "memory.$nr.kernel_kib" "$kernel_kib"
	put "memory.$nr.live" "$(jq .balance.live "$WORK/blocks.$nr.json")"
	put "memory.$nr.lost_events" "$(jq .balance.lost_events "$WORK/blocks.$nr.json")"
}

measure_memory() {
	local nr
	measure_no_blocks
	for nr in $BENCH_BLOCKS; do
		measure_blocks "$nr"
	done
}

# --- facts -----------------------------------------------------------------------------------------

# Of seep itself, or of the kernel for it: what one more block takes, between the two numbers of blocks.
sum_up_memory_of() {
	local few=${BENCH_BLOCKS%% *} many=${BENCH_BLOCKS##* }
	[ "$few" != "$many" ] && [ -n "${fact[memory.$many.$1_kib]:-}" ] || return 0
	put "memory.$1_bytes_per_block" \
		"$(calculate "(${fact[memory.$many.$1_kib]} - ${fact[memory.$few.$1_kib]}) * 1024 / ($many - $few)")"
}

sum_up_memory() {
	sum_up_memory_of seep
	sum_up_memory_of kernel
}

judge_memory() {
	goal block_bytes "${fact[memory.seep_bytes_per_block]:-}" "<= 48" "userspace: %.1f bytes a live block, at most 48"
	goal kernel_memory "$(mib memory.0.kernel_kib)" "<= 16" "kernel memory at start: %.1f MiB, at most 16"
}

# --- the table -------------------------------------------------------------------------------------

mib() {
	calculate "${fact[$1]} / 1024"
}

print_memory() {
	local nr
	printf 'memory                %.1f MiB in seep, %.1f MiB in the kernel, without live blocks\n' \
		"$(mib memory.0.seep_kib)" "$(mib memory.0.kernel_kib)"
	for nr in $BENCH_BLOCKS; do
		[ -n "${fact[memory.$nr.seep_kib]:-}" ] || continue
		printf '  %-9s blocks    %.1f MiB, %.1f MiB in the kernel; %d live, %d events lost\n' "$nr" \
			"$(mib "memory.$nr.seep_kib")" "$(mib "memory.$nr.kernel_kib")" \
			"${fact[memory.$nr.live]}" "${fact[memory.$nr.lost_events]}"
	done
	[ -z "${fact[memory.seep_bytes_per_block]:-}" ] ||
		printf '  one more block      %.1f bytes, %.1f bytes in the kernel\n' \
			"${fact[memory.seep_bytes_per_block]}" "${fact[memory.kernel_bytes_per_block]}"
	echo
}
