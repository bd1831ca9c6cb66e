// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stacks that are hard to walk, one piece of work each; built without frame pointers. Every stack must come out with
 * exactly these functions, in this order. Counts are primes. stacks_cases.sh knows what must come out.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "blocks.h"
#include "stacks.h"
#include "target.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))

static void *volatile kept;

/* --- signals ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals_left;

MALLOC_SITE(signal_malloc)

SITE void signal_handler(int signal)
{
	(void)signal;
	if (signals_left <= 0)
		return;
	kept = signal_malloc(101);
	signals_left--;
}

/* Has no frame: its return address is at the stack pointer all the time. */
SITE long signal_leaf(long n)
{
	while (signals_left > 0)
		n = n * 31 + 7;
	return n;
}

SITE long signal_caller(long n)
{
	n = signal_leaf(n) ^ n;
	return n;
}

SITE long signal_caller_other(long n)
{
	n = signal_leaf(n) + n;
	return n;
}

static void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	REQUIRE(!sigaction(signal, &action, NULL));
}

/* Signals come when the process uses the CPU, that is in the leaf. */
static void alarm_every_us(long us)
{
	struct itimerval timer = {.it_interval.tv_usec = us, .it_value.tv_usec = us};

	REQUIRE(!setitimer(ITIMER_PROF, &timer, NULL));
}

static long interrupt(long (*caller)(long), int nr, int flags)
{
	handle(SIGPROF, signal_handler, flags);
	signals_left = nr;
	alarm_every_us(4000);
	caller(3);
	alarm_every_us(0);
	return 0;
}

static long leaf(void)
{
	return interrupt(signal_caller, 13, 0);
}

static long leaf_other_stack(void)
{
	static char room[64 * 1024];
	stack_t stack = {.ss_sp = room, .ss_size = sizeof(room)};

	REQUIRE(!sigaltstack(&stack, NULL));
	return interrupt(signal_caller_other, 17, SA_ONSTACK);
}

/*
 * Interrupted at each step of the making of a frame: at its first instruction, with one register pushed, with room
 * made, before it returns. Each trap is one byte long, and what is interrupted is the byte behind it.
 */
#if defined(__x86_64__)
void signal_steps(void);
__asm__(".text\n"
	".globl signal_steps\n"
	".type signal_steps, @function\n"
	"signal_steps:\n"
	"	.cfi_startproc\n"
	"	int3\n"
	"	push %rbx\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbx, -16\n"
	"	int3\n"
	"	sub $48, %rsp\n"
	"	.cfi_def_cfa_offset 64\n"
	"	int3\n"
	"	add $48, %rsp\n"
	"	.cfi_def_cfa_offset 16\n"
	"	pop %rbx\n"
	"	.cfi_restore %rbx\n"
	"	.cfi_def_cfa_offset 8\n"
	"	int3\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size signal_steps, . - signal_steps\n");

SITE void signal_steps_caller(void)
{
	signal_steps();
}

/*
 * Interrupted at a function's very first byte: the byte before is another function's, whose frame is larger. Who takes
 * the interrupted instruction for a return address goes wrong twice.
 */
void signal_first(void);
__asm__(".text\n"
	".type signal_before, @function\n"
	"signal_before:\n"
	"	.cfi_startproc\n"
	"	sub $104, %rsp\n"
	"	.cfi_def_cfa_offset 112\n"
	"	hlt\n"
	"	.cfi_endproc\n"
	".size signal_before, . - signal_before\n"
	".globl signal_first\n"
	".type signal_first, @function\n"
	"signal_first:\n"
	"	.cfi_startproc\n"
	"	ud2\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size signal_first, . - signal_first\n");

SITE void signal_first_caller(void)
{
	signal_first();
}

SITE void signal_skip(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	kept = signal_malloc(101);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2;
}

static long first(void)
{
	struct sigaction action = {.sa_sigaction = signal_skip, .sa_flags = SA_SIGINFO};
	int i;

	REQUIRE(!sigaction(SIGILL, &action, NULL));
	for (i = 0; i < 23; i++)
		signal_first_caller();
	return 0;
}

static long steps(void)
{
	int i;

	handle(SIGTRAP, signal_handler, 0);
	signals_left = 4 * 19;
	for (i = 0; i < 19; i++)
		signal_steps_caller();
	return signals_left;
}
#else
static long steps(void)
{
	return -1;
}

static long first(void)
{
	return -1;
}
#endif

/* --- frames of varying size ------------------------------------------------------------------------ */

MALLOC_SITE(room_malloc)

SITE void room_alloca(size_t room)
{
	char *p = alloca(room);

	__asm__ volatile("" : : "r"(p) : "memory");
	kept = room_malloc(103);
}

SITE void room_array(size_t nr)
{
	ROOM(nr);

	kept = room_malloc(107);
}

SITE void room_one(size_t room)
{
	room_alloca(room);
}

/* Its frame is larger by what room_one() asks for: the stack pointer is often the same further in. */
SITE void room_two(size_t nr)
{
	ROOM(256);

	room_alloca(nr);
}

SITE void room_three(size_t nr)
{
	ROOM(64);

	room_array(nr);
}

static long rooms(void)
{
	size_t i;

	for (i = 1; i <= 53; i++) {
		room_one(16 * i + 256);
		room_two(16 * i);
		room_three(24 * i);
		room_two(16 * (54 - i));
	}
	return 0;
}

/* --- jumps out of calls --------------------------------------------------------------------------- */

static jmp_buf jump_buffer;

MALLOC_SITE(jump_malloc)

SITE void jump_inner(int leave)
{
	kept = jump_malloc(109);
	if (leave)
		longjmp(jump_buffer, 1);
}

SITE void jump_middle(int leave)
{
	ROOM(200);

	jump_inner(leave);
}

SITE void jump_outer(int leave)
{
	jump_middle(leave);
}

SITE void jump_other_middle(void)
{
	jump_inner(0);
}

/* As deep as jump_outer(), by another way. */
SITE void jump_other_outer(void)
{
	ROOM(200);

	jump_other_middle();
}

static long jump(void)
{
	volatile int i;

	for (i = 0; i < 29; i++) {
		if (!setjmp(jump_buffer))
			jump_outer(1);
		jump_other_outer();
		if (i % 2)
			jump_outer(0);
	}
	return 0;
}

/* --- coroutines ----------------------------------------------------------------------------------- */

static ucontext_t coroutine_main, coroutine[2];

MALLOC_SITE(coroutine_malloc)

SITE void coroutine_turn(int i)
{
	kept = coroutine_malloc(113);
	REQUIRE(!swapcontext(&coroutine[i], &coroutine_main));
}

SITE void coroutine_one(void)
{
	for (;;)
		coroutine_turn(0);
}

SITE void coroutine_deeper(void)
{
	ROOM(72);

	coroutine_turn(1);
}

SITE void coroutine_two(void)
{
	for (;;)
		coroutine_deeper();
}

SITE void coroutine_resume(int i)
{
	kept = coroutine_malloc(127);
	REQUIRE(!swapcontext(&coroutine_main, &coroutine[i]));
}

static void coroutine_make(int i, void (*entry)(void))
{
	static char room[2][64 * 1024];

	REQUIRE(!getcontext(&coroutine[i]));
	coroutine[i].uc_stack.ss_sp = room[i];
	coroutine[i].uc_stack.ss_size = sizeof(room[i]);
	makecontext(&coroutine[i], entry, 0);
}

static long coroutines(void)
{
	int i;

	coroutine_make(0, coroutine_one);
	coroutine_make(1, coroutine_two);
	for (i = 0; i < 3 * 31; i++)
		coroutine_resume(i % 3 == 1);
	return 0;
}

/* --- recursion ------------------------------------------------------------------------------------- */

MALLOC_SITE(deep_malloc)

SITE void deep_call(int depth)
{
	if (depth > 1)
		deep_call(depth - 1);
	else
		kept = deep_malloc(131);
}

static long deep_97(void)
{
	int i;

	for (i = 0; i < 37; i++)
		deep_call(97);
	return 0;
}

static long deep_499(void)
{
	int i;

	for (i = 0; i < 41; i++)
		deep_call(499);
	return 0;
}

/* --- plugins --------------------------------------------------------------------------------------- */

SITE void *plugin_callback(size_t size)
{
	return malloc(size);
}

typedef void plugin_run_fn(void *(*callback)(size_t), int nr);

static void *plugin_library;

SITE void plugin_call(plugin_run_fn *run, int nr)
{
	run(plugin_callback, nr);
}

/* Where it lies is the result. */
static long plugin_load(const char *name)
{
	Dl_info info;

	plugin_library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
	REQUIRE(plugin_library);
	REQUIRE(dladdr(dlsym(plugin_library, "plugin_run"), &info));
	return (long)info.dli_fbase;
}

static void plugin(int nr)
{
	plugin_run_fn *run;

	*(void **)&run = dlsym(plugin_library, "plugin_run");
	REQUIRE(run);
	plugin_call(run, nr);
	REQUIRE(!dlclose(plugin_library));
}

static void names_of(const char *variable, char *names, size_t size)
{
	REQUIRE(getenv(variable));
	REQUIRE(snprintf(names, size, "%s", getenv(variable)) < (int)size);
}

static long plugin_load_one(void)
{
	return plugin_load(getenv("STACKS_PLUGIN_ONE"));
}

static long plugin_load_two(void)
{
	return plugin_load(getenv("STACKS_PLUGIN_TWO"));
}

static long plugin_one(void)
{
	plugin(43);
	return 0;
}

static long plugin_two(void)
{
	plugin(47);
	return 0;
}

/* Called as soon as they are there, and gone as soon as they have been called. */
static long plugin_hasty(void)
{
	long address = plugin_load_one();

	plugin(89);
	address ^= plugin_load_two();
	plugin(97);
	return address;
}

/* Calls into all those named in a variable of the environment, separated by colons; they stay. */
static long plugin_bad(void)
{
	char names[4096], *name, *rest = NULL;
	long nr = 0;

	names_of("STACKS_BAD", names, sizeof(names));
	for (name = strtok_r(names, ":", &rest); name; name = strtok_r(NULL, ":", &rest)) {
		REQUIRE(dlopen(name, RTLD_LAZY | RTLD_LOCAL));
		plugin_load(name);
		plugin(53);
		nr++;
	}
	return nr;
}

/* --- code made at run time ------------------------------------------------------------------------- */

#define JIT_BYTES 4096

static unsigned char *jit_code;

MALLOC_SITE(jit_malloc)

#if defined(__x86_64__)
/* push rbp; mov rbp, rsp; nops; mov edi, size; mov rax, function; call rax; pop rbp; ret */
static void jit_write(int nops, uint32_t size)
{
	static const unsigned char enter[] = {0x55, 0x48, 0x89, 0xe5}, leave[] = {0x5d, 0xc3},
				   set_size[] = {0xbf}, set_function[] = {0x48, 0xb8},
				   call[] = {0xff, 0xd0};
	void *(*function)(size_t) = jit_malloc;
	unsigned char *p = jit_code;

	memcpy(p, enter, sizeof(enter));
	p += sizeof(enter);
	memset(p, 0x90, (size_t)nops);
	p += nops;
	memcpy(p, set_size, sizeof(set_size));
	memcpy(p + 1, &size, sizeof(size));
	p += 5;
	memcpy(p, set_function, sizeof(set_function));
	memcpy(p + 2, &function, sizeof(function));
	p += 10;
	memcpy(p, call, sizeof(call));
	memcpy(p + 2, leave, sizeof(leave));
}
#else
static void jit_write(int nops, uint32_t size)
{
	(void)nops;
	(void)size;
	target_write("unknown machine\n");
	_exit(2);
}
#endif

SITE void jit_call(void)
{
	((void (*)(void))jit_code)();
}

static long jit_map(void)
{
	jit_code = mmap(NULL, JIT_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(jit_code != MAP_FAILED);
	return 0;
}

static void jit(int nops, uint32_t size, int nr)
{
	int i;

	jit_write(nops, size);
	for (i = 0; i < nr; i++)
		jit_call();
}

static long jit_one(void)
{
	jit(0, 137, 59);
	return 0;
}

static long jit_two(void)
{
	jit(77, 139, 61);
	return 0;
}

/* Called as soon as it is there. */
static long jit_hasty(void)
{
	jit_map();
	jit(33, 141, 73);
	return 0;
}

/* --- threads --------------------------------------------------------------------------------------- */

MALLOC_SITE(thread_malloc)

SITE void *thread_run(void *arg)
{
	int i;

	for (i = 0; i < 103; i++)
		kept = thread_malloc(149);
	return arg;
}

static long threads(void)
{
	pthread_t thread[5];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		REQUIRE(!pthread_create(&thread[i], NULL, thread_run, NULL));
	for (i = 0; i < ARRAY_SIZE(thread); i++)
		REQUIRE(!pthread_join(thread[i], NULL));
	return 0;
}

/* --- what is linked when it is first called -------------------------------------------------------- */

void *lazy_malloc(size_t size);
void *lazy_chosen(size_t size);

SITE void lazy_call(void)
{
	kept = lazy_malloc(151);
}

/* Which function it is, is decided when it is first called, by one that allocates. */
SITE void lazy_call_chosen(void)
{
	kept = lazy_chosen(157);
}

static long lazy(void)
{
	int i;

	for (i = 0; i < 67; i++) {
		lazy_call();
		lazy_call_chosen();
	}
	return 0;
}

/* --- files mapped as code -------------------------------------------------------------------------- */

MALLOC_SITE(mapped_malloc)

SITE void mapped_call(void)
{
	kept = mapped_malloc(163);
}

/* Maps every file named in STACKS_MAP as executable. Says how many. */
static long map_files(void)
{
	char names[4096], *name, *rest = NULL;
	long nr = 0;
	FILE *file;
	int i;

	names_of("STACKS_MAP", names, sizeof(names));
	for (name = strtok_r(names, ":", &rest); name; name = strtok_r(NULL, ":", &rest)) {
		file = fopen(name, "re");
		REQUIRE(file);
		REQUIRE(mmap(NULL, 1 << 16, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(file), 0) !=
			MAP_FAILED);
		fclose(file);
		nr++;
	}
	for (i = 0; i < 71; i++)
		mapped_call();
	return nr;
}

static const struct work works[] = {
	{"leaf", leaf},
	{"leaf_other_stack", leaf_other_stack},
	{"steps", steps},
	{"first", first},
	{"rooms", rooms},
	{"jump", jump},
	{"coroutines", coroutines},
	{"deep_97", deep_97},
	{"deep_499", deep_499},
	{"plugin_load_one", plugin_load_one},
	{"plugin_one", plugin_one},
	{"plugin_load_two", plugin_load_two},
	{"plugin_two", plugin_two},
	{"plugin_hasty", plugin_hasty},
	{"plugin_bad", plugin_bad},
	{"jit_map", jit_map},
	{"jit_one", jit_one},
	{"jit_two", jit_two},
	{"jit_hasty", jit_hasty},
	{"threads", threads},
	{"lazy", lazy},
	{"map_files", map_files},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return target_serve(works, argc, argv);
}
