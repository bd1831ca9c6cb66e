/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages to people, on stderr, each one line that begins with "seep: ". Lower case, what failed
 * first, the subject in quotes, no full stop at the end. core/ and base/ never call this; the
 * caller that knows what the user wanted does.
 *
 * A line is one write(), so that lines of several threads do not mix. Control characters are
 * printed as '?' (names come from strangers' processes); a line is cut at LOG_LINE_MAX bytes. errno
 * is kept.
 */
#ifndef SEEP_BASE_LOG_H
#define SEEP_BASE_LOG_H

#define LOG_LINE_MAX 1024

enum log_level {
	LOG_ERROR = 0, /* a plain line: there is no "error: " in it */
	LOG_WARN = 1,  /* "seep: warning: ..." */
	LOG_INFO = 2,
	LOG_VERBOSE = 3, /* -v */
	LOG_DEBUG = 4,	 /* -vv */
};

void log_set_level(enum log_level level); /* LOG_INFO at start */
enum log_level log_get_level(void);

void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_verbose(...) log_at(LOG_VERBOSE, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/*
 * One line that is overwritten by the next one, for long work; only where stderr is a terminal and
 * the level is at least LOG_INFO; cut at the terminal's width. Cleared before any other message,
 * and by log_progress_clear().
 */
void log_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_progress_clear(void);

/* An impossible state: says where and aborts. */
#define BUG(...) log_bug(__FILE__, __LINE__, __VA_ARGS__)
void log_bug(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#endif
