/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stands in for libbpf's header of this name; see bpf_helpers.h. */
#ifndef SEEP_TEST_BPF_TRACING_H
#define SEEP_TEST_BPF_TRACING_H

#if defined(__TARGET_ARCH_x86)
#define PT_REGS_RC(regs) ((regs)->ax)
#define PT_REGS_FP(regs) ((regs)->bp)
#define PT_REGS_SP(regs) ((regs)->sp)
#define PT_REGS_IP(regs) ((regs)->ip)
#else
#define PT_REGS_RC(regs) ((regs)->regs[0])
#define PT_REGS_FP(regs) ((regs)->regs[29])
#define PT_REGS_SP(regs) ((regs)->sp)
#define PT_REGS_IP(regs) ((regs)->pc)
#endif
#define PT_REGS_FP_CORE(regs) PT_REGS_FP(regs)
#define PT_REGS_SP_CORE(regs) PT_REGS_SP(regs)
#define PT_REGS_IP_CORE(regs) PT_REGS_IP(regs)

#endif
