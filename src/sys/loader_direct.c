// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the kernel has all memory mapped: found out and tried before programs go by it (bpf/direct.bpf.h).
 *
 * The address where that mapping begins is not told, and random. But two things are known of it: it begins at a multiple
 * of 1 GiB (arch/x86/mm/kaslr.c), and the kernel's address of our topmost page table lies in it. So it is one of as many
 * addresses as there are GiB of memory. They are tried from the lowest up with a page of our own whose physical address
 * and content we know: what is read up to the right one is memory, or nothing at all.
 *
 * Then the page tables are walked to some pages of ours, with four levels and with five. All must be what they are.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "array.h"
#include "loader_impl.h"
#include "log.h"
#include "physmem.h"
#include "seep.skel.h"

#define GIB (1ULL << 30)
#define PAGE 4096
#define LARGE_PAGE (2 << 20)
#define NR_PAGES 32
#define NR_TRIALS 3 /* a page may be moved while we look */
#define MAX_LIMIT (64ULL << 40)

struct trial {
	struct loader *loader;
	char *area; /* NR_PAGES pages, and behind them a large one somewhere */
	uint64_t word[NR_PAGES + 1];
};

static size_t area_bytes(void)
{
	return NR_PAGES * PAGE + 2 * LARGE_PAGE;
}

/* The large page, which may be one in truth; the others are not. */
static const void *page_at(const struct trial *t, size_t i)
{
	uintptr_t behind = (uintptr_t)t->area + NR_PAGES * PAGE;

	if (i < NR_PAGES)
		return t->area + i * PAGE;
	return (const void *)((behind + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE + PAGE);
}

static int trial_begin(struct trial *t)
{
	size_t i;

	t->area = mmap(NULL, area_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	if (t->area == MAP_FAILED)
		return -errno;
	(void)madvise(t->area, NR_PAGES * PAGE, MADV_NOHUGEPAGE);
	(void)madvise((char *)page_at(t, NR_PAGES) - PAGE, LARGE_PAGE, MADV_HUGEPAGE);
	if (getrandom(t->word, sizeof(t->word), 0) != sizeof(t->word))
		return -EIO;
	for (i = 0; i < ARRAY_SIZE(t->word); i++)
		memcpy((void *)page_at(t, i), &t->word[i], sizeof(t->word[i]));
	return 0;
}

static void trial_end(struct trial *t)
{
	if (t->area != MAP_FAILED)
		(void)munmap(t->area, area_bytes());
}

/* Runs the program that looks, in this process. */
static int look(const struct trial *t, enum direct_look what, uint64_t addr, uint64_t *out)
{
	uint64_t args[] = {what, addr};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = args, .ctx_size_in = sizeof(args));
	int err =
		bpf_prog_test_run_opts(loader_program_fd(t->loader, PROGRAM_DIRECT_LOOK), &options);

	if (err)
		return err;
	*out = t->loader->skel->bss->direct_seen;
	return 0;
}

static int find_base(const struct trial *t, uint64_t limit, __u64 *out)
{
	uint64_t physical = physmem_of(t->area), tables, base, word;
	int err;

	if (!physical)
		return -EPERM;
	err = look(t, DIRECT_TABLES, 0, &tables);
	if (err)
		return err;
	tables &= ~(GIB - 1);
	for (base = tables - (limit + GIB - 1) / GIB * GIB; base <= tables; base += GIB) {
		err = look(t, DIRECT_KERNEL_WORD, base + physical, &word);
		if (err)
			return err;
		if (word == t->word[0]) {
			*out = base;
			return 0;
		}
	}
	return -ENOENT;
}

static bool leads_to_all_pages(const struct trial *t)
{
	uint64_t word;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t->word); i++) {
		if (look(t, DIRECT_USER_WORD, (uintptr_t)page_at(t, i), &word) ||
		    word != t->word[i])
			return false;
	}
	return true;
}

static int try_once(struct loader *l, const struct seep_direct_map *known)
{
	volatile struct seep_direct_map *map = &l->skel->bss->direct_map;
	struct trial t = {.loader = l};
	struct seep_direct_map found = *known;
	int err = trial_begin(&t);

	if (!err)
		err = find_base(&t, known->limit, &found.base);
	if (!err) {
		err = -ENOTSUP;
		for (found.levels = 4; found.levels <= 5 && err; found.levels++) {
			*map = found;
			if (leads_to_all_pages(&t))
				err = 0;
		}
		if (err)
			*map = (struct seep_direct_map){0};
	}
	trial_end(&t);
	return err;
}

void loader_find_direct_map(struct loader *l)
{
	struct seep_direct_map known = {.limit = physmem_limit(), .mask = physmem_entry_mask()};
	int err = -EPERM, trial;

	if (!known.mask || known.limit > MAX_LIMIT)
		return;
	for (trial = 0; trial < NR_TRIALS && err && known.limit; trial++)
		err = try_once(l, &known);
	if (err)
		log_debug("the kernel's mapping of all memory is not used: %s", strerror(-err));
	else
		log_debug("the kernel has all memory at %#llx",
			  (unsigned long long)l->skel->bss->direct_map.base);
}

bool loader_has_direct_map(const struct loader *l)
{
	return l->skel->bss->direct_map.base;
}
