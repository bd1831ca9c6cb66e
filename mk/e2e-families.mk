# SPDX-License-Identifier: GPL-2.0-or-later
#
# End-to-end targets in other languages and on other C libraries. Those whose compiler is missing are not made, and
# their tests are skipped.

FAMILIES_DIR := $(BUILD)/tests/e2e
FAMILIES_HEADERS := tests/e2e/families.h tests/e2e/target.h
FAMILIES_FLAGS := -O2 -g -Wall -Wextra -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-builtin

TARGET_CFLAGS_families := -DWITH_DLSYM

FAMILIES_BIN := families_static families_cxx
ifneq ($(shell command -v musl-gcc),)
FAMILIES_BIN += families_musl families_musl_shared
endif
ifneq ($(shell command -v rustc),)
FAMILIES_BIN += families_rust families_rust_own
endif
ifneq ($(shell command -v go),)
FAMILIES_BIN += families_go
endif
# Without the archive gcc prints the bare name.
LIBJEMALLOC_A := $(filter /%,$(shell $(CC) -print-file-name=libjemalloc.a))
ifneq ($(LIBJEMALLOC_A),)
FAMILIES_BIN += families_jemalloc
endif
FAMILIES_BIN := $(addprefix $(FAMILIES_DIR)/,$(FAMILIES_BIN))
E2E_BIN += $(FAMILIES_BIN)
TEST_BIN += $(FAMILIES_BIN)

define families_build
	$(call say,$(1),$@)
	@mkdir -p $(@D)
	$(Q)$(2)
endef

$(FAMILIES_DIR)/families_static: tests/e2e/families.c $(FAMILIES_HEADERS)
	$(call families_build,CC,$(CC) -std=gnu11 -D_GNU_SOURCE $(FAMILIES_FLAGS) -static $< -o $@)

$(FAMILIES_DIR)/families_jemalloc: tests/e2e/families.c $(FAMILIES_HEADERS)
	$(call families_build,CC,$(CC) -std=gnu11 -D_GNU_SOURCE $(FAMILIES_FLAGS) $< -o $@ $(LIBJEMALLOC_A) \
		-lstdc++ -lm)

$(FAMILIES_DIR)/families_musl: tests/e2e/families.c $(FAMILIES_HEADERS)
	$(call families_build,MUSL,musl-gcc -std=gnu11 -D_GNU_SOURCE $(FAMILIES_FLAGS) -static $< -o $@)

$(FAMILIES_DIR)/families_musl_shared: tests/e2e/families.c $(FAMILIES_HEADERS)
	$(call families_build,MUSL,musl-gcc -std=gnu11 -D_GNU_SOURCE $(FAMILIES_FLAGS) $< -o $@)

$(FAMILIES_DIR)/families_cxx: tests/e2e/families_cxx.cc $(FAMILIES_HEADERS)
	$(call families_build,CXX,$(CXX) -std=gnu++17 $(FAMILIES_FLAGS) $< -o $@)

FAMILIES_RUST = env -u MAKEFLAGS -u MFLAGS rustc --edition 2021 -C opt-level=2 -C debuginfo=1

$(FAMILIES_DIR)/families_rust: tests/e2e/families_rust.rs
	$(call families_build,RUST,$(FAMILIES_RUST) $< -o $@)

$(FAMILIES_DIR)/libfamilies_own.rlib: tests/e2e/families_own.rs
	$(call families_build,RUST,$(FAMILIES_RUST) --crate-type rlib --crate-name families_own $< -o $@)

$(FAMILIES_DIR)/families_rust_own: tests/e2e/families_rust.rs $(FAMILIES_DIR)/libfamilies_own.rlib
	$(call families_build,RUST,$(FAMILIES_RUST) --cfg own -L $(FAMILIES_DIR) $< -o $@)

# Nothing is fetched, and nothing is left outside of $(BUILD).
$(FAMILIES_DIR)/families_go: tests/e2e/families.go tests/e2e/families.h
	$(call families_build,GO,CC=$(CC) CGO_ENABLED=1 GO111MODULE=off GOFLAGS= GOPROXY=off \
		CGO_CFLAGS="-O2 -g -fno-builtin -fno-optimize-sibling-calls" \
		GOCACHE=$(abspath $(BUILD))/go go build -o $@ $<)
