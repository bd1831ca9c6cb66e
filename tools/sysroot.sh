#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What seep is built and tested against, for another machine:  tools/sysroot.sh ARCH DIR
#
# Debian's packages of ARCH (arm64), with all that they depend on, are downloaded and unpacked into DIR, which is
# replaced as a whole. apt works on files of its own and installs nothing: the packages of this machine, and what it
# knows of others, stay as they are. 9 MB of lists and 15 MB of packages are fetched; 80 MB stay on disk. Needs no root.
set -euo pipefail

packages=(
	libc6-dev libbpf-dev libelf-dev libdw-dev libcapstone-dev libjansson-dev libcap-ng-dev libiberty-dev zlib1g-dev
	liblzma-dev libcmocka-dev
	libubsan1 libstdc++6 # which libubsan wants
)

die() {
	echo "sysroot.sh: $1" >&2
	exit 1
}

[ $# = 2 ] || die "usage: tools/sysroot.sh ARCH DIR"
arch=$1
dir=$2
release=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || die "this is not Debian"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || die "no $keys: package debian-archive-keyring is missing"

# Where this machine has its own packages from, if it knows.
# shellcheck disable=SC2016 # the variable is apt's
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p)
mirror=${mirror:-http://deb.debian.org/debian}

rm -rf "$dir.new"
mkdir -p "$dir.new"
work=$(mktemp -d)
trap 'rm -rf "$work" "$dir.new"' EXIT

mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
: >"$work/status"
echo "deb [signed-by=$keys] $mirror $release main" >"$work/sources.list"
{
	apt-config dump | grep -E '^Acquire::(https?|Retries)' || : # the way through a proxy
	cat <<-END
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "";
		Acquire::Languages "none";
		Dir::State "$work";
		Dir::State::status "$work/status";
		Dir::Cache "$work/cache";
		Dir::Etc::main "/dev/null";
		Dir::Etc::parts "/dev/null";
		Dir::Etc::sourcelist "$work/sources.list";
		Dir::Etc::sourceparts "/dev/null";
	END
} >"$work/apt.conf"
export APT_CONFIG=$work/apt.conf

apt-get update -qq -o APT::Update::Error-Mode=any >&2
apt-get install -qq --download-only --no-install-recommends "${packages[@]}" >&2
for package in "$work"/cache/archives/*.deb; do
	dpkg-deb --extract "$package" "$dir.new"
done

# A link to /lib/... must not lead out of the tree.
find "$dir.new" -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do
	ln -sfnr "$dir.new$target" "$link"
done
rm -rf "$dir"
mv "$dir.new" "$dir"
