# SPDX-License-Identifier: GPL-2.0-or-later
#
# The benchmark of symbols, which is made of seep's own parts.

TARGET_CFLAGS_symbols := -DSEEP_VERSION='"$(VERSION)"' $(INCLUDES)
TARGET_LIBS_symbols := $(LIB_OBJ) $(LIBS)

$(BUILD)/tests/bench/symbols: $(LIB_OBJ)
