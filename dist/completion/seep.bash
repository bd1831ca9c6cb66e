# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion of seep's command line for bash. Commands and options come from the installed seep itself:
# `seep help --options` prints a line "COMMAND --option [VALUE]" for each of them; a seep without it has --help.

_seep_options() { # COMMAND
	local options
	if options=$(seep help --options 2>/dev/null) && [ -n "$options" ]; then
		awk -v command="$1" '$1 == command { print $2 }' <<<"$options"
	else
		seep "$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*'
	fi | sort -u
}

_seep() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="leaks faults record report doctor help"
	local words=""

	if [ "$COMP_CWORD" = 1 ]; then
		words="$commands --help --version"
	else
		case $previous in
		-p | --pid) words=$(cd /proc && echo [0-9]*) ;;
		-n | --comm) words=$(cat /proc/[0-9]*/comm 2>/dev/null) ;;
		--cgroup)
			mapfile -t COMPREPLY < <(compgen -d -- "${current:-/sys/fs/cgroup/}")
			return
			;;
		-f | --format) words="text json folded" ;;
		--max-overhead | --max-cpu) words="off 1% 5% 10%" ;;
		--sample) words="auto 1 64K 512K 4M" ;;
		--link) words="perf multi session" ;;
		--by) words="process comm cgroup" ;;
		-o | --output | --capture | --allocator-file)
			mapfile -t COMPREPLY < <(compgen -f -- "$current")
			return
			;;
		help) words=$commands ;;
		*) words=$(_seep_options "${COMP_WORDS[1]}") ;;
		esac
	fi
	if [ "${COMP_WORDS[1]}" = report ] && [[ $current != -* ]] && [[ $previous != -f && $previous != --format && $previous != --by ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _seep seep
