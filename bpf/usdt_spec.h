/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes that a program brings along (USDT): where their arguments are, and how what they say is kept.
 *
 * Shared by bpf/ and src/, as event.h is. Userspace writes a spec for each different set of arguments into an array; a
 * probe's cookie is the number of its spec, from 1 on.
 */
#ifndef SEEP_USDT_SPEC_H
#define SEEP_USDT_SPEC_H

#include "event.h"

#define USDT_MAX_SPECS 1024
#define USDT_ALLOC_ARGS 3 /* block, size, bytes that it stands for */
#define USDT_FREE_ARGS 1

enum usdt_arg_kind {
	USDT_ARG_INVALID = 0,
	USDT_ARG_CONSTANT = 1, /* value */
	USDT_ARG_REGISTER = 2, /* base */
	USDT_ARG_MEMORY = 3,   /* at base + (index << shift) + value */
};

/* A register is its DWARF number + 1, 0 is none; as in a cookie of event.h, and the stack pointer is one. */
#define USDT_REG_SP_X86 8
#define USDT_REG_SP_ARM64 32

struct usdt_arg {
	__u64 value;
	__u8 kind; /* enum usdt_arg_kind */
	__u8 base;
	__u8 index;
	__u8 shift;	/* 0..3 */
	__u8 bytes;	/* 1, 2, 4 or 8: what counts of the value */
	__u8 is_signed; /* then it is extended so */
	__u16 zero;
};

struct usdt_spec {
	struct usdt_arg arg[USDT_ALLOC_ARGS];
};

/*
 * A block that its program has sampled, and that stands for `weight` bytes, as it is kept: SEEP_SIZED().
 *
 * The tag holds weight / size to one part in 2048. A sampler that gives a block whole intervals for a weight gives a
 * large block less than its size now and then, and without that would not be unbiased: such a block is kept with no more
 * bytes than its weight. One of no bytes is taken for one of one byte, as samplers do. A weight of 0 says nothing: the
 * block stands for itself.
 */
static inline __attribute__((always_inline)) __u64 usdt_sized(__u64 size, __u64 weight)
{
	__u64 base, mantissa;
	__u32 exponent = 0;

	if (size > SEEP_SIZE_MAX)
		size = SEEP_SIZE_MAX;
	if (weight > SEEP_SIZE_MAX)
		weight = SEEP_SIZE_MAX;
	if (!weight)
		weight = size;
	if (weight <= size)
		return SEEP_SIZED(weight, SEEP_TAG_GIVEN);
	base = size ? size : 1;
	for (__u32 step = 16; step; step >>= 1) {
		if (weight >> (exponent + step) >= base)
			exponent += step;
	}
	base <<= exponent;
	mantissa = (((weight - base) << 10) + (base >> 1)) / base;
	if (mantissa > 0x3ff) {
		mantissa = exponent < 0x1f ? 0 : 0x3ff;
		exponent += exponent < 0x1f;
	}
	return SEEP_SIZED(size, SEEP_TAG_GIVEN | exponent << 10 | mantissa);
}

_Static_assert(sizeof(struct usdt_arg) == 16, "usdt_arg");
_Static_assert(sizeof(struct usdt_spec) == 48, "usdt_spec");

#endif
