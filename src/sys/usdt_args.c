// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Arguments of probes as <sys/sdt.h> has the assembler print them: "N@OPERAND", N being the size in bytes, negative for
 * what is signed, and the operand as in assembler of that machine.
 */
#include <errno.h>
#include <string.h>

#include "array.h"
#include "usdt.h"

#define MAX_NAME 8

struct x86_register {
	uint8_t number;	 /* DWARF + 1 */
	char name[4][6]; /* 8, 4, 2 and 1 bytes */
};

static const struct x86_register x86_registers[] = {
	{1, {"rax", "eax", "ax", "al"}},       {2, {"rdx", "edx", "dx", "dl"}},
	{3, {"rcx", "ecx", "cx", "cl"}},       {4, {"rbx", "ebx", "bx", "bl"}},
	{5, {"rsi", "esi", "si", "sil"}},      {6, {"rdi", "edi", "di", "dil"}},
	{7, {"rbp", "ebp", "bp", "bpl"}},      {USDT_REG_SP_X86, {"rsp", "esp", "sp", "spl"}},
	{9, {"r8", "r8d", "r8w", "r8b"}},      {10, {"r9", "r9d", "r9w", "r9b"}},
	{11, {"r10", "r10d", "r10w", "r10b"}}, {12, {"r11", "r11d", "r11w", "r11b"}},
	{13, {"r12", "r12d", "r12w", "r12b"}}, {14, {"r13", "r13d", "r13w", "r13b"}},
	{15, {"r14", "r14d", "r14w", "r14b"}}, {16, {"r15", "r15d", "r15w", "r15b"}},
};

static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static void skip_blanks(const char **at)
{
	while (**at == ' ')
		(*at)++;
}

static int digit_of(char c, unsigned int base)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;
	int digit = at ? (int)(at - digits) & 15 : -1;

	return digit < (int)base ? digit : -1;
}

/* Decimal, or hexadecimal after 0x; what is negative wraps. */
static int take_number(const char **at, __u64 *out)
{
	const char *p = *at;
	uint64_t value = 0;
	unsigned int base = 10;
	bool minus = take(&p, '-');
	int digit;

	if (p[0] == '0' && (p[1] | 0x20) == 'x') {
		base = 16;
		p += 2;
	}
	if (digit_of(*p, base) < 0)
		return -EINVAL;
	while ((digit = digit_of(*p, base)) >= 0) {
		if (value > (UINT64_MAX - (unsigned int)digit) / base)
			return -EINVAL;
		value = value * base + (unsigned int)digit;
		p++;
	}
	*at = p;
	*out = minus ? -value : value;
	return 0;
}

/* Letters and digits; false: none, or more than any register has. */
static bool take_name(const char **at, char name[MAX_NAME])
{
	size_t nr = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789");

	if (!nr || nr >= MAX_NAME)
		return false;
	memcpy(name, *at, nr);
	name[nr] = '\0';
	*at += nr;
	return true;
}

static int take_x86_register(const char **at, uint8_t *number, uint8_t *bytes)
{
	char name[MAX_NAME];
	size_t i, width;

	if (!take(at, '%') || !take_name(at, name))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(x86_registers); i++) {
		for (width = 0; width < 4; width++) {
			if (strcmp(x86_registers[i].name[width], name) != 0)
				continue;
			*number = x86_registers[i].number;
			*bytes = (uint8_t)(8 >> width);
			return 0;
		}
	}
	return -ENOTSUP; /* rip, xmm0, ah */
}

/* Of an address: with all its bits. */
static int take_x86_address(const char **at, uint8_t *number)
{
	uint8_t bytes = 0;
	int err = take_x86_register(at, number, &bytes);

	return err || bytes == 8 ? err : -ENOTSUP;
}

static int take_x86_scale(const char **at, uint8_t *shift)
{
	static const char scales[] = "1248";
	const char *scale = **at ? strchr(scales, **at) : NULL;

	if (!scale)
		return -EINVAL;
	(*at)++;
	*shift = (uint8_t)(scale - scales);
	return 0;
}

/* "-16(%rbp)", "(%rax)", "8(%rax,%rbx,4)", "(,%rbx,8)" */
static int take_x86_memory(const char **at, struct usdt_arg *arg)
{
	int err = 0;

	arg->kind = USDT_ARG_MEMORY;
	if (**at != '(' && take_number(at, &arg->value))
		return -ENOTSUP; /* a symbol */
	if (!take(at, '('))
		return -ENOTSUP; /* an absolute address, a sum */
	if (**at == '%')
		err = take_x86_address(at, &arg->base);
	if (!err && take(at, ',')) {
		err = take_x86_address(at, &arg->index);
		if (!err && take(at, ','))
			err = take_x86_scale(at, &arg->shift);
	}
	if (err)
		return err;
	return take(at, ')') && (arg->base || arg->index) ? 0 : -EINVAL;
}

static int take_x86(const char **at, struct usdt_arg *arg)
{
	uint8_t bytes = 0;
	int err;

	if (take(at, '$')) {
		arg->kind = USDT_ARG_CONSTANT;
		return take_number(at, &arg->value);
	}
	if (**at != '%')
		return take_x86_memory(at, arg);
	arg->kind = USDT_ARG_REGISTER;
	err = take_x86_register(at, &arg->base, &bytes);
	if (!err && bytes < arg->bytes)
		arg->bytes = bytes;
	return err;
}

/* xN, wN, sp; 0 in *number is the register that is always zero. */
static int take_arm64_register(const char **at, uint8_t *number, uint8_t *bytes)
{
	char name[MAX_NAME];
	const char *digits = name + 1;
	__u64 value = 0;

	if (!take_name(at, name))
		return -EINVAL;
	*bytes = name[0] == 'w' ? 4 : 8;
	if (!strcmp(name, "sp")) {
		*number = USDT_REG_SP_ARM64;
	} else if (!strcmp(name, "xzr") || !strcmp(name, "wzr")) {
		*number = 0;
	} else {
		if ((name[0] != 'x' && name[0] != 'w') || take_number(&digits, &value) || *digits ||
		    value > 30)
			return -ENOTSUP;
		*number = (uint8_t)(value + 1);
	}
	return 0;
}

/* "[sp]", "[sp, 16]", "[x29, #-8]" */
static int take_arm64_memory(const char **at, struct usdt_arg *arg)
{
	uint8_t bytes = 0;
	int err;

	arg->kind = USDT_ARG_MEMORY;
	err = take_arm64_register(at, &arg->base, &bytes);
	if (!err && (bytes != 8 || !arg->base))
		err = -ENOTSUP;
	if (!err && take(at, ',')) {
		skip_blanks(at);
		(void)take(at, '#');
		if (take_number(at, &arg->value))
			err = -ENOTSUP; /* a register */
	}
	if (err)
		return err;
	return take(at, ']') ? 0 : -EINVAL;
}

static int take_arm64(const char **at, struct usdt_arg *arg)
{
	uint8_t bytes = 0;
	int err;

	if (take(at, '['))
		return take_arm64_memory(at, arg);
	arg->kind = USDT_ARG_CONSTANT;
	if (take(at, '#') || **at == '-' || digit_of(**at, 10) >= 0)
		return take_number(at, &arg->value);
	err = take_arm64_register(at, &arg->base, &bytes);
	if (!err && arg->base)
		arg->kind = USDT_ARG_REGISTER;
	if (!err && bytes < arg->bytes)
		arg->bytes = bytes;
	return err;
}

static int take_size(const char **at, struct usdt_arg *arg)
{
	arg->is_signed = take(at, '-');
	if (!**at || !strchr("1248", **at))
		return -EINVAL;
	arg->bytes = (uint8_t)(**at - '0');
	(*at)++;
	if (**at == 'f')
		return -ENOTSUP;
	return take(at, '@') ? 0 : -EINVAL;
}

static int take_arg(uint16_t machine, const char **at, struct usdt_arg *out)
{
	struct usdt_arg arg = {0};
	int err;

	skip_blanks(at);
	err = take_size(at, &arg);
	if (!err)
		err = machine == EM_X86_64 ? take_x86(at, &arg) : take_arm64(at, &arg);
	if (!err && **at && **at != ' ')
		err = -EINVAL;
	if (!err)
		*out = arg;
	return err;
}

int usdt_parse_args(uint16_t machine, const char *text, struct usdt_arg *arg, size_t nr)
{
	struct usdt_arg found[USDT_ALLOC_ARGS];
	size_t i;
	int err;

	if (machine != EM_X86_64 && machine != EM_AARCH64)
		return -ENOTSUP;
	if (nr > ARRAY_SIZE(found))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		err = take_arg(machine, &text, &found[i]);
		if (err)
			return err;
	}
	memcpy(arg, found, nr * sizeof(*arg));
	return 0;
}
