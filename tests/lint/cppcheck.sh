#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# cppcheck finds nothing in src/ and tools/. What it may say stands in cppcheck.allow with its reason.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/files.bash

if need_tool cppcheck "cppcheck"; then
	complaints=$(cppcheck --quiet -j 2 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=<(grep -vE '^(#|$)' tests/lint/cppcheck.allow) \
		-D_GNU_SOURCE '-DSEEP_VERSION="0"' '-DLIBBPF_OPTS(TYPE,NAME,...)=struct TYPE NAME = {0}' \
		--template='{file}:{line}: {id}: {message}' \
		-Ibpf -Isrc -Isrc/base -Isrc/core -Isrc/out -Isrc/sys src tools 2>&1)
	verdict "cppcheck: warning, performance, portability" "$complaints"
fi
plan
