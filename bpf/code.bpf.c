// SPDX-License-Identifier: GPL-2.0-or-later
/* Code that goes away, seen at the entries of system calls. */
#include "code.bpf.h"
#include "syscall.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

SYSCALL_ENTRY(munmap, code_munmap, munmap_strikes)
SYSCALL_ENTRY(mremap, code_mremap, mremap_strikes)
SYSCALL_ENTRY(mmap, code_mmap, mmap_strikes)
