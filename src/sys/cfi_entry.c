/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_entry.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cfi_program.h"

#define LENGTH_64_BIT 0xffffffffu
#define ADDRESS_BYTES 8
#define ENTRY_POINT_BYTES 256
#define MAX_FUNCTIONS ((size_t)4 << 20) /* of one section; libLLVM has 0.15 million */
#define SORT_BITS 11
#define SORT_BUCKETS (1u << SORT_BITS)

/* One section, being read. */
struct reader {
	const struct cfi_elf *elf;
	const struct cfi_section *section;
	struct cfi_functions *out;
	bool is_debug;
	bool ends_at_zero;
	size_t first_cie; /* the section's, in out */
	size_t last_cie;  /* found last */
	const struct cfi_code *last_code;
};

struct entry {
	uint32_t offset;
	bool is_cie;
	uint64_t cie_offset; /* of a function */
	struct cfi_cursor body;
};

/* --- framing ------------------------------------------------------------------------------------ */

/* The length before an entry; false: the section ends here. */
static bool next_length(const struct reader *reader, struct cfi_cursor *cursor, uint64_t *length,
			bool *is_64bit)
{
	while (cfi_left(cursor) >= 4) {
		*length = cfi_number(cursor, 4);
		*is_64bit = *length == LENGTH_64_BIT;
		if (*is_64bit)
			*length = cfi_number(cursor, 8);
		if (*length || cursor->bad)
			return true;
		/* linkers leave zeros in between, where an object with its own end was linked before others */
		if (reader->ends_at_zero)
			return false;
	}
	return false;
}

static void read_id(const struct reader *reader, bool is_64bit, struct entry *entry)
{
	/* in .eh_frame it has 4 bytes always, and counts back from itself */
	size_t bytes = is_64bit && reader->is_debug ? 8 : 4;
	uint64_t at = (uint64_t)(entry->body.at - reader->section->data);
	uint64_t id = cfi_number(&entry->body, bytes);

	if (reader->is_debug) {
		entry->is_cie = id == (bytes == 8 ? DW_CIE_ID_64 : DW_CIE_ID_32);
		entry->cie_offset = id;
	} else {
		entry->is_cie = !id;
		entry->cie_offset = at - id;
	}
}

/* *at: where to begin, and then where the next one is. false: none is left, or none can be found. */
static bool next_entry(const struct reader *reader, size_t *at, struct entry *out)
{
	const unsigned char *data = reader->section->data;
	struct cfi_cursor cursor = {.at = data + *at, .end = data + reader->section->nr};
	const unsigned char *start;
	uint64_t length;
	bool is_64bit;

	if (!next_length(reader, &cursor, &length, &is_64bit))
		return false;
	start = cursor.at;
	cfi_skip(&cursor, length);
	*at = (size_t)(cursor.at - data);
	*out = (struct entry){.offset = (uint32_t)(start - data) - (is_64bit ? 12 : 4),
			      .body = {.at = start, .end = cursor.at, .bad = cursor.bad}};
	read_id(reader, is_64bit, out);
	return true;
}

/* --- what is common to functions ---------------------------------------------------------------- */

/* What follows 'z', and says how to read the rest. */
static bool read_augmentation(const struct reader *reader, const char *text, struct cfi_cursor data,
			      struct cfi_cie *cie)
{
	unsigned int encoding;

	for (; *text; text++) {
		switch (*text) {
		case 'R':
			cie->encoding = (uint8_t)cfi_number(&data, 1);
			break;
		case 'P': /* the personality routine; it may well be indirect */
			encoding = (unsigned int)cfi_number(&data, 1);
			(void)cfi_pointer(&data, encoding & ~(unsigned int)DW_EH_PE_indirect,
					  reader->section, reader->elf->eh_frame_hdr);
			break;
		case 'L':
			cfi_skip(&data, 1);
			break;
		case 'S':
			cie->is_signal = true;
			break;
		case 'B': /* arm64: signed with the other key; tagged stack */
		case 'G':
			break;
		default:
			return false;
		}
	}
	return !data.bad;
}

static const char *read_text(struct cfi_cursor *cursor)
{
	const unsigned char *text = cursor->at, *end;

	end = cfi_left(cursor) ? memchr(text, '\0', cfi_left(cursor)) : NULL;
	if (!end) {
		cfi_turn_bad(cursor);
		return "";
	}
	cursor->at = end + 1;
	return (const char *)text;
}

static bool read_cie(const struct reader *reader, struct cfi_cursor body, struct cfi_cie *cie)
{
	unsigned int version = (unsigned int)cfi_number(&body, 1);
	const char *augmentation = read_text(&body);
	struct cfi_cursor data;

	if (version != 1 && version != 3 && version != 4)
		return false;
	if (!strcmp(augmentation, "eh")) {
		cfi_skip(&body, ADDRESS_BYTES); /* exception tables of gcc 2 */
		augmentation += strlen("eh");
	}
	if (version == 4 && (cfi_number(&body, 1) != ADDRESS_BYTES || cfi_number(&body, 1) != 0))
		return false;
	cie->code_align = cfi_uleb(&body);
	cie->data_align = cfi_sleb(&body);
	cie->ra = version == 1 ? cfi_number(&body, 1) : cfi_uleb(&body);
	cie->has_augmentation_data = *augmentation == 'z';
	if (cie->has_augmentation_data) {
		data = cfi_block(&body);
		if (!read_augmentation(reader, augmentation + 1, data, cie))
			return false;
	} else if (*augmentation) {
		return false;
	}
	return !body.bad && cfi_run_cie(reader->elf, cie, body);
}

static int read_cies(struct reader *reader)
{
	struct cfi_functions *out = reader->out;
	struct entry entry;
	struct cfi_cie cie;
	size_t at = 0;

	reader->first_cie = reader->last_cie = out->nr_cies;
	while (next_entry(reader, &at, &entry)) {
		if (entry.body.bad) {
			out->malformed++;
			continue;
		}
		if (!entry.is_cie)
			continue;
		cie = (struct cfi_cie){.offset = entry.offset, .is_debug = reader->is_debug};
		if (out->nr_cies == CFI_MAX_CIES || !read_cie(reader, entry.body, &cie)) {
			out->malformed++;
			continue;
		}
		if (ARRAY_GROW(&out->cie, &out->cap_cies, out->nr_cies + 1))
			return -ENOMEM;
		out->cie[out->nr_cies++] = cie;
	}
	return 0;
}

/* They are in the order of their offsets. */
static const struct cfi_cie *find_cie(struct reader *reader, uint64_t offset)
{
	const struct cfi_cie *cie = reader->out->cie;
	size_t lo = reader->first_cie, hi = reader->out->nr_cies, mid;

	if (reader->last_cie < hi && cie[reader->last_cie].offset == offset)
		return &cie[reader->last_cie];
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (cie[mid].offset == offset) {
			reader->last_cie = mid;
			return &cie[mid];
		}
		if (cie[mid].offset < offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* --- functions ---------------------------------------------------------------------------------- */

static const struct cfi_code *find_code(const struct cfi_elf *elf, const struct cfi_code *last,
					uint64_t address)
{
	if (last && address >= last->address && address < last->end)
		return last;
	for (size_t i = 0; i < elf->nr_code; i++) {
		if (address >= elf->code[i].address && address < elf->code[i].end)
			return &elf->code[i];
	}
	return NULL;
}

/* 1: there it is; 0: it is empty; -EBADMSG. */
static int read_function(struct reader *reader, const struct entry *entry,
			 struct cfi_function *function)
{
	const struct cfi_elf *elf = reader->elf;
	const struct cfi_cie *cie = find_cie(reader, entry->cie_offset);
	const struct cfi_code *code;
	struct cfi_cursor body = entry->body;
	uint64_t address, bytes;

	if (!cie)
		return -EBADMSG;
	address = cfi_pointer(&body, cie->encoding, reader->section, elf->eh_frame_hdr);
	/* the length is of the same format, but relative to nothing */
	bytes = cfi_pointer(&body, cie->encoding & 0x0f, reader->section, 0);
	if (cie->has_augmentation_data)
		(void)cfi_block(&body);
	if (body.bad)
		return -EBADMSG;
	if (!bytes)
		return 0;
	code = reader->last_code = find_code(elf, reader->last_code, address);
	if (!code || bytes > code->end - address)
		return -EBADMSG;
	*function = (struct cfi_function){
		.start = (uint32_t)(address - elf->base),
		.end = (uint32_t)(address - elf->base + bytes),
		.program = (uint32_t)(body.at - reader->section->data),
		.program_bytes = (uint32_t)cfi_left(&body),
		.cie = (uint32_t)(cie - reader->out->cie),
	};
	return 1;
}

static int add_function(struct cfi_functions *out, const struct cfi_function *function)
{
	if (out->nr == MAX_FUNCTIONS)
		return -E2BIG;
	if (ARRAY_GROW(&out->item, &out->cap, out->nr + 1))
		return -ENOMEM;
	out->item[out->nr++] = *function;
	return 0;
}

static int read_functions(struct reader *reader)
{
	struct cfi_function function;
	struct entry entry;
	size_t at = 0;
	int found, error;

	while (next_entry(reader, &at, &entry)) {
		if (entry.body.bad || entry.is_cie)
			continue;
		found = read_function(reader, &entry, &function);
		if (found < 0)
			reader->out->malformed++;
		error = found > 0 ? add_function(reader->out, &function) : 0;
		if (error)
			return error;
	}
	return 0;
}

static int read_section(const struct cfi_elf *elf, bool is_debug, struct cfi_functions *out)
{
	struct reader reader = {.elf = elf,
				.section = is_debug ? &elf->debug_frame : &elf->eh_frame,
				.out = out,
				.is_debug = is_debug,
				.ends_at_zero = !is_debug && elf->eh_frame_ends_at_zero};
	int error;

	if (!reader.section->nr)
		return 0;
	error = read_cies(&reader);
	return error ? error : read_functions(&reader);
}

static int add_entry_point(const struct cfi_elf *elf, struct cfi_functions *out)
{
	const struct cfi_code *code = find_code(elf, NULL, elf->entry);
	struct cfi_function function = {.cie = CFI_NO_CIE};
	uint64_t bytes;

	/* with nothing else there is nothing to walk */
	if (!code || !out->nr)
		return 0;
	bytes = code->end - elf->entry;
	if (bytes > ENTRY_POINT_BYTES)
		bytes = ENTRY_POINT_BYTES;
	function.start = (uint32_t)(elf->entry - elf->base);
	function.end = (uint32_t)(elf->entry - elf->base + bytes);
	return add_function(out, &function);
}

/* --- order -------------------------------------------------------------------------------------- */

static bool is_sorted(const struct cfi_functions *functions)
{
	for (size_t i = 1; i < functions->nr; i++) {
		if (functions->item[i].start < functions->item[i - 1].start)
			return false;
	}
	return true;
}

static void sort_by_digit(const struct cfi_function *from, struct cfi_function *to, size_t nr,
			  unsigned int shift)
{
	size_t at[SORT_BUCKETS] = {0}, total = 0, count;

	for (size_t i = 0; i < nr; i++)
		at[from[i].start >> shift & (SORT_BUCKETS - 1)]++;
	for (size_t i = 0; i < SORT_BUCKETS; i++) {
		count = at[i];
		at[i] = total;
		total += count;
	}
	for (size_t i = 0; i < nr; i++)
		to[at[from[i].start >> shift & (SORT_BUCKETS - 1)]++] = from[i];
}

/* Stable, and linear whatever the input; .eh_frame_hdr has the order as well, but would have to be believed. */
static int sort_functions(struct cfi_functions *functions)
{
	struct cfi_function *spare, *swap;

	if (is_sorted(functions))
		return 0;
	spare = calloc(functions->nr, sizeof(*spare));
	if (!spare)
		return -ENOMEM;
	for (unsigned int shift = 0; shift < 32; shift += SORT_BITS) {
		sort_by_digit(functions->item, spare, functions->nr, shift);
		swap = functions->item;
		functions->item = spare;
		spare = swap;
	}
	functions->cap = functions->nr;
	free(spare);
	return 0;
}

/* Those that only fill the gaps between others. */
static bool is_filler(const struct cfi_functions *functions, const struct cfi_function *function)
{
	return function->cie == CFI_NO_CIE || functions->cie[function->cie].is_debug;
}

static void settle_overlaps(struct cfi_functions *functions)
{
	struct cfi_function *item = functions->item, *last = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < functions->nr; i++) {
		if (last && item[i].start < last->end) {
			if (is_filler(functions, &item[i]))
				continue;
			if (item[i].start == last->start) {
				functions->malformed++;
				continue;
			}
			last->end = item[i].start;
		}
		item[nr] = item[i];
		last = &item[nr++];
	}
	functions->nr = nr;
}

int cfi_functions_read(const struct cfi_elf *elf, struct cfi_functions *out)
{
	int error;

	*out = (struct cfi_functions){0};
	error = read_section(elf, false, out);
	if (!error)
		error = read_section(elf, true, out);
	/* last, so that it comes after what starts there as well */
	if (!error)
		error = add_entry_point(elf, out);
	if (!error)
		error = sort_functions(out);
	if (!error)
		settle_overlaps(out);
	return error;
}

void cfi_functions_release(struct cfi_functions *functions)
{
	free(functions->item);
	free(functions->cie);
	*functions = (struct cfi_functions){0};
}
