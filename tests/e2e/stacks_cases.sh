#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Stacks that are hard to walk, in programs without frame pointers: each function, in order.
set -u
. "$TOP/tests/e2e/lib.sh"
. "$TOP/tests/e2e/stacks_lib.sh"

E2E=$BUILD/tests/e2e
MAIN="target_do target_serve main$OUTSIDE"
ANY='[^ ]+'
LINKER='([a-z_]+|ld-linux[^ ]*\+0x[0-9a-f]+)' # one of its functions

# --- one program ------------------------------------------------------------------------------------

signals() {
	# The frame between the handler and what it interrupted is the C library's __restore_rt.
	do_stacks leaf "a signal handler that interrupts a leaf function" signal_malloc \
		"13 complete signal_malloc signal_handler $ANY signal_leaf signal_caller interrupt leaf $MAIN"
	do_stacks leaf_other_stack "a signal handler on another stack" "signal_malloc signal_handler $ANY signal_leaf signal_caller_other" \
		"17 complete signal_malloc signal_handler $ANY signal_leaf signal_caller_other interrupt leaf_other_stack $MAIN"
	if [ "$(uname -m)" != x86_64 ]; then
		skips "signals at given instructions" "n/a: written for x86-64 alone"
		return
	fi
	do_stacks steps "signals at each step of the making of a frame" "signal_malloc signal_handler $ANY signal_steps" \
		"76 complete signal_malloc signal_handler $ANY signal_steps signal_steps_caller steps $MAIN"
	distinct_steps
	do_stacks first "a signal at the first byte of a function" "signal_malloc signal_skip" \
		"23 complete signal_malloc signal_skip $ANY signal_first signal_first_caller first $MAIN"
}

# The same functions, but interrupted at four instructions.
distinct_steps() {
	local found
	found=$(tail -n 1 "$WORK/snapshot.json" | jq -c '[.sites[] | select(.stack[3].function == "signal_steps")] |
		group_by(.stack[3].address) | map(map(.alloc_objects) | add)')
	if [ "$found" = "[19,19,19,19]" ]; then
		passes "signals at each step: four places"
	else
		fails "signals at each step: four places" "allocations at each: $found"
	fi
}

frames() {
	do_stacks rooms "alloca and arrays of varying length: the callers are told apart" room_malloc \
		"53 complete room_malloc room_alloca room_one rooms $MAIN" \
		"106 complete room_malloc room_alloca room_two rooms $MAIN" \
		"53 complete room_malloc room_array room_three rooms $MAIN"
	do_stacks jump "longjmp, then other calls at the same depth" jump_malloc \
		"43 complete jump_malloc jump_inner jump_middle jump_outer jump $MAIN" \
		"29 complete jump_malloc jump_inner jump_other_middle jump_other_outer jump $MAIN"
	# A coroutine ends where makecontext() made it begin.
	do_stacks coroutines "coroutines on stacks of their own" coroutine_malloc \
		"93 complete coroutine_malloc coroutine_resume coroutines $MAIN" \
		"62 any coroutine_malloc coroutine_turn coroutine_one( $ANY)?" \
		"31 any coroutine_malloc coroutine_turn coroutine_deeper coroutine_two( $ANY)?"
	do_stacks deep_97 "recursion, a hundred frames" deep_malloc \
		"37 complete deep_malloc( deep_call){97} deep_97 $MAIN"
	do_stacks deep_499 "edge-34 recursion, more frames than are kept: the inner ones, and it says so" "deep_malloc( deep_call){98}" \
		"41 partial deep_malloc( deep_call){246}"
	do_stacks threads "threads: to where they start" thread_malloc \
		"515 complete thread_malloc thread_run $THREAD"
}

plugin_stack() { # first|second, WORK
	echo "plugin_callback plugin_inner_$1 plugin_outer_$1 plugin_run plugin_call plugin $2 $MAIN"
}

# Between the loading and the calling lie two reports: time enough to take notice of the plugin.
plugins() {
	local first second one two hasty_one hasty_two
	one=$(plugin_stack first plugin_one)
	two=$(plugin_stack second plugin_two)
	target_do plugin_load_one
	first=$RESULT
	snapshot
	do_stacks plugin_one "a plugin loaded after the attach" "plugin_callback" "43 complete $one"
	target_do plugin_load_two
	second=$RESULT
	snapshot
	do_stacks plugin_two "another plugin after that one has gone: no name is the other's" "plugin_callback" \
		"43 complete $one" "47 complete $two"
	[ "$first" = "$second" ] || echo "# they lay at different addresses: $first, $second"
	hasty_one=$(plugin_stack first plugin_hasty)
	hasty_two=$(plugin_stack second plugin_hasty)
	target_do plugin_hasty
	[ "$RESULT" = 0 ] || echo "# they lay at different addresses: $RESULT"
	snapshot
	expect_sound "plugins called as soon as they are there: right, or said to be partial" "$WORK/snapshot.json" \
		plugin_callback $((43 + 47 + 89 + 97)) "$one" "$two" "$hasty_one" "$hasty_two"
}

jit() {
	local one="jit_malloc $ANY jit_call jit jit_one $MAIN" two="jit_malloc $ANY jit_call jit jit_two $MAIN"
	if [ "$(uname -m)" != x86_64 ]; then
		skips "code made at run time" "n/a: written for x86-64 alone"
		return
	fi
	target_do jit_map
	snapshot
	do_stacks jit_one "code made at run time, with frame pointers" jit_malloc "59 complete $one"
	do_stacks jit_two "code rewritten in place" jit_malloc "59 complete $one" "61 complete $two"
	target_do jit_hasty
	snapshot
	expect_sound "code called as soon as it is there: right, or said to be partial" "$WORK/snapshot.json" \
		jit_malloc $((59 + 61 + 73)) "$one" "$two" "jit_malloc $ANY jit_call jit jit_hasty $MAIN"
}

# The first calls go through the dynamic linker. Its _dl_runtime_resolve() finds its frame through a register that no
# table of ours holds: inside of it a stack may be partial, but not wrong.
lazy() {
	do_stacks lazy "functions that are bound when they are first called" "lazy_inner" \
		"67 complete lazy_inner lazy_malloc lazy_call lazy $MAIN" \
		"67 complete lazy_inner lazy_first_choice lazy_call_chosen lazy $MAIN"
	expect_sound "what the dynamic linker calls while it binds: right, or said to be partial" "$WORK/snapshot.json" \
		lazy_choose 1 "lazy_choose $LINKER $LINKER lazy_call_chosen lazy $MAIN" \
		"lazy_choose $LINKER $LINKER $LINKER lazy_call_chosen lazy $MAIN"
}

one_program() {
	export STACKS_PLUGIN_ONE=$E2E/stacks_plugin STACKS_PLUGIN_TWO=$E2E/stacks_plugin_second
	session "$E2E/stacks_cases" || return
	signals
	frames
	plugins
	jit
	lazy
	session_end
}

# --- a static program without names ---------------------------------------------------------------

# Names of module+0xOFFSET frames, from the symbols of the same program before it was stripped.
name_offsets() { # UNSTRIPPED MODULE
	nm --defined-only -n "$1" | awk '$2 ~ /^[tT]$/ { print $1, $3 }' >"$WORK/symbols"
	awk -v module="$2+0x" '
		function hex(s,   i, n) { for (i = 1; i <= length(s); i++)
			n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1; return n }
		NR == FNR { at[++nr] = hex($1); name[nr] = $2; next }
		{ for (i = 3; i <= NF; i++) {
			if (index($i, module) != 1)
				continue
			offset = hex(substr($i, length(module) + 1))
			low = 1; high = nr
			while (low < high) {
				middle = int((low + high + 1) / 2)
				if (at[middle] <= offset) low = middle; else high = middle - 1
			}
			$i = name[low]
		} print }' "$WORK/symbols" "$WORK/sites.raw"
}

ALLOCATOR=(malloc calloc realloc free memalign posix_memalign aligned_alloc)

static_program() {
	local name="a static program, stripped"
	# A program without any names has no malloc either: its names alone are kept. The faults need not even that.
	strip -o "$WORK/stacks_named" "${ALLOCATOR[@]/#/-K}" "$E2E/stacks_static"
	if session "$WORK/stacks_named"; then
		target_do allocate
		snapshot
		site_lines "$WORK/snapshot.json" >"$WORK/sites.raw"
		check_static "$name: allocations" stacks_named \
			"^79 complete static_malloc static_inner static_outer allocate (target_do |target_serve )*main .*_start$"
		session_end
	fi
	strip -o "$WORK/stacks_bare" "$E2E/stacks_static"
	target_start "$WORK/stacks_bare"
	if seep_start faults --json -p "$TARGET_PID"; then
		target_do touch
		seep_stop
		site_lines "$WORK/seep.out" >"$WORK/sites.raw"
		check_static "$name: page faults" stacks_bare \
			"^1009 complete static_touch static_touch_all touch (target_do |target_serve )*main .*_start$"
	else
		fails "$name: page faults" "$(tail -n 3 "$WORK/seep.err")"
	fi
	target_stop
}

check_static() { # NAME MODULE PATTERN
	name_offsets "$E2E/stacks_static" "$2" >"$WORK/sites"
	if grep -qE "$3" "$WORK/sites"; then
		passes "$1"
	else
		fails "$1" "$(sort -rn "$WORK/sites" | cut -c 1-300 | head -n 5)"
	fi
}

# --- other roots, and files that have gone ----------------------------------------------------------

container() {
	local name="edge-42 a process with another root and other mounts" root=$WORK/root library
	mkdir -p "$root/bin" "$root/lib64" "$root/lib" "$root/proc"
	cp "$E2E/stacks_cases" "$root/bin/inside"
	for library in $(ldd "$E2E/stacks_cases" | awk '/ld-linux/ { print $1 } $2 == "=>" { print $3 }'); do
		case $library in
		*/ld-linux*) cp -L "$library" "$root/lib64/" ;;
		*) cp -L "$library" "$root/lib/" ;;
		esac
	done
	if session unshare -m env LD_LIBRARY_PATH=/lib chroot "$root" /bin/inside; then
		do_stacks jump "$name" jump_malloc \
			"43 complete jump_malloc jump_inner jump_middle jump_outer jump $MAIN" \
			"29 complete jump_malloc jump_inner jump_other_middle jump_other_outer jump $MAIN"
		session_end
	fi
}

replaced() {
	local name="a program and a library that were replaced while they run"
	mkdir -p "$WORK/replaced"
	cp "$E2E/stacks_cases" "$E2E/stacks_lazy" "$WORK/replaced/"
	target_start "$WORK/replaced/stacks_cases"
	rm "$WORK/replaced/"*
	cp "$E2E/cases" "$WORK/replaced/stacks_cases"
	cp "$E2E/stacks_plugin" "$WORK/replaced/stacks_lazy"
	if seep_start leaks --json -i 100ms -p "$TARGET_PID"; then
		do_stacks lazy "$name" lazy_inner \
			"67 complete lazy_inner lazy_malloc lazy_call lazy $MAIN" \
			"67 complete lazy_inner lazy_first_choice lazy_call_chosen lazy $MAIN"
		session_end
	else
		fails "$name" "$(tail -n 3 "$WORK/seep.err")"
		target_stop
	fi
}

# --- names ----------------------------------------------------------------------------------------

# Where the comment "line: NAME" stands in the source.
line_of() {
	awk -v name="line: $1 " 'index($0, name) { print NR }' "$TOP/tests/e2e/stacks_inline.cc"
}

# inline_report PROGRAM [OPTION...]: its stack, one frame a line: function file:line inlined. Parameters are left out.
inline_report() {
	local program=$1
	shift
	: >"$WORK/inline"
	target_start "$program" || return
	if ! seep_start leaks --json "$@" -p "$TARGET_PID"; then
		target_stop
		return 1
	fi
	target_do inlined
	seep_stop
	target_stop
	jq -r '.sites[] | select(.alloc_objects == 83) | .stack[] |
		"\(.function | sub("\\(.*"; "") | sub("long int"; "long")) \(.file // "?" | split("/") | last):\(.line) \(
			.inlined)"' "$WORK/seep.out" >"$WORK/inline"
}

check_inline() { # NAME
	local expected
	expected="inline_store<long>::inline_add stacks_inline.cc:$(line_of inline_add) true
inline_fill<long> stacks_inline.cc:$(line_of inline_fill) true
inline_site stacks_inline.cc:$(line_of inline_site) false"
	if [ "$(head -n 3 "$WORK/inline")" = "$expected" ]; then
		passes "$1"
	else
		fails "$1" "$(head -n 6 "$WORK/inline")" "instead of" "$expected" "$(tail -n 2 "$WORK/seep.err")"
	fi
}

build_id_of() {
	readelf -n "$1" | awk '/Build ID:/ { print $3 }'
}

names() {
	local id program=$WORK/inlined
	cp "$E2E/stacks_inline" "$program"
	inline_report "$program"
	check_inline "functions inlined two levels deep, with their lines"
	id=$(build_id_of "$program")
	if [ -z "$id" ]; then
		skips "the same from a debug file" "n/a: the linker writes no build ids"
	else
		mkdir -p "$WORK/debug/.build-id/${id:0:2}"
		objcopy --only-keep-debug "$program" "$WORK/debug/.build-id/${id:0:2}/${id:2}.debug"
		strip -g "$program"
		inline_report "$program" --debug-dir "$WORK/debug"
		check_inline "the same from a debug file found by its build id"
	fi
	inline_report "$program"
	if [ "$(head -n 1 "$WORK/inline")" = "inline_site ?:null false" ]; then
		passes "without debug information: the function's name"
	else
		fails "without debug information: the function's name" "$(head -n 3 "$WORK/inline")"
	fi
	strip "$program"
	inline_report "$program"
	if grep -qE "^inlined\+0x[0-9a-f]+ \?:null false$" "$WORK/inline"; then
		passes "without any names: module and offset"
	else
		fails "without any names: module and offset" "$(head -n 3 "$WORK/inline")"
	fi
	if grep -qiE "debug (symbols|information|file)|debuginfo" "$WORK/seep.err"; then
		passes "without any names: how to get them is said"
	else
		fails "without any names: how to get them is said" "$(cat "$WORK/seep.err")"
	fi
}

# --- node -----------------------------------------------------------------------------------------

NODE_WORK='
function jsInner(n) { return Buffer.allocUnsafeSlow(100000 + n); }
function jsMiddle(n) { let sum = 0; for (let i = 0; i < 7; i++) sum += jsInner(i).length; return sum; }
function jsOuter() { for (let i = 0; i < 500; i++) jsMiddle(i); }
jsOuter();
console.log("ready");
setInterval(jsOuter, 20);
'

node_names() {
	local name="functions of JavaScript have their names" found
	if ! command -v node >/dev/null; then
		skips "$name" "node is not installed"
		return
	fi
	mkdir -p "$WORK/node"
	# Compiled without optimizing, so that each function has code of its own; the log goes where it is run.
	target_start env -C "$WORK/node" node --perf-basic-prof --no-opt --always-sparkplug -e "$NODE_WORK" || { fails "$name" "no target"; return; }
	seep_start leaks --json -d 2s -p "$TARGET_PID" || { fails "$name" "$(tail -n 3 "$WORK/seep.err")"; target_stop; return; }
	seep_wait
	found=$(site_lines "$WORK/seep.out" | grep -cE "jsInner.* [^ ]*jsMiddle.* [^ ]*jsOuter")
	rm -f "/tmp/perf-$TARGET_PID.map"
	target_stop
	if [ "$found" -gt 0 ]; then
		passes "$name"
	else
		fails "$name" "$(site_lines "$WORK/seep.out" | sort -rn | cut -c 1-300 | head -n 3)"
	fi
}

# --- files that mean harm ---------------------------------------------------------------------------

hostile() {
	local name="harmful files" start
	python3 "$TOP/tests/e2e/stacks_hostile.py" "$E2E/stacks_plugin" "$WORK/bad" >"$WORK/bad.list" || {
		fails "$name" "they cannot be made"
		return
	}
	STACKS_MAP=$(paste -sd: "$WORK/bad.list")
	export STACKS_MAP
	start=$EPOCHSECONDS
	session "$E2E/stacks_cases" || return
	do_stacks map_files "$name mapped as code: the others are unaffected" mapped_malloc \
		"71 complete mapped_malloc mapped_call map_files $MAIN"
	session_end
	check_warnings "$name mapped as code"
	unset STACKS_MAP
	call_bad "$name"
	if [ $((EPOCHSECONDS - start)) -le 60 ]; then
		passes "$name: it takes no long time"
	else
		fails "$name: it takes no long time" "$((EPOCHSECONDS - start)) s"
	fi
}

# One line for each file at most.
# Those whose call frame information is of no use. Of the others something can be had, or they look like no program.
DAMAGED="cie_cycle cie_is_fde cie_outside expressions_endless fdes_cover_all length_one lengths_huge lengths_of_64_bits
	sections_far_away"

check_warnings() {
	local warned
	warned=$(sed -nE 's|^seep: warning: .*/bad/([a-z_0-9]+)\.[a-z]+.*|\1|p' "$WORK/seep.err" | sort | xargs)
	if [ "$STATUS" = 0 ] && [ "$warned" = "$(xargs <<<"$DAMAGED")" ] &&
		[ "$(grep -c "^seep: warning" "$WORK/seep.err")" = "$(wc -w <<<"$DAMAGED")" ]; then
		passes "$1: a report, and one warning for each that is damaged"
	else
		fails "$1: a report, and one warning for each that is damaged" "status $STATUS, warned of: $warned" \
			"$(grep "^seep: warning" "$WORK/seep.err" | head -n 30)"
	fi
}

# Harmful libraries that run: the way out of them may be lost, and then that is said; so may be their names. 53
# allocations in each.
call_bad() {
	local nr
	STACKS_BAD=$(grep '\.loads$' "$WORK/bad.list" | paste -sd:)
	nr=$(grep -c '\.loads$' "$WORK/bad.list")
	export STACKS_BAD
	session "$E2E/stacks_cases" || return
	target_do plugin_bad
	snapshot
	expect_sound "$1 that run: right, or said to be partial" "$WORK/snapshot.json" plugin_callback $((nr * 53)) \
		"$(plugin_stack first plugin_bad | sed -E 's/plugin_(inner_first|outer_first|run)/(&|[a-z_]+\.loads\\+0x[0-9a-f]+)/g')"
	session_end
	check_warnings "$1 that run"
}

private_libraries libc.so.6 || exit 1
one_program
static_program
container
replaced
private_libraries libc.so.6 libstdc++.so.6 libgcc_s.so.1 libm.so.6 && names
rm -f "$WORK/lib/libstdc++.so.6" "$WORK/lib/libgcc_s.so.1" "$WORK/lib/libm.so.6"
node_names
hostile
plan
