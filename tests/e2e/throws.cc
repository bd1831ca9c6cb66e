// SPDX-License-Identifier: GPL-2.0-or-later
/* operator new that throws: it leaves without returning. */
#include <new>
#include <stdexcept>

#include "target.h"

static void *volatile kept;

extern "C" {

SITE void *edge_16_throws()
{
	return ::operator new(1ul << 47);
}

SITE void *edge_16_new()
{
	return ::operator new(269);
}

/* Further down the stack than the call that threw. */
SITE void *edge_16_deep()
{
	volatile char room[2000];

	memset(const_cast<char *>(room), 0, sizeof(room));
	return ::operator new(271);
}

SITE void *edge_16_freed()
{
	return ::operator new(277);
}
}

static long edge_16()
{
	long caught = 0;

	for (int i = 0; i < 7; i++) {
		try {
			kept = edge_16_throws();
		} catch (const std::bad_alloc &) {
			caught++;
		}
	}
	for (int i = 0; i < 11; i++)
		kept = edge_16_new();
	for (int i = 0; i < 13; i++)
		kept = edge_16_deep();
	for (int i = 0; i < 17; i++)
		::operator delete(edge_16_freed());
	return caught;
}

/* The first exception of all makes the library allocate for itself. */
static long warm_up()
{
	try {
		throw std::bad_alloc();
	} catch (const std::bad_alloc &) {
	}
	return 0;
}

static const struct work works[] = {
	{"warm_up", warm_up},
	{"edge_16", edge_16},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
