/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mapper.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fd.h"

enum order_kind {
	ORDER_FILE,
	ORDER_ANON,
	ORDER_MANY,
	ORDER_PROTECT,
	ORDER_UNMAP,
	ORDER_EXEC,
};

struct order {
	enum order_kind kind;
	int fd;
	uint32_t page, nr_pages;
	int protection;
	uint32_t largest;
};

static void *place(uint32_t page)
{
	return (void *)(uintptr_t)(MAPPER_AREA + (uint64_t)page * MAPPER_PAGE);
}

static bool map(uint32_t page, uint32_t nr_pages, int protection, int fd)
{
	int flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE | (fd < 0 ? MAP_ANONYMOUS : 0);
	size_t bytes = (size_t)nr_pages * MAPPER_PAGE;

	return mmap(place(page), bytes, protection, flags, fd, 0) == place(page);
}

static bool map_many(const struct order *order)
{
	for (uint32_t i = 0; i < order->nr_pages; i++) {
		if (!map(order->page + i * 3, i == order->largest ? 2 : 1, PROT_EXEC, -1))
			return false;
	}
	return true;
}

/* cat waits for its input to end. */
static bool become_cat(int input)
{
	if (dup2(input, 0) == 0)
		execl("/bin/cat", "cat", NULL);
	return false;
}

static bool obey(const struct order *order, int orders)
{
	size_t bytes = (size_t)order->nr_pages * MAPPER_PAGE;

	switch (order->kind) {
	case ORDER_FILE:
	case ORDER_ANON:
		return map(order->page, order->nr_pages, order->protection, order->fd);
	case ORDER_MANY:
		return map_many(order);
	case ORDER_PROTECT:
		return !mprotect(place(order->page), bytes, order->protection);
	case ORDER_UNMAP:
		return !munmap(place(order->page), bytes);
	case ORDER_EXEC:
		return become_cat(orders);
	}
	return false;
}

/* Until nobody can give orders any more. */
static __attribute__((noreturn)) void live(int orders, int answers)
{
	struct order order;
	char done = 'y';

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		done = obey(&order, orders) ? 'y' : 'n';
		if (write(answers, &done, 1) != 1)
			break;
	}
	_exit(done != 'y');
}

struct mapper mapper_start(void)
{
	int orders[2], answers[2];
	struct mapper mapper;

	assert_int_equal(pipe2(orders, O_CLOEXEC), 0);
	assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
	mapper.tgid = fork();
	assert_true(mapper.tgid >= 0);
	if (!mapper.tgid) {
		(void)close(orders[1]);
		(void)close(answers[0]);
		live(orders[0], answers[1]);
	}
	(void)close(orders[0]);
	(void)close(answers[1]);
	mapper.orders = orders[1];
	mapper.answers = answers[0];
	return mapper;
}

struct mapper mapper_start_cat(void)
{
	struct mapper mapper = mapper_start();

	mapper_exec(&mapper);
	return mapper;
}

void mapper_end(struct mapper *mapper)
{
	assert_int_equal(kill(mapper->tgid, SIGKILL), 0);
	assert_int_equal(waitpid(mapper->tgid, NULL, 0), mapper->tgid);
	fd_close(&mapper->orders);
	fd_close(&mapper->answers);
}

static void tell(const struct mapper *mapper, const struct order *order)
{
	char done = 0;

	assert_int_equal(write(mapper->orders, order, sizeof(*order)), sizeof(*order));
	assert_int_equal(read(mapper->answers, &done, 1), 1);
	assert_int_equal(done, 'y');
}

void mapper_map_file(const struct mapper *mapper, int fd, uint32_t page, uint32_t nr_pages)
{
	tell(mapper, &(struct order){.kind = ORDER_FILE,
				     .fd = fd,
				     .page = page,
				     .nr_pages = nr_pages,
				     .protection = PROT_READ | PROT_EXEC});
}

void mapper_map_anon(const struct mapper *mapper, uint32_t page, uint32_t nr_pages, int protection)
{
	tell(mapper, &(struct order){.kind = ORDER_ANON,
				     .fd = -1,
				     .page = page,
				     .nr_pages = nr_pages,
				     .protection = protection});
}

void mapper_map_many(const struct mapper *mapper, uint32_t nr, uint32_t largest)
{
	tell(mapper, &(struct order){.kind = ORDER_MANY, .nr_pages = nr, .largest = largest});
}

void mapper_protect(const struct mapper *mapper, uint32_t page, uint32_t nr_pages, int protection)
{
	tell(mapper, &(struct order){.kind = ORDER_PROTECT,
				     .page = page,
				     .nr_pages = nr_pages,
				     .protection = protection});
}

void mapper_unmap(const struct mapper *mapper, uint32_t page, uint32_t nr_pages)
{
	tell(mapper, &(struct order){.kind = ORDER_UNMAP, .page = page, .nr_pages = nr_pages});
}

void mapper_exec(struct mapper *mapper)
{
	const struct order order = {.kind = ORDER_EXEC};
	char done;

	assert_int_equal(write(mapper->orders, &order, sizeof(order)), sizeof(order));
	/* the other end closes on exec */
	assert_int_equal(read(mapper->answers, &done, 1), 0);
}
