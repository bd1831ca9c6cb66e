/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unwinder_publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int publisher_init(struct publisher *publisher, const struct unwinder_maps *maps)
{
	*publisher = (struct publisher){.maps = maps};
	(void)pthread_mutex_init(&publisher->lock, NULL); /* the default kind cannot fail */
	publisher->epoch = calloc((size_t)maps->nr_slots + 1, sizeof(publisher->epoch[0]));
	return publisher->epoch ? extents_init(&publisher->pool, maps->nr_mappings) : -ENOMEM;
}

void publisher_release(struct publisher *publisher)
{
	extents_release(&publisher->pool);
	free(publisher->epoch);
	publisher->epoch = NULL;
	(void)pthread_mutex_destroy(&publisher->lock);
}

/* The kernel adds 2 to generation whenever it likes, hence additions here too. */
static void point_to(struct unwind_process *process, uint32_t first, uint32_t nr)
{
	(void)__atomic_add_fetch(&process->generation, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&process->first, first, __ATOMIC_SEQ_CST);
	__atomic_store_n(&process->nr, nr, __ATOMIC_SEQ_CST);
	(void)__atomic_add_fetch(&process->generation, 1, __ATOMIC_SEQ_CST);
}

/* False: the kernel has struck something out since the generation was `known`; what it struck is not in the new list. */
static bool point_if_known(struct unwind_process *process, uint32_t known, uint32_t first,
			   uint32_t nr)
{
	uint32_t even = known, odd = known + 1;

	if (!__atomic_compare_exchange_n(&process->generation, &even, odd, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return false;
	__atomic_store_n(&process->first, first, __ATOMIC_SEQ_CST);
	__atomic_store_n(&process->nr, nr, __ATOMIC_SEQ_CST);
	if (__atomic_compare_exchange_n(&process->generation, &odd, known + 2, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return true;
	__atomic_store_n(&process->nr, 0, __ATOMIC_SEQ_CST);
	(void)__atomic_add_fetch(&process->generation, 1, __ATOMIC_SEQ_CST);
	return false;
}

uint32_t publisher_withdraw(struct publisher *publisher, uint32_t slot)
{
	struct unwind_process *process = &publisher->maps->process[slot];
	uint32_t epoch;

	(void)pthread_mutex_lock(&publisher->lock);
	epoch = ++publisher->epoch[slot];
	if (__atomic_load_n(&process->nr, __ATOMIC_SEQ_CST))
		point_to(process, 0, 0);
	(void)pthread_mutex_unlock(&publisher->lock);
	return epoch;
}

static int swap(struct publisher *publisher, struct publication *publication, uint32_t first,
		uint32_t nr)
{
	struct unwind_process *process = &publisher->maps->process[publication->slot];
	int error = -ECANCELED;

	(void)pthread_mutex_lock(&publisher->lock);
	if (publisher->epoch[publication->slot] == publication->epoch) {
		error = -EAGAIN;
		if (!nr)
			point_to(process, 0, 0);
		if (!nr || point_if_known(process, publication->generation, first, nr)) {
			publication->generation += 2;
			error = 0;
		}
	}
	(void)pthread_mutex_unlock(&publisher->lock);
	return error;
}

/* The kernel strikes mappings out, or all of them at once. */
static bool is_struck_out(const struct publisher *publisher, const struct publication *publication)
{
	const struct unwind_process *process = &publisher->maps->process[publication->slot];
	const struct unwind_mapping *mapping = publisher->maps->mapping + publication->first;

	if (__atomic_load_n(&process->nr, __ATOMIC_SEQ_CST) != publication->list.nr)
		return true;
	for (size_t i = 0; i < publication->list.nr; i++) {
		if (__atomic_load_n(&mapping[i].kind, __ATOMIC_SEQ_CST) !=
		    publication->list.item[i].kind)
			return true;
	}
	return false;
}

static bool differs(const struct publisher *publisher, const struct publication *publication,
		    const struct mapping_list *list)
{
	if (list->nr != publication->list.nr)
		return true;
	if (!list->nr)
		return false;
	return memcmp(list->item, publication->list.item, list->nr * sizeof(list->item[0])) != 0 ||
	       is_struck_out(publisher, publication);
}

static void forget_list(struct publisher *publisher, struct publication *publication)
{
	if (publication->list.nr)
		extents_give(&publisher->pool, publication->first, (uint32_t)publication->list.nr);
	free(publication->list.item);
	publication->list = (struct mapping_list){0};
}

/* The old mappings go first when there is room only in their place. */
static int take_place(struct publisher *publisher, struct publication *publication, uint32_t nr,
		      uint32_t *first)
{
	int error = extents_take(&publisher->pool, nr, first);

	if (error != -ENOSPC || !publication->list.nr)
		return error;
	error = swap(publisher, publication, 0, 0);
	if (error)
		return error;
	forget_list(publisher, publication);
	return extents_take(&publisher->pool, nr, first);
}

int publisher_put(struct publisher *publisher, struct publication *publication,
		  struct mapping_list *list)
{
	bool had_some = publication->list.nr;
	uint32_t nr = (uint32_t)list->nr, first = 0;
	int error = 0;

	if (!differs(publisher, publication, list)) {
		publication->left_out = 0;
		return 0;
	}
	if (nr)
		error = take_place(publisher, publication, nr, &first);
	if (error == -ENOSPC) {
		publication->left_out = nr;
		return had_some;
	}
	if (error)
		return error;
	if (nr)
		memcpy(&publisher->maps->mapping[first], list->item, nr * sizeof(list->item[0]));
	error = swap(publisher, publication, first, nr);
	if (error) {
		if (nr)
			extents_give(&publisher->pool, first, nr);
		return error;
	}
	forget_list(publisher, publication);
	publication->list = *list;
	publication->first = first;
	publication->left_out = 0;
	*list = (struct mapping_list){0};
	return 1;
}

bool publisher_is_touched(const struct publisher *publisher, struct publication *publication)
{
	uint32_t before = publication->generation;

	publication->generation = __atomic_load_n(
		&publisher->maps->process[publication->slot].generation, __ATOMIC_SEQ_CST);
	return publication->generation != before;
}

bool publisher_is_emptied(const struct publisher *publisher, const struct publication *publication)
{
	const struct unwind_process *process = &publisher->maps->process[publication->slot];

	return publication->list.nr && !__atomic_load_n(&process->nr, __ATOMIC_SEQ_CST);
}

void publisher_drop(struct publisher *publisher, struct publication *publication)
{
	forget_list(publisher, publication);
	publication->left_out = 0;
}
