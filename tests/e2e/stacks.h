/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What targets whose stacks are looked at share. */
#ifndef SEEP_E2E_STACKS_H
#define SEEP_E2E_STACKS_H

/* Makes the frame of the function larger by so many bytes, which may vary. */
#define ROOM(bytes)                                                                                \
	char room[bytes];                                                                          \
	__asm__ volatile("" : : "r"(room) : "memory")

#endif
