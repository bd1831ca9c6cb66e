# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build/seep
# make help       everything else

VERSION := 0.1.0

# --- what may be set from outside -----------------------------------------------------------------
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
CFLAGS ?= -O2 -g
V ?= 0
# DEVELOPER=1: warnings are errors, and there are more of them
# SANITIZE=1: address and undefined-behaviour sanitizers

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $(2))

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# --- flags ----------------------------------------------------------------------------------------
ARCH := $(shell uname -m)
BPF_ARCH := $(if $(filter aarch64,$(ARCH)),arm64,x86)

WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla \
	-Wwrite-strings -Wpointer-arith -Wshadow -Wformat=2 -Wno-format-nonliteral \
	-Wno-missing-field-initializers
ifeq ($(DEVELOPER),1)
WARN += -Werror -Wundef -Wcast-align=strict -Wdeclaration-after-statement
WARN := $(filter-out -Wdeclaration-after-statement,$(WARN))
endif
ifeq ($(SANITIZE),1)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
INCLUDES := -Ibpf -Isrc -Isrc/base -Isrc/core -Isrc/out -Isrc/sys -I$(BUILD)/bpf
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DSEEP_VERSION='"$(VERSION)"' -fno-common -pthread \
	$(WARN) $(INCLUDES) $(SAN) $(CFLAGS)
# libiberty is only shipped as a static library on Debian
LIBS := -lbpf -ldw -lelf -lcapstone -ljansson -lcap-ng -lz -liberty -lm -pthread

BPF_CFLAGS := -std=gnu11 -O2 -g -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_$(BPF_ARCH) \
	-Wall -Wextra -Werror -Wno-unused-parameter -Ibpf

# --- sources --------------------------------------------------------------------------------------
BASE_SRC := $(wildcard src/base/*.c)
CORE_SRC := $(wildcard src/core/*.c)
OUT_SRC := $(wildcard src/out/*.c)
SYS_SRC := $(wildcard src/sys/*.c)
TOP_SRC := $(wildcard src/cmd/*.c) $(filter-out src/main.c,$(wildcard src/*.c))
LIB_SRC := $(BASE_SRC) $(CORE_SRC) $(OUT_SRC) $(SYS_SRC) $(TOP_SRC)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:bpf/%.c=$(BUILD)/bpf/%.o)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps test test-unit test-bpf test-e2e demo bench lint format install uninstall clean help

all: $(BUILD)/seep

-include mk/*.mk

# --- BPF ------------------------------------------------------------------------------------------
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(BUILD)/bpf/seep.bpf.linked: $(BPF_OBJ)
	$(call say,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $(BPF_OBJ)

$(BUILD)/bpf/seep.skel.h: $(BUILD)/bpf/seep.bpf.linked
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name seep_bpf > $@

# --- C --------------------------------------------------------------------------------------------
$(BUILD)/src/sys/loader.o: $(BUILD)/bpf/seep.skel.h

$(BUILD)/%.o: %.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/seep: $(BUILD)/src/main.o $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

-include $(LIB_OBJ:.o=.d) $(BUILD)/src/main.d

clean:
	rm -rf $(BUILD)
