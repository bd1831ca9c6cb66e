/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports out: verdicts from whole histories, grouping and frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hash.h"
#include "stream.h"

#define ADDR UINT64_C(0x7f0000001000)
#define TICKS_PER_S 10
#define TICK_NS (STREAM_S / TICKS_PER_S)

static const struct report_options all = {.top = 0};

static struct profile *new_profile(struct stream *s)
{
	struct profile *profile = profile_new();

	assert_non_null(profile);
	*s = stream_to(profile);
	assert_int_equal(stream_run(s, RUN_LEAKS), 0);
	assert_int_equal(stream_target(s, STREAM_PROC, STREAM_TGID, "server"), 0);
	return profile;
}

/* --- a program that allocates and frees at one site --- */

struct program {
	struct stream s;
	struct profile *profile;
	struct heap_block *block; /* a queue: the oldest first */
	size_t nr, first;
	uint64_t now_ns, unknown_frees;
};

static void program_start(struct program *p)
{
	*p = (struct program){.nr = 0};
	p->profile = new_profile(&p->s);
	p->block = calloc(100003, sizeof(*p->block));
	assert_non_null(p->block);
	assert_int_equal(stream_named_stack(&p->s, 1, "work main"), 0);
}

static void program_alloc(struct program *p, uint64_t bytes)
{
	p->now_ns += 101;
	p->block[p->nr] = stream_block(ADDR + p->nr * 16, p->now_ns, bytes, 1);
	assert_int_equal(stream_alloc(&p->s, ADDR + p->nr * 16, p->now_ns, bytes, 1), 0);
	p->nr++;
	assert_true(p->nr < 100003);
}

static void program_free_oldest(struct program *p)
{
	p->now_ns += 101;
	assert_int_equal(stream_free(&p->s, &p->block[p->first++], p->now_ns, 0), 0);
}

static void program_tick(struct program *p)
{
	p->now_ns = (p->now_ns / TICK_NS + 1) * TICK_NS;
	assert_int_equal(stream_counter(&p->s, STREAM_PROC, STAT_FREES_UNKNOWN, p->unknown_frees),
			 0);
	assert_int_equal(stream_mark(&p->s, RECORD_TICK, 0, p->now_ns), 0);
}

/* The only site's verdict at the end. */
static struct report_site program_end(struct program *p, uint16_t flags)
{
	struct report report;
	struct report_site site;

	assert_int_equal(stream_mark(&p->s, RECORD_END, flags, p->now_ns), 0);
	assert_int_equal(profile_report(p->profile, &all, &report), 0);
	assert_int_equal(report.nr_sites, 1);
	site = report.site[0];
	site.comm = NULL;
	site.frame = NULL;
	assert_int_equal(site.live_objects, p->nr - p->first);
	report_release(&report);
	profile_free(p->profile);
	free(p->block);
	return site;
}

static void test_leak_is_found(void **state)
{
	struct program p;
	struct report_site site;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		program_alloc(&p, 1009);
		program_tick(&p);
	}
	site = program_end(&p, 0);
	assert_int_equal(site.verdict, VERDICT_LEAKING);
	assert_true(site.probability > 0.95);
	assert_true(site.growth_bytes_per_s > 10089 && site.growth_bytes_per_s < 10091);
	assert_int_equal(site.live_bytes, 600 * 1009);
	assert_true(site.oldest_age_s > 59.9 && site.oldest_age_s < 60.1);
}

/* One block in four seconds. */
static void test_slow_leak_is_found(void **state)
{
	struct program p;
	struct report_site site;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		if (tick % (4 * TICKS_PER_S) == 7)
			program_alloc(&p, 1000003);
		program_tick(&p);
	}
	site = program_end(&p, 0);
	assert_int_equal(site.verdict, VERDICT_LEAKING);
}

/* Some of what is handled is never given back. */
static void test_leak_among_churn(void **state)
{
	struct program p;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		for (int i = 0; i < 20; i++) {
			program_alloc(&p, 101);
			/* a queue frees its oldest: to leak the first of them, free this one */
			if (i) {
				p.now_ns += 101;
				assert_int_equal(stream_free(&p.s, &p.block[--p.nr], p.now_ns, 0),
						 0);
			}
		}
		program_tick(&p);
	}
	assert_int_equal(program_end(&p, 0).verdict, VERDICT_LEAKING);
}

static void test_unrecovered_losses_are_no_leak(void **state)
{
	struct program p;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		program_alloc(&p, 1009);
		program_tick(&p);
	}
	assert_int_equal(program_end(&p, END_NO_RESYNC).verdict, VERDICT_GROWING);
}

static void test_steady_cache_just_after_the_attach(void **state)
{
	struct program p;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		program_alloc(&p, 1009);
		p.unknown_frees++; /* what it evicts was there before us */
		program_tick(&p);
	}
	assert_int_equal(program_end(&p, 0).verdict, VERDICT_GROWING);
}

static void test_steady_cache(void **state)
{
	struct program p;
	struct report_site site;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		program_alloc(&p, 500 + hash_u64((uint64_t)tick) % 1000);
		if (tick >= 50)
			program_free_oldest(&p);
		program_tick(&p);
	}
	site = program_end(&p, 0);
	assert_true(site.verdict == VERDICT_CHURN || site.verdict == VERDICT_HELD);
}

static void test_filling_cache(void **state)
{
	struct program p;
	double room = 1;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++, room *= 0.995) {
		for (int i = 0; i < (int)(40 * room); i++)
			program_alloc(&p, 1009);
		program_tick(&p);
	}
	assert_int_equal(program_end(&p, 0).verdict, VERDICT_SATURATING);
}

static void test_startup_table(void **state)
{
	struct program p;

	(void)state;
	program_start(&p);
	program_tick(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		if (tick < 30)
			program_alloc(&p, 1009);
		program_tick(&p);
	}
	assert_int_equal(program_end(&p, 0).verdict, VERDICT_STARTUP);
}

static void test_short_window(void **state)
{
	struct program p;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 4; tick++) {
		program_alloc(&p, 1009);
		program_tick(&p);
	}
	assert_int_equal(program_end(&p, 0).verdict, VERDICT_UNKNOWN);
}

static void test_one_burst(void **state)
{
	struct program p;
	enum verdict verdict;

	(void)state;
	program_start(&p);
	for (int tick = 0; tick < 60 * TICKS_PER_S; tick++) {
		if (tick % 10 == 0)
			program_alloc(&p, 13);
		if (tick == 400)
			program_alloc(&p, 10000019);
		program_tick(&p);
	}
	verdict = program_end(&p, 0).verdict;
	assert_true(verdict != VERDICT_LEAKING && verdict != VERDICT_SATURATING);
}

/* Birth times of an untrusted capture lie anywhere. */
static void test_epochs_of_a_huge_window(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, UINT64_MAX / 2 - 1, 13, 1), 0);
	assert_int_equal(stream_alloc(&s, ADDR, UINT64_MAX - STREAM_START_NS, 13, 1), 0);
	assert_int_equal(stream_mark(&s, RECORD_END, 0, UINT64_MAX / 2), 0);
	assert_int_equal(profile_report(profile, &all, &report), 0);
	assert_int_equal(report.site[0].live_objects, 2);
	report_release(&report);
	profile_free(profile);
}

/* --- frames --- */

static struct report report_at_end(struct stream *s, struct profile *profile,
				   const struct report_options *options)
{
	struct report report;

	assert_int_equal(stream_mark(s, RECORD_END, 0, STREAM_S), 0);
	assert_int_equal(profile_report(profile, options, &report), 0);
	return report;
}

static void check_functions(const struct report_site *site, const char *expected)
{
	char text[1024] = "";

	for (size_t i = 0; i < site->nr_frames; i++) {
		strcat(text, i ? " " : "");
		strcat(text, site->frame[i].inlined ? "^" : "");
		strcat(text, site->frame[i].function[0] ? site->frame[i].function : "?");
	}
	assert_string_equal(text, expected);
}

static void test_allocator_frames(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_named_stack(&s, 1, "malloc operator_new work main"), 0);
	assert_int_equal(stream_named_stack(&s, 2, "realloc work malloc main"), 0);
	assert_int_equal(stream_named_stack(&s, 3, "calloc malloc"), 0);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(stream_alloc(&s, ADDR + i * 16, i, 100 - i, i), 0);
	report = report_at_end(&s, profile, &all);
	assert_int_equal(report.nr_sites, 3);
	check_functions(&report.site[0], "operator_new work main");
	check_functions(&report.site[1], "work malloc main"); /* inner end only */
	check_functions(&report.site[2], "calloc malloc");    /* or nothing would remain */
	report_release(&report);
	assert_int_equal(profile_report(profile, &(struct report_options){.allocator_frames = true},
					&report),
			 0);
	check_functions(&report.site[0], "malloc operator_new work main");
	report_release(&report);
	profile_free(profile);
}

static void test_inlined_frames(void **state)
{
	static const uint64_t frame[] = {0x1001, 0x2001};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_stack(&s, 1, 0, frame, 2), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x1000,
				       "^malloc|m|x.h|3 ^inner|m|x.h|7 outer|m|x.c|11"),
			 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x2000, "main|m|x.c|13"), 0);
	assert_int_equal(stream_alloc(&s, ADDR, 1, 13, 1), 0);
	report = report_at_end(&s, profile, &all);
	check_functions(&report.site[0], "^inner outer main");
	assert_int_equal(report.site[0].frame[0].line, 7);
	assert_string_equal(report.site[0].frame[0].file, "x.h");
	assert_int_equal(report.site[0].frame[1].address, 0x1001);
	assert_string_equal(report.site[0].frame[2].module, "m");
	report_release(&report);
	profile_free(profile);
}

/* Two walks that went astray at different words behind the same frames. */
static void test_cut_where_no_code_is(void **state)
{
	static const uint64_t one[] = {0x1001, 0x2001, 0xdead1, 0x5001};
	static const uint64_t two[] = {0x1001, 0x2001, 0xbeef1};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_stack(&s, 1, 0, one, 4), 0);
	assert_int_equal(stream_stack(&s, 2, STACK_PARTIAL, two, 3), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x1000, "f|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x2000, "g|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x5000, "h|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0xdead0, ""), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0xbeef0, ""), 0);
	assert_int_equal(stream_alloc(&s, ADDR, 1, 13, 1), 0);
	assert_int_equal(stream_alloc(&s, ADDR + 16, 2, 17, 2), 0);
	report = report_at_end(&s, profile, &all);
	assert_int_equal(report.nr_sites, 1);
	check_functions(&report.site[0], "f g");
	assert_true(report.site[0].stack_partial);
	assert_int_equal(report.site[0].live_bytes, 30);
	assert_int_equal(report.site[0].alloc_objects, 2);
	assert_int_equal(report.balance.stacks_partial, 1);
	report_release(&report);
	profile_free(profile);
}

#define CODE_OF(origin, address) SEEP_FRAME_OF(UINT64_C(address), origin)

/* Other code at the same addresses: a site of its own, unless all its names are the same. */
static void test_other_code_at_the_same_address(void **state)
{
	static const uint64_t first[] = {CODE_OF(11, 0x1001), CODE_OF(7, 0x2001)};
	static const uint64_t second[] = {CODE_OF(13, 0x1001), CODE_OF(7, 0x2001)};
	static const uint64_t again[] = {CODE_OF(17, 0x1001), CODE_OF(7, 0x2001)};
	static const uint64_t nameless[] = {CODE_OF(19, 0x1001), CODE_OF(7, 0x2001)};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_stack(&s, 1, 0, first, 2), 0);
	assert_int_equal(stream_stack(&s, 2, 0, second, 2), 0);
	assert_int_equal(stream_stack(&s, 3, 0, again, 2), 0);
	assert_int_equal(stream_stack(&s, 4, 0, nameless, 2), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, CODE_OF(11, 0x1000), "f|a.so|x.c|3"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, CODE_OF(13, 0x1000), "g|b.so|y.c|3"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, CODE_OF(17, 0x1000), "f|a.so|x.c|3"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, CODE_OF(7, 0x2000), "main|m"), 0);
	for (uint32_t i = 1; i <= 4; i++)
		assert_int_equal(stream_alloc(&s, ADDR + i * 4096, i, 1000 * (5 - i), i), 0);
	report = report_at_end(&s, profile, &all);
	assert_int_equal(report.nr_sites, 3);
	check_functions(&report.site[0], "f main");
	assert_int_equal(report.site[0].live_bytes, 6000);
	assert_int_equal(report.site[0].frame[0].address, 0x1001);
	check_functions(&report.site[1], "g main");
	assert_int_equal(report.site[1].live_bytes, 3000);
	assert_string_equal(report.site[2].frame[0].function, "");
	assert_int_equal(report.site[2].frame[0].address, 0x1001);
	assert_int_equal(report.site[2].live_bytes, 1000);
	report_release(&report);
	profile_free(profile);
}

static void test_what_is_complete(void **state)
{
	static const uint64_t at_main[] = {0x1001, 0x2001};
	static const uint64_t at_root[] = {0x1001, 0x3001, 0x1001, 0x1001};
	static const uint64_t neither[] = {0x1001, 0x4001, 0x1001};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x1000, "f|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x2000, "main|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x3000, "start_thread|/lib/libc.so.6"), 0);
	/* anybody may have a function of that name */
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x4000, "clone|m"), 0);
	assert_int_equal(stream_stack(&s, 1, STACK_PARTIAL, at_main, 2), 0);
	assert_int_equal(stream_stack(&s, 2, STACK_PARTIAL, at_root, 4), 0);
	assert_int_equal(stream_stack(&s, 3, STACK_PARTIAL, neither, 3), 0);
	assert_int_equal(stream_stack(&s, 4, STACK_TRUNCATED, neither, 1), 0);
	assert_int_equal(stream_stack(&s, 5, 0, (const uint64_t[]){0x7001}, 1), 0);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(stream_alloc(&s, ADDR + i * 16, i, 100 - i, i), 0);
	report = report_at_end(&s, profile, &all);
	assert_int_equal(report.nr_sites, 5);
	check_functions(&report.site[0], "f main");
	check_functions(&report.site[1], "f start_thread");
	check_functions(&report.site[2], "f clone f");
	check_functions(&report.site[4], "?");
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(report.site[i].stack_partial, i == 2 || i == 3);
	assert_int_equal(report.site[4].frame[0].address, 0x7001);
	report_release(&report);
	profile_free(profile);
}

/* The word at the stack pointer of a leaf function: its caller, or data. */
static void test_leaf_guess(void **state)
{
	static const uint64_t data[] = {0x1000, 0xdead1, 0x2001};
	static const uint64_t code[] = {0x1000, 0x3001, 0x2001};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;
	const uint16_t flags = STACK_PRECISE_PC | STACK_LEAF_GUESS;

	(void)state;
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x1000, "leaf|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x2000, "main|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0x3000, "caller|m"), 0);
	assert_int_equal(stream_symbol(&s, STREAM_PROC, 0xdead0, ""), 0);
	assert_int_equal(stream_stack(&s, 1, flags, data, 3), 0);
	assert_int_equal(stream_stack(&s, 2, flags, code, 3), 0);
	assert_int_equal(stream_alloc(&s, ADDR, 1, 17, 1), 0);
	assert_int_equal(stream_alloc(&s, ADDR + 16, 2, 13, 2), 0);
	report = report_at_end(&s, profile, &all);
	check_functions(&report.site[0], "leaf main");
	check_functions(&report.site[1], "leaf caller main");
	assert_false(report.site[0].stack_partial);
	report_release(&report);
	profile_free(profile);
}

static void test_unknown_stacks(void **state)
{
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_alloc(&s, ADDR, 1, 17, SEEP_STACK_UNKNOWN), 0);
	assert_int_equal(stream_alloc(&s, ADDR + 16, 2, 13, SEEP_STACK_UNKNOWN), 0);
	assert_int_equal(stream_alloc(&s, ADDR + 32, 3, 11, 5), 0); /* never told of */
	report = report_at_end(&s, profile, &all);
	assert_int_equal(report.nr_sites, 1);
	assert_int_equal(report.site[0].nr_frames, 0);
	assert_int_equal(report.site[0].live_bytes, 41);
	assert_int_equal(report.balance.stacks_unknown, 3);
	report_release(&report);
	profile_free(profile);
}

/* The same code in two processes is two sites. */
static void test_processes_apart(void **state)
{
	struct event_alloc e = {
		.head = {.kind = EVENT_ALLOC, .proc = SEEP_PROC(2, 1), .time_ns = STREAM_START_NS},
		.addr = ADDR,
		.sized = 7,
		.stack = 1};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	assert_int_equal(stream_target(&s, SEEP_PROC(2, 1), 4712, "other"), 0);
	assert_int_equal(stream_named_stack(&s, 1, "work main"), 0);
	assert_int_equal(stream_alloc(&s, ADDR, 1, 17, 1), 0);
	assert_int_equal(profile_feed(profile, &e, sizeof(e)), 0);
	report = report_at_end(&s, profile, &all);
	assert_int_equal(report.nr_sites, 2);
	assert_int_equal(report.site[0].tgid, STREAM_TGID);
	assert_string_equal(report.site[1].comm, "other");
	assert_int_equal(report.nr_targets, 2);
	assert_int_equal(report.target[1].balance.live_bytes, 7);
	report_release(&report);
	profile_free(profile);
}

static void test_top_and_min_age(void **state)
{
	struct report_options options = {.top = 3, .min_age_ns = STREAM_S / 2};
	struct stream s;
	struct profile *profile = new_profile(&s);
	struct report report;

	(void)state;
	for (uint32_t i = 1; i <= 7; i++) {
		const uint64_t frame[] = {i << 12};

		assert_int_equal(stream_stack(&s, i, 0, frame, 1), 0);
		assert_int_equal(stream_alloc(&s, ADDR + i * 32, 1, i, i), 0);
		assert_int_equal(stream_alloc(&s, ADDR + i * 32 + 16, STREAM_S / 2 + 1, 1000, i),
				 0);
	}
	report = report_at_end(&s, profile, &options);
	assert_int_equal(report.nr_sites, 3);
	assert_int_equal(report.nr_sites_all, 7);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(report.site[i].live_bytes, 7 - i);
		assert_int_equal(report.site[i].live_objects, 1);
		assert_int_equal(report.site[i].alloc_objects, 2);
	}
	/* the balance is of all blocks, whatever their age and rank */
	assert_int_equal(report.balance.live, 14);
	report_release(&report);
	profile_free(profile);
}

static void test_verdict_names(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_LEAKING), "LEAKING");
	assert_string_equal(verdict_name(VERDICT_GROWING), "GROWING");
	assert_string_equal(verdict_name(VERDICT_SATURATING), "SATURATING");
	assert_string_equal(verdict_name(VERDICT_STARTUP), "STARTUP");
	assert_string_equal(verdict_name(VERDICT_CHURN), "CHURN");
	assert_string_equal(verdict_name(VERDICT_HELD), "HELD");
	assert_string_equal(verdict_name(VERDICT_UNKNOWN), "?");
	report_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leak_is_found),
		cmocka_unit_test(test_slow_leak_is_found),
		cmocka_unit_test(test_leak_among_churn),
		cmocka_unit_test(test_unrecovered_losses_are_no_leak),
		cmocka_unit_test(test_steady_cache_just_after_the_attach),
		cmocka_unit_test(test_steady_cache),
		cmocka_unit_test(test_filling_cache),
		cmocka_unit_test(test_startup_table),
		cmocka_unit_test(test_short_window),
		cmocka_unit_test(test_one_burst),
		cmocka_unit_test(test_epochs_of_a_huge_window),
		cmocka_unit_test(test_allocator_frames),
		cmocka_unit_test(test_inlined_frames),
		cmocka_unit_test(test_cut_where_no_code_is),
		cmocka_unit_test(test_other_code_at_the_same_address),
		cmocka_unit_test(test_what_is_complete),
		cmocka_unit_test(test_leaf_guess),
		cmocka_unit_test(test_unknown_stacks),
		cmocka_unit_test(test_processes_apart),
		cmocka_unit_test(test_top_and_min_age),
		cmocka_unit_test(test_verdict_names),
	};

	return cmocka_run_group_tests_name("summary", tests, NULL, NULL);
}
