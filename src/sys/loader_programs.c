// SPDX-License-Identifier: GPL-2.0-or-later
/* Which programs are loaded, and for which kind of link. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "loader_impl.h"
#include "lock.h"
#include "physmem.h"
#include "seep.skel.h"
#include "uprobe_link.h"

/* One of the two versions of a program at a system call: bpf/syscall.bpf.h. */
#define AT_CALL(name) (trampolines ? l->skel->progs.name##_here : l->skel->progs.name)

static struct bpf_program *version_of(const struct loader *l, enum loader_program program,
				      bool trampolines)
{
	struct bpf_program *const by_number[PROGRAM_NR] = {
		[PROGRAM_ALLOC_ENTER] = l->skel->progs.alloc_enter,
		[PROGRAM_ALLOC_RETURN] = l->skel->progs.alloc_return,
		[PROGRAM_ALLOC_SESSION] = l->skel->progs.alloc_session,
		[PROGRAM_FREE_ENTER] = l->skel->progs.free_enter,
		[PROGRAM_USDT_ALLOC] = l->skel->progs.usdt_alloc,
		[PROGRAM_USDT_FREE] = l->skel->progs.usdt_free,
		[PROGRAM_FLOOR] = l->skel->progs.probe_floor,
		[PROGRAM_FLOOR_MULTI] = l->skel->progs.floor_multi,
		[PROGRAM_FLOOR_SESSION] = l->skel->progs.floor_session,
		[PROGRAM_FLOOR_SKIP] = l->skel->progs.floor_skip,
		[PROGRAM_STACK] = l->skel->progs.probe_stack,
		[PROGRAM_DIRECT_LOOK] = l->skel->progs.direct_look,
		[PROGRAM_MMAP_ENTER] = AT_CALL(mmap_enter),
		[PROGRAM_MMAP_EXIT] = AT_CALL(mmap_exit),
		[PROGRAM_MUNMAP_ENTER] = AT_CALL(munmap_enter),
		[PROGRAM_MUNMAP_EXIT] = AT_CALL(munmap_exit),
		[PROGRAM_MREMAP_ENTER] = AT_CALL(mremap_enter),
		[PROGRAM_MREMAP_EXIT] = AT_CALL(mremap_exit),
		[PROGRAM_BRK_ENTER] = AT_CALL(brk_enter),
		[PROGRAM_BRK_EXIT] = AT_CALL(brk_exit),
		[PROGRAM_FAULT_MINOR] = l->skel->progs.fault_minor,
		[PROGRAM_FAULT_MAJOR] = l->skel->progs.fault_major,
		[PROGRAM_FORK] = l->skel->progs.proc_fork,
		[PROGRAM_EXEC] = l->skel->progs.proc_exec,
		[PROGRAM_EXIT] = l->skel->progs.proc_exit,
		[PROGRAM_CODE_MUNMAP] = AT_CALL(code_munmap),
		[PROGRAM_CODE_MMAP] = AT_CALL(code_mmap),
		[PROGRAM_CODE_MREMAP] = AT_CALL(code_mremap),
		[PROGRAM_VM_LOCK] = l->skel->progs.vm_lock,
		[PROGRAM_CODE_LOCK] = l->skel->progs.code_lock,
	};

	return by_number[program];
}

struct bpf_program *loader_program(const struct loader *l, enum loader_program program)
{
	return version_of(l, program, l->calls == CALLS_BY_TRAMPOLINES);
}

static bool is_at_call(enum loader_program program)
{
	return (program >= PROGRAM_MMAP_ENTER && program <= PROGRAM_BRK_EXIT) ||
	       program >= PROGRAM_CODE_MUNMAP;
}

/* Code that goes away concerns all, mappings only who follows allocations. */
static bool sees_calls_by(const struct loader *l, enum loader_program program, bool allocations)
{
	bool is_at_lock = program == PROGRAM_VM_LOCK || program == PROGRAM_CODE_LOCK;

	if (l->calls == CALLS_UNSEEN || is_at_lock != (l->calls == CALLS_BY_LOCK))
		return false;
	if (is_at_lock)
		return allocations == (program == PROGRAM_VM_LOCK);
	return allocations || (program >= PROGRAM_CODE_MUNMAP && program <= PROGRAM_CODE_MREMAP);
}

static bool is_wanted(const struct loader *l, enum loader_program program,
		      const struct loader_options *options)
{
	switch (program) {
	case PROGRAM_ALLOC_ENTER:
	case PROGRAM_ALLOC_RETURN:
		return options->allocations && l->kind != ATTACH_SESSION;
	case PROGRAM_ALLOC_SESSION:
		return options->allocations && l->kind == ATTACH_SESSION;
	case PROGRAM_FREE_ENTER:
	case PROGRAM_USDT_ALLOC:
	case PROGRAM_USDT_FREE:
		return options->allocations;
	case PROGRAM_FLOOR_MULTI: /* sweeps, too */
		return l->kind != ATTACH_PERF;
	case PROGRAM_FLOOR_SESSION:
	case PROGRAM_FLOOR_SKIP:
		return options->measuring && l->kind == ATTACH_SESSION;
	case PROGRAM_STACK:
		return options->measuring;
	case PROGRAM_DIRECT_LOOK:
		return (options->allocations || options->measuring) &&
		       l->skel->rodata->config.casts && physmem_entry_mask();
	case PROGRAM_FAULT_MINOR:
	case PROGRAM_FAULT_MAJOR:
		return options->faults;
	default:
		break;
	}
	return is_at_call(program) ? sees_calls_by(l, program, options->allocations) : true;
}

int loader_choose_programs(const struct loader *l, const struct loader_options *options)
{
	bool trampolines = l->calls == CALLS_BY_TRAMPOLINES;
	int i, err;

	if (l->calls != CALLS_BY_LOCK) {
		err = bpf_map__set_autocreate(l->skel->maps.vm_returns, false);
		if (err)
			return err;
	}
	for (i = 0; i < PROGRAM_NR; i++) {
		err = bpf_program__set_autoload(version_of(l, i, !trampolines), false);
		if (!err)
			err = bpf_program__set_autoload(loader_program(l, i),
							is_wanted(l, i, options));
		if (err)
			return err;
	}
	return 0;
}

enum loader_calls loader_choose_calls(const struct kernel_features *features)
{
	if (features->trampolines)
		return CALLS_BY_TRAMPOLINES;
	if (features->task_work)
		return CALLS_BY_LOCK;
	return features->syscall_tracepoints ? CALLS_BY_TRACEPOINTS : CALLS_UNSEEN;
}

int loader_number_functions(const struct loader *l, const struct kernel_features *features)
{
	struct bpf_program *program = l->skel->progs.vm_lock;
	size_t nr = bpf_program__insn_cnt(program), i;
	struct bpf_insn *insn;
	int err;

	if (l->calls != CALLS_BY_LOCK)
		return 0;
	insn = malloc(nr * sizeof(*insn));
	if (!insn)
		return -ENOMEM;
	memcpy(insn, bpf_program__insns(program), nr * sizeof(*insn));
	for (i = 0; i < nr; i++) {
		if (insn[i].code == (BPF_JMP | BPF_CALL) && !insn[i].src_reg &&
		    insn[i].imm == SEEP_CALL_TASK_WORK) {
			insn[i].src_reg = BPF_PSEUDO_KFUNC_CALL;
			insn[i].imm = (int32_t)features->task_work;
		}
	}
	err = bpf_program__set_insns(program, insn, nr);
	free(insn);
	return err;
}

enum loader_calls loader_calls(const struct loader *l)
{
	return l->calls;
}

uint64_t loader_calls_missed(const struct loader *l)
{
	uint64_t sum = 0;
	int i, fd;

	for (i = 0; i < PROGRAM_NR && l->calls > CALLS_BY_TRACEPOINTS; i++) {
		struct bpf_prog_info info = {0};
		uint32_t bytes = sizeof(info);

		fd = is_at_call(i) ? loader_program_fd(l, i) : -1;
		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &bytes))
			sum += info.recursion_misses;
	}
	return sum;
}

enum attach_kind loader_choose_kind(enum attach_kind best, const struct kernel_features *features)
{
	if (!best)
		best = ATTACH_SESSION;
	if (best == ATTACH_SESSION && features->uprobe_session && features->uprobe_multi)
		return ATTACH_SESSION;
	return best >= ATTACH_MULTI && features->uprobe_multi ? ATTACH_MULTI : ATTACH_PERF;
}

/* A program goes with links of one kind only. */
int loader_choose_links(const struct loader *l)
{
	static const enum loader_program multi[] = {PROGRAM_ALLOC_ENTER, PROGRAM_ALLOC_RETURN,
						    PROGRAM_FREE_ENTER, PROGRAM_FLOOR_MULTI,
						    PROGRAM_STACK};
	static const enum loader_program session[] = {PROGRAM_ALLOC_SESSION, PROGRAM_FLOOR_SESSION,
						      PROGRAM_FLOOR_SKIP};
	size_t i;
	int err = 0;

	if (l->kind == ATTACH_PERF)
		return 0;
	for (i = 0; i < ARRAY_SIZE(multi) && !err; i++)
		err = bpf_program__set_expected_attach_type(
			loader_program(l, multi[i]), uprobe_link_attach_type(UPROBE_LINK_ENTRY));
	for (i = 0; i < ARRAY_SIZE(session) && !err && l->kind == ATTACH_SESSION; i++)
		err = bpf_program__set_expected_attach_type(
			loader_program(l, session[i]),
			uprobe_link_attach_type(UPROBE_LINK_SESSION));
	return err;
}
