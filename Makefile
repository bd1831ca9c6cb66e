# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build/seep
# make help       everything else

VERSION := 0.1.0

# --- what may be set from outside -----------------------------------------------------------------
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
# make itself defines CC, so that ?= would leave it at cc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
CFLAGS ?= -O2 -g
V ?= 0
# How long each fuzz target runs.
SECONDS ?= 5
# In CI a skipped test is a failure and so is a warning.
ifeq ($(CI),true)
DEVELOPER ?= 1
endif

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $(2))

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# Whole builds that the targets below start use every CPU unless -j was given.
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
MAKEFLAGS += --no-print-directory

# --- flags ----------------------------------------------------------------------------------------
ARCH := $(shell uname -m)
BPF_ARCH := $(if $(filter aarch64,$(ARCH)),arm64,x86)

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla \
	-Wwrite-strings -Wpointer-arith -Wshadow -Wformat=2 -Wno-format-nonliteral \
	-Wno-missing-field-initializers
# gcc's spellings, unknown to clang. gcc guesses at uninitialised variables wrongly once code is sanitized.
ifeq ($(findstring clang,$(CC)),)
GCC_WARN := -Wcast-align=strict
SAN_WARN := -Wno-maybe-uninitialized
else
# Tests put a record and its tail into one struct.
SAN_WARN := -Wno-gnu-variable-sized-type-not-at-end
endif
ifeq ($(DEVELOPER),1)
WARN += -Werror -Wundef $(GCC_WARN)
endif
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ifeq ($(SANITIZE),1)
SAN := $(SAN_FLAGS)
endif
# -iquote and not -I: src/sys/elf.h must never stand in for <elf.h>
INCLUDES := $(addprefix -iquote ,bpf src src/base src/core src/out src/sys $(BUILD)/bpf)
BASE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DSEEP_VERSION='"$(VERSION)"' -fno-common -pthread \
	$(WARN) $(INCLUDES)
ALL_CFLAGS := $(BASE_CFLAGS) $(SAN) $(CFLAGS)
# What unit tests are made of.
SAN_CFLAGS := $(BASE_CFLAGS) $(SAN_FLAGS) -O1 -g $(SAN_WARN)
FUZZ_CFLAGS := $(filter-out $(GCC_WARN),$(BASE_CFLAGS)) -O1 -g \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
# libiberty is only shipped as a static library on Debian
LIBS := -lbpf -ldw -lelf -lcapstone -ljansson -lcap-ng -lz -llzma -liberty -lm -pthread
WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free

BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_$(BPF_ARCH) \
	-Wall -Wextra -Werror -Wno-unused-parameter -Ibpf
# Programs that play the target: their stacks must be walkable and their calls must stay calls.
TARGET_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -fno-omit-frame-pointer \
	-fno-optimize-sibling-calls -fno-builtin -pthread
LEAKY_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -pthread $(WARN)

# --- sources --------------------------------------------------------------------------------------
BASE_SRC := $(wildcard src/base/*.c)
CORE_SRC := $(wildcard src/core/*.c)
OUT_SRC := $(wildcard src/out/*.c)
SYS_SRC := $(wildcard src/sys/*.c)
TOP_SRC := $(wildcard src/cmd/*.c) $(filter-out src/main.c,$(wildcard src/*.c))
LIB_SRC := $(BASE_SRC) $(CORE_SRC) $(OUT_SRC) $(SYS_SRC) $(TOP_SRC)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
SAN_OBJ := $(LIB_SRC:%.c=$(BUILD)/san/%.o)
FUZZ_OBJ := $(LIB_SRC:%.c=$(BUILD)/fuzz/%.o)
MAIN_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard src/main.c))
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.c=$(BUILD)/bpf/%.o)

UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
SYS_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/sys/test_*.c))
BPF_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bpf/test_*.c))
FUZZ_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
# tests/e2e/NAME.c and tests/bench/NAME.c are targets: the shell scripts beside them start them.
E2E_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/e2e/*.c))
BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
TEST_BIN := $(UNIT_BIN) $(SYS_BIN) $(BPF_BIN) $(FUZZ_BIN) $(E2E_BIN)
# What the tests of a level share.
UNIT_SHARED := $(patsubst %.c,$(BUILD)/san/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
BPF_SHARED := $(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps test test-unit test-bpf test-golden test-cross test-sys test-e2e fuzz demo bench \
	lint format install uninstall clean help tests-unit tests-bpf tests-all FORCE

all: $(BUILD)/seep ## build $(BUILD)/seep (the default)

-include mk/*.mk

# --- flags that changed rebuild what they were used for -------------------------------------------
# $(1): file, $(2): its text. The file keeps its time as long as the text stays.
define flags_file
$(BUILD)/flags.$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$$($(2)))' >$$@.new
	@if cmp -s $$@.new $$@; then rm -f $$@.new; else mv $$@.new $$@; fi
endef
FLAGS_CC = $(CC) $(ALL_CFLAGS) $(LIBS)
FLAGS_SAN = $(CC) $(SAN_CFLAGS) $(LIBS)
FLAGS_FUZZ = $(CLANG) $(FUZZ_CFLAGS) $(LIBS)
FLAGS_BPF = $(CLANG) $(BPF_CFLAGS) $(BPFTOOL)
FLAGS_TARGET = $(CC) $(TARGET_CFLAGS) $(LEAKY_CFLAGS)
$(eval $(call flags_file,cc,FLAGS_CC))
$(eval $(call flags_file,san,FLAGS_SAN))
$(eval $(call flags_file,fuzz,FLAGS_FUZZ))
$(eval $(call flags_file,bpf,FLAGS_BPF))
$(eval $(call flags_file,target,FLAGS_TARGET))

# --- BPF ------------------------------------------------------------------------------------------
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(BUILD)/flags.bpf
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/bpf/seep.bpf.linked: $(BPF_OBJ)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $(BPF_OBJ)

$(BUILD)/bpf/seep.skel.h: $(BUILD)/bpf/seep.bpf.linked
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name seep_bpf > $@

# --- C --------------------------------------------------------------------------------------------
# The first build needs the skeleton before any .d file tells who includes it.
SKEL_USERS := $(filter src/sys/%,$(SYS_SRC:.c=.o))
$(foreach d,$(BUILD) $(BUILD)/san $(BUILD)/fuzz,$(addprefix $(d)/,$(SKEL_USERS))): \
	| $(BUILD)/bpf/seep.skel.h

$(BUILD)/%.o: %.c $(BUILD)/flags.cc
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/seep: $(MAIN_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/tools/%: tools/%.c $(BUILD)/flags.target
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LEAKY_CFLAGS) -MMD -MP -MF $@.d $< -o $@

# --- tests ----------------------------------------------------------------------------------------
$(BUILD)/san/%.o: %.c $(BUILD)/flags.san
	$(call say,SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/fuzz/%.o: %.c $(BUILD)/flags.fuzz
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

# Archives, so that a test takes only the modules it uses, and may stand in for others.
$(BUILD)/san/libseep.a: $(SAN_OBJ)
$(BUILD)/san/libtest.a: $(UNIT_SHARED)
$(BUILD)/fuzz/libseep.a: $(FUZZ_OBJ)
$(BUILD)/san/libseep.a $(BUILD)/san/libtest.a $(BUILD)/fuzz/libseep.a:
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

TEST_LIBS := $(BUILD)/san/libtest.a $(BUILD)/san/libseep.a
define test_program
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(SAN_CFLAGS) -iquote tests/unit -MMD -MP -MF $@.d $< -o $@ $(WRAP) \
		-Wl,--start-group $(TEST_LIBS) -Wl,--end-group -lcmocka $(LIBS)
endef
$(BUILD)/tests/unit/%: tests/unit/%.c $(TEST_LIBS)
	$(test_program)

$(BUILD)/tests/sys/%: tests/sys/%.c $(TEST_LIBS)
	$(test_program)

# The BPF sources as C: tests/bpf/ comes first in the search path and brings its own <bpf/...>.
$(BUILD)/tests/bpf/%: tests/bpf/%.c $(BPF_SHARED) $(BUILD)/flags.san \
		$(wildcard bpf/*.c bpf/*.h tests/bpf/*.h tests/bpf/bpf/*.h)
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -Itests/bpf $(SAN_CFLAGS) -DSEEP_NATIVE_BPF -D__TARGET_ARCH_$(BPF_ARCH) \
		-Wno-unused-parameter -Wno-missing-prototypes -MMD -MP -MF $@.d $< $(BPF_SHARED) -o $@ -lcmocka -lm -pthread

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(BUILD)/fuzz/libseep.a
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -Wno-missing-prototypes -MMD -MP -MF $@.d $< \
		$(BUILD)/fuzz/libseep.a -o $@ $(LIBS)

# TARGET_CFLAGS_name and TARGET_LIBS_name, set in mk/*.mk, are for one target alone.
define target_program
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_CFLAGS) $(TARGET_CFLAGS_$(*F)) -MMD -MP -MF $@.d $< -o $@ \
		$(TARGET_LIBS_$(*F)) -ldl -lm
endef
$(BUILD)/tests/e2e/%: tests/e2e/%.c $(BUILD)/flags.target
	$(target_program)

$(BUILD)/tests/bench/%: tests/bench/%.c $(BUILD)/flags.target
	$(target_program)

tests-unit: $(UNIT_BIN)
tests-bpf: $(BPF_BIN)
tests-all: $(BUILD)/seep $(TEST_BIN)

RUN = BUILD=$(BUILD) CI=$(CI) V=$(V) FUZZ_SECONDS=$(SECONDS) tests/run
BUILD_FIRST = +@$(MAKE) $(JOBS)

test: ## install what is missing, build, run every test; ends with "N passed, N failed"
	$(Q)tools/deps.sh --for test
	$(BUILD_FIRST) tests-all
	$(Q)$(RUN) lint unit bpf golden cross fuzz sys e2e

test-unit: ## unit tests, address and undefined-behaviour sanitized; no root, seconds
	$(BUILD_FIRST) tests-unit
	$(Q)$(RUN) unit

test-bpf: ## the BPF sources compiled natively against faked helpers; no root
	$(BUILD_FIRST) tests-bpf
	$(Q)$(RUN) bpf

test-golden: ## recorded captures against the reports they must give; no root
	$(BUILD_FIRST) $(BUILD)/seep
	$(Q)$(RUN) golden

test-cross: ## seep built for arm64, its unit tests and reports emulated; and on a 6.1 kernel, emulated; no root
	$(BUILD_FIRST) $(BUILD)/seep $(BUILD)/tests/e2e/families
	$(Q)$(RUN) cross

test-sys: ## what loads programs and sets probes, sanitized; root
	$(BUILD_FIRST) $(SYS_BIN)
	$(Q)$(RUN) sys

test-e2e: ## seep on real processes; root
	$(BUILD_FIRST) $(BUILD)/seep $(E2E_BIN)
	$(Q)$(RUN) e2e

fuzz: ## each fuzz target for SECONDS=5
	$(BUILD_FIRST) $(FUZZ_BIN)
	$(Q)$(RUN) fuzz

bench: ## cost for each malloc and free, beside other tools; root
	$(Q)tools/deps.sh --for bench
	$(BUILD_FIRST) $(BUILD)/seep $(BENCH_BIN) $(BENCH_EXTRA)
	$(Q)$(SUDO) env BUILD=$(abspath $(BUILD)) tests/bench/run

lint: ## layers, licences, sizes, format, shellcheck, cppcheck
	$(Q)$(RUN) lint

format: ## rewrite the C files as .clang-format says
	$(Q)find bpf src tests tools -name '*.[ch]' -exec clang-format -i {} +

# --- running and installing -----------------------------------------------------------------------
deps: ## install every package needed to build, test and bench; nothing when all is there
	$(Q)tools/deps.sh

demo: ## build, start a leaking server, attach to it, show the report; root
	$(Q)tools/deps.sh --for demo
	$(BUILD_FIRST) $(BUILD)/seep $(BUILD)/tools/leaky
	$(Q)BUILD=$(BUILD) tools/demo.sh

BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man8
COMPLETION_DIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
DOC_DIR = $(DESTDIR)$(PREFIX)/share/doc/seep
MAN := $(wildcard docs/*.8)

install: $(BUILD)/seep ## into DESTDIR= PREFIX=/usr/local
	$(Q)install -d $(BIN_DIR) $(MAN_DIR) $(COMPLETION_DIR) $(DOC_DIR)
	$(Q)install -m 755 $(BUILD)/seep $(BIN_DIR)/seep
	$(Q)$(if $(MAN),install -m 644 $(MAN) $(MAN_DIR)/)
	$(Q)install -m 644 dist/completion/seep.bash $(COMPLETION_DIR)/seep
	$(Q)install -m 644 README.md LICENSE docs/DESIGN.md $(DOC_DIR)/

uninstall: ## remove what install put there; the same DESTDIR= PREFIX=
	$(Q)rm -f $(BIN_DIR)/seep $(addprefix $(MAN_DIR)/,$(notdir $(MAN))) $(COMPLETION_DIR)/seep
	$(Q)rm -f $(addprefix $(DOC_DIR)/,README.md LICENSE DESIGN.md)
	$(Q)[ ! -d $(DOC_DIR) ] || rmdir --ignore-fail-on-non-empty $(DOC_DIR)

clean: ## remove $(BUILD)
	$(Q)rm -rf $(BUILD) 2>/dev/null || $(SUDO) rm -rf $(BUILD) # e2e tests leave files of root

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { gsub(/\$$\(BUILD\)/, "$(BUILD)", $$2); \
		printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST)) $(filter mk/%,$(MAKEFILE_LIST))
	@echo
	@printf '  %-12s %s\n' \
		V=1 'show the commands' \
		DEVELOPER=1 'more warnings, and each one is an error (on with CI=true)' \
		SANITIZE=1 'seep itself with address and undefined-behaviour sanitizers' \
		BUILD=DIR 'build there instead of in build/' \
		CI=true 'a test that has to be skipped is a failure'

-include $(wildcard $(patsubst %.o,%.d,$(LIB_OBJ) $(SAN_OBJ) $(FUZZ_OBJ) $(MAIN_OBJ) $(BPF_OBJ) \
	$(UNIT_SHARED)) $(addsuffix .d,$(TEST_BIN) $(BENCH_BIN) $(BUILD)/tools/leaky))
