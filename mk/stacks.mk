# SPDX-License-Identifier: GPL-2.0-or-later
#
# End-to-end targets whose stacks are hard to walk: without frame pointers, and some without names.

STACKS_DIR := $(BUILD)/tests/e2e
STACKS_CFLAGS := -fomit-frame-pointer -fasynchronous-unwind-tables -fno-optimize-sibling-calls
STACKS_SHARED := $(STACKS_CFLAGS) -fPIC -shared

# Functions are bound when they are first called, whatever the compiler's own habit is.
TARGET_CFLAGS_stacks_cases := $(STACKS_CFLAGS)
TARGET_LIBS_stacks_cases := -Wl,-z,lazy $(STACKS_DIR)/stacks_lazy -Wl,-rpath,'$$ORIGIN'
TARGET_CFLAGS_stacks_lazy := $(STACKS_SHARED)
TARGET_LIBS_stacks_lazy := -Wl,-z,lazy -Wl,-soname,stacks_lazy
TARGET_CFLAGS_stacks_plugin := $(STACKS_SHARED) -fvisibility=hidden
TARGET_CFLAGS_stacks_static := $(STACKS_CFLAGS) -static

$(STACKS_DIR)/stacks_cases: $(STACKS_DIR)/stacks_lazy

STACKS_BIN := $(addprefix $(STACKS_DIR)/,stacks_plugin_second stacks_inline stacks_cxx)
E2E_BIN += $(STACKS_BIN)
TEST_BIN += $(STACKS_BIN)

$(STACKS_DIR)/stacks_plugin_second: tests/e2e/stacks_plugin.c tests/e2e/stacks.h tests/e2e/target.h \
		$(BUILD)/flags.target
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_CFLAGS) $(TARGET_CFLAGS_stacks_plugin) -DSECOND $< -o $@

$(STACKS_DIR)/stacks_inline $(STACKS_DIR)/stacks_cxx: $(STACKS_DIR)/%: tests/e2e/%.cc tests/e2e/target.h
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=gnu++17 -O2 -g -Wall -Wextra -pthread $(STACKS_CFLAGS) $< -o $@
