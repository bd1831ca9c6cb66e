/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is decided from what is known; tests/sys/test_hazard.c asks the kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "array.h"
#include "hazard.h"

#define SECCOMP_WHY                                                                                \
	"this kernel's return probes kill processes under seccomp (fixed in 6.14 and its stable "  \
	"backports)"
#define STRICT_WHY                                                                                 \
	"this kernel's return probes kill processes under strict seccomp (fixed in 6.14 and its "  \
	"stable backports)"
#define SHADOW_WHY "this kernel's return probes kill processes with a shadow stack (fixed in 6.11)"
#define UNKNOWN_SECCOMP_WHY                                                                        \
	"cannot find out whether this kernel's return probes kill processes under seccomp: "
#define UNKNOWN_SHADOW_WHY                                                                         \
	"cannot find out whether this kernel's return probes kill processes with a shadow stack: "

static const struct hazard_kernel fixed = {HAZARD_SAFE, HAZARD_SAFE, HAZARD_SAFE};
static const struct hazard_kernel old = {HAZARD_SAFE, HAZARD_SAFE, HAZARD_KILLS}; /* before 6.11 */
static const struct hazard_kernel bad = {HAZARD_KILLS, HAZARD_KILLS,
					 HAZARD_SAFE}; /* 6.11 to 6.13 */
static const struct hazard_kernel mute = {-ETIMEDOUT, -EPERM, -EPROTO};
static const struct hazard_kernel half = {HAZARD_UNTRIED, -EPERM, HAZARD_KILLS};
static const struct hazard_kernel untried;

static const struct proc_guards none;
static const struct proc_guards traced = {.tracer_tid = 30011};
static const struct proc_guards strict = {.seccomp_strict = true};
static const struct proc_guards filter = {.seccomp_filter = true};
static const struct proc_guards shadow = {.shadow_stack = true};
static const struct proc_guards both = {.seccomp_filter = true, .shadow_stack = true};
static const struct proc_guards all = {
	.seccomp_strict = true, .seccomp_filter = true, .shadow_stack = true};

static const struct {
	const struct hazard_kernel *kernel;
	const struct proc_guards *guards;
	int result;
	const char *why; /* its beginning */
} cases[] = {
	{&fixed, &none, 0, NULL},
	{&fixed, &all, 0, NULL},
	{&old, &none, 0, NULL},
	{&old, &strict, 0, NULL},
	{&old, &filter, 0, NULL},
	{&old, &shadow, 1, SHADOW_WHY},
	{&old, &both, 1, SHADOW_WHY},
	{&bad, &none, 0, NULL},
	{&bad, &traced, 0, NULL},
	{&bad, &filter, 1, SECCOMP_WHY},
	{&bad, &strict, 1, STRICT_WHY},
	{&bad, &shadow, 0, NULL},
	{&bad, &both, 1, SECCOMP_WHY},
	/* what is not known matters only where it applies */
	{&mute, &none, 0, NULL},
	{&mute, &filter, -EPERM, UNKNOWN_SECCOMP_WHY "Operation not permitted"},
	{&mute, &strict, -ETIMEDOUT, "cannot find out"},
	{&mute, &shadow, -EPROTO, UNKNOWN_SHADOW_WHY "Protocol error"},
	{&mute, &all, -EPERM, UNKNOWN_SECCOMP_WHY},
	/* what kills goes before what is not known */
	{&half, &both, 1, SHADOW_WHY},
	{&half, &all, 1, SHADOW_WHY},
	{&half, &filter, -EPERM, UNKNOWN_SECCOMP_WHY},
	{&half, &strict, -ENODATA, "cannot find out"},
	/* what was not tried is not known */
	{&untried, &none, 0, NULL},
	{&untried, &shadow, -ENODATA, UNKNOWN_SHADOW_WHY},
};

static void test_verdicts(void **state)
{
	char why[HAZARD_WHY_BYTES];
	int result;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcpy(why, "untouched");
		result = hazard_judge(cases[i].kernel, cases[i].guards, why, sizeof(why));
		if (result != cases[i].result)
			fail_msg("case %zu: %d, not %d (%s)", i, result, cases[i].result, why);
		if (!result)
			assert_string_equal(why, "untouched");
		else if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("case %zu: '%s', not '%s'", i, why, cases[i].why);
	}
}

/* Kernels by their links: before 6.6, from 6.6 on, from 6.13 on; without uprobes for perf events; and without any. */
static const struct kernel_features perf = {.uprobe_pmu = true};
static const struct kernel_features multi = {.uprobe_pmu = true, .uprobe_multi = true};
static const struct kernel_features session = {
	.uprobe_pmu = true, .uprobe_multi = true, .uprobe_session = true};
static const struct kernel_features no_pmu = {.uprobe_multi = true, .uprobe_session = true};
static const struct kernel_features lame = {.uprobe_pmu = true, .uprobe_session = true};
static const struct kernel_features nothing;

/* What is set in a process, for a function that allocates and for one that frees. 0: the link; else as result. */
static const struct {
	const struct kernel_features *features;
	const struct hazard_kernel *kernel;
	const struct proc_guards *guards;
	bool is_32bit, with_return;
	int result;
	enum attach_kind link;
	const char *why;
} decisions[] = {
	{&perf, &fixed, &none, false, true, 0, ATTACH_PERF, NULL},
	{&perf, &fixed, &none, false, false, 0, ATTACH_PERF, NULL},
	{&multi, &fixed, &none, false, true, 0, ATTACH_MULTI, NULL},
	{&multi, &fixed, &none, false, false, 0, ATTACH_MULTI, NULL},
	{&session, &fixed, &none, false, true, 0, ATTACH_SESSION, NULL},
	/* what has no return is no session */
	{&session, &fixed, &none, false, false, 0, ATTACH_MULTI, NULL},
	{&no_pmu, &fixed, &none, false, true, 0, ATTACH_SESSION, NULL},
	/* frees need multi links: sessions without them are of no use */
	{&lame, &fixed, &none, false, true, 0, ATTACH_PERF, NULL},
	{&nothing, &fixed, &none, false, true, 1, 0, "this kernel has no uprobes"},
	{&nothing, &fixed, &none, false, false, 1, 0, "this kernel has no uprobes"},
	/* the trampoline is the same for all kinds */
	{&perf, &bad, &filter, false, true, 1, 0, SECCOMP_WHY},
	{&multi, &bad, &filter, false, true, 1, 0, SECCOMP_WHY},
	{&session, &bad, &filter, false, true, 1, 0, SECCOMP_WHY},
	{&session, &bad, &strict, false, true, 1, 0, STRICT_WHY},
	{&session, &old, &shadow, false, true, 1, 0, SHADOW_WHY},
	{&multi, &old, &shadow, false, true, 1, 0, SHADOW_WHY},
	{&session, &mute, &filter, false, true, -EPERM, 0, UNKNOWN_SECCOMP_WHY},
	{&session, &fixed, &all, false, true, 0, ATTACH_SESSION, NULL},
	/* an entry has none */
	{&session, &bad, &filter, false, false, 0, ATTACH_MULTI, NULL},
	{&perf, &old, &shadow, false, false, 0, ATTACH_PERF, NULL},
	{&session, &mute, &all, false, false, 0, ATTACH_MULTI, NULL},
	/* to be traced is no reason against it, to be of 32 bits is one against everything */
	{&session, &bad, &traced, false, true, 0, ATTACH_SESSION, NULL},
	{&session, &fixed, &none, true, true, 1, 0, "it is a 32-bit program"},
	{&perf, &fixed, &none, true, false, 1, 0, "it is a 32-bit program"},
};

static void edge_36_decisions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(decisions); i++) {
		const struct hazard_facts facts = {.features = decisions[i].features,
						   .kernel = decisions[i].kernel,
						   .guards = decisions[i].guards,
						   .is_32bit = decisions[i].is_32bit,
						   .with_return = decisions[i].with_return};
		char why[HAZARD_WHY_BYTES] = "untouched";
		enum attach_kind link = 0;
		int result = hazard_decide(&facts, &link, why, sizeof(why));

		if (result != decisions[i].result || link != decisions[i].link)
			fail_msg("case %zu: %d, link %d (%s)", i, result, (int)link, why);
		if (!result)
			assert_string_equal(why, "untouched");
		else if (strncmp(why, decisions[i].why, strlen(decisions[i].why)) != 0)
			fail_msg("case %zu: '%s', not '%s'", i, why, decisions[i].why);
	}
}

static void test_reason_is_bounded(void **state)
{
	char why[8];

	(void)state;
	memset(why, 'x', sizeof(why));
	assert_int_equal(hazard_judge(&bad, &filter, why, 6), 1);
	assert_string_equal(why, "this ");
	assert_memory_equal(why + 6, "xx", 2);
}

/* A kernel about which all is known is not asked again, and one that threatens nobody is not asked at all. */
static void test_asks_only_what_matters(void **state)
{
	struct hazard_kernel kernel = bad;
	char why[HAZARD_WHY_BYTES];

	(void)state;
	assert_int_equal(hazard_check(&kernel, &filter, why, sizeof(why)), 1);
	assert_string_equal(why, SECCOMP_WHY);
	kernel = mute;
	assert_int_equal(hazard_check(&kernel, &shadow, why, sizeof(why)), -EPROTO);
	assert_memory_equal(&kernel, &mute, sizeof(kernel));
	kernel = untried;
	assert_int_equal(hazard_check(&kernel, &traced, why, sizeof(why)), 0);
	assert_memory_equal(&kernel, &untried, sizeof(kernel));
}

static void test_anybody(void **state)
{
	struct hazard_kernel kernel = bad;
	char why[HAZARD_WHY_BYTES] = "";

	(void)state;
	assert_int_equal(hazard_check_anybody(&kernel, why, sizeof(why)), 1);
	assert_string_equal(why, SECCOMP_WHY);
	kernel = mute;
	assert_int_equal(hazard_check_anybody(&kernel, why, sizeof(why)), -EPERM);
	kernel = fixed;
	assert_int_equal(hazard_check_anybody(&kernel, why, sizeof(why)), 0);
	/* a machine without shadow stacks has no process with one, whatever its kernel would do */
	kernel = old;
	assert_true(hazard_check_anybody(&kernel, why, sizeof(why)) >= 0);
	assert_memory_equal(&kernel, &old, sizeof(kernel));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(edge_36_decisions),
		cmocka_unit_test(test_reason_is_bounded),
		cmocka_unit_test(test_asks_only_what_matters),
		cmocka_unit_test(test_anybody),
	};

	return cmocka_run_group_tests_name("hazard", tests, NULL, NULL);
}
