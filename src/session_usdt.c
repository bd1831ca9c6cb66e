// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that sample their own allocations and tell of them by probes: these are used instead of the probes that trap
 * each call. Never both in one process, or the same blocks would be counted twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "array.h"
#include "fd.h"
#include "file_version.h"
#include "log.h"
#include "session_impl.h"
#include "usdt_attach.h"

/* A file that has been looked at. */
struct usdt_file {
	struct file_version version;
	char *path;		   /* as the process sees it, for people */
	struct usdt_object object; /* without a provider: nothing of use */
	uint32_t *spec;		   /* the number of each site's */
	bool is_used;		   /* now or before */
	size_t nr_told;		   /* of its sites, in the stream */
	bool is_late;		   /* and that has been said */
};

struct usdt_use {
	uint32_t slot;
	struct usdt_file *file;
	struct attach links;
};

struct session_usdt {
	struct usdt_file **file;
	size_t nr_files, cap_files;
	struct map64 by_version; /* hashes to their number */
	struct usdt_use *use;
	size_t nr_uses, cap_uses;
	struct usdt_spec *spec; /* the number of one is its index + 1 */
	size_t nr_specs, cap_specs;
};

/* Where a file is. */
struct usdt_place {
	const char *name;		    /* for people */
	const char *kernel_path;	    /* for the kernel, and to look at it */
	const struct proc_mapping *mapping; /* NULL: it is opened by its path */
};

/* --- files --- */

static void file_free(struct usdt_file *file)
{
	usdt_object_release(&file->object);
	free(file->path);
	free(file->spec);
	free(file);
}

void session_usdt_release(struct session *s)
{
	struct session_usdt *u = s->usdt;
	size_t i;

	if (!u)
		return;
	session_usdt_forget(s, SEEP_SLOT_NONE);
	for (i = 0; i < u->nr_files; i++)
		file_free(u->file[i]);
	free(u->file);
	map64_release(&u->by_version);
	free(u->use);
	free(u->spec);
	free(u);
	s->usdt = NULL;
}

/* As object_find() of discover.c. */
static struct usdt_file *find_file(const struct session_usdt *u, const struct file_version *version,
				   uint64_t *key)
{
	uint64_t i;

	*key = file_version_hash(version);
	for (; map64_get(&u->by_version, *key, &i); ++*key) {
		if (file_version_is(&u->file[i]->version, version))
			return u->file[i];
	}
	return NULL;
}

/* One number for all sites with the same arguments. */
static int spec_number(struct session *s, const struct usdt_spec *spec, uint32_t *number)
{
	struct session_usdt *u = s->usdt;
	size_t i;
	int err;

	for (i = 0; i < u->nr_specs; i++) {
		if (!memcmp(&u->spec[i], spec, sizeof(*spec))) {
			*number = (uint32_t)i + 1;
			return 0;
		}
	}
	if (ARRAY_GROW(&u->spec, &u->cap_specs, u->nr_specs + 1))
		return -ENOMEM;
	err = loader_set_usdt(s->loader, (uint32_t)u->nr_specs + 1, spec);
	if (err)
		return err;
	u->spec[u->nr_specs++] = *spec;
	*number = (uint32_t)u->nr_specs;
	return 0;
}

static int number_sites(struct session *s, struct usdt_file *file)
{
	size_t i;
	int err = 0;

	file->spec = calloc(file->object.nr_sites, sizeof(*file->spec));
	if (!file->spec)
		return -ENOMEM;
	for (i = 0; i < file->object.nr_sites && !err; i++)
		err = spec_number(s, &file->object.site[i].spec, &file->spec[i]);
	return err;
}

/* What cannot be used is said once, and the file remembered as one without probes. */
static int search(struct session *s, struct usdt_file *file, int fd)
{
	struct elf_file *elf = NULL;
	const char *why = NULL;
	int err = elf_open_fd(fd, &elf);

	if (!err)
		err = usdt_find(elf, &file->object, &why);
	elf_close(elf);
	if (err == -ENOMEM)
		return err;
	if (!err)
		err = number_sites(s, file);
	if (err && err != -ENOENT && err != -ENOEXEC && (why || file->object.provider))
		log_warn("the heap probes that '%s' brings along are left alone: %s", file->path,
			 why ? why : strerror(-err));
	if (err)
		usdt_object_release(&file->object);
	return err == -ENOMEM ? err : 0;
}

/* fd is taken over. */
static int file_new(struct session *s, const struct stat *st, const struct usdt_place *place,
		    int fd, struct usdt_file **out)
{
	struct usdt_file *file = calloc(1, sizeof(*file));
	struct session_usdt *u = s->usdt;
	uint64_t key;
	int err = -ENOMEM;

	if (file)
		file->path = strdup(place->name);
	if (file && file->path) {
		file->version = file_version_of(st);
		err = search(s, file, fd);
		fd = -1;
	}
	fd_close(&fd);
	if (!err) {
		(void)find_file(u, &file->version, &key); /* for its key */
		if (ARRAY_GROW(&u->file, &u->cap_files, u->nr_files + 1) ||
		    map64_put(&u->by_version, key, u->nr_files))
			err = -ENOMEM;
	}
	if (err) {
		if (file)
			file_free(file);
		return err;
	}
	u->file[u->nr_files++] = file;
	*out = file;
	return 0;
}

/* The file at a place, searched if it is new; *out is NULL where there is none to be read. 0 or -ENOMEM. */
static int look_up(struct session *s, pid_t tgid, const struct usdt_place *place,
		   struct usdt_file **out)
{
	struct file_version version;
	struct stat st;
	uint64_t key;
	int fd;

	*out = NULL;
	if (stat(place->kernel_path, &st) || !S_ISREG(st.st_mode))
		return 0;
	version = file_version_of(&st);
	*out = find_file(s->usdt, &version, &key);
	if (*out)
		return 0;
	fd = place->mapping ? proc_open_mapping(tgid, place->mapping)
			    : open(place->kernel_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st)) {
		fd_close(&fd);
		return 0;
	}
	return file_new(s, &st, place, fd, out);
}

/* --- processes --- */

static bool is_used(const struct session_usdt *u, uint32_t slot, const struct usdt_file *file)
{
	size_t i;

	for (i = 0; i < u->nr_uses; i++) {
		if (u->use[i].slot == slot && u->use[i].file == file)
			return true;
	}
	return false;
}

/*
 * Blocks of this process are being followed by its calls, whose frees would not be seen any more. What is probed in all
 * processes is so from the moment when the run begins.
 */
static bool traps_calls(const struct session *s, uint32_t slot)
{
	size_t i;

	for (i = 0; i < s->nr_links; i++) {
		if (s->link[i].slot == slot || (s->link[i].slot == SEEP_SLOT_NONE && s->armed))
			return true;
	}
	return false;
}

static void say_late(const struct session_target *t, struct usdt_file *file)
{
	if (!file->is_late)
		log_info("'%s' of %d (%s) brings heap probes along, but came after the probes on "
			 "its allocator were set, which stay",
			 file->path, (int)t->tgid, t->info.comm);
	file->is_late = true;
}

static int attach_file(struct session *s, const struct session_target *t, struct usdt_file *file,
		       const char *kernel_path)
{
	struct usdt_use use = {.slot = t->slot, .file = file};
	struct session_usdt *u = s->usdt;
	int err;

	if (ARRAY_GROW(&u->use, &u->cap_uses, u->nr_uses + 1))
		return -ENOMEM;
	err = usdt_attach(&use.links, s->loader, t->tgid, kernel_path, &file->object, file->spec);
	if (err) {
		attach_release(&use.links);
		return err;
	}
	u->use[u->nr_uses++] = use;
	file->is_used = true;
	log_verbose("%zu probes of '%s' that it brings along (%s)", file->object.nr_sites,
		    file->path, file->object.provider);
	return 0;
}

/* *brings is set where the file's probes are used. */
static int take_file(struct session *s, const struct session_target *t,
		     const struct usdt_place *place, bool *brings)
{
	struct usdt_file *file;
	int err = look_up(s, t->tgid, place, &file);

	if (err || !file || !file->object.provider)
		return err;
	if (is_used(s->usdt, t->slot, file)) {
		*brings = true;
		return 0;
	}
	if (traps_calls(s, t->slot)) {
		say_late(t, file);
		return 0;
	}
	err = attach_file(s, t, file, place->kernel_path);
	if (!err)
		*brings = true;
	if (!err || err == -ENOMEM || err == -ESRCH || err == -EACCES)
		return err;
	log_warn("cannot set the heap probes that '%s' brings along: %s", file->path,
		 strerror(-err));
	return 0;
}

static int start(struct session *s)
{
	if (!s->usdt)
		s->usdt = calloc(1, sizeof(*s->usdt));
	return s->usdt ? 0 : -ENOMEM;
}

/* Whether the file has probes, used or not. */
static int find_probes(struct session *s, const struct session_target *t,
		       const struct usdt_place *place, bool *brings)
{
	struct usdt_file *file;
	int err = look_up(s, t->tgid, place, &file);

	*brings |= !err && file && file->object.provider;
	return err;
}

/* Each file that is mapped as code. */
static int visit_files(struct session *s, const struct session_target *t,
		       const struct proc_maps *maps,
		       int (*visit)(struct session *s, const struct session_target *t,
				    const struct usdt_place *place, bool *brings),
		       bool *brings)
{
	const struct proc_mapping *m;
	struct usdt_place place;
	size_t *index, nr, i;
	char path[512];
	int err = proc_maps_code_files(maps, &index, &nr);

	if (err)
		return err;
	for (i = 0; i < nr && !err; i++) {
		m = &maps->item[index[i]];
		if (proc_mapping_path(t->tgid, m, path, sizeof(path)))
			continue;
		place = (struct usdt_place){.name = m->path, .kernel_path = path, .mapping = m};
		err = visit(s, t, &place, brings);
	}
	free(index);
	return err;
}

bool session_usdt_is_brought(struct session *s, const struct session_target *t,
			     const struct proc_maps *maps)
{
	bool brings = false;

	if (!s->cli->no_usdt && !start(s))
		(void)visit_files(s, t, maps, find_probes, &brings);
	return brings;
}

int session_usdt_process(struct session *s, const struct session_target *t, bool *brings)
{
	int err = start(s);

	*brings = false;
	/* where all processes are probed, the new image of one has been from its start */
	if (!err && t->exec_ns && traps_calls(s, SEEP_SLOT_NONE))
		session_usdt_forget(s, t->slot);
	if (!err && !s->cli->no_usdt)
		err = visit_files(s, t, &t->maps, take_file, brings);
	if (!err)
		loader_set_tells(s->loader, t->slot, *brings);
	return err;
}

int session_usdt_command(struct session *s, const struct session_target *t,
			 const struct discover_files *files, bool *brings)
{
	struct usdt_place place;
	size_t i;
	int err = start(s);

	*brings = false;
	for (i = 0; i < files->nr && !err && !s->cli->no_usdt; i++) {
		place = (struct usdt_place){.name = files->path[i], .kernel_path = files->path[i]};
		err = take_file(s, t, &place, brings);
	}
	return err;
}

void session_usdt_forget(struct session *s, uint32_t slot)
{
	struct session_usdt *u = s->usdt;
	struct attach links = {0};
	size_t i, kept = 0;

	for (i = 0; u && i < u->nr_uses; i++) {
		if (slot == SEEP_SLOT_NONE || u->use[i].slot == slot)
			attach_move(&links, &u->use[i].links);
		else
			u->use[kept++] = u->use[i];
	}
	if (u)
		u->nr_uses = kept;
	attach_release(&links);
}

bool session_usdt_is_used(const struct session *s)
{
	return s->usdt && s->usdt->nr_uses;
}

/* --- what is said of them --- */

bool session_usdt_describe(const struct session *s, uint32_t slot, struct strbuf *out)
{
	const struct session_usdt *u = s->usdt;
	const char *provider;
	size_t nr = 0, i, j;

	for (i = 0; u && i < u->nr_uses; i++) {
		if (u->use[i].slot == slot)
			nr += u->use[i].file->object.nr_sites;
	}
	if (!nr)
		return false;
	strbuf_printf(out, "%zu probes that it brings along", nr);
	for (nr = 0, i = 0; i < u->nr_uses; i++) {
		provider = u->use[i].file->object.provider;
		for (j = 0; j < i; j++) {
			if (u->use[j].slot == slot && u->use[j].file->object.provider == provider)
				break;
		}
		if (u->use[i].slot == slot && j == i)
			strbuf_printf(out, "%s%s", nr++ ? ", " : " (", provider);
	}
	strbuf_puts(out, "), sampled by the program itself");
	return true;
}

static int feed_probe(struct session *s, const struct usdt_file *file, const struct usdt_site *site)
{
	struct record_probe record = {
		.head = {.kind = RECORD_PROBE, .time_ns = s->start_ns},
		.offset = site->file_offset,
		.cost_ns = calibration_ns(&s->cost, ATTACH_PERF, true, false),
		.flags = PROBE_EMULATED,
	};
	char name[64];

	snprintf(name, sizeof(name), "%s:%s", file->object.provider,
		 site->is_free ? "free" : "alloc");
	return session_feed_strings(
		s, &record, sizeof(record),
		(const char *const[]){file->path, name, "nop", attach_kind_name(ATTACH_PERF)}, 4);
}

int session_usdt_feed_probes(struct session *s)
{
	struct session_usdt *u = s->usdt;
	struct usdt_file *file;
	size_t i;
	int err = 0;

	for (i = 0; u && i < u->nr_files && !err; i++) {
		file = u->file[i];
		for (; file->is_used && file->nr_told < file->object.nr_sites && !err;
		     file->nr_told++)
			err = feed_probe(s, file, &file->object.site[file->nr_told]);
	}
	return err;
}
