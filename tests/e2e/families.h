/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same leak in every program of families.sh, whatever allocates: of so many blocks of so many bytes, some are freed
 * and the others kept. families_rust.rs says the same in Rust.
 */
#ifndef SEEP_E2E_FAMILIES_H
#define SEEP_E2E_FAMILIES_H

#define LEAK_BLOCKS 160
#define LEAK_FREED 59
#define LEAK_BYTES 223 /* 101 blocks, 22523 bytes are left */

#define ZEROED_BLOCKS 61
#define ZEROED_COUNT 7
#define ZEROED_BYTES 41

#define RESIZED_BLOCKS 53
#define RESIZED_FROM_BYTES 31
#define RESIZED_BYTES 307

#define ALIGNED_BLOCKS 37
#define ALIGNED_BYTES 448
#define ALIGNED_TO 64

#endif
