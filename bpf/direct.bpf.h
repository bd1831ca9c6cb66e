/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of the current process, read where the kernel has it.
 *
 * The helper that reads a user's memory has to open and to close the processor's guard against just that, some 90 ns here
 * whatever it reads. But the kernel maps all of the machine's memory for itself as well, one after the other from
 * direct_map.base on (Documentation/arch/x86/x86_64/mm.rst). So the page tables of the process say where in there a
 * page of its lies, in four or five loads, and each word is one load more.
 *
 * Page tables are not freed while a program runs (MMU_GATHER_RCU_TABLE_FREE), but a page may be, by another thread,
 * between the look at its entry and the one at its words. So what is read may be no longer true in rare cases, as with
 * the helper, or be somebody else's: it is only compared with what is expected, and never kept. A load that faults gives 0.
 */
#ifndef SEEP_DIRECT_BPF_H
#define SEEP_DIRECT_BPF_H

#include "common.bpf.h"

/* Written by userspace once programs are loaded, when it has found out and tried. base 0: it has not. */
volatile struct seep_direct_map direct_map __weak = {};

/* Entries of page tables: Intel SDM volume 3, 4.5; AMD64 APM volume 2, 5.4. */
#define PTE_PRESENT_USER 5ULL
#define PTE_LARGE 0x80ULL
#define PTE_INDEX(addr, shift) (((addr) >> (shift)&511) * 8)
#define PAGE_SHIFT 12
#define LARGE_SHIFT 21

#if defined(__TARGET_ARCH_x86)
/* 0 where nothing is mapped. */
static __always_inline __u64 direct_word(__u64 at)
{
	const struct timespec64 *words =
		bpf_rdonly_cast((void *)at, bpf_core_type_id_kernel(struct timespec64));

	return words->tv_sec;
}

/* Where an entry of a page table leads. 0: nowhere, or not to memory that a user may look at. */
static __always_inline __u64 direct_next(__u64 entry, __u64 low_bits)
{
	__u64 physical = entry & direct_map.mask & ~low_bits;

	if ((entry & PTE_PRESENT_USER) != PTE_PRESENT_USER || physical >= direct_map.limit)
		return 0;
	return direct_map.base + physical;
}

/*
 * Where the kernel has the word at addr, a multiple of 8; up to the end of the page of 4 KiB it has the following ones
 * behind it. 0: not known, or not there.
 */
static __always_inline __u64 direct_address(const struct task_struct *task, __u64 addr)
{
	__u64 at, entry;

	if (!config.casts || !direct_map.base)
		return 0;
	at = (__u64)task->mm->pgd;
	if (direct_map.levels == 5)
		at = direct_next(direct_word(at + PTE_INDEX(addr, 48)), PAGE_BYTES - 1);
	if (at)
		at = direct_next(direct_word(at + PTE_INDEX(addr, 39)), PAGE_BYTES - 1);
	if (!at)
		return 0;
	entry = direct_word(at + PTE_INDEX(addr, 30));
	at = direct_next(entry, PAGE_BYTES - 1);
	if (!at || entry & PTE_LARGE) /* a stack in a page of 1 GiB */
		return 0;
	entry = direct_word(at + PTE_INDEX(addr, LARGE_SHIFT));
	if (entry & PTE_LARGE) {
		at = direct_next(entry, (1 << LARGE_SHIFT) - 1);
		return at ? at + (addr & ((1 << LARGE_SHIFT) - 1)) : 0;
	}
	at = direct_next(entry, PAGE_BYTES - 1);
	if (at)
		at = direct_next(direct_word(at + PTE_INDEX(addr, PAGE_SHIFT)), PAGE_BYTES - 1);
	return at ? at + (addr & (PAGE_BYTES - 1)) : 0;
}
#else
static __always_inline __u64 direct_word(__u64 at)
{
	(void)at;
	return 0;
}

static __always_inline __u64 direct_address(const struct task_struct *task, __u64 addr)
{
	(void)task;
	(void)addr;
	return 0;
}
#endif

#endif
