/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel keeps of the program that runs: the cookie of its probe, and whether the function returns. It is read
 * where it lies, by its type, for a call to ask for it costs more than all that there is to read.
 */
#ifndef SEEP_RUNNING_BPF_H
#define SEEP_RUNNING_BPF_H

#include "common.bpf.h"

/* config.casts, and links of many probes. */
static __always_inline bool running_is_known(void)
{
	return config.casts && config.multi_links &&
	       bpf_core_field_exists(struct bpf_uprobe_multi_run_ctx, uprobe) &&
	       bpf_core_field_exists(struct bpf_uprobe, cookie);
}

static __always_inline const struct bpf_uprobe_multi_run_ctx *
running(const struct task_struct *task)
{
	return bpf_rdonly_cast(task->bpf_ctx,
			       bpf_core_type_id_kernel(struct bpf_uprobe_multi_run_ctx));
}

/* Of the probe that the program runs for. */
static __always_inline __u64 running_cookie(void *ctx, const struct task_struct *task)
{
	return running_is_known() ? running(task)->uprobe->cookie : bpf_get_attach_cookie(ctx);
}

/*
 * Of a session: is it the function's return? There is a function of the kernel's to ask, but it takes other arguments in
 * 7.0 than in 6.13. Sessions are used where this can be told (kernel_features.uprobe_session).
 */
static __always_inline bool running_is_return(const struct task_struct *task)
{
	return running_is_known() &&
	       bpf_core_field_exists(struct bpf_uprobe_multi_run_ctx, session_ctx) &&
	       bpf_core_field_exists(struct bpf_session_run_ctx, is_return) &&
	       running(task)->session_ctx.is_return;
}

#endif
