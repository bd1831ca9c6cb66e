#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# All of seep for arm64: it is built, and what needs no arm64 kernel is run by an emulator: the unit tests, and the
# reports of stored captures. BPF programs are compiled and not loaded.
set -u
name=arm64
. "$TOP/tests/cross/lib.sh"

system=$(. /etc/os-release && echo "$ID")
[ "$(uname -m)" = x86_64 ] || skip_all "n/a: this machine is no x86-64"
[ "$system" = debian ] || skip_all "n/a: libraries for arm64 are taken from Debian, and this is ${system:-another system}"
command -v aarch64-linux-gnu-gcc >/dev/null || skip_all "gcc-aarch64-linux-gnu is not installed"
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || skip_all "qemu-user is not installed"

# build TARGET...: nothing, or the end of what make said. The jobs of a make that started us are not ours to take.
build() {
	local said
	said=$(env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$TOP" BUILD="$BUILD" "$@" 2>&1) || tail -n 20 <<<"$said"
}

arm64=$BUILD/arm64
sysroot=$BUILD/sysroot-arm64
for _ in 1 2 3; do # packages come over a network
	problem=$(build "$sysroot/stamp")
	[ -z "$problem" ] && break
done
[ -z "$problem" ] || skip_all "Debian's packages for arm64 cannot be had: $(grep -vE '^(make|  )' <<<"$problem" | head -n 1)"

# --- what is built ----------------------------------------------------------------------------------------------------

problem=$(build cross-arm64)
verdict "arm64: seep is built" "$problem"
[ -z "$problem" ] || finish

machine=$(aarch64-linux-gnu-readelf --file-header "$arm64/seep" | sed -nE 's/^ *Machine: *//p')
verdict "arm64: it is for arm64" "$([ "$machine" = AArch64 ] || echo "it is for $machine")"

# bpf/vmlinux.h declares this type for arm64 only. It is found in the debug information of what uses it.
verdict "arm64: its BPF programs are for arm64 as well" \
	"$(grep -aqw user_pt_regs "$arm64/bpf/seep.bpf.linked" || echo "they do not know the registers of arm64")"

# --- what is run ------------------------------------------------------------------------------------------------------

# The loader resolves every symbol at the start: one that is undefined ends the program.
export LD_BIND_NOW=1
emulated=$WORK/seep
printf '#!/bin/sh\nexec %q -L %q %q "$@"\n' "$emulator" "$sysroot" "$arm64/seep" >"$emulated"
chmod +x "$emulated"

version=$("$emulated" --version 2>&1)
verdict "arm64: --version says what it does here" "$([ "$version" = "$("$SEEP" --version)" ] || echo "$version")"

# run_tests NAME COMMAND...: one case for all of a program's.
run_tests() {
	local name=$1 log=$WORK/log status problem=""
	shift
	timeout 100 "$@" >"$log" 2>&1 </dev/null
	status=$?
	if [ "$status" != 0 ] || ! grep -q '^ok ' "$log" || grep '^not ok ' "$log" | grep -vq '# SKIP'; then
		problem=$(grep -B 1 -A 5 '^not ok ' "$log" | head -n 20)
		problem="exit status $status"$'\n'${problem:-$(tail -n 10 "$log")}
	fi
	verdict "arm64: $name" "$problem"
}

mkdir -p "$WORK/golden"
for script in "$TOP"/tests/golden/*.sh; do
	name=${script##*/}
	run_tests "golden/${name%.sh}" env SEEP="$emulated" WORK="$WORK/golden" "$script"
done

problem=$(build cross-arm64-unit)
verdict "arm64: the unit tests are built" "$problem"
[ -z "$problem" ] || finish

for source in "$TOP"/tests/unit/test_*.c; do
	name=${source##*/}
	name=${name%.c}
	case $name in
	# What /proc says of a process there is about the emulator, and some system calls are not passed on.
	test_proc | test_symbolize | test_symbolize_debug | test_unwinder | test_unwinder_origins | test_coverage | \
		test_perfmap | test_rootdir) continue ;;
	# They take minutes: thousands of allocations fail in turn, or as many programs are simulated. What they test
	# has no words or bytes of its own, and golden files have JSON, too.
	test_json | test_windowed) continue ;;
	esac
	run_tests "unit/$name" "$emulator" -L "$sysroot" "$arm64/tests/unit/$name"
done
finish
