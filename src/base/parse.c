/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "array.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define FRACTION_DIGITS 18 /* further ones are read and ignored: they are below any unit */

struct decimal {
	uint64_t whole;
	uint64_t fraction; /* in units of 1/scale */
	uint64_t scale;	   /* a power of ten */
	bool has_fraction;
};

struct unit {
	const char *name;
	uint64_t factor;
};

/* "12" or "1.5"; *end is set to what follows. */
static int parse_decimal(const char *text, struct decimal *out, const char **end)
{
	struct decimal decimal = {.scale = 1};
	const char *at = text;
	bool overflow = false;
	unsigned int nr;

	if (*at < '0' || *at > '9')
		return -EINVAL;
	for (; *at >= '0' && *at <= '9'; at++) {
		overflow |= __builtin_mul_overflow(decimal.whole, 10, &decimal.whole);
		overflow |= __builtin_add_overflow(decimal.whole, (uint64_t)(*at - '0'),
						   &decimal.whole);
	}
	if (*at == '.') {
		decimal.has_fraction = true;
		for (at++, nr = 0; *at >= '0' && *at <= '9'; at++, nr++) {
			if (nr >= FRACTION_DIGITS)
				continue;
			decimal.fraction = decimal.fraction * 10 + (uint64_t)(*at - '0');
			decimal.scale *= 10;
		}
		if (!nr)
			return -EINVAL;
	}
	*end = at;
	*out = decimal;
	return overflow ? -ERANGE : 0;
}

/*
 * A decimal and the name of a unit. What is malformed is -EINVAL even where it would also be too
 * large.
 */
static int parse_scaled(const char *text, const struct unit *unit, size_t nr, uint64_t *out)
{
	struct decimal decimal;
	const char *end = text;
	unsigned __int128 value;
	int error = parse_decimal(text, &decimal, &end);

	if (error == -EINVAL)
		return error;
	while (nr && strcmp(unit->name, end)) {
		unit++;
		nr--;
	}
	if (!nr || (decimal.has_fraction && unit->factor == 1))
		return -EINVAL;
	if (error)
		return error;
	value = (unsigned __int128)decimal.whole * unit->factor +
		(unsigned __int128)decimal.fraction * unit->factor / decimal.scale;
	if (value > UINT64_MAX)
		return -ERANGE;
	*out = (uint64_t)value;
	return 0;
}

int parse_u64(const char *text, uint64_t *out)
{
	static const struct unit unit[] = {{"", 1}};

	return parse_scaled(text, unit, ARRAY_SIZE(unit), out);
}

int parse_duration(const char *text, uint64_t *ns)
{
	static const struct unit unit[] = {
		{"", NS_PER_S},	      {"ms", NS_PER_MS},      {"s", NS_PER_S},
		{"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	};

	return parse_scaled(text, unit, ARRAY_SIZE(unit), ns);
}

int parse_size(const char *text, uint64_t *bytes)
{
#define SIZE_UNIT(big, small, shift)                                                               \
	{big, UINT64_C(1) << (shift)}, {big "B", UINT64_C(1) << (shift)},                          \
		{big "iB", UINT64_C(1) << (shift)}, {small, UINT64_C(1) << (shift)},               \
		{small "B", UINT64_C(1) << (shift)},                                               \
	{                                                                                          \
		small "iB", UINT64_C(1) << (shift)                                                 \
	}
	static const struct unit unit[] = {
		{"", 1},
		SIZE_UNIT("K", "k", 10),
		SIZE_UNIT("M", "m", 20),
		SIZE_UNIT("G", "g", 30),
		SIZE_UNIT("T", "t", 40),
	};
#undef SIZE_UNIT

	return parse_scaled(text, unit, ARRAY_SIZE(unit), bytes);
}

int parse_percent(const char *text, double *out)
{
	struct decimal decimal;
	const char *end = text;
	int error = parse_decimal(text, &decimal, &end);

	if (error == -EINVAL || (strcmp(end, "") && strcmp(end, "%")))
		return -EINVAL;
	if (error)
		return error;
	*out = (double)decimal.whole + (double)decimal.fraction / (double)decimal.scale;
	return 0;
}

void format_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char *const name[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t i = 0;

	if (bytes < 1024) {
		(void)snprintf(buf, size, "%u B", (unsigned int)bytes);
		return;
	}
	/* 1023.95 and above would be printed as 1024.0 */
	while (value >= 1023.95 && i + 1 < ARRAY_SIZE(name)) {
		value /= 1024;
		i++;
	}
	(void)snprintf(buf, size, "%.1f %s", value, name[i]);
}

void format_duration(double seconds, char *buf, size_t size)
{
	const double max = 999999.0 * 86400; /* days of six digits */
	unsigned long long s;

	if (!(seconds >= 0)) {
		(void)snprintf(buf, size, "?");
		return;
	}
	if (seconds < 59.95) {
		(void)snprintf(buf, size, "%.1f s", seconds);
		return;
	}
	s = (unsigned long long)((seconds < max ? seconds : max) + 0.5);
	if (s < 3600)
		(void)snprintf(buf, size, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(buf, size, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		(void)snprintf(buf, size, "%llud%02lluh", s / 86400, s / 3600 % 24);
}

void format_count(uint64_t n, char *buf, size_t size)
{
	char digit[24], text[FORMAT_MAX];
	int nr = snprintf(digit, sizeof(digit), "%llu", (unsigned long long)n);
	size_t used = 0;

	for (int i = 0; i < nr; i++) {
		if (i && (nr - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digit[i];
	}
	text[used] = '\0';
	(void)snprintf(buf, size, "%s", text);
}
