# SPDX-License-Identifier: GPL-2.0-or-later
#
# Symbols: xz for .gnu_debugdata, and the benchmark that is made of seep's own parts.

LIBS += -llzma

TARGET_CFLAGS_symbols := -DSEEP_VERSION='"$(VERSION)"' $(INCLUDES)
TARGET_LIBS_symbols = $(LIB_OBJ) $(LIBS)

$(BUILD)/tests/bench/symbols: $(LIB_OBJ)

# What was set from LIBS before it had all of them.
TARGET_LIBS_floor += -llzma
TARGET_LIBS_launch += -llzma
