/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the program of usdt.c and its library have told of, and the library's functions. */
#ifndef SEEP_E2E_USDT_SUMS_H
#define SEEP_E2E_USDT_SUMS_H

#include <stddef.h>

struct usdt_sums {
	long allocs, frees; /* told of */
	long weight;	    /* bytes that the allocations told of stand for */
	long bytes;	    /* truly allocated meanwhile */
};

#define USDT_LIBRARY_BLOCKS 10007
#define USDT_LIBRARY_BYTES 307

struct usdt_library {
	void (*leak)(void);
	const struct usdt_sums *sums;
	const unsigned short *semaphore[2];
};

#endif
