/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <capstone/capstone.h>
#include <stdio.h>

#include "array.h"
#include "placement.h"
#include "placement_bytes.h"

#define X86(text) EM_X86_64, (const uint8_t *)(text), sizeof(text) - 1
#define ARM64(text) EM_AARCH64, (const uint8_t *)(text), sizeof(text) - 1
#define BYTES(array) EM_X86_64, (array), sizeof(array)

struct placement_case {
	const char *name;
	const char *symbol;
	uint16_t machine;
	const uint8_t *code;
	size_t nr;
	struct placement want; /* no text: any; versions of capstone differ in some */
};

static const struct placement_case real_case[] = {
	{"glibc malloc",
	 "malloc",
	 BYTES(glibc_malloc),
	 {.offset = 0, .instruction = "push r12", .emulated = true, .size_reg = 6}},
	{"glibc calloc",
	 "calloc",
	 BYTES(glibc_calloc),
	 {.offset = 0, .instruction = "push r13", .emulated = true, .size_reg = 5, .count_reg = 6}},
	{"glibc realloc",
	 "realloc",
	 BYTES(glibc_realloc),
	 {.offset = 0, .instruction = "push r15", .emulated = true, .size_reg = 5, .ptr_reg = 6}},
	{"glibc free",
	 "free",
	 BYTES(glibc_free),
	 {.offset = 9, .instruction = "push rbp", .emulated = true, .ptr_reg = 6}},
	{"glibc posix_memalign",
	 "posix_memalign",
	 BYTES(glibc_posix_memalign),
	 {.offset = 7, .instruction = "push r12", .emulated = true, .size_reg = 2, .ptr_reg = 6}},
	{"glibc memalign",
	 "memalign",
	 BYTES(glibc_memalign),
	 {.offset = 7, .instruction = "je +0x10", .emulated = true, .size_reg = 5}},
	{"glibc valloc",
	 "valloc",
	 BYTES(glibc_valloc),
	 {.offset = 7, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"glibc reallocarray",
	 "reallocarray",
	 BYTES(glibc_reallocarray),
	 {.offset = 0,
	  .instruction = "mov rax, rsi",
	  .size_reg = 2,
	  .count_reg = 5,
	  .ptr_reg = 6,
	  .why = "an argument has left its register at +9 (jo)"}},
	{"jemalloc malloc",
	 "malloc",
	 BYTES(jemalloc_malloc),
	 {.offset = 7, .instruction = "ja +0xa0", .emulated = true, .size_reg = 6}},
	{"jemalloc free",
	 "free",
	 BYTES(jemalloc_free),
	 {.offset = 48, .instruction = "jne +0xc0", .emulated = true, .ptr_reg = 6}},
	{"jemalloc rallocx",
	 "rallocx",
	 BYTES(jemalloc_rallocx),
	 {.offset = 2,
	  .instruction = "jmp -0xe310",
	  .emulated = true,
	  .size_reg = 5,
	  .ptr_reg = 6}},
	{"jemalloc sized delete",
	 "_ZdlPvm",
	 BYTES(jemalloc_ZdlPvm),
	 {.offset = 3, .instruction = "je +0x18", .emulated = true, .ptr_reg = 6}},
	{"jemalloc aligned delete",
	 "_ZdlPvmSt11align_val_t",
	 BYTES(jemalloc_ZdlPvmSt11align_val_t),
	 {.offset = 5, .instruction = "push rbp", .emulated = true, .ptr_reg = 6}},
	{"tcmalloc free",
	 "free",
	 BYTES(tcmalloc_free),
	 {.offset = 10, .instruction = "jne +0xa0", .emulated = true, .ptr_reg = 6}},
	{"tcmalloc posix_memalign",
	 "posix_memalign",
	 BYTES(tcmalloc_posix_memalign),
	 {.offset = 11, .instruction = "jne +0x38", .emulated = true, .size_reg = 2, .ptr_reg = 6}},
	{"tcmalloc aligned new",
	 "_ZnwmSt11align_val_t",
	 BYTES(tcmalloc_ZnwmSt11align_val_t),
	 {.offset = 13, .instruction = "ja +0xd0", .emulated = true, .size_reg = 6}},
	{"mimalloc malloc",
	 "malloc",
	 BYTES(mimalloc_malloc),
	 {.offset = 21, .instruction = "ja +0x40", .emulated = true, .size_reg = 5}},
	{"mimalloc calloc",
	 "calloc",
	 BYTES(mimalloc_calloc),
	 {.offset = 18,
	  .instruction = "je +0x1c",
	  .emulated = true,
	  .size_reg = 5,
	  .count_reg = 1}},
	{"mimalloc realloc",
	 "realloc",
	 BYTES(mimalloc_realloc),
	 {.offset = 20,
	  .instruction = "jmp -0xb0f0",
	  .emulated = true,
	  .size_reg = 2,
	  .ptr_reg = 5}},
	{"mimalloc free",
	 "free",
	 BYTES(mimalloc_free),
	 {.offset = 6, .instruction = "je +0x65", .emulated = true, .ptr_reg = 6}},
	{"libstdc++ new",
	 "_Znwm",
	 BYTES(libstdcxx_Znwm),
	 {.offset = 12, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"libstdc++ sized delete",
	 "_ZdlPvm",
	 BYTES(libstdcxx_ZdlPvm),
	 {.offset = 4, .instruction = "jmp -0xd8e0", .emulated = true, .ptr_reg = 6}},
};

static const struct placement_case x86_case[] = {
	{"edge-38 endbr64 is passed",
	 "malloc",
	 /* endbr64; push rbx; mov rbx,rdi */
	 X86("\xf3\x0f\x1e\xfa\x53\x48\x89\xfb"),
	 {.offset = 4, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a nop is emulated",
	 "malloc",
	 /* nop; push rbx */
	 X86("\x90\x53"),
	 {.offset = 0, .instruction = "nop", .emulated = true, .size_reg = 6}},
	{"a two-byte nop is emulated",
	 "malloc",
	 /* xchg ax,ax; push rbx */
	 X86("\x66\x90\x53"),
	 {.offset = 0, .instruction = "nop", .emulated = true, .size_reg = 6}},
	{"a five-byte nop is passed",
	 "malloc",
	 /* .byte 0x0f,0x1f,0x44,0x00,0x00; push rbx */
	 X86("\x0f\x1f\x44\x00\x00\x53"),
	 {.offset = 5, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a five-byte nop alone is stepped",
	 "malloc",
	 /* .byte 0x0f,0x1f,0x44,0x00,0x00; ret */
	 X86("\x0f\x1f\x44\x00\x00\xc3"),
	 {.offset = 0,
	  .instruction = "nop dword ptr [rax + rax]",
	  .size_reg = 6,
	  .why = "a return at +5 (ret)"}},
	{"a loop into what is skipped",
	 "malloc",
	 /* mov rax,rdi; 1: push rbx; dec rax; jne 1b */
	 X86("\x48\x89\xf8\x53\x48\xff\xc8\x75\xfa"),
	 {.offset = 0,
	  .instruction = "mov rax, rdi",
	  .size_reg = 6,
	  .why = "a branch leads into what is skipped at +3 (push)"}},
	{"a loop into what is skipped, by loop",
	 "free",
	 /* mov rax,rdi; 1: mov rcx,rdi; push rbx; nop; loop 1b */
	 X86("\x48\x89\xf8\x48\x89\xf9\x53\x90\xe2\xf9"),
	 {.offset = 0,
	  .instruction = "mov rax, rdi",
	  .ptr_reg = 6,
	  .why = "a branch leads into what is skipped at +6 (push)"}},
	{"a loop to the start",
	 "malloc",
	 /* 1: mov rax,rdi; push rbx; jmp 1b */
	 X86("\x48\x89\xf8\x53\xeb\xfa"),
	 {.offset = 3, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a loop behind the site",
	 "malloc",
	 /* mov rax,rdi; push rbx; 1: dec rax; jne 1b */
	 X86("\x48\x89\xf8\x53\x48\xff\xc8\x75\xfb"),
	 {.offset = 3, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a grown stack, with a return probe",
	 "malloc",
	 /* sub rsp,24; push rbx */
	 X86("\x48\x83\xec\x18\x53"),
	 {.offset = 0,
	  .instruction = "sub rsp, 0x18",
	  .size_reg = 6,
	  .why = "the stack pointer has left the return address at +4 (push)"}},
	{"a grown stack, freeing",
	 "free",
	 /* sub rsp,24; push rbx */
	 X86("\x48\x83\xec\x18\x53"),
	 {.offset = 4, .instruction = "push rbx", .emulated = true, .sp_words = 3, .ptr_reg = 6}},
	{"a grown stack by lea, freeing",
	 "free",
	 /* lea rsp,[rsp-40]; push rbx */
	 X86("\x48\x8d\x64\x24\xd8\x53"),
	 {.offset = 5, .instruction = "push rbx", .emulated = true, .sp_words = 5, .ptr_reg = 6}},
	{"a grown and shrunk stack",
	 "malloc",
	 /* sub rsp,24; add rsp,24; push rbx */
	 X86("\x48\x83\xec\x18\x48\x83\xc4\x18\x53"),
	 {.offset = 8, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a stack of half a word",
	 "free",
	 /* sub rsp,20; push rbx */
	 X86("\x48\x83\xec\x14\x53"),
	 {.offset = 0,
	  .instruction = "sub rsp, 0x14",
	  .ptr_reg = 6,
	  .why = "the stack has an odd size at +4 (push)"}},
	{"a stack too large for a cookie",
	 "free",
	 /* sub rsp,2048; push rbx */
	 X86("\x48\x81\xec\x00\x08\x00\x00\x53"),
	 {.offset = 0,
	  .instruction = "sub rsp, 0x800",
	  .ptr_reg = 6,
	  .why = "the stack has an odd size at +7 (push)"}},
	{"a shrunk stack",
	 "free",
	 /* pop rax; push rbx */
	 X86("\x58\x53"),
	 {.offset = 0,
	  .instruction = "pop rax",
	  .ptr_reg = 6,
	  .why = "the stack has an odd size at +1 (push)"}},
	{"an aligned stack",
	 "free",
	 /* and rsp,-16; push rbx */
	 X86("\x48\x83\xe4\xf0\x53"),
	 {.offset = 0,
	  .instruction = "and rsp, 0xfffffffffffffff0",
	  .ptr_reg = 6,
	  .why = "a stack pointer that we cannot follow at +0 (and)"}},
	{"a pushed constant, freeing",
	 "free",
	 /* push 7; push rbx */
	 X86("\x6a\x07\x53"),
	 {.offset = 2, .instruction = "push rbx", .emulated = true, .sp_words = 1, .ptr_reg = 6}},
	{"a copy of the argument",
	 "malloc",
	 /* mov rbx,rdi; xor edi,edi; jne .+100 */
	 X86("\x48\x89\xfb\x31\xff\x75\x62"),
	 {.offset = 5, .instruction = "jne +0x69", .emulated = true, .size_reg = 4}},
	{"a copy of a copy",
	 "malloc",
	 /* mov rbx,rdi; mov r12,rbx; xor ebx,ebx; xor edi,edi; jne .+100 */
	 X86("\x48\x89\xfb\x49\x89\xdc\x31\xdb\x31\xff\x75\x62"),
	 {.offset = 10, .instruction = "jne +0x6e", .emulated = true, .size_reg = 13}},
	{"the original is preferred",
	 "malloc",
	 /* mov rax,rdi; push rbx */
	 X86("\x48\x89\xf8\x53"),
	 {.offset = 3, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"half a copy is none",
	 "malloc",
	 /* mov ebx,edi; xor edi,edi; jne .+100 */
	 X86("\x89\xfb\x31\xff\x75\x62"),
	 {.offset = 0,
	  .instruction = "mov ebx, edi",
	  .size_reg = 6,
	  .why = "an argument has left its register at +4 (jne)"}},
	{"writing half a register ends it",
	 "malloc",
	 /* mov dil,1; push rbx */
	 X86("\x40\xb7\x01\x53"),
	 {.offset = 0,
	  .instruction = "mov dil, 1",
	  .size_reg = 6,
	  .why = "an argument has left its register at +3 (push)"}},
	{"an overwritten copy",
	 "malloc",
	 /* mov rbx,rdi; xor edi,edi; mov rbx,rsi; jne .+100 */
	 X86("\x48\x89\xfb\x31\xff\x48\x89\xf3\x75\x62"),
	 {.offset = 0,
	  .instruction = "mov rbx, rdi",
	  .size_reg = 6,
	  .why = "an argument has left its register at +8 (jne)"}},
	{"a swap",
	 "realloc",
	 /* xchg rdi,rsi; push rbx */
	 X86("\x48\x87\xf7\x53"),
	 {.offset = 3, .instruction = "push rbx", .emulated = true, .size_reg = 6, .ptr_reg = 5}},
	{"a swap with memory",
	 "malloc",
	 /* xchg [rsi],rdi; push rbx */
	 X86("\x48\x87\x3e\x53"),
	 {.offset = 0,
	  .instruction = "xchg qword ptr [rsi], rdi",
	  .size_reg = 6,
	  .why = "an instruction that we cannot follow at +0 (xchg)"}},
	{"xchg r8, rax is no nop",
	 "malloc",
	 /* .byte 0x41,0x90; push rbx */
	 X86("\x41\x90\x53"),
	 {.offset = 2, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a conditional move",
	 "malloc",
	 /* cmp rdi,32; cmovb rdi,rsi; push rbx */
	 X86("\x48\x83\xff\x20\x48\x0f\x42\xfe\x53"),
	 {.offset = 0,
	  .instruction = "cmp rdi, 0x20",
	  .size_reg = 6,
	  .why = "an argument has left its register at +8 (push)"}},
	{"a multiplication takes rdx",
	 "reallocarray",
	 /* mov rax,rsi; mul rdx; push rbx */
	 X86("\x48\x89\xf0\x48\xf7\xe2\x53"),
	 {.offset = 0,
	  .instruction = "mov rax, rsi",
	  .size_reg = 2,
	  .count_reg = 5,
	  .ptr_reg = 6,
	  .why = "an argument has left its register at +6 (push)"}},
	{"a sign extension takes rdx",
	 "reallocarray",
	 /* cqo; push rbx */
	 X86("\x48\x99\x53"),
	 {.offset = 0,
	  .instruction = "cqo",
	  .size_reg = 2,
	  .count_reg = 5,
	  .ptr_reg = 6,
	  .why = "an argument has left its register at +2 (push)"}},
	{"of all arguments, those in the table count",
	 "posix_memalign",
	 /* lea rax,[rsi-1]; xor esi,esi; push rbx */
	 X86("\x48\x8d\x46\xff\x31\xf6\x53"),
	 {.offset = 6, .instruction = "push rbx", .emulated = true, .size_reg = 2, .ptr_reg = 6}},
	{"string instructions move rdi and rsi",
	 "free",
	 /* mov ecx,8; rep movsb; push rbx */
	 X86("\xb9\x08\x00\x00\x00\xf3\xa4\x53"),
	 {.offset = 0,
	  .instruction = "mov ecx, 8",
	  .ptr_reg = 6,
	  .why = "an instruction that we cannot follow at +5 (rep movsb)"}},
	{"stos moves rdi",
	 "free",
	 /* stosq; push rbx */
	 X86("\x48\xab\x53"),
	 {.offset = 0,
	  .instruction = "stosq qword ptr [rdi], rax",
	  .ptr_reg = 6,
	  .why = "an instruction that we cannot follow at +0 (stosq)"}},
	{"cpuid",
	 "malloc",
	 /* cpuid; push rbx */
	 X86("\x0f\xa2\x53"),
	 {.offset = 0,
	  .instruction = "cpuid",
	  .size_reg = 6,
	  .why = "an instruction that we cannot follow at +0 (cpuid)"}},
	{"a system call",
	 "malloc",
	 /* mov eax,1; syscall; push rbx */
	 X86("\xb8\x01\x00\x00\x00\x0f\x05\x53"),
	 {.offset = 0,
	  .instruction = "mov eax, 1",
	  .size_reg = 6,
	  .why = "an instruction that we cannot follow at +5 (syscall)"}},
	{"a store below the stack",
	 "malloc",
	 /* mov [rsp-8],rdi; push rbx */
	 X86("\x48\x89\x7c\x24\xf8\x53"),
	 {.offset = 5, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a store over the return address",
	 "malloc",
	 /* mov [rsp],rsi; push rbx */
	 X86("\x48\x89\x34\x24\x53"),
	 {.offset = 0,
	  .instruction = "mov qword ptr [rsp], rsi",
	  .size_reg = 6,
	  .why = "a store over the return address at +0 (mov)"}},
	{"a wide store that reaches it",
	 "malloc",
	 /* movups [rsp-8],xmm0; push rbx */
	 X86("\x0f\x11\x44\x24\xf8\x53"),
	 {.offset = 0,
	  .instruction = "movups xmmword ptr [rsp - 8], xmm0",
	  .size_reg = 6,
	  .why = "a store over the return address at +0 (movups)"}},
	{"a store into the grown stack",
	 "free",
	 /* sub rsp,24; mov [rsp+16],rdi; push rbx */
	 X86("\x48\x83\xec\x18\x48\x89\x7c\x24\x10\x53"),
	 {.offset = 9, .instruction = "push rbx", .emulated = true, .sp_words = 3, .ptr_reg = 6}},
	{"a store through the grown stack",
	 "free",
	 /* sub rsp,24; mov dword ptr [rsp+28],1; push rbx */
	 X86("\x48\x83\xec\x18\xc7\x44\x24\x1c\x01\x00\x00\x00\x53"),
	 {.offset = 0,
	  .instruction = "sub rsp, 0x18",
	  .ptr_reg = 6,
	  .why = "a store over the return address at +4 (mov)"}},
	{"a store somewhere on the stack",
	 "malloc",
	 /* mov [rsp+rax],rsi; push rbx */
	 X86("\x48\x89\x34\x04\x53"),
	 {.offset = 0,
	  .instruction = "mov qword ptr [rsp + rax], rsi",
	  .size_reg = 6,
	  .why = "a store somewhere on the stack at +0 (mov)"}},
	{"a load of the return address",
	 "malloc",
	 /* mov rax,[rsp]; push rbx */
	 X86("\x48\x8b\x04\x24\x53"),
	 {.offset = 4, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a site behind a branch",
	 "malloc",
	 /* sub rsp,8; test rsi,rsi; je .+64; add rsp,8; push rbx */
	 X86("\x48\x83\xec\x08\x48\x85\xf6\x74\x3e\x48\x83\xc4\x08\x53"),
	 {.offset = 0,
	  .instruction = "sub rsp, 8",
	  .size_reg = 6,
	  .why = "the stack pointer has left the return address at +7 (je)"}},
	{"the test for NULL counts when allocating",
	 "malloc",
	 /* test rdi,rdi; je .+64; push rbx */
	 X86("\x48\x85\xff\x74\x3e\x53"),
	 {.offset = 3, .instruction = "je +0x43", .emulated = true, .size_reg = 6}},
	{"free's test for NULL",
	 "free",
	 /* test rdi,rdi; je .+64; push rbx */
	 X86("\x48\x85\xff\x74\x3e\x53"),
	 {.offset = 5, .instruction = "push rbx", .emulated = true, .ptr_reg = 6}},
	{"free's test for NULL by cmp",
	 "free",
	 /* cmp rdi,0; je .+64; push rbx */
	 X86("\x48\x83\xff\x00\x74\x3e\x53"),
	 {.offset = 6, .instruction = "push rbx", .emulated = true, .ptr_reg = 6}},
	{"free's test for NULL of a copy",
	 "free",
	 /* mov rbx,rdi; test rbx,rbx; je .+64; push rbx */
	 X86("\x48\x89\xfb\x48\x85\xdb\x74\x3e\x53"),
	 {.offset = 8, .instruction = "push rbx", .emulated = true, .ptr_reg = 6}},
	{"free's test for NULL, flags kept",
	 "free",
	 /* test rdi,rdi; lea rax,[rdi-16]; mov rcx,rax; je .+64; push rbx */
	 X86("\x48\x85\xff\x48\x8d\x47\xf0\x48\x89\xc1\x74\x3e\x53"),
	 {.offset = 12, .instruction = "push rbx", .emulated = true, .ptr_reg = 6}},
	{"free's test for NULL, flags lost",
	 "free",
	 /* test rdi,rdi; add rax,16; je .+64; push rbx */
	 X86("\x48\x85\xff\x48\x83\xc0\x10\x74\x3e\x53"),
	 {.offset = 7, .instruction = "je +0x47", .emulated = true, .ptr_reg = 6}},
	{"half a test for NULL",
	 "free",
	 /* test edi,edi; je .+64; push rbx */
	 X86("\x85\xff\x74\x3e\x53"),
	 {.offset = 2, .instruction = "je +0x42", .emulated = true, .ptr_reg = 6}},
	{"a test of another argument",
	 "free",
	 /* test rsi,rsi; je .+64; push rbx */
	 X86("\x48\x85\xf6\x74\x3e\x53"),
	 {.offset = 3, .instruction = "je +0x43", .emulated = true, .ptr_reg = 6}},
	{"a test of a former copy",
	 "free",
	 /* mov rbx,rdi; mov rbx,rsi; test rbx,rbx; je .+64; push rbx */
	 X86("\x48\x89\xfb\x48\x89\xf3\x48\x85\xdb\x74\x3e\x53"),
	 {.offset = 9, .instruction = "je +0x49", .emulated = true, .ptr_reg = 6}},
	{"free's test the other way round",
	 "free",
	 /* test rdi,rdi; jne .+64; push rbx */
	 X86("\x48\x85\xff\x75\x3e\x53"),
	 {.offset = 3, .instruction = "jne +0x43", .emulated = true, .ptr_reg = 6}},
	{"free's test with nothing behind it",
	 "free",
	 /* test rdi,rdi; je .+64; sub rsp,8; call .+64 */
	 X86("\x48\x85\xff\x74\x3e\x48\x83\xec\x08\xe8\x3b\x00\x00\x00"),
	 {.offset = 3, .instruction = "je +0x43", .emulated = true, .ptr_reg = 6}},
	{"free's test, then a stack of a word",
	 "free",
	 /* test rdi,rdi; je .+64; sub rsp,8; push rbx */
	 X86("\x48\x85\xff\x74\x3e\x48\x83\xec\x08\x53"),
	 {.offset = 9, .instruction = "push rbx", .emulated = true, .sp_words = 1, .ptr_reg = 6}},
	{"free's test, then its argument is lost",
	 "free",
	 /* test rdi,rdi; je .+64; mov rdi,[rdi-8]; push rbx */
	 X86("\x48\x85\xff\x74\x3e\x48\x8b\x7f\xf8\x53"),
	 {.offset = 3, .instruction = "je +0x43", .emulated = true, .ptr_reg = 6}},
	{"free's test, its branch back into a loop",
	 "free",
	 /* test rdi,rdi; 1: nopw [rax]; je 1b; push rbx */
	 X86("\x48\x85\xff\x66\x0f\x1f\x00\x74\xfa\x53"),
	 {.offset = 0,
	  .instruction = "test rdi, rdi",
	  .ptr_reg = 6,
	  .why = "a branch leads into what is skipped at +7 (je)"}},
	{"a second branch is not passed",
	 "free",
	 /* sub rsp,4; test rdi,rdi; je .+64; test rsi,rsi; je .+64; add rsp,4; push rbx */
	 X86("\x48\x83\xec\x04\x48\x85\xff\x74\x3e\x48\x85\xf6\x74\x3e\x48\x83\xc4\x04\x53"),
	 {.offset = 0,
	  .instruction = "sub rsp, 4",
	  .ptr_reg = 6,
	  .why = "the stack has an odd size at +7 (je)"}},
	{"a tail call",
	 "free",
	 /* mov rsi,rdi; jmp .+4096 */
	 X86("\x48\x89\xfe\xe9\xfb\x0f\x00\x00"),
	 {.offset = 3, .instruction = "jmp +0x1003", .emulated = true, .ptr_reg = 6}},
	{"a tail call backwards",
	 "free",
	 /* endbr64; jmp .-4096 */
	 X86("\xf3\x0f\x1e\xfa\xe9\xfb\xef\xff\xff"),
	 {.offset = 4, .instruction = "jmp -0xffc", .emulated = true, .ptr_reg = 6}},
	{"an indirect jump",
	 "malloc",
	 /* mov rax,[rip+64]; jmp rax; push rbx */
	 X86("\x48\x8b\x05\x40\x00\x00\x00\xff\xe0\x53"),
	 {.offset = 0,
	  .instruction = "mov rax, qword ptr [rip + 0x40]",
	  .size_reg = 6,
	  .why = "a jump at +7 (jmp)"}},
	{"a call",
	 "malloc",
	 /* mov rax,rdi; call .+64; push rbx */
	 X86("\x48\x89\xf8\xe8\x3b\x00\x00\x00\x53"),
	 {.offset = 0, .instruction = "mov rax, rdi", .size_reg = 6, .why = "a call at +3 (call)"}},
	{"a call at the start",
	 "malloc",
	 /* call .+64; push rbx */
	 X86("\xe8\x3b\x00\x00\x00\x53"),
	 {.offset = 0, .instruction = "call 0x40", .emulated = true, .size_reg = 6}},
	{"a return",
	 "free",
	 /* xor eax,eax; ret */
	 X86("\x31\xc0\xc3"),
	 {.offset = 0, .instruction = "xor eax, eax", .ptr_reg = 6, .why = "a return at +2 (ret)"}},
	{"a push in the 64th byte",
	 "malloc",
	 /* mov rax,[rsi]; mov rax,[rsi]; mov rax,[r... */
	 X86("\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06"
	     "\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06"
	     "\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06"
	     "\x53"),
	 {.offset = 63, .instruction = "push rbx", .emulated = true, .size_reg = 6}},
	{"a push in the 67th byte",
	 "malloc",
	 /* mov rax,[rsi]; mov rax,[rsi]; mov rax,[r... */
	 X86("\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06"
	     "\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06"
	     "\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06\x48\x8b\x06"
	     "\x48\x8b\x06\x53"),
	 {.offset = 0,
	  .instruction = "mov rax, qword ptr [rsi]",
	  .size_reg = 6,
	  .why = "no emulated instruction in the first 66 bytes"}},
	{"the code ends",
	 "malloc",
	 /* mov rax,rdi */
	 X86("\x48\x89\xf8"),
	 {.offset = 0,
	  .instruction = "mov rax, rdi",
	  .size_reg = 6,
	  .why = "no emulated instruction in the first 3 bytes"}},
	{"undecodable bytes",
	 "malloc",
	 /* mov rax,rdi; .byte 0x06; push rbx */
	 X86("\x48\x89\xf8\x06\x53"),
	 {.offset = 0,
	  .instruction = "mov rax, rdi",
	  .size_reg = 6,
	  .why = "no emulated instruction in the first 3 bytes"}},
};

static const struct placement_case arm64_case[] = {
	{"a landing pad and a branch",
	 "malloc",
	 /* bti c; cbz x0, #64; ret */
	 ARM64("\x5f\x24\x03\xd5\x00\x02\x00\xb4\xc0\x03\x5f\xd6"),
	 {.offset = 4, .instruction = "cbz x0, +0x44", .emulated = true, .size_reg = 1}},
	{"free's test for NULL",
	 "free",
	 /* cbz x0, #64; adrp x1, #4096; ret */
	 ARM64("\x00\x02\x00\xb4\x01\x00\x00\xb0\xc0\x03\x5f\xd6"),
	 {.offset = 4, .instruction = "adrp x1, #0x1000", .emulated = true, .ptr_reg = 1}},
	{"free's test for NULL by cmp",
	 "free",
	 /* cmp x0, #0; b.eq #64; mov x19, x0; adrp x1, #4096 */
	 ARM64("\x1f\x00\x00\xf1\x00\x02\x00\x54\xf3\x03\x00\xaa\x01\x00\x00\xb0"),
	 {.offset = 12, .instruction = "adrp x1, #0x1000", .emulated = true, .ptr_reg = 1}},
	{"a test of another register",
	 "free",
	 /* cbz x1, #64; adrp x1, #4096 */
	 ARM64("\x01\x02\x00\xb4\x01\x00\x00\xb0"),
	 {.offset = 0, .instruction = "cbz x1, +0x40", .emulated = true, .ptr_reg = 1}},
	{"half a test",
	 "free",
	 /* cbz w0, #64; adrp x1, #4096 */
	 ARM64("\x00\x02\x00\x34\x01\x00\x00\xb0"),
	 {.offset = 0, .instruction = "cbz w0, +0x40", .emulated = true, .ptr_reg = 1}},
	{"a copy of the argument",
	 "malloc",
	 /* mov x19, x0; mov x0, #0; b #4096 */
	 ARM64("\xf3\x03\x00\xaa\x00\x00\x80\xd2\x00\x04\x00\x14"),
	 {.offset = 8, .instruction = "b +0x1008", .emulated = true, .size_reg = 20}},
	{"half a copy is none",
	 "malloc",
	 /* mov w19, w0; mov x0, #0; b #4096 */
	 ARM64("\xf3\x03\x00\x2a\x00\x00\x80\xd2\x00\x04\x00\x14"),
	 {.offset = 0,
	  .instruction = "mov w19, w0",
	  .size_reg = 1,
	  .why = "an argument has left its register at +8 (b)"}},
	{"a stack frame",
	 "malloc",
	 /* stp x29, x30, [sp, #-32]!; adrp x1, #4096 */
	 ARM64("\xfd\x7b\xbe\xa9\x01\x00\x00\xb0"),
	 {.offset = 0,
	  .instruction = "stp x29, x30, [sp, #-0x20]!",
	  .size_reg = 1,
	  .why = "a stack frame at +0 (stp)"}},
	{"a stack frame, freeing",
	 "free",
	 /* sub sp, sp, #32; adrp x1, #4096 */
	 ARM64("\xff\x83\x00\xd1\x01\x00\x00\xb0"),
	 {.offset = 0,
	  .instruction = "sub sp, sp, #0x20",
	  .ptr_reg = 1,
	  .why = "a stack frame at +0 (sub)"}},
	{"a saved return address",
	 "malloc",
	 /* mov x16, x30; adrp x1, #4096 */
	 ARM64("\xf0\x03\x1e\xaa\x01\x00\x00\xb0"),
	 {.offset = 0,
	  .instruction = "mov x16, x30",
	  .size_reg = 1,
	  .why = "a stack frame at +0 (mov)"}},
	{"a shadow call stack",
	 "malloc",
	 /* str x30, [x18], #8; adrp x1, #4096 */
	 ARM64("\x5e\x86\x00\xf8\x01\x00\x00\xb0"),
	 {.offset = 0,
	  .instruction = "str x30, [x18], #8",
	  .size_reg = 1,
	  .why = "a stack frame at +0 (str)"}},
	{"a signed return address",
	 "malloc",
	 /* paciasp; adrp x1, #4096 */
	 ARM64("\x3f\x23\x03\xd5\x01\x00\x00\xb0"),
	 {.offset = 0, .size_reg = 1}},
	{"a call",
	 "malloc",
	 /* mov x1, x0; bl #64; adrp x2, #4096 */
	 ARM64("\xe1\x03\x00\xaa\x10\x00\x00\x94\x02\x00\x00\xb0"),
	 {.offset = 0, .instruction = "mov x1, x0", .size_reg = 1, .why = "a call at +4 (bl)"}},
	{"a nop is not counted on",
	 "malloc",
	 /* nop; b #64 */
	 ARM64("\x1f\x20\x03\xd5\x10\x00\x00\x14"),
	 {.offset = 4, .instruction = "b +0x44", .emulated = true, .size_reg = 1}},
	{"a loop into what is skipped",
	 "malloc",
	 /* mov x1, x0; nop; adrp x2, #4096; b #-8 */
	 ARM64("\xe1\x03\x00\xaa\x1f\x20\x03\xd5\x02\x00\x00\xb0\xfe\xff\xff\x17"),
	 {.offset = 0,
	  .instruction = "mov x1, x0",
	  .size_reg = 1,
	  .why = "a branch leads into what is skipped at +8 (adrp)"}},
	{"a page address over the argument",
	 "calloc",
	 /* adrp x0, #4096; b #64 */
	 ARM64("\x00\x00\x00\xb0\x10\x00\x00\x14"),
	 {.offset = 0,
	  .instruction = "adrp x0, #0x1000",
	  .emulated = true,
	  .size_reg = 2,
	  .count_reg = 1}},
	{"arguments of calloc",
	 "calloc",
	 /* umulh x2, x0, x1; cbnz x2, #64 */
	 ARM64("\x02\x7c\xc1\x9b\x02\x02\x00\xb5"),
	 {.offset = 4,
	  .instruction = "cbnz x2, +0x44",
	  .emulated = true,
	  .size_reg = 2,
	  .count_reg = 1}},
	{"a pair is loaded over the arguments",
	 "realloc",
	 /* ldp x0, x1, [x2]; b #64 */
	 ARM64("\x40\x04\x40\xa9\x10\x00\x00\x14"),
	 {.offset = 0,
	  .instruction = "ldp x0, x1, [x2]",
	  .size_reg = 2,
	  .ptr_reg = 1,
	  .why = "an argument has left its register at +4 (b)"}},
	{"a base that is written back",
	 "realloc",
	 /* ldr x3, [x1, #8]!; b #64 */
	 ARM64("\x23\x8c\x40\xf8\x10\x00\x00\x14"),
	 {.offset = 0,
	  .instruction = "ldr x3, [x1, #8]!",
	  .size_reg = 2,
	  .ptr_reg = 1,
	  .why = "an argument has left its register at +4 (b)"}},
	{"an exclusive load",
	 "free",
	 /* ldxr x1, [x0]; b #64 */
	 ARM64("\x01\x7c\x5f\xc8\x10\x00\x00\x14"),
	 {.offset = 0,
	  .instruction = "ldxr x1, [x0]",
	  .ptr_reg = 1,
	  .why = "an instruction that we cannot follow at +0 (ldxr)"}},
	{"a bit test",
	 "free",
	 /* tbz x0, #3, #64; ret */
	 ARM64("\x00\x02\x18\x36\xc0\x03\x5f\xd6"),
	 {.offset = 0, .instruction = "tbz w0, #3, +0x40", .emulated = true, .ptr_reg = 1}},
	{"a function that only returns",
	 "free",
	 /* ret */
	 ARM64("\xc0\x03\x5f\xd6"),
	 {.offset = 0, .instruction = "ret", .emulated = true, .ptr_reg = 1}},
};

static const struct allocator_function *function_named(const char *symbol)
{
	size_t nr, i;
	const struct allocator_function *function = allocator_functions(&nr);

	for (i = 0; i < nr; i++) {
		if (!strcmp(function[i].symbol, symbol))
			return &function[i];
	}
	fail_msg("no function \"%s\" in the table", symbol);
	return NULL;
}

static void test_case(void **state)
{
	const struct placement_case *c = *state;
	const struct placement *want = &c->want;
	struct placement got;
	/* a copy of the exact size, so that the sanitizer sees a byte too many */
	uint8_t *code = malloc(c->nr);

	assert_non_null(code);
	memcpy(code, c->code, c->nr);
	memset(&got, 0xa5, sizeof(got));
	assert_int_equal(placement_choose(function_named(c->symbol), c->machine, code, c->nr, &got),
			 0);
	free(code);
	if (want->instruction[0])
		assert_string_equal(got.instruction, want->instruction);
	assert_int_equal(got.offset, want->offset);
	if (want->why[0])
		assert_string_equal(got.why, want->why);
	assert_int_equal(got.emulated, !got.why[0]);
	assert_int_equal(got.emulated, want->emulated);
	assert_int_equal(got.sp_words, want->sp_words);
	assert_int_equal(got.size_reg, want->size_reg);
	assert_int_equal(got.count_reg, want->count_reg);
	assert_int_equal(got.ptr_reg, want->ptr_reg);
}

static void test_refusals_leave_out_alone(void **state)
{
	static const uint8_t push[] = {0x53};
	static const uint8_t no_code[] = {0x06, 0x90};
	static const uint8_t cut_short[] = {0x48, 0x8b, 0x05, 0x59};
	const struct allocator_function *function = function_named("malloc");
	const struct allocator_function strange = {"pool_alloc", ROLE_ALLOC, 7, 0, 0};
	struct placement out, before;

	(void)state;
	memset(&out, 0xa5, sizeof(out));
	before = out;
	assert_int_equal(placement_choose(function, EM_386, push, 1, &out), -ENOTSUP);
	assert_int_equal(placement_choose(function, EM_X86_64, push, 0, &out), -EINVAL);
	assert_int_equal(placement_choose(function, EM_X86_64, no_code, 2, &out), -EINVAL);
	assert_int_equal(placement_choose(function, EM_X86_64, cut_short, 4, &out), -EINVAL);
	assert_int_equal(placement_choose(function, EM_AARCH64, cut_short, 3, &out), -EINVAL);
	assert_int_equal(placement_choose(&strange, EM_X86_64, push, 1, &out), -EINVAL);
	assert_memory_equal(&out, &before, sizeof(out));
}

struct emulated_case {
	uint16_t machine;
	const uint8_t *code;
	size_t nr;
	bool want;
};

static void test_emulated(void **state)
{
	static const struct emulated_case cases[] = {
		{X86("\x50"), true},			  /* push rax */
		{X86("\x57"), true},			  /* push rdi */
		{X86("\x41\x54"), true},		  /* push r12 */
		{X86("\x41"), false},			  /* half of it */
		{X86("\x58"), false},			  /* pop rax */
		{X86("\x48\x50"), false},		  /* rex.w push rax */
		{X86("\x66\x50"), false},		  /* push ax */
		{X86("\x90"), true},			  /* nop */
		{X86("\x66\x90"), true},		  /* nop */
		{X86("\x41\x90"), false},		  /* xchg r8, rax */
		{X86("\xf3\x90"), false},		  /* pause */
		{X86("\x0f\x1f\x44\x00\x00"), false},	  /* nop */
		{X86("\xeb\x02"), true},		  /* jmp */
		{X86("\xe9\x02\x00\x00\x00"), true},	  /* jmp */
		{X86("\xf2\xe9\x02\x00\x00\x00"), true},  /* bnd jmp */
		{X86("\x66\xe9\x02\x00"), false},	  /* jmp of 16 bits */
		{X86("\xe9\x02\x00\x00"), false},	  /* cut short */
		{X86("\xe8\x02\x00\x00\x00"), true},	  /* call */
		{X86("\x74\x02"), true},		  /* je */
		{X86("\x0f\x84\x02\x00\x00\x00"), true},  /* je */
		{X86("\x0f\x84\x02\x00\x00"), false},	  /* cut short */
		{X86("\x0f\x94\xc0"), false},		  /* sete al */
		{X86("\xe3\x02"), false},		  /* jrcxz */
		{X86("\xff\xe0"), false},		  /* jmp rax */
		{X86("\xff\x25\x00\x00\x00\x00"), false}, /* jmp [rip] */
		{X86("\xc3"), false},			  /* ret */
		{X86("\xf3\x0f\x1e\xfa"), false},	  /* endbr64 */
		{X86("\x48\x85\xff"), false},		  /* test rdi, rdi */
		{X86(""), false},
		{ARM64("\x00\x00\x00\x14"), true},  /* b */
		{ARM64("\x00\x00\x00\x94"), true},  /* bl */
		{ARM64("\x40\x00\x00\x54"), true},  /* b.eq */
		{ARM64("\x40\x00\x00\xb4"), true},  /* cbz x0 */
		{ARM64("\x40\x00\x00\x35"), true},  /* cbnz w0 */
		{ARM64("\x00\x02\x18\x36"), true},  /* tbz x0, #3 */
		{ARM64("\x00\x02\x18\xb7"), true},  /* tbnz x0, #35 */
		{ARM64("\x00\x00\x00\x10"), true},  /* adr */
		{ARM64("\x00\x00\x00\x90"), true},  /* adrp */
		{ARM64("\x00\x02\x1f\xd6"), true},  /* br x16 */
		{ARM64("\x00\x02\x3f\xd6"), true},  /* blr x16 */
		{ARM64("\xc0\x03\x5f\xd6"), true},  /* ret */
		{ARM64("\xff\x0b\x5f\xd6"), false}, /* retaa */
		{ARM64("\x1f\x20\x03\xd5"), false}, /* nop */
		{ARM64("\xfd\x7b\xbe\xa9"), false}, /* stp x29, x30, [sp, #-32]! */
		{ARM64("\x40\x00\x00\x58"), false}, /* ldr x0, literal */
		{ARM64("\x00\x00\x00"), false},
		{EM_386, (const uint8_t *)"\x50", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (placement_is_emulated(cases[i].machine, cases[i].code, cases[i].nr) !=
		    cases[i].want)
			fail_msg("case %zu is wrong", i);
	}
}

/* Noise decodes to something most of the time. */
static void test_noise(void **state)
{
	static const char *const symbol[] = {"malloc", "free", "realloc", "posix_memalign"};
	uint64_t seed = 104729;
	int placed = 0;

	(void)state;
	for (int round = 0; round < 4001; round++) {
		uint16_t machine = round & 1 ? EM_AARCH64 : EM_X86_64;
		size_t nr = (size_t)(round % 97) + 1;
		uint8_t *code = malloc(nr);
		struct placement got;

		assert_non_null(code);
		for (size_t i = 0; i < nr; i++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			code[i] = (uint8_t)(seed >> 56);
		}
		if (!placement_choose(function_named(symbol[round % 4]), machine, code, nr, &got)) {
			assert_in_range(got.offset, 0, 63);
			assert_true(got.offset < nr);
			assert_int_equal(
				got.emulated,
				placement_is_emulated(machine, code + got.offset, nr - got.offset));
			assert_int_equal(got.emulated, !got.why[0]);
			assert_true(got.emulated || !got.offset);
			assert_true(!got.sp_words || round % 4 == 1);
			placed++;
		}
		free(code);
	}
	assert_in_range(placed, 1009, 4001);
}

/* Capstone's own allocations: it does not survive the failure of those that open it, which are the first ones. */
static long capstone_allocations, capstone_fails_at;

static void *capstone_malloc(size_t size)
{
	return ++capstone_allocations == capstone_fails_at ? NULL : malloc(size);
}

static void test_out_of_memory(void **state)
{
	static const uint8_t code[] = {0x48, 0x89, 0xf8, 0x53}; /* mov rax, rdi; push rbx */
	cs_opt_mem memory = {capstone_malloc, calloc, realloc, free, vsnprintf};
	struct placement out, before;
	long all;

	(void)state;
	assert_int_equal(cs_option(0, CS_OPT_MEM, (size_t)&memory), CS_ERR_OK);
	capstone_allocations = 0;
	capstone_fails_at = 0;
	assert_int_equal(
		placement_choose(function_named("malloc"), EM_X86_64, code, sizeof(code), &out), 0);
	all = capstone_allocations;
	assert_in_range(all, 5, 50);
	memset(&out, 0xa5, sizeof(out));
	before = out;
	/* the instructions of both walks, each with its details */
	for (capstone_fails_at = all - 3; capstone_fails_at <= all; capstone_fails_at++) {
		capstone_allocations = 0;
		assert_int_equal(placement_choose(function_named("malloc"), EM_X86_64, code,
						  sizeof(code), &out),
				 -ENOMEM);
		assert_memory_equal(&out, &before, sizeof(out));
	}
	capstone_fails_at = 0;
}

static size_t add_cases(struct CMUnitTest *test, const struct placement_case *c, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		test[i] = (struct CMUnitTest){c[i].name, test_case, NULL, NULL, (void *)&c[i]};
	return nr;
}

int main(void)
{
	struct CMUnitTest
		tests[ARRAY_SIZE(real_case) + ARRAY_SIZE(x86_case) + ARRAY_SIZE(arm64_case) + 4];
	size_t nr = 0;

	nr += add_cases(tests + nr, real_case, ARRAY_SIZE(real_case));
	nr += add_cases(tests + nr, x86_case, ARRAY_SIZE(x86_case));
	nr += add_cases(tests + nr, arm64_case, ARRAY_SIZE(arm64_case));
	tests[nr++] = (struct CMUnitTest)cmocka_unit_test(test_refusals_leave_out_alone);
	tests[nr++] = (struct CMUnitTest)cmocka_unit_test(test_emulated);
	tests[nr++] = (struct CMUnitTest)cmocka_unit_test(test_noise);
	tests[nr++] = (struct CMUnitTest)cmocka_unit_test(test_out_of_memory);
	return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
