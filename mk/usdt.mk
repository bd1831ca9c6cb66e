# SPDX-License-Identifier: GPL-2.0-or-later
#
# The end-to-end target that brings heap probes along, in the program and in a library that it loads.

TARGET_CFLAGS_usdt_library := -fPIC -shared
