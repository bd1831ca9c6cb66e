/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fd.h"

#define LOG_WIDTH_DEFAULT 80
#define CLEAR_LINE "\r\033[K"

static atomic_int log_level = LOG_INFO;
static atomic_bool progress_shown;

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load(&log_level);
}

struct line {
	char text[LOG_LINE_MAX];
	size_t nr;
	size_t max; /* of nr; at most LOG_LINE_MAX - 1 */
};

static void line_vadd(struct line *line, const char *format, va_list args)
{
	int nr = vsnprintf(line->text + line->nr, line->max - line->nr + 1, format, args);

	if (nr > 0)
		line->nr += (size_t)nr;
	if (line->nr > line->max)
		line->nr = line->max;
}

static void line_add(struct line *line, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void line_add(struct line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line_vadd(line, format, args);
	va_end(args);
}

static void line_defuse(struct line *line, size_t from)
{
	for (size_t i = from; i < line->nr; i++) {
		unsigned char c = (unsigned char)line->text[i];

		bool is_c1 =
			c == 0xc2 && i + 1 < line->nr && (unsigned char)line->text[i + 1] < 0xa0;

		if (c < ' ' || c == 0x7f || is_c1)
			line->text[i] = '?';
	}
}

static void write_line(const char *prefix, const char *format, va_list args)
{
	struct line line = {.max = LOG_LINE_MAX - 1};
	size_t start;

	if (atomic_exchange(&progress_shown, false))
		line_add(&line, "%s", CLEAR_LINE);
	start = line.nr;
	line_add(&line, "seep: %s", prefix);
	line_vadd(&line, format, args);
	line_defuse(&line, start);
	line.text[line.nr++] = '\n';			       /* in place of the NUL */
	(void)fd_write_all(STDERR_FILENO, line.text, line.nr); /* nowhere to complain */
}

void log_at(enum log_level level, const char *format, ...)
{
	int saved = errno;
	va_list args;

	if ((int)level > atomic_load(&log_level))
		return;
	va_start(args, format);
	write_line(level == LOG_WARN ? "warning: " : "", format, args);
	va_end(args);
	errno = saved;
}

/* One column less than there are: a full line would make some terminals wrap. */
static size_t progress_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2)
		return LOG_WIDTH_DEFAULT - 1;
	return size.ws_col - 1;
}

void log_progress(const char *format, ...)
{
	struct line line = {.max = LOG_LINE_MAX - 1};
	int saved = errno;
	va_list args;
	size_t start;

	if (atomic_load(&log_level) < LOG_INFO || !isatty(STDERR_FILENO))
		goto out;
	line_add(&line, "%s", CLEAR_LINE);
	start = line.nr;
	if (progress_width() < line.max - start)
		line.max = start + progress_width();
	line_add(&line, "seep: ");
	va_start(args, format);
	line_vadd(&line, format, args);
	va_end(args);
	line_defuse(&line, start);
	atomic_store(&progress_shown, true);
	(void)fd_write_all(STDERR_FILENO, line.text, line.nr);
out:
	errno = saved;
}

void log_progress_clear(void)
{
	int saved = errno;

	if (atomic_exchange(&progress_shown, false))
		(void)fd_write_all(STDERR_FILENO, CLEAR_LINE, strlen(CLEAR_LINE));
	errno = saved;
}

void log_bug(const char *file, int line, const char *format, ...)
{
	char where[128];
	va_list args;

	(void)snprintf(where, sizeof(where), "bug at %s:%d: ", file, line);
	va_start(args, format);
	write_line(where, format, args);
	va_end(args);
	abort();
}
