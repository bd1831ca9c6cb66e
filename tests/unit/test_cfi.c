/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files with call frame information made by hand, against the tables that they must give. */
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "allocfail.h"
#include "array.h"
#include "cfi.h"
#include "cfi_build.h"

#define VDSO_BYTES 8192

/* --- entries ------------------------------------------------------------------------------------ */

/* What a CIE is made of, and the function after it: 64 bytes from CFI_CODE, pointers of 8 bytes unless 'R' says. */
struct cie {
	const char *name;
	uint8_t version;
	const char *augmentation;
	const unsigned char *data; /* between augmentation and instructions */
	size_t nr;
	int error; /* 0: it is understood */
};

#define FACTORS 1, 0x78, 16

static const struct cie cie_spec[] = {
	{"the usual", 1, "zR", BYTES(FACTORS, 1, DW_EH_PE_absptr), 0},
	{"no augmentation", 1, "", BYTES(FACTORS), 0},
	{"version 3", 3, "", BYTES(1, 0x78, 0x90, 0), 0},
	{"version 4", 4, "", BYTES(8, 0, FACTORS), 0},
	{"version 4, z", 4, "z", BYTES(8, 0, FACTORS, 0), 0},
	{"version 0", 0, "", BYTES(FACTORS), -EBADMSG},
	{"version 2", 2, "", BYTES(FACTORS), -EBADMSG},
	{"version 5", 5, "", BYTES(8, 0, FACTORS), -EBADMSG},
	{"addresses of 4 bytes", 4, "", BYTES(4, 0, FACTORS), -EBADMSG},
	{"segment selectors", 4, "", BYTES(8, 1, FACTORS), -EBADMSG},
	{"gcc 2", 1, "eh", BYTES(1, 2, 3, 4, 5, 6, 7, 8, FACTORS), 0},
	{"personality, by pc", 1, "zPLR",
	 BYTES(FACTORS, 7, DW_EH_PE_indirect | PCREL4, 1, 2, 3, 4, DW_EH_PE_omit, DW_EH_PE_absptr),
	 0},
	{"personality, absolute", 1, "zPR",
	 BYTES(FACTORS, 10, DW_EH_PE_absptr, 1, 2, 3, 4, 5, 6, 7, 8, DW_EH_PE_absptr), 0},
	{"personality, unknown", 1, "zPR", BYTES(FACTORS, 10, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0),
	 -EBADMSG},
	{"arm64's", 1, "zRBG", BYTES(FACTORS, 1, DW_EH_PE_absptr), 0},
	{"more data than known", 1, "zR", BYTES(FACTORS, 3, DW_EH_PE_absptr, 1, 2), 0},
	{"less data than needed", 1, "zLR", BYTES(FACTORS, 1, DW_EH_PE_omit), -EBADMSG},
	{"data that does not end", 1, "zR", BYTES(FACTORS, 100, DW_EH_PE_absptr), -EBADMSG},
	{"unknown", 1, "zX", BYTES(FACTORS, 0), -EBADMSG},
	{"unknown, without its size", 1, "R", BYTES(FACTORS), -EBADMSG},
	{"huge factor", 1, "", BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 0x78),
	 -EBADMSG},
	{"instructions for a place", 1, "", BYTES(FACTORS, ADVANCE(1)), -EBADMSG},
	{"restores what was never said", 1, "", BYTES(FACTORS, OFFSET(6), 2, RESTORE(6)), 0},
	{"malformed instructions", 1, "", BYTES(FACTORS, 0x3f), -EBADMSG},
	{"cut off", 1, "zR", BYTES(1), -EBADMSG},
};

static size_t put_cie(struct bytes *section, const struct cie *cie)
{
	size_t start = bytes_begin(section, 0);

	bytes_number(section, cie->version, 1);
	bytes_put(section, cie->augmentation, strlen(cie->augmentation) + 1);
	bytes_put(section, cie->data, cie->nr);
	if (cie->nr > 1)
		PUT(section, DW_CFA_def_cfa, 7, 8, OFFSET(16), 1);
	bytes_end(section, start);
	return start;
}

static void put_function(struct bytes *section, size_t cie, const void *rest, size_t nr)
{
	size_t start = bytes_begin(section, (uint32_t)(section->nr + 4 - cie));

	bytes_number(section, CFI_CODE, 8);
	bytes_number(section, 64, 8);
	bytes_put(section, rest, nr);
	bytes_end(section, start);
}

static void test_cies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cie_spec); i++) {
		const struct cie *cie = &cie_spec[i];
		struct image image = {0};

		size_t start = put_cie(&image.eh_frame, cie);

		if (cie->augmentation[0] == 'z')
			put_function(&image.eh_frame, start, BYTES(2, 0x3f, 0x3f));
		else
			put_function(&image.eh_frame, start, BYTES(DW_CFA_nop));
		if (cie->error)
			image_assert_error(&image, cie->error);
		else if (!image_has_rows(&image, ROWS({0, SP(1)}, {64, NONE})))
			fail_msg("%s", cie->name);
		image_release(&image);
	}
}

static void test_signal_frame(void **state)
{
	const struct cie signal = {"", 1, "zRS", BYTES(FACTORS, 1, DW_EH_PE_absptr), 0};
	struct image image = {0};

	(void)state;
	put_function(&image.eh_frame, put_cie(&image.eh_frame, &signal),
		     BYTES(0, ADVANCE(1), OFFSET(6), 2));
	image_assert_rows(&image, ROWS({0, SPECIAL(ROW_SIGNAL)}, {64, NONE}));
	image_release(&image);
}

static void test_factors(void **state)
{
	const struct cie cie = {"", 1, "", BYTES(4, 0x7c, 16), 0};
	const struct cie upward = {"", 1, "", BYTES(1, 8, 16), 0};
	const struct cie largest = {
		"", 1, "",
		BYTES(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, /* 2^64 - 1 */
		      0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, /* -2^63 */ 16),
		0};
	struct image image = {0};

	(void)state;
	put_function(&image.eh_frame, put_cie(&image.eh_frame, &cie),
		     BYTES(ADVANCE(3), OFFSET(16), 2, OFFSET(6), 4));
	image_assert_rows(&image, ROWS({0, UNSUPPORTED}, {12, SP(1), -2}, {64, NONE}));
	image_release(&image);
	put_function(&image.eh_frame, put_cie(&image.eh_frame, &upward),
		     BYTES(ADVANCE(1), DW_CFA_offset_extended_sf, 16, 0x7f));
	image_assert_rows(&image, ROWS({0, UNSUPPORTED}, {1, SP(1)}, {64, NONE}));
	image_release(&image);
	put_function(&image.eh_frame, put_cie(&image.eh_frame, &largest),
		     BYTES(OFFSET(6), 3, DW_CFA_def_cfa_sf, 7, 3, ADVANCE(1), ADVANCE(3)));
	image_assert_rows(&image, ROWS({0, UNSUPPORTED}, {64, NONE}));
	image_release(&image);
}

/* Where nothing is said of the CFA, or of the return address. */
static void test_nothing_said(void **state)
{
	struct image image = {0};
	size_t cie;

	(void)state;
	cie = bytes_begin(&image.eh_frame, 0);
	PUT(&image.eh_frame, 1, 0, FACTORS, OFFSET(16), 1);
	bytes_end(&image.eh_frame, cie);
	put_function(&image.eh_frame, cie, BYTES(ADVANCE(1), DW_CFA_def_cfa, 7, 8));
	image_assert_rows(&image, ROWS({0, UNSUPPORTED}, {1, SP(1)}, {64, NONE}));
	image_release(&image);

	cie = bytes_begin(&image.eh_frame, 0);
	PUT(&image.eh_frame, 1, 0, FACTORS, DW_CFA_def_cfa, 7, 8);
	bytes_end(&image.eh_frame, cie);
	put_function(&image.eh_frame, cie, BYTES(DW_CFA_nop));
	image_assert_rows(&image, ROWS({0, UNSUPPORTED}, {64, NONE}));
	image_release(&image);
}

static void put_leb(struct bytes *bytes, uint64_t value)
{
	while (value >= 0x40) {
		PUT(bytes, (unsigned char)(value | 0x80));
		value >>= 7;
	}
	PUT(bytes, (unsigned char)value);
}

static void put_pointer(struct bytes *eh_frame, unsigned int encoding, uint64_t value)
{
	static const size_t bytes_of[16] = {8, 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8};

	if ((encoding & 0x70) == DW_EH_PE_pcrel)
		value -= CFI_EH_FRAME + eh_frame->nr;
	if ((encoding & 0x70) == DW_EH_PE_datarel)
		value -= CFI_EH_FRAME_HDR;
	/* without the bit of the sign both are the same */
	if (!bytes_of[encoding & 0xf])
		put_leb(eh_frame, value);
	else
		bytes_number(eh_frame, value, bytes_of[encoding & 0xf]);
}

static void make_encoded(struct image *image, unsigned int encoding, uint64_t address)
{
	size_t cie = bytes_cie(&image->eh_frame, false, (uint8_t)encoding);
	size_t start = bytes_begin(&image->eh_frame, (uint32_t)(image->eh_frame.nr + 4 - cie));

	put_pointer(&image->eh_frame, encoding, address);
	put_pointer(&image->eh_frame, encoding & 0xf, 64);
	PUT(&image->eh_frame, 0, DW_CFA_set_loc);
	put_pointer(&image->eh_frame, encoding, address + 3);
	PUT(&image->eh_frame, DW_CFA_def_cfa_offset, 16);
	bytes_end(&image->eh_frame, start);
}

static void test_encodings(void **state)
{
	static const unsigned int format[] = {
		DW_EH_PE_absptr, DW_EH_PE_uleb128, DW_EH_PE_udata4,
		DW_EH_PE_udata8, DW_EH_PE_sleb128, DW_EH_PE_sdata4,
		DW_EH_PE_sdata8, DW_EH_PE_udata2,  DW_EH_PE_sdata2,
	};
	static const unsigned int base[] = {DW_EH_PE_pcrel, DW_EH_PE_datarel, 0};
	struct image image = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(base) * ARRAY_SIZE(format); i++) {
		unsigned int encoding =
			base[i / ARRAY_SIZE(format)] | format[i % ARRAY_SIZE(format)];

		/* no absolute address has two bytes */
		if ((encoding & 0x77) == DW_EH_PE_udata2)
			continue;
		make_encoded(&image, encoding, CFI_CODE);
		if (!image_has_rows(&image, ROWS({0, SP(1)}, {3, SP(2)}, {64, NONE})))
			fail_msg("encoding %#x", encoding);
		image_release(&image);
	}
}

static Elf64_Phdr *program_header(struct image *image, size_t i)
{
	return (Elf64_Phdr *)(void *)(image->data + sizeof(Elf64_Ehdr)) + i;
}

/* Code that lies before what describes it. */
static void test_negative_pointers(void **state)
{
	static const unsigned int format[] = {DW_EH_PE_sdata2, DW_EH_PE_sdata4, DW_EH_PE_sdata8};
	struct image image = {0};
	struct cfi_table table;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(format); i++) {
		make_encoded(&image, DW_EH_PE_pcrel | format[i], CFI_BASE + 16);
		image_make(&image);
		program_header(&image, 1)->p_vaddr = CFI_BASE + 16;
		assert_int_equal(cfi_read_image(image.data, image.nr, &table), 0);
		assert_int_equal(table.nr, 3);
		assert_int_equal(table.row[0].pc, 16);
		assert_int_equal(table.row[1].pc, 19);
		cfi_release(&table);
		image_release(&image);
	}
}

static void test_unsupported_encodings(void **state)
{
	static const unsigned int encoding[] = {
		DW_EH_PE_textrel | DW_EH_PE_sdata4,
		DW_EH_PE_funcrel | DW_EH_PE_sdata4,
		DW_EH_PE_aligned,
		DW_EH_PE_indirect | PCREL4,
		DW_EH_PE_indirect,
		DW_EH_PE_omit,
		5,
		DW_EH_PE_signed,
		0xd,
	};
	struct image image = {0};
	struct cfi_table table;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encoding); i++) {
		make_encoded(&image, encoding[i], CFI_CODE);
		image_assert_error(&image, -EBADMSG);
		image_release(&image);
	}
	/* relative to .eh_frame_hdr, and there is none */
	make_encoded(&image, DW_EH_PE_datarel | DW_EH_PE_sdata4, CFI_CODE);
	image_make(&image);
	program_header(&image, 2)->p_type = PT_NULL;
	assert_int_equal(cfi_read_image(image.data, image.nr, &table), -EBADMSG);
	image_release(&image);
}

/* A good function after what is to be tested, which has no table then. */
static void assert_survives(struct image *image, uint64_t malformed)
{
	struct cfi_table table;

	bytes_fde(&image->eh_frame, bytes_cie(&image->eh_frame, false, PCREL4), 64, 64,
		  BYTES(DW_CFA_nop));
	image_assert_rows(image, ROWS({64, SP(1)}, {128, NONE}));
	image_read(image, &table);
	assert_int_equal(table.stats.functions, 1);
	assert_int_equal(table.stats.malformed, malformed);
	cfi_release(&table);
	image_release(image);
}

static void test_malformed_entries(void **state)
{
	struct image image = {0};
	size_t cie, start;

	(void)state;
	bytes_number(&image.eh_frame, 3, 4); /* too short for an id */
	PUT(&image.eh_frame, 0, 0, 0);
	assert_survives(&image, 1);
	bytes_begin(&image.eh_frame, 0); /* nothing but an id */
	image.eh_frame.data[0] = 4;
	assert_survives(&image, 1);
	start = bytes_begin(&image.eh_frame, 4); /* its CIE is itself */
	put_pointer(&image.eh_frame, PCREL4, CFI_CODE);
	bytes_number(&image.eh_frame, 64, 4);
	bytes_end(&image.eh_frame, start);
	assert_survives(&image, 1);
	bytes_fde(&image.eh_frame, 0x1000, 0, 64, BYTES(DW_CFA_nop)); /* nowhere */
	assert_survives(&image, 1);
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie + 4, 0, 64, BYTES(DW_CFA_nop)); /* inside of one */
	bytes_fde(&image.eh_frame, image.eh_frame.nr - 32, 0, 64, BYTES(DW_CFA_nop)); /* no CIE */
	assert_survives(&image, 2);
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 0, 0, BYTES(DW_CFA_nop)); /* empty, which is no fault */
	assert_survives(&image, 0);
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, CFI_CODE_BYTES - 63, 64, BYTES(0)); /* not in the code */
	bytes_fde(&image.eh_frame, cie, CFI_BASE - CFI_CODE, 64, BYTES(0));
	bytes_fde(&image.eh_frame, cie, 0, UINT32_MAX, BYTES(0));
	assert_survives(&image, 3);
	bytes_number(&image.eh_frame, 0, 4); /* an end amid */
	assert_survives(&image, 0);
	start = bytes_begin(&image.eh_frame, 0); /* a text without an end */
	PUT(&image.eh_frame, 1, 'z', 'R', 'z', 'R', 'z', 'R', 'z');
	bytes_end(&image.eh_frame, start);
	assert_survives(&image, 1);
}

static void test_no_entry_that_is_good(void **state)
{
	struct image image = {0};

	(void)state;
	image_assert_error(&image, -ENOENT);
	bytes_number(&image.eh_frame, 0, 4);
	image_assert_error(&image, -ENOENT);
	bytes_cie(&image.eh_frame, false, PCREL4);
	image_assert_error(&image, -ENOENT);
	bytes_number(&image.eh_frame, UINT32_MAX - 1, 4); /* longer than the section */
	image_assert_error(&image, -EBADMSG);
	image.eh_frame.nr -= 4;
	bytes_number(&image.eh_frame, UINT32_MAX, 4); /* the same with 64 bits, and those cut off */
	image_assert_error(&image, -EBADMSG);
	bytes_number(&image.eh_frame, UINT64_MAX, 8);
	image_assert_error(&image, -EBADMSG);
	image_release(&image);
}

/* Lengths of 64 bits; of ids, only those of .debug_frame have as many. */
static void test_long_format(void **state)
{
	struct image image = {0};
	struct bytes *section = &image.eh_frame;

	(void)state;
	bytes_number(section, UINT32_MAX, 4);
	bytes_number(section, 4 + 11, 8);
	bytes_number(section, 0, 4);
	PUT(section, 1, 0, FACTORS, DW_CFA_def_cfa, 7, 8, OFFSET(16), 1, DW_CFA_nop);
	bytes_number(section, UINT32_MAX, 4);
	bytes_number(section, 4 + 16 + 2, 8);
	bytes_number(section, section->nr, 4);
	bytes_number(section, CFI_CODE, 8);
	bytes_number(section, 64, 8);
	PUT(section, DW_CFA_def_cfa_offset, 16);
	image_assert_rows(&image, ROWS({0, SP(2)}, {64, NONE}));
	bytes_release(section);

	section = &image.debug_frame;
	bytes_number(section, UINT32_MAX, 4);
	bytes_number(section, 8 + 11, 8);
	bytes_number(section, UINT64_MAX, 8);
	PUT(section, 1, 0, FACTORS, DW_CFA_def_cfa, 7, 8, OFFSET(16), 1, DW_CFA_nop);
	bytes_number(section, UINT32_MAX, 4);
	bytes_number(section, 8 + 16 + 2, 8);
	bytes_number(section, 0, 8);
	bytes_number(section, CFI_CODE, 8);
	bytes_number(section, 64, 8);
	PUT(section, DW_CFA_def_cfa_offset, 24);
	image_assert_rows(&image, ROWS({0, SP(3)}, {64, NONE}));
	image_release(&image);
}

/* --- functions together ------------------------------------------------------------------------- */

static void test_gaps_and_merging(void **state)
{
	struct image image = {0};
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 0, 49, BYTES(DW_CFA_nop));
	bytes_fde(&image.eh_frame, cie, 64, 32,
		  BYTES(DW_CFA_nop)); /* 15 bytes on; the same rules */
	bytes_fde(&image.eh_frame, cie, 111, 1, BYTES(DW_CFA_def_cfa_offset, 16));  /* 15 */
	bytes_fde(&image.eh_frame, cie, 128, 32, BYTES(DW_CFA_def_cfa_offset, 24)); /* 16 */
	bytes_fde(&image.eh_frame, cie, 160, 32, BYTES(DW_CFA_def_cfa_offset, 32)); /* none */
	image_assert_rows(&image, ROWS({0, SP(1)}, {111, SP(2)}, {112, NONE}, {128, SP(3)},
				       {160, SP(4)}, {192, NONE}));
	image_release(&image);
}

static void test_order(void **state)
{
	struct image image = {0};
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 0x80000, 64, BYTES(DW_CFA_def_cfa_offset, 40));
	bytes_fde(&image.eh_frame, cie, 0x1000, 64, BYTES(DW_CFA_def_cfa_offset, 32));
	bytes_fde(&image.eh_frame, cie, 0, 64, BYTES(DW_CFA_def_cfa_offset, 16));
	bytes_fde(&image.eh_frame, cie, 64, 64, BYTES(DW_CFA_def_cfa_offset, 24));
	image_assert_rows(&image, ROWS({0, SP(2)}, {64, SP(3)}, {128, NONE}, {0x1000, SP(4)},
				       {0x1040, NONE}, {0x80000, SP(5)}, {0x80040, NONE}));
	image_release(&image);
}

static void test_overlaps(void **state)
{
	struct image image = {0};
	struct cfi_table table;
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 0, 256, BYTES(ADVANCE(40), DW_CFA_def_cfa_offset, 16));
	bytes_fde(&image.eh_frame, cie, 32, 32, BYTES(DW_CFA_def_cfa_offset, 24)); /* within */
	bytes_fde(&image.eh_frame, cie, 32, 64, BYTES(DW_CFA_def_cfa_offset, 32)); /* at the same */
	bytes_fde(&image.eh_frame, cie, 63, 49, BYTES(DW_CFA_def_cfa_offset, 40)); /* reaches out */
	image_assert_rows(&image, ROWS({0, SP(1)}, {32, SP(3)}, {63, SP(5)}, {112, NONE}));
	image_read(&image, &table);
	assert_int_equal(table.stats.functions, 3);
	assert_int_equal(table.stats.malformed, 1);
	cfi_release(&table);
	image_release(&image);
}

static void test_many_functions_in_reverse(void **state)
{
	enum {
		NR = 4999
	};
	struct image image = {0};
	struct cfi_table table;
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	for (uint32_t i = NR; i-- > 0;)
		bytes_fde(&image.eh_frame, cie, i * 64, 48,
			  BYTES(DW_CFA_def_cfa_offset, (unsigned char)(8 + i % 7 * 8)));
	image_read(&image, &table);
	assert_int_equal(table.nr, 2 * NR);
	for (uint32_t i = 0; i < NR; i++) {
		assert_int_equal(table.row[2 * i].pc, CFI_PC(i * 64));
		assert_int_equal(table.row[2 * i].cfa, SP(1 + i % 7));
		assert_int_equal(table.row[2 * i + 1].pc, CFI_PC(i * 64 + 48));
		assert_int_equal(table.row[2 * i + 1].cfa, NONE);
	}
	cfi_release(&table);
	image_release(&image);
}

/* What .eh_frame covers as well is taken from there. */
static void test_debug_frame(void **state)
{
	static const struct unwind_row row[] = {{0, SP(2)},   {32, SP(1)}, {96, SP(4)},
						{128, SP(1)}, {144, NONE}, {256, SP(6)},
						{320, NONE}};
	struct image image = {0};
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 32, 64, BYTES(DW_CFA_nop));
	bytes_fde(&image.eh_frame, cie, 128, 16, BYTES(DW_CFA_nop));
	bytes_debug_function(&image.debug_frame, 0, 64, BYTES(DW_CFA_def_cfa_offset, 16));
	bytes_debug_function(&image.debug_frame, 48, 64, BYTES(DW_CFA_def_cfa_offset, 24));
	bytes_debug_function(&image.debug_frame, 96, 4096, BYTES(DW_CFA_def_cfa_offset, 32));
	bytes_debug_function(&image.debug_frame, 128, 16, BYTES(DW_CFA_def_cfa_offset, 40));
	bytes_debug_function(&image.debug_frame, 256, 64, BYTES(DW_CFA_def_cfa_offset, 48));
	image_assert_rows(&image, row, ARRAY_SIZE(row));
	image.is_compressed = true;
	image_assert_rows(&image, row, ARRAY_SIZE(row));

	/* alone; and compressed with an end missing, or of a kind that we do not know */
	image.eh_frame.nr = 0;
	image_assert_rows(&image, ROWS({0, SP(2)}, {64, NONE}, {96, SP(4)}, {4192, NONE}));
	image.is_compressed = false;
	image_assert_rows(&image, ROWS({0, SP(2)}, {64, NONE}, {96, SP(4)}, {4192, NONE}));
	image_release(&image);
}

static void test_entry_point(void **state)
{
	struct image image = {.entry = CFI_CODE + 96};
	size_t cie;

	(void)state;
	cie = bytes_cie(&image.eh_frame, false, PCREL4);
	bytes_fde(&image.eh_frame, cie, 0, 64, BYTES(DW_CFA_nop));
	image_assert_rows(&image,
			  ROWS({0, SP(1)}, {64, NONE}, {96, SPECIAL(ROW_STOP)}, {352, NONE}));
	bytes_fde(&image.eh_frame, cie, 112, 64, BYTES(DW_CFA_nop));
	image_assert_rows(&image, ROWS({0, SP(1)}, {64, NONE}, {96, SPECIAL(ROW_STOP)},
				       {112, SP(1)}, {176, NONE}));
	image.entry = CFI_CODE + 112; /* it has one */
	image_assert_rows(&image, ROWS({0, SP(1)}, {64, NONE}, {112, SP(1)}, {176, NONE}));
	image.entry = CFI_CODE + 32;
	image_assert_rows(&image, ROWS({0, SP(1)}, {64, NONE}, {112, SP(1)}, {176, NONE}));
	image.entry = 0;
	image_assert_rows(&image, ROWS({0, SP(1)}, {64, NONE}, {112, SP(1)}, {176, NONE}));
	image.entry = CFI_CODE + CFI_CODE_BYTES - 7;
	image_assert_rows(&image,
			  ROWS({0, SP(1)}, {64, NONE}, {112, SP(1)}, {176, NONE},
			       {CFI_CODE_BYTES - 7, SPECIAL(ROW_STOP)}, {CFI_CODE_BYTES, NONE}));
	image.eh_frame.nr = 0; /* alone it is of no use */
	image_assert_error(&image, -ENOENT);
	image_release(&image);
}

/* --- files -------------------------------------------------------------------------------------- */

/* Two functions, and an end. */
static void make_two(struct image *image)
{
	size_t cie = bytes_cie(&image->eh_frame, false, PCREL4);

	bytes_fde(&image->eh_frame, cie, 0, 64, BYTES(ADVANCE(1), DW_CFA_def_cfa_offset, 16));
	bytes_fde(&image->eh_frame, cie, 128, 64, BYTES(ADVANCE(1), DW_CFA_def_cfa_offset, 24));
	bytes_number(&image->eh_frame, 0, 4);
	image_make(image);
}

static const struct unwind_row row_of_two[] = {{0, SP(1)},   {1, SP(2)},   {64, NONE},
					       {128, SP(1)}, {129, SP(3)}, {192, NONE}};

static void test_program_headers_alone(void **state)
{
	struct image image = {.has_no_sections = true};
	struct cfi_table table;

	(void)state;
	make_two(&image);
	image_assert_rows(&image, row_of_two, ARRAY_SIZE(row_of_two));
	/* what follows the end belongs to others */
	bytes_number(&image.eh_frame, 7, 4);
	image_read(&image, &table);
	assert_int_equal(table.stats.malformed, 0);
	cfi_release(&table);
	/* .eh_frame_hdr of another version, or encoded as we cannot read, or not in the file */
	image.data[CFI_EH_FRAME_HDR - CFI_BASE] = 2;
	assert_int_equal(cfi_read_image(image.data, image.nr, &table), -ENOENT);
	image.data[CFI_EH_FRAME_HDR - CFI_BASE] = 1;
	image.data[CFI_EH_FRAME_HDR - CFI_BASE + 1] = DW_EH_PE_omit;
	assert_int_equal(cfi_read_image(image.data, image.nr, &table), -ENOENT);
	image.data[CFI_EH_FRAME_HDR - CFI_BASE + 1] = PCREL4;
	image.data[CFI_EH_FRAME_HDR - CFI_BASE + 7] = 0x40;
	assert_int_equal(cfi_read_image(image.data, image.nr, &table), -ENOENT);
	image_release(&image);
}

static void test_not_for_us(void **state)
{
	struct image image = {0};
	struct cfi_table table;
	Elf64_Ehdr *header;

	(void)state;
	make_two(&image);
	header = (void *)image.data;
#define ERROR_WITH(field, value)                                                                   \
	({                                                                                         \
		__typeof__(field) before = (field);                                                \
		int error;                                                                         \
                                                                                                   \
		(field) = (value);                                                                 \
		error = cfi_read_image(image.data, image.nr, &table);                              \
		(field) = before;                                                                  \
		error;                                                                             \
	})
	assert_int_equal(ERROR_WITH(header->e_ident[1], 'e'), -ENOEXEC);
	assert_int_equal(ERROR_WITH(header->e_ident[EI_CLASS], ELFCLASS32), -ENOTSUP);
	assert_int_equal(ERROR_WITH(header->e_ident[EI_DATA], ELFDATA2MSB), -ENOTSUP);
	assert_int_equal(ERROR_WITH(header->e_machine, EM_RISCV), -ENOTSUP);
	assert_int_equal(ERROR_WITH(header->e_phnum, 0), -ENOENT);
	assert_int_equal(ERROR_WITH(header->e_phnum, 1), -ENOENT);
	assert_int_equal(ERROR_WITH(header->e_phnum, 0xffff), -ENOEXEC);
	assert_int_equal(ERROR_WITH(header->e_phentsize, 32), -ENOEXEC);
	assert_int_equal(ERROR_WITH(header->e_phoff, UINT64_MAX - 8), -ENOENT);
	assert_int_equal(ERROR_WITH(program_header(&image, 1)->p_flags, PF_R), -ENOENT);
	assert_int_equal(ERROR_WITH(program_header(&image, 1)->p_memsz, UINT64_MAX), -ENOTSUP);
	assert_int_equal(ERROR_WITH(program_header(&image, 1)->p_memsz, UINT32_MAX), -ENOTSUP);
	assert_int_equal(ERROR_WITH(program_header(&image, 1)->p_vaddr, 1ull << 40), -ENOTSUP);
	assert_int_equal(ERROR_WITH(header->e_shstrndx, 4), 0);
	cfi_release(&table);
	assert_int_equal(ERROR_WITH(header->e_shoff, UINT64_MAX - 8), 0);
	cfi_release(&table);
	assert_int_equal(ERROR_WITH(header->e_shentsize, 32), 0);
	cfi_release(&table);
	for (size_t nr = 0; nr < sizeof(*header); nr++)
		assert_int_equal(cfi_read_image(image.data, nr, &table), -ENOEXEC);
	image_release(&image);
}

static void test_many_segments(void **state)
{
	enum {
		NR = 65
	};
	struct image image = {0};
	struct cfi_table table;
	Elf64_Phdr phdr[NR] = {{0}};
	struct bytes file = {0};

	(void)state;
	make_two(&image);
	bytes_put(&file, image.data, image.nr);
	for (size_t i = 0; i < NR; i++)
		phdr[i] = *program_header(&image, 1);
	((Elf64_Ehdr *)(void *)file.data)->e_phoff = file.nr;
	((Elf64_Ehdr *)(void *)file.data)->e_phnum = NR;
	phdr[7].p_memsz = phdr[7].p_filesz = 0; /* does not count */
	bytes_put(&file, phdr, sizeof(phdr));
	assert_int_equal(cfi_read_image(file.data, file.nr, &table), 0);
	assert_int_equal(table.nr_segments, NR - 1);
	assert_int_equal(table.nr, ARRAY_SIZE(row_of_two));
	cfi_release(&table);
	phdr[7] = phdr[6];
	file.nr -= sizeof(phdr);
	bytes_put(&file, phdr, sizeof(phdr));
	assert_int_equal(cfi_read_image(file.data, file.nr, &table), -ENOTSUP);
	bytes_release(&file);
	image_release(&image);
}

static void test_section_headers_that_lie(void **state)
{
	struct image image = {0};
	struct cfi_table table;
	Elf64_Shdr *section;

	(void)state;
	make_two(&image);
	section = (void *)(image.data + ((Elf64_Ehdr *)(void *)image.data)->e_shoff);
	assert_int_equal(ERROR_WITH(section[1].sh_size, UINT64_MAX), -E2BIG);
	assert_int_equal(ERROR_WITH(section[1].sh_size, 1ull << 20), 0); /* ends with the file */
	cfi_release(&table);
	/* then .eh_frame_hdr leads to it */
	assert_int_equal(ERROR_WITH(section[1].sh_offset, UINT64_MAX), 0);
	cfi_release(&table);
	section[1].sh_size = 8;
	assert_int_equal(ERROR_WITH(section[1].sh_type, SHT_NOBITS), 0);
	cfi_release(&table);
	section[1].sh_size = image.eh_frame.nr;
	assert_int_equal(ERROR_WITH(section[1].sh_name, UINT32_MAX), 0);
	cfi_release(&table);
	assert_int_equal(ERROR_WITH(section[3].sh_size, UINT64_MAX), 0);
	cfi_release(&table);
	/* no compressed section */
	assert_int_equal(ERROR_WITH(section[1].sh_flags, SHF_COMPRESSED), 0);
	cfi_release(&table);
	image_release(&image);
}

static void test_compressed_sections_that_lie(void **state)
{
	struct image image = {.is_compressed = true};
	struct cfi_table table;
	Elf64_Shdr *section;
	Elf64_Chdr *packed;

	(void)state;
	bytes_debug_function(&image.debug_frame, 0, 64, BYTES(DW_CFA_nop));
	image_make(&image);
	section = (void *)(image.data + ((Elf64_Ehdr *)(void *)image.data)->e_shoff);
	packed = (void *)(image.data + section[2].sh_offset);
	assert_int_equal(ERROR_WITH(packed->ch_type, 2), -ENOENT); /* Zstandard */
	assert_int_equal(ERROR_WITH(packed->ch_size, 1ull << 40), -ENOENT);
	assert_int_equal(ERROR_WITH(packed->ch_size, 1ull << 20), -ENOENT);
	assert_int_equal(ERROR_WITH(packed->ch_size, 0), -ENOENT);
	assert_int_equal(ERROR_WITH(packed->ch_size, 5), -ENOENT);
	assert_int_equal(ERROR_WITH(packed->ch_size, 1000), 0); /* more room than is needed */
	cfi_release(&table);
	assert_int_equal(ERROR_WITH(section[2].sh_size, sizeof(*packed) - 1), -ENOENT);
	assert_int_equal(ERROR_WITH(section[2].sh_size, sizeof(*packed) + 7), -ENOENT);
	image_release(&image);
}

/* Cut off anywhere, and with any one byte turned round; the memory behind is not ours to read. */
static void test_damaged_images(void **state)
{
	struct image image = {0};
	struct cfi_table table;
	unsigned char *copy;
	int error;

	(void)state;
	bytes_debug_function(&image.debug_frame, 256, 64, BYTES(DW_CFA_nop));
	make_two(&image);
	for (size_t nr = 0; nr < image.nr; nr += 3) {
		copy = malloc(nr + 1);
		assert_non_null(copy);
		memcpy(copy, image.data, nr);
		error = cfi_read_image(copy, nr, &table);
		if (!error)
			cfi_release(&table);
		free(copy);
	}
	for (size_t i = 0; i < image.nr; i++) {
		image.data[i] ^= 0xff;
		error = cfi_read_image(image.data, image.nr, &table);
		if (!error)
			cfi_release(&table);
		image.data[i] ^= 0xff;
	}
	image_release(&image);
}

static int memory_file(const void *data, size_t nr)
{
	int fd = memfd_create("test_cfi", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, nr), nr);
	return fd;
}

static void test_file(void **state)
{
	struct cfi_table of_file, of_image;
	struct image image = {0};
	int fd;

	(void)state;
	bytes_debug_function(&image.debug_frame, 256, 64, BYTES(DW_CFA_nop));
	image.is_compressed = true;
	make_two(&image);
	fd = memory_file(image.data, image.nr);
	assert_int_equal(cfi_read_file(fd, &of_file), 0);
	assert_int_equal(cfi_read_image(image.data, image.nr, &of_image), 0);
	assert_int_equal(of_file.nr, of_image.nr);
	assert_memory_equal(of_file.row, of_image.row, of_file.nr * sizeof(of_file.row[0]));
	assert_memory_equal(&of_file.stats, &of_image.stats, sizeof(of_file.stats));
	assert_int_equal(lseek(fd, 0, SEEK_CUR), image.nr);
	cfi_release(&of_file);
	cfi_release(&of_image);
	assert_int_equal(ftruncate(fd, 40), 0);
	assert_int_equal(cfi_read_file(fd, &of_file), -ENOEXEC);
	assert_int_equal(close(fd), 0);
	assert_int_equal(cfi_read_file(fd, &of_file), -EBADF);
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cfi_read_file(fd, &of_file), -ENOEXEC);
	assert_int_equal(close(fd), 0);
	image_release(&image);
}

static void test_allocation_failures(void **state)
{
	struct cfi_table table = {.nr = 17};
	struct image image = {0};
	struct bytes program = {0};
	long bytes;
	int fd;

	(void)state;
	bytes_debug_function(&image.debug_frame, 256, 64, BYTES(DW_CFA_nop));
	image.is_compressed = true;
	make_two(&image);
	/* out of order, so that they have to be sorted; and more rows than were expected */
	for (unsigned char i = 1; i < 101; i++)
		PUT(&program, ADVANCE(1), DW_CFA_def_cfa_offset, (unsigned char)(i % 3 * 8));
	bytes_fde(&image.eh_frame, 0, CFI_CODE_BYTES / 2, 128, program.data, program.nr);
	bytes_fde(&image.eh_frame, 0, 64, 64, BYTES(DW_CFA_nop));
	bytes_release(&program);
	image_make(&image);
	fd = memory_file(image.data, image.nr);
	bytes = allocfail_bytes();
	for (long nth = 1;; nth++) {
		int error;
		bool failed;

		allocfail_set(nth);
		error = cfi_read_file(fd, &table);
		failed = allocfail_hit();
		allocfail_set(0);
		if (!failed) {
			assert_int_equal(error, 0);
			assert_true(nth > 7);
			break;
		}
		assert_int_equal(error, -ENOMEM);
		assert_int_equal(table.nr, 17);
		assert_int_equal(allocfail_bytes(), bytes);
	}
	cfi_release(&table);
	assert_int_equal(allocfail_bytes(), bytes);
	assert_int_equal(close(fd), 0);
	image_release(&image);
}

/* --- the table ---------------------------------------------------------------------------------- */

static void test_find(void **state)
{
	struct cfi_table table = {0};
	struct image image = {0};

	(void)state;
	assert_null(cfi_find(&table, 0));
	cfi_release(&table);
	make_two(&image);
	image_read(&image, &table);
	assert_int_equal(table.nr, ARRAY_SIZE(row_of_two));
	assert_null(cfi_find(&table, 0));
	assert_null(cfi_find(&table, CFI_PC(0) - 1));
	assert_ptr_equal(cfi_find(&table, CFI_PC(0)), &table.row[0]);
	assert_ptr_equal(cfi_find(&table, CFI_PC(1)), &table.row[1]);
	assert_ptr_equal(cfi_find(&table, CFI_PC(63)), &table.row[1]);
	assert_ptr_equal(cfi_find(&table, CFI_PC(64)), &table.row[2]);
	assert_ptr_equal(cfi_find(&table, CFI_PC(191)), &table.row[4]);
	assert_ptr_equal(cfi_find(&table, UINT32_MAX), &table.row[5]);
	cfi_release(&table);
	cfi_release(&table); /* twice does no harm */
	image_release(&image);
}

static void test_pc_of_offset(void **state)
{
	uint64_t page = (uint64_t)getpagesize(), end = CFI_CODE_OFFSET + CFI_CODE_FILE_BYTES;
	uint64_t start = CFI_CODE_OFFSET / page * page;
	struct image image = {0};
	struct cfi_table table;
	uint32_t pc = 17;

	(void)state;
	make_two(&image);
	image_read(&image, &table);
	assert_int_equal(table.nr_segments, 1);
	assert_int_equal(cfi_pc_of_offset(&table, CFI_CODE_OFFSET + 3, &pc), 0);
	assert_int_equal(pc, CFI_PC(3));
	/* what else is in its pages is mapped with it */
	assert_int_equal(cfi_pc_of_offset(&table, start, &pc), 0);
	assert_int_equal(pc, CFI_PC(0) - (CFI_CODE_OFFSET - start));
	end = (end + page - 1) / page * page;
	assert_int_equal(cfi_pc_of_offset(&table, end - 1, &pc), 0);
	pc = 17;
	assert_int_equal(cfi_pc_of_offset(&table, end, &pc), -ENOENT);
	assert_int_equal(cfi_pc_of_offset(&table, start - 1, &pc), -ENOENT);
	assert_int_equal(cfi_pc_of_offset(&table, UINT64_MAX, &pc), -ENOENT);
	assert_int_equal(pc, 17);
	cfi_release(&table);
	/* mapped from nowhere */
	program_header(&image, 1)->p_offset = UINT64_MAX - 8;
	assert_int_equal(cfi_read_image(image.data, image.nr, &table), 0);
	assert_int_equal(table.nr_segments, 0);
	assert_int_equal(cfi_pc_of_offset(&table, UINT64_MAX - 8, &pc), -ENOENT);
	cfi_release(&table);
	image_release(&image);
}

static void test_vdso(void **state)
{
	const void *vdso = (const void *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	struct cfi_table table;

	(void)state;
	if (!vdso) {
		print_message("this kernel gives no vdso\n");
		skip();
	}
	assert_int_equal(cfi_read_image(vdso, VDSO_BYTES, &table), 0);
	assert_true(table.nr > 3);
	assert_true(table.stats.functions > 3);
	assert_int_equal(table.stats.malformed, 0);
	assert_int_equal(table.stats.unsupported, 0);
	cfi_release(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cies),
		cmocka_unit_test(test_signal_frame),
		cmocka_unit_test(test_factors),
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_negative_pointers),
		cmocka_unit_test(test_unsupported_encodings),
		cmocka_unit_test(test_malformed_entries),
		cmocka_unit_test(test_no_entry_that_is_good),
		cmocka_unit_test(test_long_format),
		cmocka_unit_test(test_gaps_and_merging),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_many_functions_in_reverse),
		cmocka_unit_test(test_debug_frame),
		cmocka_unit_test(test_entry_point),
		cmocka_unit_test(test_program_headers_alone),
		cmocka_unit_test(test_not_for_us),
		cmocka_unit_test(test_many_segments),
		cmocka_unit_test(test_section_headers_that_lie),
		cmocka_unit_test(test_compressed_sections_that_lie),
		cmocka_unit_test(test_damaged_images),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_allocation_failures),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_pc_of_offset),
		cmocka_unit_test(test_vdso),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
