/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "debuglimit.h"

#include <dwarf.h>
#include <string.h>
#include <time.h>

#include "debugsections.h"

#define STEPS_PER_LOOK 512 /* at the clock: some ten microseconds of work */

static uint64_t cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t section_bytes(Elf *elf, const char *name)
{
	const Elf_Data *data = debugsections_find(elf, name);

	return data ? data->d_size : 0;
}

void debuglimit_init(struct debuglimit *limit, Dwarf *dwarf)
{
	Elf *elf = dwarf_getelf(dwarf);
	uint64_t info = section_bytes(elf, "debug_info"), ranges = info;

	*limit = (struct debuglimit){
		.abbrevs = debugsections_find(elf, "debug_abbrev"),
		.lines = debugsections_find(elf, "debug_line"),
	};
	limit->left_ns =
		info + section_bytes(elf, "debug_abbrev") + section_bytes(elf, "debug_line");
	limit->left_ns = DEBUGLIMIT_BASE_NS + limit->left_ns * DEBUGLIMIT_NS_PER_BYTE;
	ranges += section_bytes(elf, "debug_ranges") + section_bytes(elf, "debug_rnglists");
	limit->left_ranges = ranges < DEBUGLIMIT_RANGES ? ranges : DEBUGLIMIT_RANGES;
}

void debuglimit_release(struct debuglimit *limit)
{
	map64_release(&limit->tables);
}

static void look_at_clock(struct debuglimit *limit)
{
	uint64_t now = cpu_ns(), spent = now - limit->began_ns;

	limit->nr_steps = 0;
	limit->began_ns = now;
	if (spent >= limit->left_ns)
		limit->is_exceeded = true;
	else
		limit->left_ns -= spent;
}

void debuglimit_begin(struct debuglimit *limit, uint64_t more_ns)
{
	limit->left_ns += more_ns;
	limit->nr_steps = 0;
	limit->began_ns = cpu_ns();
}

void debuglimit_end(struct debuglimit *limit)
{
	look_at_clock(limit);
}

bool debuglimit_spend(struct debuglimit *limit)
{
	if (++limit->nr_steps >= STEPS_PER_LOOK)
		look_at_clock(limit);
	return !limit->is_exceeded;
}

bool debuglimit_spend_range(struct debuglimit *limit)
{
	if (!limit->left_ranges)
		limit->is_exceeded = true;
	else
		limit->left_ranges--;
	return !limit->is_exceeded;
}

bool debuglimit_spend_much(struct debuglimit *limit)
{
	look_at_clock(limit);
	return !limit->is_exceeded;
}

struct bytes {
	const uint8_t *at, *end;
};

/* The value matters only for whether it is 0, or one of the few small ones. At the end it is 0. */
static uint64_t take_uleb(struct bytes *bytes)
{
	uint64_t value = 0;
	unsigned int shift = 0;
	uint8_t byte = 0x80;

	while (bytes->at < bytes->end && byte & 0x80) {
		byte = *bytes->at++;
		if (shift < 63)
			value |= (uint64_t)(byte & 0x7f) << shift;
		else if (byte & 0x7f)
			value |= UINT64_C(1) << 63;
		shift += 7;
	}
	return value;
}

/* One declaration behind its code: tag, whether it has children, and pairs of name and form up to 0, 0. */
static void skip_declaration(struct bytes *bytes)
{
	uint64_t name, form;

	(void)take_uleb(bytes);
	if (bytes->at < bytes->end)
		bytes->at++;
	do {
		name = take_uleb(bytes);
		form = take_uleb(bytes);
		if (form == DW_FORM_implicit_const)
			(void)take_uleb(bytes);
	} while (name || form);
}

/* 0: too long. */
static uint64_t abbrev_bytes(const Elf_Data *abbrevs, uint64_t offset)
{
	const uint8_t *first = (const uint8_t *)abbrevs->d_buf + offset;
	uint64_t nr = abbrevs->d_size - offset;
	bool is_cut = nr > DEBUGLIMIT_ABBREV_BYTES;
	struct bytes bytes = {
		.at = first,
		.end = first + (is_cut ? DEBUGLIMIT_ABBREV_BYTES : nr),
	};

	while (take_uleb(&bytes))
		skip_declaration(&bytes);
	return is_cut && bytes.at == bytes.end ? 0 : (uint64_t)(bytes.at - first);
}

bool debuglimit_allows_abbrevs(struct debuglimit *limit, uint64_t offset, uint64_t *bytes)
{
	*bytes = 0;
	if (!limit->abbrevs || !limit->abbrevs->d_buf || offset >= limit->abbrevs->d_size)
		return false;
	if (map64_get(&limit->tables, offset, bytes))
		return *bytes;
	*bytes = abbrev_bytes(limit->abbrevs, offset);
	(void)map64_put(&limit->tables, offset, *bytes); /* or it is walked again */
	return *bytes;
}

/* The length that a unit of a section begins with, in either of DWARF's two sizes; 0: none there. */
static uint64_t unit_bytes(const Elf_Data *data, uint64_t offset)
{
	const char *at = (const char *)data->d_buf + offset;
	uint64_t left = offset < data->d_size ? data->d_size - offset : 0, large = 0;
	uint32_t small = 0;

	if (left >= sizeof(small))
		memcpy(&small, at, sizeof(small));
	if (small != UINT32_MAX)
		return small;
	if (left >= sizeof(small) + sizeof(large))
		memcpy(&large, at + sizeof(small), sizeof(large));
	return large;
}

bool debuglimit_allows_lines(const struct debuglimit *limit, Dwarf_Die *unit_die)
{
	Dwarf_Attribute attr;
	Dwarf_Word offset;

	if (!dwarf_attr(unit_die, DW_AT_stmt_list, &attr) || dwarf_formudata(&attr, &offset))
		return true;
	if (!limit->lines || !limit->lines->d_buf)
		return false;
	return unit_bytes(limit->lines, offset) <= DEBUGLIMIT_LINE_BYTES;
}
