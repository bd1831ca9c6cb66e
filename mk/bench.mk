# SPDX-License-Identifier: GPL-2.0-or-later
#
# The benchmark's helpers that are made of seep's own parts: its probes without its programs, and its capture files.

TARGET_CFLAGS_floor := -DSEEP_VERSION='"$(VERSION)"' $(INCLUDES)
TARGET_CFLAGS_launch := $(TARGET_CFLAGS_floor)
TARGET_LIBS_floor := $(LIB_OBJ) $(LIBS)
TARGET_LIBS_launch := $(LIB_OBJ) $(LIBS)

$(BUILD)/tests/bench/floor $(BUILD)/tests/bench/launch: $(LIB_OBJ)
