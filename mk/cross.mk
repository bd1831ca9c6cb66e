# SPDX-License-Identifier: GPL-2.0-or-later
#
# seep for arm64, built on another machine, against Debian's arm64 packages. These are unpacked below $(BUILD).

ARM64 := $(abspath $(BUILD))/arm64
ARM64_ROOT := $(abspath $(BUILD))/sysroot-arm64
# Without the address sanitizer: under emulation it makes each test several times as slow.
ARM64_SAN_FLAGS := -fsanitize=undefined -fno-sanitize-recover=undefined
ARM64_MAKE = $(MAKE) $(JOBS) BUILD=$(ARM64) ARCH=aarch64 AR=aarch64-linux-gnu-ar \
	CC='aarch64-linux-gnu-gcc --sysroot=$(ARM64_ROOT)' SAN_FLAGS='$(ARM64_SAN_FLAGS)'

.PHONY: cross-arm64 cross-arm64-unit

$(ARM64_ROOT)/stamp: tools/sysroot.sh
	$(call say,SYSROOT,$(@D))
	$(Q)tools/sysroot.sh arm64 $(@D)
	@touch $@

cross-arm64: $(ARM64_ROOT)/stamp ## build $(BUILD)/arm64/seep for arm64, on x86-64 with Debian
	+$(Q)$(ARM64_MAKE) $(ARM64)/seep

# Its unit tests, for an emulator.
cross-arm64-unit: $(ARM64_ROOT)/stamp
	+$(Q)$(ARM64_MAKE) tests-unit
