// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which probes are where. A link for one process costs nobody else, but each hit in any of these processes looks at the
 * links of all. So an object that many processes have been probed in, one by one, is from then on probed in all that map
 * it, and so is every object when the whole system or a cgroup is followed: what is no target does not get far.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "fd.h"
#include "log.h"
#include "session_impl.h"

#define MAX_SINGLE 8	     /* processes that an object is probed in one by one */
#define SWEEP_NS 50000000ull /* between two sweeps: a server may fork all the time */

static int probe_number(struct session *s, const struct discover_object *object,
			const struct discover_site *site, uint16_t *number)
{
	size_t i;

	for (i = 0; i < s->nr_probes; i++) {
		if (s->probe[i].site == site) {
			*number = (uint16_t)i;
			return 0;
		}
	}
	if (s->nr_probes > UINT16_MAX) /* all that a cookie has room for */
		return -ENOSPC;
	if (ARRAY_GROW(&s->probe, &s->cap_probes, s->nr_probes + 1))
		return -ENOMEM;
	s->probe[s->nr_probes] = (struct session_probe){.object = object, .site = site};
	*number = (uint16_t)s->nr_probes++;
	return 0;
}

/* Functions that programs call all the time. */
static bool is_hot(const struct allocator_function *function)
{
	static const char *const hot[] = {"malloc", "calloc", "realloc", "free",
					  "_Znwm",  "_ZdlPv", "_ZdlPvm"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hot); i++) {
		if (!strcmp(function->symbol, hot[i]))
			return true;
	}
	return false;
}

static void say_probe(const struct discover_object *object, const struct discover_site *site)
{
	const struct placement *p = &site->placement;

	log_verbose("probe %s+%u in '%s' (%s): %s, %s%s", site->function->symbol, p->offset,
		    object->path, object->family, p->instruction,
		    p->emulated ? "emulated" : "single-stepped: ", p->emulated ? "" : p->why);
	if (!p->emulated && is_hot(site->function))
		log_warn("each call of '%s' in '%s' will be single-stepped, which is slow: %s",
			 site->function->symbol, object->path, p->why);
}

/* See allocator_function_throws(): no harm is done unless the user has asked for it. */
static bool leave_out(const struct session *s, const struct discover_site *site)
{
	return !s->cli->throwing_new && allocator_function_throws(site->function);
}

static struct session_object *find_object(const struct session *s,
					  const struct discover_object *object)
{
	size_t i;

	for (i = 0; i < s->nr_objects; i++) {
		if (s->object[i].object == object)
			return &s->object[i];
	}
	return NULL;
}

static struct session_object *object_of(struct session *s, const struct discover_object *object)
{
	struct session_object *known = find_object(s, object);

	if (known)
		return known;
	if (ARRAY_GROW(&s->object, &s->cap_objects, s->nr_objects + 1))
		return NULL;
	s->object[s->nr_objects] = (struct session_object){.object = object};
	return &s->object[s->nr_objects++];
}

static bool is_attached(const struct session *s, uint32_t slot, const struct discover_object *o)
{
	size_t i;

	for (i = 0; i < s->nr_links; i++) {
		if (s->link[i].object == o &&
		    (s->link[i].slot == slot || s->link[i].slot == SEEP_SLOT_NONE))
			return true;
	}
	return false;
}

static void free_link(struct session_link *link)
{
	attach_links_free(link->links);
	fd_close(&link->file);
}

static void drop_links(struct session *s, uint32_t slot, const struct discover_object *object)
{
	size_t i, kept = 0;

	for (i = 0; i < s->nr_links; i++) {
		if (s->link[i].slot != slot || (object && s->link[i].object != object))
			s->link[kept++] = s->link[i];
		else
			free_link(&s->link[i]);
	}
	s->nr_links = kept;
}

void session_drop_links(struct session *s, uint32_t slot)
{
	drop_links(s, slot, NULL);
	session_usdt_forget(s, slot);
}

/* All of them at once. */
static void free_probes(struct session *s)
{
	struct attach_links **links = calloc(s->nr_links + 1, sizeof(struct attach_links *));
	size_t i;

	for (i = 0; links && i < s->nr_links; i++) {
		links[i] = s->link[i].links;
		s->link[i].links = NULL;
	}
	if (links)
		attach_links_free_all(links, s->nr_links);
	free(links);
}

void session_release_links(struct session *s)
{
	uint64_t start_ns = session_now_ns();
	size_t i, nr = 0;

	for (i = 0; i < s->nr_links; i++)
		nr += s->link[i].links ? s->link[i].nr_sites : 0;
	free_probes(s);
	if (nr)
		log_verbose("%zu probes were taken out in %llu ms", nr,
			    (unsigned long long)(session_now_ns() - start_ns) / 1000000);
	for (i = 0; i < s->nr_links; i++)
		free_link(&s->link[i]);
	free(s->link);
	free(s->object);
	free(s->probe);
}

/* What is asked of the kernel for an object. */
struct wish {
	const struct discover_site *site[DISCOVER_MAX_SITES];
	uint16_t probe[DISCOVER_MAX_SITES];
	struct attach_request request;
};

static int make_wish(struct session *s, const struct discover_object *object, struct wish *wish)
{
	const struct discover_site *site;
	size_t i, nr = 0;
	int err = 0;

	for (i = 0; i < object->nr_sites && !err; i++) {
		site = &object->site[i];
		if (leave_out(s, site))
			continue;
		wish->site[nr] = site;
		err = probe_number(s, object, site, &wish->probe[nr++]);
	}
	wish->request = (struct attach_request){.site = wish->site, .probe = wish->probe, .nr = nr};
	return err;
}

/* Of an object that has not been probed before. */
static void say_probes(const struct discover_object *object, const struct attach_request *request)
{
	size_t i;

	for (i = 0; i < request->nr; i++)
		say_probe(object, request->site[i]);
	if (request->nr < object->nr_sites)
		log_info("operator new of '%s' is not probed, lest a bad_alloc that is caught ends "
			 "the process; see --throwing-new in seep(8)",
			 object->path);
}

/* While allocators are not followed it stays without probes. */
static int set_probes(struct session *s, struct session_link *link,
		      const struct attach_request *request)
{
	if (!request->nr || s->is_unwatched)
		return 0;
	return attach_sites(s->loader, request, ATTACH_ALLOCATORS, &link->links);
}

static int add_link(struct session *s, struct session_link *link, const char *kernel_path,
		    struct attach_request *request)
{
	int err;

	if (ARRAY_GROW(&s->link, &s->cap_links, s->nr_links + 1))
		return -ENOMEM;
	link->file = open(kernel_path, O_PATH | O_CLOEXEC);
	if (link->file < 0)
		return -errno;
	snprintf(link->kernel_path, sizeof(link->kernel_path), "/proc/self/fd/%d", link->file);
	request->kernel_path = link->kernel_path;
	err = set_probes(s, link, request);
	if (err)
		fd_close(&link->file);
	else
		s->link[s->nr_links++] = *link;
	return err;
}

/* slot: SEEP_SLOT_NONE for all processes */
static int attach_object(struct session *s, uint32_t slot, pid_t tgid,
			 const struct discover_found *found)
{
	struct session_link link = {.slot = slot, .object = found->object};
	size_t nr_before = s->nr_probes;
	struct wish wish;
	int err = make_wish(s, found->object, &wish);

	if (err)
		return err;
	wish.request.tgid = slot == SEEP_SLOT_NONE ? 0 : tgid;
	if (s->nr_probes != nr_before)
		say_probes(found->object, &wish.request);
	link.nr_sites = wish.request.nr;
	return add_link(s, &link, found->kernel_path, &wish.request);
}

/*
 * From one process each to all. The new link is there before the old ones go: a free that nobody saw would make a leak of
 * its block, and a call that two links see counts once.
 */
static int widen(struct session *s, struct session_object *object, pid_t tgid,
		 const struct discover_found *found)
{
	uint32_t slot;
	int err = attach_object(s, SEEP_SLOT_NONE, tgid, found);

	if (err)
		return err;
	object->is_wide = true;
	for (slot = 1; object->nr_processes && slot <= loader_max_targets(s->loader); slot++) {
		if (s->slot[slot].target)
			drop_links(s, slot, found->object);
	}
	return 0;
}

bool session_is_settled(const struct session *s, const struct discover_object *object)
{
	const struct session_object *known;

	if (!object || !object->family)
		return object;
	known = find_object(s, object);
	return known && (known->is_wide || known->is_refused);
}

/* Not of this process, nor of this moment. */
static bool is_lasting(int err)
{
	return err && err != -ESRCH && err != -ENOENT && err != -ENOMEM && err != -EMFILE &&
	       err != -ENFILE && err != -EACCES;
}

/* In so many processes that it may as well be probed in all, if that does nobody harm. */
static bool is_common(struct session *s, const struct session_object *object)
{
	return object->nr_processes > MAX_SINGLE && session_may_probe_all(s);
}

static int attach_one(struct session *s, struct session_target *t,
		      const struct discover_found *found)
{
	struct session_object *object = object_of(s, found->object);
	int err;

	if (!object)
		return -ENOMEM;
	if (object->is_wide || object->is_refused)
		return 0;
	if (!t->is_counted)
		object->nr_processes++;
	if (session_is_for_all(s) || is_common(s, object))
		err = widen(s, object, t->tgid, found);
	else
		err = attach_object(s, t->slot, t->tgid, found);
	if (is_lasting(err)) {
		log_warn("cannot probe '%s' (%s): %s", found->object->path, found->object->family,
			 strerror(-err));
		object->is_refused = session_is_for_all(s);
	}
	return err;
}

/* One child has come in a row too long for us to be there in time for each. */
static void count_child(struct session *s, const struct session_link *link, pid_t parent)
{
	struct session_object *object = object_of(s, link->object);
	struct discover_found found = {.object = link->object};
	int err;

	if (!object)
		return;
	object->nr_processes++;
	if (object->is_wide || !is_common(s, object))
		return;
	snprintf(found.kernel_path, sizeof(found.kernel_path), "%s", link->kernel_path);
	err = widen(s, object, parent, &found);
	if (err)
		log_debug("cannot probe '%s' in all processes: %s", found.object->path,
			  strerror(-err));
}

void session_count_child(struct session *s, struct session_target *t,
			 const struct session_target *parent)
{
	size_t i = s->nr_links;

	t->is_counted = true;
	while (i--) { /* the links of an object may go meanwhile, and one come at the end */
		if (i < s->nr_links && s->link[i].slot == parent->slot)
			count_child(s, &s->link[i], parent->tgid);
	}
}

int session_attach_found(struct session *s, struct session_target *t,
			 const struct discover_found *found, size_t nr)
{
	int err = 0, failed;
	size_t i;

	/* one that fails keeps nobody from the others */
	for (i = 0; i < nr && err != -ENOMEM; i++) {
		if (is_attached(s, t->slot, found[i].object))
			continue;
		failed = attach_one(s, t, &found[i]);
		err = err && failed != -ENOMEM ? err : failed;
	}
	return err;
}

static pid_t tgid_of(const struct session *s, uint32_t slot)
{
	return slot == SEEP_SLOT_NONE ? 0 : s->slot[slot].target->tgid;
}

static int turn_on(struct session *s, struct session_link *link)
{
	struct wish wish;
	int err = make_wish(s, link->object, &wish);

	if (err || link->links)
		return err;
	wish.request.tgid = tgid_of(s, link->slot);
	wish.request.kernel_path = link->kernel_path;
	err = set_probes(s, link, &wish.request);
	return err == -ESRCH ? 0 : err; /* it is about to end */
}

int session_turn_on(struct session *s)
{
	size_t i;
	int err = 0;

	s->is_unwatched = false;
	for (i = 0; i < s->nr_links && !err; i++)
		err = turn_on(s, &s->link[i]);
	return err;
}

void session_turn_off(struct session *s)
{
	s->is_unwatched = true;
	free_probes(s);
}

static void sweep_link(struct session *s, const struct session_link *link)
{
	struct wish wish;
	int err = make_wish(s, link->object, &wish);

	wish.request.kernel_path = link->kernel_path;
	if (!err && wish.request.nr)
		err = attach_sweep(s->loader, &wish.request);
	if (err)
		log_debug("cannot take the probes of '%s' out of children: %s", link->object->path,
			  strerror(-err));
}

void session_sweep(struct session *s)
{
	uint64_t now_ns = session_now_ns();
	size_t i, k;

	if (!s->sweep_due || now_ns - s->swept_ns < SWEEP_NS)
		return;
	/* these go by themselves */
	if (loader_attach_kind(s->loader) == ATTACH_PERF)
		return;
	s->sweep_due = false;
	for (i = 0; i < s->nr_links; i++) {
		for (k = 0; k < i && s->link[k].object != s->link[i].object; k++)
			;
		/* each object once; one for all is not to go */
		if (k == i && s->link[i].slot != SEEP_SLOT_NONE)
			sweep_link(s, &s->link[i]);
	}
	s->swept_ns = session_now_ns();
}
