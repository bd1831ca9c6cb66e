/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cfi_bytes.h"

#include <dwarf.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they are");

#define ENCODING_FORMAT 0x0f
#define ENCODING_BASE 0x70

/* The bits of the number; *shift: how many were there. */
static uint64_t read_leb(struct cfi_cursor *cursor, unsigned int *shift, unsigned char *last)
{
	uint64_t value = 0;
	unsigned char byte;

	*shift = 0;
	do {
		byte = (unsigned char)cfi_number(cursor, 1);
		if (*shift < 64)
			value |= (uint64_t)(byte & 0x7f) << *shift;
		/* 9 groups are 63 bits, so that the tenth has room for one */
		if (*shift >= 70)
			cfi_turn_bad(cursor);
		*shift += 7;
	} while (byte & 0x80 && !cursor->bad);
	*last = byte;
	return value;
}

uint64_t cfi_long_uleb(struct cfi_cursor *cursor)
{
	unsigned char last;
	unsigned int shift;
	uint64_t value = read_leb(cursor, &shift, &last);

	if (shift > 63 && last > 1)
		cfi_turn_bad(cursor);
	return cursor->bad ? 0 : value;
}

int64_t cfi_sleb(struct cfi_cursor *cursor)
{
	unsigned char last;
	unsigned int shift;
	uint64_t value = read_leb(cursor, &shift, &last);

	if (shift > 63 && last != 0 && last != 0x7f)
		cfi_turn_bad(cursor);
	if (last & 0x40 && shift < 64)
		value |= UINT64_MAX << shift;
	return cursor->bad ? 0 : (int64_t)value;
}

static uint64_t read_format(struct cfi_cursor *cursor, unsigned int format)
{
	switch (format) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		return cfi_number(cursor, 8);
	case DW_EH_PE_udata4:
		return cfi_number(cursor, 4);
	case DW_EH_PE_sdata4:
		return (uint64_t)(int32_t)cfi_number(cursor, 4);
	case DW_EH_PE_udata2:
		return cfi_number(cursor, 2);
	case DW_EH_PE_sdata2:
		return (uint64_t)(int16_t)cfi_number(cursor, 2);
	case DW_EH_PE_uleb128:
		return cfi_uleb(cursor);
	case DW_EH_PE_sleb128:
		return (uint64_t)cfi_sleb(cursor);
	default:
		cfi_turn_bad(cursor);
		return 0;
	}
}

uint64_t cfi_pointer(struct cfi_cursor *cursor, unsigned int encoding,
		     const struct cfi_section *section, uint64_t data_base)
{
	uint64_t from = 0;

	switch (encoding & (ENCODING_BASE | DW_EH_PE_indirect)) {
	case DW_EH_PE_absptr:
		break;
	case DW_EH_PE_pcrel:
		from = section->address + (uint64_t)(cursor->at - section->data);
		break;
	case DW_EH_PE_datarel:
		from = data_base;
		if (!from)
			cfi_turn_bad(cursor);
		break;
	default:
		cfi_turn_bad(cursor);
	}
	return from + read_format(cursor, encoding & ENCODING_FORMAT);
}
