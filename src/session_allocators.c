// SPDX-License-Identifier: GPL-2.0-or-later
#include "session_impl.h"

int session_use_allocators(struct session *s)
{
	int err = cli_load_allocators(s->cli, &s->allocators);

	return err ? err : discover_use(&s->discover, &s->allocators);
}

int session_check_allocators(const struct session *s)
{
	if (s->options->mode != RUN_LEAKS)
		return 0;
	/* a command has not mapped all that it will, and other processes are yet to come */
	return discover_check_wishes(&s->discover, s->cli->argv || session_is_open(s));
}
