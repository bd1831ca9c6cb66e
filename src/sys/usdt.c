// SPDX-License-Identifier: GPL-2.0-or-later
#include "usdt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "elf_image.h"

#define NOTE_TYPE 3
#define NOTE_OWNER "stapsdt"
#define NOTE_ADDRESSES 24 /* bytes at the start of its description */
#define MAX_NOTES_BYTES ((uint64_t)16 << 20)
#define MAX_SITES 1024

/* The first that a file has both probes of; the same blocks may be told of under both names. */
static const char *const providers[] = {"otel_memory", "ddheap"};

/* --- notes --- */

/* A string within the bytes that are left; NULL: it does not end there. */
static const char *take_string(const uint8_t **at, size_t *left)
{
	const char *text = (const char *)*at;
	size_t nr = strnlen(text, *left);

	if (nr == *left)
		return NULL;
	*at += nr + 1;
	*left -= nr + 1;
	return text;
}

static bool read_note(const uint8_t *desc, size_t nr, struct usdt_note *out)
{
	struct usdt_note note = {0};
	uint64_t address[3];

	if (nr < NOTE_ADDRESSES)
		return false;
	memcpy(address, desc, NOTE_ADDRESSES);
	note.pc = address[0];
	note.base = address[1];
	note.semaphore = address[2];
	desc += NOTE_ADDRESSES;
	nr -= NOTE_ADDRESSES;
	note.provider = take_string(&desc, &nr);
	note.name = note.provider ? take_string(&desc, &nr) : NULL;
	note.args = note.name ? take_string(&desc, &nr) : NULL;
	if (!note.args)
		return false;
	*out = note;
	return true;
}

/* Notes are padded to 4 bytes; the last one need not be. */
static size_t padded(size_t nr, size_t left)
{
	size_t rest = (4 - nr % 4) % 4;

	return rest > left - nr ? left : nr + rest;
}

bool usdt_next_note(const uint8_t *notes, size_t nr, size_t *at, struct usdt_note *out)
{
	uint32_t head[3]; /* bytes of the name, bytes of the description, type */
	const uint8_t *name, *desc;
	size_t left;

	while (*at <= nr && nr - *at >= sizeof(head)) {
		memcpy(head, notes + *at, sizeof(head));
		name = notes + *at + sizeof(head);
		left = nr - *at - sizeof(head);
		if (head[0] > left)
			return false;
		desc = name + padded(head[0], left);
		left -= (size_t)(desc - name);
		if (head[1] > left)
			return false;
		*at = (size_t)(desc - notes) + padded(head[1], left);
		if (head[2] == NOTE_TYPE && head[0] == sizeof(NOTE_OWNER) &&
		    !memcmp(name, NOTE_OWNER, sizeof(NOTE_OWNER)) && read_note(desc, head[1], out))
			return true;
	}
	return false;
}

/* --- the file --- */

struct sections {
	Elf_Data *notes;
	uint64_t base; /* where .stapsdt.base is; 0: there is none */
};

static int find_sections(const struct elf_file *elf, struct sections *out)
{
	const char *name;
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;
	size_t names;

	*out = (struct sections){0};
	if (elf_getshdrstrndx(elf->handle, &names))
		return -ENOENT;
	while ((scn = elf_nextscn(elf->handle, scn))) {
		if (!gelf_getshdr(scn, &shdr))
			continue;
		name = elf_strptr(elf->handle, names, shdr.sh_name);
		if (!name)
			continue;
		if (!strcmp(name, ".stapsdt.base"))
			out->base = shdr.sh_addr;
		else if (!out->notes && shdr.sh_type == SHT_NOTE &&
			 !strcmp(name, ".note.stapsdt") && shdr.sh_size <= MAX_NOTES_BYTES)
			out->notes = elf_chunk(elf, shdr.sh_offset, shdr.sh_size, ELF_T_BYTE);
	}
	return out->notes ? 0 : -ENOENT;
}

/* NULL: a probe may be set there; else why not. */
static const char *refuse_code(struct elf_file *elf, uint64_t file_offset)
{
	static const uint8_t nop5[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	static const uint8_t nop_arm64[] = {0x1f, 0x20, 0x03, 0xd5};
	uint8_t code[sizeof(nop5)] = {0};

	if (elf_read(elf, file_offset, code, sizeof(code)) < (int64_t)sizeof(nop_arm64))
		return "the probe's instruction cannot be read";
	if (elf->machine == EM_AARCH64 && !memcmp(code, nop_arm64, sizeof(nop_arm64)))
		return NULL;
	if (elf->machine == EM_X86_64 && code[0] == 0x90)
		return NULL;
	if (elf->machine == EM_X86_64 && !memcmp(code, nop5, sizeof(nop5)))
		return "a probe on its 5-byte nop would overwrite what functions keep below the "
		       "stack pointer";
	return "there is no nop where a probe says it is";
}

/* Are the two bytes at this address in the file, in what is loaded so? */
static bool holds_semaphore(const struct elf_file *elf, const GElf_Phdr *phdr, uint64_t address)
{
	if (address < phdr->p_vaddr || phdr->p_filesz < 2 ||
	    address - phdr->p_vaddr > phdr->p_filesz - 2)
		return false;
	return phdr->p_offset <= elf->file_bytes &&
	       address - phdr->p_vaddr + 2 <= elf->file_bytes - phdr->p_offset;
}

/* The kernel counts in two bytes, of the file's data that each process has a copy of. */
static bool semaphore_offset(const struct elf_file *elf, uint64_t address, uint64_t *out)
{
	GElf_Phdr phdr;
	size_t nr, i;

	if (elf_getphdrnum(elf->handle, &nr))
		return false;
	for (i = 0; i < nr; i++) {
		if (!gelf_getphdr(elf->handle, (int)i, &phdr) || phdr.p_type != PT_LOAD ||
		    !(phdr.p_flags & PF_W) || !holds_semaphore(elf, &phdr, address))
			continue;
		*out = phdr.p_offset + (address - phdr.p_vaddr);
		return !(*out & 1) && *out <= UINT32_MAX; /* what a perf event has room for */
	}
	return false;
}

/* NULL: *site is set; else why it cannot be used. */
static const char *make_site(struct elf_file *elf, const struct usdt_note *note, uint64_t base,
			     struct usdt_site *site)
{
	/* prelink moves sections, and leaves notes as they are */
	uint64_t moved = base && note->base ? base - note->base : 0;

	site->is_free = !strcmp(note->name, "free");
	if (usdt_parse_args(elf->machine, note->args, site->spec.arg,
			    site->is_free ? USDT_FREE_ARGS : USDT_ALLOC_ARGS))
		return "the arguments of a probe cannot be read";
	if (!elf_address_to_offset(elf, note->pc + moved, &site->file_offset))
		return "a probe lies in no code of the file";
	if (note->semaphore &&
	    !semaphore_offset(elf, note->semaphore + moved, &site->ref_count_offset))
		return "the semaphore of a probe lies where the kernel cannot count in it";
	return refuse_code(elf, site->file_offset);
}

static bool has_site(const struct usdt_object *object, uint64_t file_offset)
{
	size_t i;

	for (i = 0; i < object->nr_sites; i++) {
		if (object->site[i].file_offset == file_offset)
			return true;
	}
	return false;
}

static int add_site(struct usdt_object *object, size_t *cap, const struct usdt_site *site,
		    const char **why)
{
	if (has_site(object, site->file_offset))
		return 0;
	if (object->nr_sites >= MAX_SITES) {
		*why = "it has too many of them";
		return -ENOTSUP;
	}
	if (ARRAY_GROW(&object->site, cap, object->nr_sites + 1))
		return -ENOMEM;
	object->site[object->nr_sites++] = *site;
	return 0;
}

static int free_first(const void *a, const void *b)
{
	const struct usdt_site *x = a, *y = b;

	if (x->is_free != y->is_free)
		return y->is_free - x->is_free;
	return x->file_offset < y->file_offset ? -1 : x->file_offset > y->file_offset;
}

static bool is_of(const struct usdt_note *note, const char *provider, const char *name)
{
	return !strcmp(note->provider, provider) && !strcmp(note->name, name);
}

static bool has_pair(const Elf_Data *notes, const char *provider)
{
	bool alloc = false, frees = false;
	struct usdt_note note;
	size_t at = 0;

	while (usdt_next_note(notes->d_buf, notes->d_size, &at, &note)) {
		alloc |= is_of(&note, provider, "alloc");
		frees |= is_of(&note, provider, "free");
	}
	return alloc && frees;
}

static int find_sites(struct elf_file *elf, const struct sections *sections, const char *provider,
		      struct usdt_object *out, const char **why)
{
	struct usdt_object object = {.provider = provider};
	struct usdt_note note;
	size_t cap = 0, at = 0;
	int err = 0;

	while (!err &&
	       usdt_next_note(sections->notes->d_buf, sections->notes->d_size, &at, &note)) {
		struct usdt_site site = {0};

		if (!is_of(&note, provider, "alloc") && !is_of(&note, provider, "free"))
			continue;
		*why = make_site(elf, &note, sections->base, &site);
		err = *why ? -ENOTSUP : add_site(&object, &cap, &site, why);
	}
	if (err) {
		usdt_object_release(&object);
		return err;
	}
	qsort(object.site, object.nr_sites, sizeof(*object.site), free_first);
	*out = object;
	return 0;
}

int usdt_find(struct elf_file *elf, struct usdt_object *out, const char **why)
{
	struct sections sections;
	size_t i;
	int err = elf->is_32bit ? -ENOENT : find_sections(elf, &sections);

	*why = NULL;
	for (i = 0; !err && i < ARRAY_SIZE(providers); i++) {
		if (has_pair(sections.notes, providers[i]))
			return find_sites(elf, &sections, providers[i], out, why);
	}
	return -ENOENT;
}

void usdt_object_release(struct usdt_object *object)
{
	free(object->site);
	*object = (struct usdt_object){0};
}
