#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The layers of src/: arrows go down only.
#
#	main -> cli, session, cmd -> out, sys -> core -> base
#
# Only sys includes the libraries that reach the kernel and ELF files. core and base are pure: no system call, no clock,
# no printing; base/log.c and base/fd.c are there to be the exceptions. bpf/event.h is for all but base.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

layer_of() {
	case $1 in
	src/base/*) echo base ;;
	src/core/*) echo core ;;
	src/out/*) echo out ;;
	src/sys/*) echo sys ;;
	src/main.c) echo main ;;
	bpf/event.h | bpf/event_queue.h | bpf/lock.h | bpf/unwind.h | bpf/usdt_spec.h) echo event ;;
	bpf/*) echo bpf ;;
	src/*) echo top ;;
	esac
}

may_include() { # FROM TO
	case $1:$2 in
	base:base) ;;
	core:core | core:base | core:event) ;;
	out:out | out:core | out:base | out:event) ;;
	sys:sys | sys:core | sys:base | sys:event) ;;
	top:top | top:out | top:sys | top:core | top:base | top:event) ;;
	main:top | main:out | main:core | main:base) ;;
	*) return 1 ;;
	esac
}

# "FILE INCLUDED" for each #include of a file of src/, brackets and quotes kept.
includes_of() {
	sed -nE 's/^[[:blank:]]*#[[:blank:]]*include[[:blank:]]*([<"][^>"]*[>"]).*/\1/p' "$1"
}

declare -A header_path
while IFS= read -r file; do
	header_path[${file##*/}]=$file
done < <(c_files | grep -E '^(src|bpf)/.*\.h$')

check_arrows() {
	local file from included path
	for file in $(c_files | grep '^src/'); do
		from=$(layer_of "$file")
		while IFS= read -r included; do
			[[ $included == '"'* ]] || continue
			included=${included//\"/}
			if [ "${included##*/}" = seep.skel.h ]; then
				[ "$from" = sys ] || echo "$file includes the skeleton, which only sys may"
				continue
			fi
			path=${header_path[${included##*/}]:-}
			[ -n "$path" ] || echo "$file includes \"$included\", which is not in the tree"
			[ -z "$path" ] || may_include "$from" "$(layer_of "$path")" ||
				echo "$file ($from) includes $path ($(layer_of "$path"))"
		done < <(includes_of "$file")
	done
}

check_libraries() {
	local file included
	for file in $(c_files | grep '^src/' | grep -v '^src/sys/'); do
		while IFS= read -r included; do
			case $included in
			"<bpf/"* | "<libelf.h>" | "<gelf.h>" | "<elf.h>" | "<elfutils/"* | "<dwarf.h>" | "<capstone"* | \
				"<linux/bpf.h>" | "<linux/perf_event.h>")
				echo "$file includes $included, which only src/sys may"
				;;
			esac
		done < <(includes_of "$file")
	done
}

# What a program calls when it reaches out of its own memory.
outside_headers='^<(unistd|fcntl|time|signal|pthread|poll|dirent|termios|dlfcn|spawn|sched|syslog|sys/.*|linux/.*)\.?h?>$'
outside_calls='\b(f?printf|vf?printf|f?puts|f?putc|putchar|perror|fwrite|fopen|getenv|exit|_exit|system|time|clock_gettime|log_(at|error|warn|info|verbose|debug|progress))[[:blank:]]*\('

check_pure() {
	local file included
	for file in $(c_files | grep -E '^src/(core|base)/'); do
		case $file in src/base/log.* | src/base/fd.*) continue ;; esac
		while IFS= read -r included; do
			[ "$included" = "<sys/types.h>" ] && continue
			[[ ${included%.h>}">" =~ $outside_headers ]] && echo "$file includes $included"
		done < <(includes_of "$file")
		# Comments and strings may name what the code may not call.
		sed -E 's|"([^"\\]\|\\.)*"|""|g; s|//.*||; s|/\*.*\*/||; s|^[[:blank:]]*/?\*.*||' "$file" |
			grep -nE "$outside_calls" | grep -vE '__attribute__' | sed "s|^|$file: |"
	done
}

check_headers() {
	local file complaint
	for file in $(c_files | grep -E '^src/.*\.h$') bpf/event.h bpf/event_queue.h bpf/lock.h bpf/unwind.h bpf/usdt_spec.h; do
		complaint=$("${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -x c \
			-iquote bpf -iquote src -iquote src/base -iquote src/core -iquote src/out -iquote src/sys \
			"$file" 2>&1 | grep error: | head -n 3)
		[ -z "$complaint" ] || echo "$complaint"
	done
	# On the BPF side every file takes the kernel's types from vmlinux.h first.
	for file in $(c_files | grep -E '^bpf/.*\.h$'); do
		complaint=$("${CLANG:-clang}" -std=gnu11 -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_x86 \
			-Wno-unused-function -fsyntax-only -x c -Ibpf -include vmlinux.h "$file" 2>&1 | grep error: | head -n 3)
		[ -z "$complaint" ] || echo "$complaint"
	done
}

verdict "layers: arrows go down only" "$(check_arrows)"
verdict "layers: only src/sys includes libbpf, libelf, libdw, capstone" "$(check_libraries)"
verdict "layers: core and base reach for nothing outside" "$(check_pure)"
verdict "layers: each header compiles alone" "$(check_headers)"
plan
