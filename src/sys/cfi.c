/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "cfi_elf.h"
#include "cfi_entry.h"
#include "cfi_program.h"
#include "cfi_rows.h"

#define PADDING_BYTES 16	/* a gap of so many bytes may hold code */
#define SECTION_BYTES_PER_ROW 8 /* to begin with; it takes 5 of optimized C++ */

struct builder {
	const struct cfi_elf *elf;
	const struct cfi_functions *functions;
	struct cfi_rows rows;
	uint32_t covered; /* the end of the last function that has rows */
	struct cfi_stats stats;
};

static int add_rows(struct builder *builder, const struct cfi_function *function)
{
	const struct cfi_cie *cie;

	if (function->cie == CFI_NO_CIE)
		return cfi_rows_add(&builder->rows, function->start, CFI_SPECIAL(ROW_STOP));
	cie = &builder->functions->cie[function->cie];
	if (cie->is_signal)
		return cfi_rows_add(&builder->rows, function->start, CFI_SPECIAL(ROW_SIGNAL));
	return cfi_run_function(builder->elf, cie, function, &builder->rows);
}

static int end_last_function(struct builder *builder)
{
	if (!builder->rows.nr)
		return 0;
	return cfi_rows_add(&builder->rows, builder->covered, CFI_SPECIAL(ROW_NONE));
}

static int add_function(struct builder *builder, const struct cfi_function *function)
{
	size_t before = builder->rows.nr;
	int error = 0;

	if (function->start - builder->covered >= PADDING_BYTES)
		error = end_last_function(builder);
	if (!error)
		error = add_rows(builder, function);
	if (error == -EBADMSG) {
		builder->rows.nr = before;
		builder->stats.malformed++;
		return 0;
	}
	if (error)
		return error;
	builder->covered = function->end;
	builder->stats.functions += function->cie != CFI_NO_CIE;
	return 0;
}

static int add_functions(struct builder *builder)
{
	size_t bytes = builder->elf->eh_frame.nr + builder->elf->debug_frame.nr;
	int error = 0;

	if (ARRAY_GROW(&builder->rows.item, &builder->rows.cap, bytes / SECTION_BYTES_PER_ROW + 1))
		return -ENOMEM;
	for (size_t i = 0; i < builder->functions->nr && !error; i++)
		error = add_function(builder, &builder->functions->item[i]);
	return error ? error : end_last_function(builder);
}

static bool has_lost_fp(const struct cfi_elf *elf, const struct unwind_row *row)
{
	if (ROW_KIND(row->cfa) == ROW_SPECIAL && ROW_VALUE(row->cfa) != ROW_PLT11 &&
	    ROW_VALUE(row->cfa) != ROW_PLT10)
		return false;
	if (elf->is_arm64)
		return ROW_SAVED_KIND(row->fp) == ROW_SAVED_FP_LOST;
	return row->fp == ROW_FP_LOST;
}

static void count_rows(struct builder *builder)
{
	const struct unwind_row *row = builder->rows.item;

	for (size_t i = 0; i < builder->rows.nr; i++) {
		builder->stats.unsupported += row[i].cfa == ROW_CFA(ROW_SPECIAL, ROW_UNSUPPORTED);
		builder->stats.fp_lost += has_lost_fp(builder->elf, &row[i]);
	}
}

/* --- the table ---------------------------------------------------------------------------------- */

static int copy_segments(const struct cfi_elf *elf, struct cfi_table *table)
{
	uint64_t page = (uint64_t)getpagesize(), end;

	table->segment = calloc(elf->nr_code, sizeof(*table->segment));
	if (!table->segment)
		return -ENOMEM;
	for (size_t i = 0; i < elf->nr_code; i++) {
		const struct cfi_code *code = &elf->code[i];
		uint64_t before = code->file_offset % page;

		if (__builtin_add_overflow(code->file_offset, code->file_bytes, &end) ||
		    end > UINT64_MAX - page || before > code->address)
			continue;
		table->segment[table->nr_segments++] = (struct cfi_segment){
			.file_offset = code->file_offset - before,
			.bytes = (end + page - 1) / page * page - (code->file_offset - before),
			.address = code->address - before,
		};
	}
	return 0;
}

static int finish_table(struct builder *builder, struct cfi_table *out)
{
	struct cfi_table table = {.nr = builder->rows.nr, .base = builder->elf->base};
	int error = copy_segments(builder->elf, &table);

	if (error)
		return error;
	table.row = realloc(builder->rows.item, table.nr * sizeof(*table.row));
	if (!table.row) {
		free(table.segment);
		return -ENOMEM;
	}
	builder->rows = (struct cfi_rows){0};
	table.stats = builder->stats;
	*out = table;
	return 0;
}

static int build(const struct cfi_elf *elf, const struct cfi_functions *functions,
		 struct cfi_table *out)
{
	struct builder builder = {
		.elf = elf, .functions = functions, .stats.malformed = functions->malformed};
	int error = add_functions(&builder);

	if (!error && !builder.stats.functions)
		error = builder.stats.malformed ? -EBADMSG : -ENOENT;
	if (!error) {
		count_rows(&builder);
		error = finish_table(&builder, out);
	}
	free(builder.rows.item);
	return error;
}

static int read_source(const struct cfi_source *source, struct cfi_table *out)
{
	struct cfi_functions functions;
	struct cfi_elf elf;
	int error = cfi_elf_load(source, &elf);

	if (error)
		return error;
	error = cfi_functions_read(&elf, &functions);
	if (!error)
		error = build(&elf, &functions, out);
	cfi_functions_release(&functions);
	cfi_elf_release(&elf);
	return error;
}

int cfi_read_file(int fd, struct cfi_table *out)
{
	struct cfi_source source = {.fd = fd};
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	source.bytes = (uint64_t)st.st_size;
	return read_source(&source, out);
}

int cfi_read_image(const void *image, size_t nr, struct cfi_table *out)
{
	struct cfi_source source = {.fd = -1, .image = image, .bytes = nr};

	return read_source(&source, out);
}

void cfi_release(struct cfi_table *table)
{
	free(table->row);
	free(table->segment);
	*table = (struct cfi_table){0};
}

int cfi_pc_of_offset(const struct cfi_table *table, uint64_t file_offset, uint32_t *pc)
{
	uint64_t address;

	for (size_t i = 0; i < table->nr_segments; i++) {
		const struct cfi_segment *segment = &table->segment[i];

		if (file_offset < segment->file_offset ||
		    file_offset - segment->file_offset >= segment->bytes)
			continue;
		address = segment->address + (file_offset - segment->file_offset);
		if (address < table->base || address - table->base > UINT32_MAX)
			continue;
		*pc = (uint32_t)(address - table->base);
		return 0;
	}
	return -ENOENT;
}

const struct unwind_row *cfi_find(const struct cfi_table *table, uint32_t pc)
{
	size_t lo = 0, hi = table->nr, mid;

	/* rows before lo are at or before pc, those from hi on behind it */
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (table->row[mid].pc <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &table->row[lo - 1] : NULL;
}
