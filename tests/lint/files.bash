# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the lint scripts share. Sourced from the top of the tree.

# Every file of the project, one a line: what git tracks and what it would; in an unpacked archive, what is there.
project_files() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
			[ -f "$file" ] && echo "$file"
		done
	else
		find . -type f -not -path './build/*' -printf '%P\n'
	fi | sort
}

c_files() {
	project_files | grep -E '^(bpf|src|tests|tools)/.*\.[ch]$'
}

shell_scripts() {
	local file
	project_files | while IFS= read -r file; do
		case $file in
		*.sh | *.bash) echo "$file" ;;
		*.*[a-z]) ;;
		*) head -n 1 "$file" | grep -aqE '^#!.*\b(ba)?sh\b' && echo "$file" ;;
		esac
	done
}

cases=0

# verdict NAME COMPLAINTS: one TAP line; each complaint is a line of its own below a failed one.
verdict() {
	cases=$((cases + 1))
	if [ -z "$2" ]; then
		echo "ok $cases - $1"
		return
	fi
	echo "not ok $cases - $1"
	printf '# %s\n' "${2//$'\n'/$'\n'# }"
}

# Without the tool there is nothing to say, which CI takes for a failure.
need_tool() {
	command -v "$1" >/dev/null && return
	cases=$((cases + 1))
	echo "ok $cases - $2 # SKIP $1 is not installed"
	return 1
}

plan() {
	echo "1..$cases"
}
