// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings, seen at the entries and returns of system calls. */
#include "syscall.bpf.h"
#include "vm.bpf.h"

char LICENSE[] SEC("license") __weak = "GPL";

SYSCALL_ENTRY(mmap, mmap_enter, mmap_enters)
SYSCALL_RETURN(mmap, mmap_exit, mmap_exits)
SYSCALL_ENTRY(munmap, munmap_enter, munmap_enters)
SYSCALL_RETURN(munmap, munmap_exit, munmap_exits)
SYSCALL_ENTRY(mremap, mremap_enter, mremap_enters)
SYSCALL_RETURN(mremap, mremap_exit, mremap_exits)
SYSCALL_ENTRY(brk, brk_enter, brk_enters)
SYSCALL_RETURN(brk, brk_exit, brk_exits)
