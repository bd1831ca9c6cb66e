#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# seep on an older kernel: Debian 12's own, 6.1, in an emulated machine. Its verifier refuses things that newer ones take,
# and it has neither links of many probes nor sessions.
#
# KERNEL=FILE boots that image in its place, one of a newer Debian's: those place their memory at random, and on the
# emulated processor they have page tables of five levels.
set -u
name=kernel
. "$TOP/tests/cross/lib.sh"

system=$(. /etc/os-release && echo "$ID $VERSION_CODENAME")
[ "$(uname -m)" = x86_64 ] || skip_all "n/a: this machine is no x86-64"
[ "$system" = "debian bookworm" ] || skip_all "n/a: the kernel is taken from Debian 12, and this is $system"
for program in qemu-system-x86_64 cpio busybox; do
	command -v "$program" >/dev/null || skip_all "$program is not installed"
done
busybox=$(command -v busybox)

# --- the machine ------------------------------------------------------------------------------------------------------

# Kept from one run to the next.
image=${KERNEL:-$BUILD/kernel-6.1}
kernel=$(basename "${KERNEL:-6.1}")
fetch_kernel() {
	local package
	package=$(apt-cache depends linux-image-cloud-amd64 | sed -nE 's/^ *Depends: (linux-image-[^ ]*)$/\1/p' | head -n 1)
	[ -n "$package" ] || { echo "no kernel in the lists of packages" && return 1; }
	mkdir -p "$WORK/package"
	(cd "$WORK/package" && apt-get download -qq -o APT::Sandbox::User="" "$package") >&2 || return 1
	dpkg-deb --extract "$WORK"/package/*.deb "$WORK/package/root" || return 1
	mv "$WORK"/package/root/boot/vmlinuz-* "$image"
}
for _ in 1 2 3; do # packages come over a network
	[ -s "$image" ] || problem=$(fetch_kernel 2>&1) || continue
	break
done
[ -s "$image" ] || skip_all "Debian's kernel cannot be had: $(head -n 1 <<<"$problem")"

root=$WORK/root
mkdir -p "$root"/{bin,proc,sys,dev,tmp}
add_program() { # FILE, with the libraries that it needs
	local library
	cp "$1" "$root/bin/"
	while read -r library; do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done < <(ldd "$1" 2>/dev/null | grep -oE '/[^ ]+')
}
cp "$busybox" "$root/bin/busybox"
add_program "$SEEP"
add_program "$BUILD/tests/e2e/families"
add_program "$BUILD/tests/e2e/cases"
cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs tmpfs /tmp
exec >/dev/ttyS1 2>&1
stty raw
uname -r
. /commands
echo "== END"
poweroff -f
END
chmod +x "$root/init"
yes leak | head -n 50 >"$root/work"
printf 'edge_28_unmap\nedge_28_mremap\n' >"$root/mappings"

# run NAME COMMAND: what it writes to /tmp/out is the result called NAME.
run() {
	# shellcheck disable=SC2016 # that shell expands it
	printf 'rm -f /tmp/out; %s >/tmp/said 2>&1; code=$?\necho "== %s $code"; cat /tmp/out; echo; echo "== said"; cat /tmp/said\n' \
		"$2" "$1" >>"$root/commands"
}
leaks="seep leaks --json -o /tmp/out"
unlimited="--max-overhead off --force"
run exact "$leaks $unlimited -- /bin/families </work"
run checked "$leaks $unlimited --check-stacks -- /bin/families </work"
run sampled "$leaks $unlimited --sample 1K -- /bin/families </work"
# One that is there before has the probes set in its libc.
run everybody "sleep 100 | families & (until grep -q attached /tmp/said; do sleep 1; done; families </work; families </work) >/dev/null & $leaks $unlimited -a -d 10"
# It waits for more, so that what it has mapped is there at the end.
run mappings "mkfifo /tmp/more; exec 9<>/tmp/more; cat /mappings >&9; $leaks $unlimited -d 10 -- /bin/cases </tmp/more"
run governed "$leaks --max-overhead 5% -- /bin/families </work"
run faults "seep faults --json -o /tmp/out -- /bin/families </work"

(cd "$root" && find . | cpio --quiet --create --format=newc) | gzip -1 >"$WORK/initrd"
# QEMU 7.2 loses the flags at a cmpxchg16b, of which newer kernels die.
timeout 400 qemu-system-x86_64 -accel tcg -cpu max,cx16=off -smp 2 -m 2048 -nographic -no-reboot -kernel "$image" \
	-initrd "$WORK/initrd" -append "console=ttyS0 quiet panic=-1" -serial "file:$WORK/console" -serial "file:$WORK/results" \
	-monitor none </dev/null >"$WORK/qemu" 2>&1

# --- what it did ------------------------------------------------------------------------------------------------------

# result NAME: its file; holds NAME PROBLEM unless the filter is true of that. A run that seep ended badly says why.
result() {
	awk -v name="$1" '/^== / { mine = $2 == name; next } mine' "$WORK/results"
}
said() {
	awk -v name="$1" '/^== / && $2 != "said" { mine = $2 == name; next } /^== said/ { said = mine; next } said && mine' "$WORK/results"
}
holds() { # NAME RESULT FILTER
	if result "$2" | jq_true "$3"; then
		verdict "kernel $kernel: $1" ""
	else
		verdict "kernel $kernel: $1" "not so: $3
$(said "$2" | tail -n 5; result "$2" | jq -c '{balance, losses, complete}' 2>&1)"
	fi
}

verdict "kernel $kernel: it ran to its end" \
	"$(grep -q '^== END' "$WORK/results" 2>/dev/null || tail -n 5 "$WORK/qemu" "$WORK/console" "$WORK/results" 2>&1)"
balance=".complete and .balance.allocs == .balance.frees + .balance.released and .balance.lost_events == 0"
leaked='[.sites[] | select(.stack[0].function == "families_leak") | .alloc_objects] | add // 0'
holds "a command: every block" exact "$balance and ($leaked) == 8000 and .balance.stacks_unknown == 0"
holds "a command: its stacks, walked twice" checked "$balance and ($leaked) == 8000 and .losses.memo_wrong == null"
holds "a command, sampled: every call counted" sampled ".complete and .balance.exact_calls == 18200"
holds "all processes: every block of both" everybody "$balance and .balance.allocs == 2 * 18200"
# mapped FUNCTION PAGES: as in tests/e2e/edge.sh
mapped() {
	echo "([.mappings[] | select(any(.stack[]; .function == \"$1\")) | .live_bytes] | add) == $2 * 4096"
}
holds "mappings, of which parts go" mappings ".complete and $(mapped edge_28_holes 65) and $(mapped edge_28_several 14)"
holds "mappings that move" mappings "$(mapped edge_28_resized 122)"
holds "under a limit" governed "$balance and (.governor.steps | length) > 0"
holds "page faults" faults ".complete and .balance.faults > 0 and .balance.lost_events == 0"

finish
