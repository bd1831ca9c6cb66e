// SPDX-License-Identifier: GPL-2.0-or-later
/* What a program will map, asked of its loader before it runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "array.h"
#include "discover.h"
#include "elf.h"
#include "fd.h"

#define MAX_INTERPRETERS 4 /* as the kernel: a script's interpreter may be a script */
#define MAX_LIST (1 << 20)

static int add_path(struct discover_files *files, const char *path)
{
	if (ARRAY_GROW(&files->path, &files->cap, files->nr + 1))
		return -ENOMEM;
	files->path[files->nr] = strdup(path);
	return files->path[files->nr] ? (files->nr++, 0) : -ENOMEM;
}

/* The interpreter that a "#!" line names; false when the file is no script. */
static bool script_interpreter(const char *path, char *interpreter, size_t size)
{
	char head[256] = "", *start, *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t nr;

	if (fd < 0)
		return false;
	nr = read(fd, head, sizeof(head) - 1);
	fd_close(&fd);
	if (nr < 3 || head[0] != '#' || head[1] != '!')
		return false;
	start = head + 2 + strspn(head + 2, " \t");
	end = start + strcspn(start, " \t\n");
	*end = '\0';
	return *start && (size_t)snprintf(interpreter, size, "%s", start) < size;
}

/* Runs LOADER --list PROGRAM, which maps what the program needs and prints it, and ends. */
static int run_loader(const char *loader, const char *program, char **text)
{
	char *argv[] = {(char *)loader, (char *)"--list", (char *)program, NULL};
	int pipefd[2], err = 0;
	size_t nr = 0;
	ssize_t got;
	pid_t pid;

	*text = malloc(MAX_LIST);
	if (!*text || pipe2(pipefd, O_CLOEXEC)) {
		free(*text);
		return -ENOMEM;
	}
	pid = fork();
	if (!pid) {
		if (dup2(pipefd[1], STDOUT_FILENO) >= 0)
			execv(loader, argv);
		_exit(127);
	}
	fd_close(&pipefd[1]);
	got = pid > 0 ? fd_read_all(pipefd[0], *text, MAX_LIST - 1) : -EAGAIN;
	fd_close(&pipefd[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (got < 0)
		err = (int)got;
	else
		nr = (size_t)got;
	(*text)[nr] = '\0';
	if (err)
		free(*text);
	return err;
}

/* Lines of "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)", or "/lib64/ld-... (0x...)". */
static int add_listed(struct discover_files *files, char *text)
{
	char *line, *save = NULL, *path, *end;
	int err = 0;

	for (line = strtok_r(text, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save)) {
		path = strstr(line, "=> ");
		path = path ? path + 3 : line + strspn(line, " \t");
		end = strstr(path, " (0x");
		if (!end || *path != '/')
			continue;
		*end = '\0';
		err = add_path(files, path);
	}
	return err;
}

static int list_program(struct discover_files *files, const char *program)
{
	char interpreter[256], loader[256], *text;
	struct elf_file *elf = NULL;
	char path[4096];
	int depth, fd, err;

	snprintf(path, sizeof(path), "%s", program);
	for (depth = 0; depth < MAX_INTERPRETERS; depth++) {
		if (!script_interpreter(path, interpreter, sizeof(interpreter)))
			break;
		snprintf(path, sizeof(path), "%s", interpreter);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = elf_open_fd(fd, &elf);
	if (err)
		return err;
	err = elf_interpreter(elf, loader, sizeof(loader));
	elf_close(elf);
	if (err == -ENOENT) /* static: all there is, is the program */
		return add_path(files, path);
	if (!err)
		err = add_path(files, path);
	if (err)
		return err;
	err = run_loader(loader, path, &text);
	if (err)
		return err;
	err = add_listed(files, text);
	free(text);
	return err;
}

int discover_program_files(const char *program, struct discover_files *out)
{
	struct discover_files files = {0};
	int err = list_program(&files, program);

	if (err)
		discover_files_release(&files);
	else
		*out = files;
	return err;
}

void discover_files_release(struct discover_files *files)
{
	size_t i;

	for (i = 0; i < files->nr; i++)
		free(files->path[i]);
	free(files->path);
	*files = (struct discover_files){0};
}

/* found has room for one more. */
static int search_file(struct discover *d, const char *path, struct discover_found *found,
		       size_t *nr, size_t *nr_searched)
{
	const struct discover_object *object;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return 0; /* [vdso] and the like */
	++*nr_searched;
	err = discover_file(d, fd, path, &object);
	fd_close(&fd);
	if (err == -ENOMEM)
		return err;
	if (err || !object->family)
		return 0;
	found[*nr].object = object;
	snprintf(found[*nr].kernel_path, sizeof(found[*nr].kernel_path), "%s", path);
	++*nr;
	return 0;
}

int discover_files(struct discover *d, const struct discover_files *files,
		   struct discover_found **found, size_t *nr, size_t *nr_searched)
{
	struct discover_found *list = calloc(files->nr + 1, sizeof(*list));
	size_t nr_found = 0, searched = 0, i;
	int err = list ? 0 : -ENOMEM;

	for (i = 0; i < files->nr && !err; i++)
		err = search_file(d, files->path[i], list, &nr_found, &searched);
	if (err) {
		free(list);
		return err;
	}
	*found = list;
	*nr = nr_found;
	*nr_searched = searched;
	return 0;
}
