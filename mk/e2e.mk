# SPDX-License-Identifier: GPL-2.0-or-later
#
# End-to-end targets that are not one C program with the default flags.

# A shared object to preload. It is the allocator: its calls must not be taken for the builtins.
TARGET_CFLAGS_interpose := -fPIC -shared -fvisibility=default
# __libc_malloc() and friends are the C library's own names.
TARGET_LIBS_interpose := -Wl,-soname,interpose.so

CXX ?= g++
E2E_THROWS := $(BUILD)/tests/e2e/throws
E2E_BIN += $(E2E_THROWS)
TEST_BIN += $(E2E_THROWS)

$(E2E_THROWS): tests/e2e/throws.cc tests/e2e/target.h
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++17 -O2 -g -Wall -Wextra -fno-omit-frame-pointer \
		-fno-optimize-sibling-calls $< -o $@
