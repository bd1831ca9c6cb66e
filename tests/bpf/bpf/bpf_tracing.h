/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for libbpf's header of this name; see bpf_helpers.h. */
#ifndef SEEP_TEST_BPF_TRACING_H
#define SEEP_TEST_BPF_TRACING_H

#if defined(__TARGET_ARCH_x86)
#define PT_REGS_RC(r) ((r)->ax)
#define PT_REGS_FP(r) ((r)->bp)
#define PT_REGS_SP(r) ((r)->sp)
#define PT_REGS_IP(r) ((r)->ip)
#else
#define PT_REGS_RC(r) ((r)->regs[0])
#define PT_REGS_FP(r) ((r)->regs[29])
#define PT_REGS_SP(r) ((r)->sp)
#define PT_REGS_IP(r) ((r)->pc)
#endif
#define PT_REGS_FP_CORE(r) PT_REGS_FP(r)
#define PT_REGS_SP_CORE(r) PT_REGS_SP(r)
#define PT_REGS_IP_CORE(r) PT_REGS_IP(r)

#endif
