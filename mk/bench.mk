# SPDX-License-Identifier: GPL-2.0-or-later
#
# The benchmark's helpers that are made of seep's own parts: its probes without its programs, and its capture files.

TARGET_CFLAGS_floor := -DSEEP_VERSION='"$(VERSION)"' $(INCLUDES)
TARGET_CFLAGS_stacks := $(TARGET_CFLAGS_floor)
TARGET_LIBS_stacks := $(LIB_OBJ) $(LIBS)
TARGET_CFLAGS_tables := $(TARGET_CFLAGS_floor)
TARGET_LIBS_tables := $(LIB_OBJ) $(LIBS)
TARGET_CFLAGS_paths := -fomit-frame-pointer -fasynchronous-unwind-tables
TARGET_CFLAGS_launch := $(TARGET_CFLAGS_floor)
TARGET_LIBS_floor := $(LIB_OBJ) $(LIBS)
TARGET_LIBS_launch := $(LIB_OBJ) $(LIBS)

$(BUILD)/tests/bench/floor $(BUILD)/tests/bench/launch $(BUILD)/tests/bench/stacks $(BUILD)/tests/bench/tables: $(LIB_OBJ)

TARGET_CFLAGS_leaky_module := -shared -fPIC
