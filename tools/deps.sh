#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs the packages that seep needs:  tools/deps.sh [--print] [--for build|demo|test|bench]
#
# Without --for: all of them. Does nothing, and asks nobody, when all are there. --print only names what is missing.
# A package written A|B|C has different names in different releases: the first one that exists is taken.
set -euo pipefail

declare -A packages=(
	[debian.build]="gcc libc6-dev make clang bpftool|linux-tools-generic libbpf-dev libelf-dev libdw-dev
		libcapstone-dev libjansson-dev libcap-ng-dev libiberty-dev zlib1g-dev liblzma-dev"
	[debian.test]="g++ libcmocka-dev clang-format shellcheck cppcheck mandoc jq python3 procps
		libclang-rt-dev|libclang-rt-14-dev|libclang-rt-18-dev|libclang-common-14-dev
		redis-server redis-tools nginx memcached postgresql
		libjemalloc2 libtcmalloc-minimal4|libtcmalloc-minimal4t64
		libmimalloc2.0|libmimalloc2.1|libmimalloc3
		musl-tools libjemalloc-dev rustc golang-go systemtap-sdt-dev
		perl git gdb nodejs binutils dwz xz-utils libdebuginfod1|libdebuginfod1t64"
	[debian.cross]="gcc-aarch64-linux-gnu qemu-user|qemu-user-static qemu-system-x86 cpio busybox-static|busybox"
	[debian.bench]="bpftrace heaptrack jq libjemalloc2 redis-server redis-tools sqlite3 perl python3 g++"
	[fedora.build]="gcc make clang bpftool libbpf-devel elfutils-libelf-devel elfutils-devel
		capstone-devel jansson-devel libcap-ng-devel binutils-devel zlib-devel xz-devel"
	[fedora.test]="gcc-c++ libcmocka-devel clang-tools-extra ShellCheck cppcheck mandoc jq python3 procps-ng
		compiler-rt libasan libubsan redis|valkey nginx memcached postgresql-server
		jemalloc gperftools-libs mimalloc
		glibc-static musl-gcc musl-libc-static rust golang systemtap-sdt-devel
		perl git gdb nodejs binutils dwz xz elfutils-debuginfod-client"
	[fedora.cross]=""
	[fedora.bench]="bpftrace heaptrack jq jemalloc redis|valkey sqlite perl python3 gcc-c++"
)
# What tests/cross wants; it has nothing to do elsewhere, where these packages may be missing.
[ "$(uname -m)" = x86_64 ] || packages[debian.cross]=""

usage() {
	echo "deps.sh: $1; usage: tools/deps.sh [--print] [--for build|demo|test|bench]" >&2
	exit 2
}

purpose=all
print_only=false
while [ $# != 0 ]; do
	case $1 in
	--print) print_only=true ;;
	--for)
		[ $# -ge 2 ] || usage "--for wants a purpose"
		purpose=$2
		shift
		;;
	*) usage "unknown argument '$1'" ;;
	esac
	shift
done

if command -v apt-get >/dev/null; then
	system=debian
elif command -v dnf >/dev/null; then
	system=fedora
else
	echo "deps.sh: neither apt-get nor dnf is here; install by hand what the README lists" >&2
	exit 1
fi

case $purpose in
build | demo) sets=(build) ;;
test) sets=(build test cross) ;;
bench) sets=(build bench) ;;
all) sets=(build test cross bench) ;;
*) usage "unknown purpose '$purpose'" ;;
esac
wanted=""
for set in "${sets[@]}"; do
	wanted+=" ${packages[$system.$set]}"
done

is_installed() {
	case $system in
	debian) [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
	fedora) rpm -q --quiet --whatprovides "$1" ;;
	esac
}

is_available() {
	case $system in
	debian) [[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[!\(]* ]] ;;
	fedora) [ -n "$(dnf -q repoquery --whatprovides "$1" 2>/dev/null)" ] ;;
	esac
}

# The name under which an entry is to be installed; nothing when it is there already.
missing_name() {
	local -a names
	local name
	IFS='|' read -ra names <<<"$1"
	for name in "${names[@]}"; do
		is_installed "$name" && return
	done
	for name in "${names[@]}"; do
		[ ${#names[@]} = 1 ] && break
		is_available "$name" && break
		name=${names[0]}
	done
	echo "$name"
}

find_missing() {
	local entry
	missing=()
	for entry in $wanted; do
		mapfile -t -O ${#missing[@]} missing < <(missing_name "$entry")
	done
}

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)

apt_install() {
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# The package lists are fetched when they do not know a name, or no longer lead to the files.
apt_install_fresh() {
	local name known=true
	for name in "${missing[@]}"; do
		is_available "$name" || known=false
	done
	$known && apt_install && return
	"${sudo[@]}" apt-get update -q
	find_missing
	apt_install
}

install_missing() {
	echo "deps.sh: installing: ${missing[*]}"
	case $system in
	debian) apt_install_fresh ;;
	fedora) "${sudo[@]}" dnf install -y -q --setopt=install_weak_deps=False "${missing[@]}" ;;
	esac
}

find_missing
if $print_only; then
	[ ${#missing[@]} = 0 ] || printf '%s\n' "${missing[@]}"
elif [ ${#missing[@]} != 0 ]; then
	install_missing >&2
fi
