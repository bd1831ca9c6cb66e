/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the text writer share. Nobody else includes this. */
#ifndef SEEP_OUT_TEXT_H
#define SEEP_OUT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parse.h"
#include "report.h"
#include "strbuf.h"

#define TEXT_WIDTH 80
#define TEXT_INDENT 4
#define TEXT_MAX_TARGETS 10 /* that are listed */
/* A space at which text_wrap() breaks no line. Cleaned names hold no control characters, so it is free. */
#define TEXT_NBSP "\x1f"

struct text {
	const struct report *report;
	struct strbuf *out;
	struct strbuf line;	/* being composed */
	struct strbuf name;	/* scratch */
	struct strbuf location; /* scratch */
	bool failed;		/* sticky: the scratch buffers forget */
};

/* A number made readable, by value. */
struct word {
	char text[FORMAT_MAX];
};

struct word text_bytes(uint64_t bytes);
struct word text_count(uint64_t n);
struct word text_duration(double seconds);
struct word text_bytes_per_hour(double bytes_per_s); /* "-1.2 MiB", without the "/h" */
struct word text_per_s(double rate);		     /* "0.25", "12.3", "1,234" */
const char *text_plural(uint64_t n);		     /* "" or "s" */

/* Adds to text->line a name that strangers made, cut to so many columns. */
void text_add_name(struct text *text, const char *name, size_t columns);
/* Writes text->line, broken at spaces; all but its first line are indented. The line is empty afterwards. */
void text_wrap(struct text *text, size_t indent);

void text_header(struct text *text, const char *what, const char *basis);
void text_incomplete(struct text *text); /* why, if it is */
/* The stack below a site. */
void text_stack(struct text *text, const struct report_frame *frame, size_t nr, bool partial);
/* Losses by name that are not zero; says so when there are none. */
void text_losses(struct text *text);
void text_overhead(struct text *text);

/* What the numbers of the report are, in a word or two. */
void text_basis(const struct report *report, char *buf, size_t size);
/* The same in a sentence, if they are not exact, and how it came to that. */
void text_note(struct text *text);
/* Of bytes: " ±12 %", or an interval where that would mislead; nothing when they are exact. */
void text_add_error(struct text *text, uint64_t n, struct report_interval ci);
const char *text_about(struct report_interval ci); /* "~" or "" */
void text_add_samples(struct text *text, enum report_basis basis, uint64_t nr);
/* Whose a site is. nr_processes 0: not said. */
void text_add_owner(struct text *text, uint32_t tgid, const char *comm, const char *group,
		    uint32_t nr_processes);
void text_groups(struct text *text);

void text_leaks(struct text *text);
void text_faults(struct text *text);
/* In a report of leaks, if there were any. */
void text_faults_beside(struct text *text);

#endif
