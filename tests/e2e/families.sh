#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every family of allocators: the same leak (families.h) in programs that differ in language and C library, one table,
# exact bytes in every row. Then pools that are described on the command line, and descriptions that are wrong.
set -u
. "$TOP/tests/e2e/lib.sh"

E2E=$BUILD/tests/e2e
LEFT=$((160 - 59))

LEAK=(families_leak.alloc_objects=160 families_leak.free_objects=59
	"families_leak.live_objects=$LEFT" families_leak.live_bytes=$((LEFT * 223)))
ZEROED=(families_zeroed.live_objects=61 families_zeroed.live_bytes=$((61 * 7 * 41)))
RESIZED=(families_resized.alloc_objects=53 families_resized.live_bytes=$((53 * 307)))
ALIGNED=(families_aligned.live_objects=37 families_aligned.live_bytes=$((37 * 448)))
CLEAN=(.missed_frees=0 .lost_events=0 .lost_allocs=0 .stale_calls=0)

# watch COMMAND...: a target and a seep that watches it; options for it are in OPTIONS.
watch() {
	target_start "$@" && seep_watch "${OPTIONS[@]}" -p "$TARGET_PID"
}

OPTIONS=()
table=()

add_row() { # NAME
	table+=("$(printf '%-20s %6s %6s %6s %7s  %s' "$1" \
		"$(value_of families_leak.alloc_objects)" "$(value_of families_leak.free_objects)" \
		"$(value_of families_leak.live_objects)" "$(value_of families_leak.live_bytes)" \
		"$(jq -r '[.probes[].object | split("/") | last] | unique | join(", ")' "$WORK/snapshot.json")")")
}

# row NAME COMMAND... -- FACT=VALUE...: the leak in a program.
row() {
	local name=$1 command=()
	shift
	while [ "$1" != -- ]; do
		command+=("$1")
		shift
	done
	shift
	if ! { watch "${command[@]}" && target_do leak && snapshot; }; then
		fails "$name" "no result" "$(tail -n 3 "$WORK/seep.err")"
		session_end
		return
	fi
	expect "$name: exact bytes" "${LEAK[@]}" "$@" "${CLEAN[@]}"
	add_row "$name"
	session_end
}

# preloaded NAME LIBRARY
preloaded() {
	if ! private_libraries libc.so.6 "$2"; then
		skips "$1: exact bytes" "$2 is not installed"
		return
	fi
	row "$1" env LD_PRELOAD="$WORK/lib/$2" "$E2E/families" -- "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" \
		.frees_unknown=0
}

# built NAME PROGRAM COMPILER FACT=VALUE...
built() {
	local name=$1 program=$E2E/$2 compiler=$3
	shift 3
	if ! [ -x "$program" ]; then
		skips "$name: exact bytes" "$compiler was not there when it should have been built"
		return
	fi
	row "$name" "$program" -- "$@"
}

# Of its symbols only the dynamic ones are left, and those that name the sites.
stripped_jemalloc() {
	local name="jemalloc, stripped"
	if ! [ -x "$E2E/families_jemalloc" ]; then
		skips "$name: exact bytes" "libjemalloc.a was not there when it should have been linked"
		return
	fi
	strip -w -K 'families_*' -o "$WORK/families_stripped" "$E2E/families_jemalloc"
	row "$name" "$WORK/families_stripped" -- "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" .frees_unknown=0
}

families() {
	row glibc "$E2E/families" -- "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" .frees_unknown=0
	preloaded jemalloc libjemalloc.so.2
	preloaded tcmalloc libtcmalloc_minimal.so.4
	preloaded mimalloc libmimalloc.so.2
	built "jemalloc inside" families_jemalloc "gcc and libjemalloc.a" "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" \
		.frees_unknown=0
	stripped_jemalloc
	built "static glibc" families_static gcc "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" .frees_unknown=0
	built "edge-41 static musl" families_musl musl-gcc "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" .frees_unknown=0
	built "edge-41 musl" families_musl_shared musl-gcc "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}" .frees_unknown=0
	private_libraries libstdc++.so.6 libgcc_s.so.1
	built "C++ new" families_cxx g++ families_nothrow.live_bytes=$((61 * 7 * 41)) "${ALIGNED[@]}" \
		families_sized.alloc_objects=71 families_sized.free_objects=71 families_sized.live_objects=0
	built "Rust" families_rust rustc "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}"
	built "Rust, its own" families_rust_own rustc "${ZEROED[@]}" "${RESIZED[@]}" "${ALIGNED[@]}"
	built "Go with cgo" families_go go
	printf '# %-20s %6s %6s %6s %7s  %s\n' program allocs frees live bytes "probes in"
	printf '# %s\n' "${table[@]}"
}

jemalloc_api() {
	local name="jemalloc's own functions" xallocx="xallocx resizes where it is, or not"
	if ! private_libraries libc.so.6 libjemalloc.so.2; then
		skips "$name" "libjemalloc.so.2 is not installed"
		skips "$xallocx" "libjemalloc.so.2 is not installed"
		return
	fi
	PREPARE="find" watch env LD_PRELOAD="$WORK/lib/libjemalloc.so.2" "$E2E/families" ||
		fails "attach to jemalloc" "$(cat "$WORK/seep.err")"
	do_case jemalloc "$name" .allocs=$((43 + 19 + 17 + 2 * 23)) .frees=$((19 + 17 + 23)) .frees_unknown=0 \
		families_mallocx.live_objects=43 families_mallocx.live_bytes=$((43 * 211)) \
		families_rallocx.live_objects=23 families_rallocx.live_bytes=$((23 * 331)) "${CLEAN[@]}"
	# Those that could not grow are as they were.
	do_case xallocx "$xallocx" .allocs=$((42 + 29)) .frees=29 families_xallocx.live_objects=29 \
		families_xallocx.live_bytes=$((29 * 5101)) families_xallocx_fails.live_objects=0 \
		families_mallocx.live_bytes=$((43 * 211 + 13 * 5000)) "${CLEAN[@]}"
	session_end
}

prefixed() {
	watch "$E2E/families_pool" || fails "attach to a jemalloc with a prefix" "$(cat "$WORK/seep.err")"
	do_case prefixed "functions named je_malloc and so on" .allocs=$((160 + 61 + 2 * 53 + 37)) .frees=$((59 + 53)) \
		.frees_unknown=0 families_prefixed.live_objects=$LEFT families_prefixed.live_bytes=$((LEFT * 223)) \
		families_prefixed_zeroed.live_bytes=$((61 * 7 * 41)) families_prefixed_resized.live_bytes=$((53 * 307)) \
		families_prefixed_aligned.live_bytes=$((37 * 448)) "${CLEAN[@]}"
	session_end
}

POOL_FACTS=(.allocs=$((160 + 47 + 2 * 53 + 7 + 2 * 31 + 3)) .frees=$((59 + 53 + 31)) .frees_unknown=0
	families_pool.alloc_objects=160 "families_pool.live_objects=$LEFT" families_pool.live_bytes=$((LEFT * 223))
	families_out.live_objects=47 families_out.live_bytes=$((47 * 3 * 83))
	families_grown.alloc_objects=53 families_grown.live_bytes=$((53 * 307))
	families_stretched.alloc_objects=31 families_stretched.live_bytes=$((31 * 97)) "${CLEAN[@]}")

# pool NAME OPTION...: the pool that these options describe; what is above malloc() is counted once.
pool() {
	local name=$1
	shift
	OPTIONS=("$@")
	watch "$E2E/families_pool" || fails "$name" "$(cat "$WORK/seep.err")"
	OPTIONS=()
	do_case leak "$name" "${POOL_FACTS[@]}"
	do_case nested "edge-25 what is above malloc counts once: $name" .allocs=128 .frees=61 .frees_unknown=61 \
		families_nested.live_objects=67 families_nested.live_bytes=$((67 * 89)) "${CLEAN[@]}"
	session_end
}

described() {
	local pool="pool: alloc=pool_get(size=arg2) alloc=pool_take(out=arg1,count=arg2,size=arg3)"
	pool+=" realloc=pool_grow@families_pool(size=arg1,ptr=arg3) free=pool_put(ptr=arg2)"
	pool+=" resize=pool_stretch(ptr=arg1,size=arg2)"
	local nest="nest: alloc=nest_get(size=arg1) free=nest_put(ptr=arg1)"
	pool "edge-31 a pool from the command line" --allocator "$pool" --allocator "$nest"
	printf '# pools\n\n%s\n%s # above malloc\n' "$pool" "$nest" >"$WORK/pools"
	pool "a pool from a file" --allocator-file "$WORK/pools"
}

# offset_of PROGRAM FUNCTION: in its file, in hexadecimal.
offset_of() {
	local address segment
	address=$((16#$(nm "$1" | awk -v name="$2" '$3 == name { print $1 }')))
	segment=$(readelf -lW "$1" | awk '$1 == "LOAD" && / R E / { print $2, $3 }')
	printf '%#x' $((address - ${segment#* } + ${segment% *}))
}

stripped() {
	local name="edge-40 a static program without symbols, by offsets" malloc free
	malloc=$(offset_of "$E2E/families_static" malloc)
	free=$(offset_of "$E2E/families_static" free)
	strip -o "$WORK/bare" "$E2E/families_static"
	target_start "$WORK/bare"
	seep_run leaks -d 1s -p "$TARGET_PID"
	expect_refusal "edge-40 a static program without symbols: no allocator is found" 1 "no allocator found"
	seep_run leaks --list-allocators --allocator "c: alloc=bare+0x$(printf '%x' $((malloc + 1)))(size=arg1)" -p "$TARGET_PID"
	if [ "$STATUS" = 0 ] && grep -q "it does not begin there" "$WORK/seep.err" && grep -q "no allocator" "$WORK/seep.out"; then
		passes "an offset amid a function is left out"
	else
		fails "an offset amid a function is left out" "status $STATUS" "$(cat "$WORK/seep.err" "$WORK/seep.out")"
	fi
	seep_start leaks --json --allocator "c: alloc=bare+$malloc(size=arg1) free=$WORK/bare+$free(ptr=arg1)" \
		-p "$TARGET_PID" || fails "$name" "$(cat "$WORK/seep.err")"
	target_do leak
	seep_stop
	forget_facts
	read_facts "$WORK/seep.out"
	# no function has a name: all sites together, without what comes from calloc() and the like
	expect "$name" .allocs=$((160 + 53)) .frees=59 .live=$((LEFT + 53)) .live_bytes=$((LEFT * 223 + 53 * 31))
	target_stop
}

# --- python ---------------------------------------------------------------------------------------------

PYTHON_LEAK='
import sys
keep = [None] * 20011
def leak():
    for i in range(20011):
        keep[i] = bytes(59)
print("ready", flush=True)
for line in sys.stdin:
    leak()
    print("done", line, flush=True)
'
PYTHON="python: alloc=PyObject_Malloc(size=arg1) alloc=PyObject_Calloc(count=arg1,size=arg2)"
PYTHON+=" realloc=PyObject_Realloc(ptr=arg1,size=arg2) free=PyObject_Free(ptr=arg1)"

# python_leak OPTION...: the site that holds most blocks, as BLOCKS BYTES.
python_leak() {
	OPTIONS=("$@")
	watch /usr/bin/python3 -c "$PYTHON_LEAK" && target_do leak && snapshot
	OPTIONS=()
	read -r BLOCKS BYTES < <(jq -r '.sites | max_by(.live_objects) | "\(.live_objects) \(.live_bytes)"' "$WORK/snapshot.json")
	session_end
}

# A bytes object of 59 bytes takes 92 of Python's memory, and no call of malloc().
python() {
	local name="edge-31 PyObject_Malloc: 20,011 small objects leak"
	if ! nm -D /usr/bin/python3 2>/dev/null | grep -q ' T PyObject_Malloc$'; then
		skips "$name" "/usr/bin/python3 does not export PyObject_Malloc"
		skips "$name, unseen by malloc alone" "/usr/bin/python3 does not export PyObject_Malloc"
		return
	fi
	python_leak --allocator "$PYTHON"
	if [ "${BLOCKS:-0}" -ge 20011 ] && [ "$BLOCKS" -le 20031 ] && [ "$BYTES" -ge $((20011 * 92)) ] &&
		[ "$BYTES" -le $((20031 * 92)) ]; then
		passes "$name"
	else
		fails "$name" "the largest site has ${BLOCKS:-no} blocks, ${BYTES:-no} bytes" "$(tail -n 3 "$WORK/seep.err")"
	fi
	python_leak
	if [ "${BLOCKS:-20011}" -lt 200 ]; then
		passes "$name, unseen by malloc alone"
	else
		fails "$name, unseen by malloc alone" "the largest site has $BLOCKS blocks, $BYTES bytes"
	fi
}

# --- what is printed, and what is refused -------------------------------------------------------------

# listed NAME STATUS PATTERN...: the last run printed lines that match each, as extended regular expressions.
listed() {
	local name=$1 status=$2 pattern missing=()
	shift 2
	for pattern in "$@"; do
		grep -qE -- "$pattern" "$WORK/seep.out" || missing+=("no line matches: $pattern")
	done
	if [ "$STATUS" = "$status" ] && [ ${#missing[@]} = 0 ]; then
		passes "$name"
	else
		fails "$name" "status $STATUS" "${missing[@]}" "$(cat "$WORK/seep.out" "$WORK/seep.err")"
	fi
}

lists() {
	local cost='[1-9][0-9,]* ns  (emulated|stepped)$'
	target_start "$E2E/families_pool"
	seep_run leaks --list-allocators -p "$TARGET_PID" --allocator "pool: alloc=pool_get(size=arg2)"
	listed "--list-allocators" 0 "^process $TARGET_PID \(families_pool\)$" "^  jemalloc  $E2E/families_pool$" \
		"^    jemalloc +je_malloc\+[0-9]+ +0x[0-9a-f]+ [a-z]+ .*$cost" \
		"^    pool +pool_get\+[0-9]+ +0x[0-9a-f]+ .*$cost" "^  glibc  $WORK/lib/libc\.so\.6$" \
		"^    glibc +malloc\+[0-9]+ .*$cost"
	if grep -qs uprobe "/proc/$TARGET_PID/maps"; then
		fails "--list-allocators attaches to nothing" "$(grep uprobe "/proc/$TARGET_PID/maps")"
	else
		passes "--list-allocators attaches to nothing"
	fi
	seep_run doctor -p "$TARGET_PID" --allocator "pool: alloc=pool_get(size=arg2)"
	listed "doctor -p lists the same" 0 "^    pool +pool_get\+[0-9]+ .*$cost" "^    glibc +free\+[0-9]+ .*$cost"
	target_stop
	if private_libraries libjemalloc.so.2; then
		target_start env LD_PRELOAD="$WORK/lib/libjemalloc.so.2" "$E2E/families"
		seep_run leaks --list-allocators -p "$TARGET_PID"
		listed "--list-allocators says what is left out" 0 "^    jemalloc +_Znwm left out without --throwing-new$" \
			"^    jemalloc +_ZnwmRKSt9nothrow_t\+[0-9]+ " "^    jemalloc +xallocx\+[0-9]+ .*$cost"
		target_stop
	else
		skips "--list-allocators says what is left out" "libjemalloc.so.2 is not installed"
	fi
	seep_run leaks --list-allocators -- "$E2E/families_static"
	listed "--list-allocators of a command" 0 "^command $E2E/families_static$" "^    glibc +malloc\+[0-9]+ .*$cost"
}

wrong() {
	target_start "$E2E/families_pool"
	seep_run leaks -p "$TARGET_PID" --allocator "pool: alloc=pool_get(siez=arg2)"
	expect_refusal "a definition that is wrong: its column" 2 "column 22 of .*'siez' is no argument"
	printf 'a: free=f(ptr=arg1)\nb: alloc=g(size=arg9)\n' >"$WORK/pools"
	seep_run leaks -p "$TARGET_PID" --allocator-file "$WORK/pools"
	expect_refusal "a definition in a file that is wrong: its line and column" 2 "line 2, column 17: 'arg9' is not"
	seep_run leaks -p "$TARGET_PID" --allocator-file "$WORK/no-such-file"
	expect_refusal "a file of definitions that is not there" 2 "cannot read .*no-such-file"
	seep_run leaks -p "$TARGET_PID" -d 1s --allocator "pool: alloc=pool_git(size=arg2)"
	expect_refusal "a function that is nowhere" 1 "'pool_git' of 'pool' is in nothing that the targets map"
	seep_run leaks -p "$TARGET_PID" -d 1s --allocator "pool: alloc=pool_git@families_pool(size=arg2)"
	expect_refusal "a function that is not in its object" 1 "'pool_git@families_pool' of 'pool' is in nothing"
	seep_run leaks -p "$TARGET_PID" -d 100ms --json --allocator "pool: alloc=pool_get@libpool.so(size=arg2)"
	expect_warning "a function of an object that may come later" "pool_get@libpool.so.*so far"
	target_stop
	seep_run leaks --json --allocator "pool: alloc=pool_git(size=arg2)" -- "$E2E/families_pool" leak
	expect_warning "a function that a command may yet map" "'pool_git' of 'pool'.*so far"
	go_functions
}

expect_warning() { # NAME PATTERN: of the last run, which succeeded
	if [ "$STATUS" = 0 ] && grep -qE "warning: .*$2" "$WORK/seep.err"; then
		passes "$1"
	else
		fails "$1" "status $STATUS" "$(cat "$WORK/seep.err")"
	fi
}

# Nor may a return probe be set in one by mistake.
go_functions() {
	local name="edge-35 functions of Go are refused"
	if ! [ -x "$E2E/families_go" ]; then
		skips "$name" "go was not there when families_go should have been built"
		return
	fi
	target_start "$E2E/families_go"
	seep_start leaks --json --allocator "go: alloc=main.leak(size=arg1) alloc=families_leak(size=arg1)" -p "$TARGET_PID"
	target_do leak
	seep_stop
	if [ "$STATUS" = 0 ] && grep -q "cannot probe 'main.leak' .*function of Go" "$WORK/seep.err" &&
		[ "$(jq -r '[.probes[].function] | map(select(test("leak"))) | join(" ")' "$WORK/seep.out")" = families_leak ]; then
		passes "$name"
	else
		fails "$name" "status $STATUS" "$(cat "$WORK/seep.err")"
	fi
	target_stop
}

private_libraries libc.so.6 || exit 1
families
jemalloc_api
prefixed
described
stripped
python
lists
wrong
plan
