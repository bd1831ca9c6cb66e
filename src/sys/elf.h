/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions of an ELF file by name, as file offsets for uprobes. The file is untrusted: it may be truncated, cyclic or
 * lie about every size; nothing here crashes on it or reads outside of it. Uses libelf.
 */
#ifndef SEEP_SYS_ELF_H
#define SEEP_SYS_ELF_H

/* This directory is in the search path, so that <libelf.h> finds this file when it wants the system's <elf.h>. */
#include <linux/../elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file; /* an open file; one owner, one thread */

/* Takes over fd, also on failure. -ENOEXEC: no ELF; -ENOTSUP: a class or byte order that we do not handle. */
int elf_open_fd(int fd, struct elf_file **out);
void elf_close(struct elf_file *elf);

uint16_t elf_machine(const struct elf_file *elf);
bool elf_is_32bit(const struct elf_file *elf);

struct elf_symbol {
	uint64_t file_offset; /* of its first byte: what a uprobe wants */
	uint64_t address;     /* as linked */
	uint64_t size;	      /* bytes; 0 when the file does not say */
	bool is_ifunc;	      /* the address is a resolver: no probe may be set there */
};

/*
 * Looks up defined functions by exact name, all in one pass: .dynsym first, then .symtab for what is still missing
 * (statically linked programs). Of several versions of a symbol the default one wins. found[i] tells whether out[i] was
 * set. Returns how many were found, or a negative errno (-ENOENT when there is no symbol table at all).
 */
int elf_find_functions(struct elf_file *elf, const char *const *name, size_t nr,
		       struct elf_symbol *out, bool *found);

/* Names of functions; the caller frees them with elf_names_release(). Zeroed is empty. */
struct elf_names {
	char **name;
	size_t nr, cap;
};

/*
 * The names of the defined functions that wanted() says yes to, each once, at most max of them: for names that are not
 * known beforehand. 0, -ENOENT when there is no symbol table at all, or another negative errno.
 */
int elf_list_functions(struct elf_file *elf, bool (*wanted)(const char *name, void *arg), void *arg,
		       size_t max, struct elf_names *out);
void elf_names_release(struct elf_names *names);

/*
 * Is what lies there made by the Go compiler? Such functions move their stacks, and a return probe would end the
 * process. In a Go program without symbols all code may be.
 */
bool elf_is_go_code(struct elf_file *elf, uint64_t file_offset);

/* Reads up to nr bytes of the file at an offset; the number read (short at the end), or a negative errno. */
int64_t elf_read(struct elf_file *elf, uint64_t file_offset, void *buf, size_t nr);

/* PT_INTERP of the program; -ENOENT when it is static. */
int elf_interpreter(struct elf_file *elf, char *path, size_t size);

/* GNU build id as lower-case hex; -ENOENT when there is none. */
int elf_build_id(struct elf_file *elf, char *hex, size_t size);

#endif
