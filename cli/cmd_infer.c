/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy infer: a draft from what is installed. Reads the package database (dpkg's files, or rpm(8)), unit files and
 * configuration; policies/compiler/infer.c makes the policy. Must never write anything but the draft.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/files.h"
#include "cli/render.h"
#include "policies/compiler/image_format.h"
#include "policies/compiler/infer.h"

enum { TEXTS = 64, TEXT_MAX = 1 << 20, STATUS_MAX = 64 << 20, NAME_MAX_ = 128, OUT_MAX = 4 << 20 };

#define DPKG "/var/lib/dpkg"

/* Texts of one kind; owned. */
struct texts {
	struct infer_text t[TEXTS];
	u32 n;
};

struct source_package {
	struct texts lists, units, confs;
};

static void texts_fini(struct texts *x)
{
	for (u32 i = 0; i < x->n; i++) {
		free((void *)x->t[i].name);
		free((void *)x->t[i].s);
	}
	x->n = 0;
}

/* Takes s. */
static int texts_add(struct texts *x, const char *name, char *s, size_t n, struct err *e)
{
	char *copy = x->n < TEXTS ? strdup(name) : NULL;

	if (!copy) {
		free(s);
		return x->n < TEXTS ? err_set(e, -DSI_ENOMEM, "out of memory")
				    : err_set(e, -DSI_ELIMIT, "%s: more than %d files to read for one service", name, TEXTS);
	}
	x->t[x->n++] = (struct infer_text){ copy, s, n };
	return 0;
}

static int texts_read(struct cli *c, struct texts *x, const char *name, const char *file, struct err *e)
{
	char path[CLI_PATH];
	size_t n;
	u8 *p;
	int r;

	if (!cli_path(c, file, path))
		return err_set(e, -DSI_ELIMIT, "%s: path is too long", file);
	r = files_read(path, TEXT_MAX, &p, &n, e);
	return r < 0 ? r : texts_add(x, name, (char *)p, n, e);
}

static bool name_valid(const char *s)
{
	size_t n = strlen(s);

	return n && n < NAME_MAX_ && s[0] != '-' && s[0] != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-_") == n;
}

/* ---- dpkg --------------------------------------------------------------------------------------------- */

struct stanza {
	char package[NAME_MAX_], source[NAME_MAX_], arch[NAME_MAX_];
	bool installed;
};

static void field(const char *line, size_t n, const char *key, char ret[NAME_MAX_])
{
	size_t k = strlen(key);

	if (n <= k || strncmp(line, key, k))
		return;
	line += k;
	line += strspn(line, " ");
	(void)snprintf(ret, NAME_MAX_, "%.*s", (int)strcspn(line, " \n"), line);
}

/* The next stanza of dpkg's status from *at on. */
static bool next_stanza(const char **at, struct stanza *ret)
{
	const char *s = *at;

	memset(ret, 0, sizeof(*ret));
	s += strspn(s, "\n");
	if (!*s)
		return false;
	while (*s && *s != '\n') {
		size_t n = strcspn(s, "\n");

		field(s, n, "Package:", ret->package);
		field(s, n, "Source:", ret->source);
		field(s, n, "Architecture:", ret->arch);
		if (n >= 10 && !strncmp(s, "Status:", 7) && !strncmp(s + n - 10, " installed", 10))
			ret->installed = true;
		s += n + (s[n] == '\n');
	}
	if (!ret->source[0])
		memcpy(ret->source, ret->package, sizeof(ret->source));
	*at = s;
	return true;
}

/* A file of dpkg about a package: NAME.KIND, or NAME:ARCH.KIND. */
static bool dpkg_file(struct cli *c, const struct stanza *s, const char *kind, char ret[CLI_PATH])
{
	char path[CLI_PATH];

	for (int with_arch = 0; with_arch < 2; with_arch++) {
		(void)snprintf(ret, CLI_PATH, DPKG "/info/%s%s%s.%s", s->package, with_arch ? ":" : "", with_arch ? s->arch : "", kind);
		if (cli_path(c, ret, path) && files_exists(path))
			return true;
	}
	return false;
}

static int dpkg_package(struct cli *c, const struct stanza *s, struct source_package *p, struct texts *conffiles, struct err *e)
{
	char path[CLI_PATH];
	int r = 0;

	if (!name_valid(s->package) || !name_valid(s->arch))
		return 0;
	if (dpkg_file(c, s, "list", path))
		r = texts_read(c, &p->lists, s->package, path, e);
	if (r == 0 && dpkg_file(c, s, "conffiles", path))
		r = texts_read(c, conffiles, s->package, path, e);
	return r;
}

static int dpkg_source(struct cli *c, const char *status, const char *package, struct source_package *p, struct texts *conffiles,
		       struct err *e)
{
	char source[NAME_MAX_] = "";
	struct stanza s;
	int r = 0;

	for (const char *at = status; next_stanza(&at, &s);)
		if (s.installed && !strcmp(s.package, package))
			memcpy(source, s.source, sizeof(source));
	if (!source[0])
		return err_set(e, -DSI_ENOENT, "%s: no such package is installed (%s)", package, DPKG "/status");
	for (const char *at = status; r == 0 && next_stanza(&at, &s);)
		if (s.installed && !strcmp(s.source, source))
			r = dpkg_package(c, &s, p, conffiles, e);
	return r;
}

/* ---- rpm ---------------------------------------------------------------------------------------------- */

/* Where rpm keeps its database here; NULL: nowhere. Not asked without one: it would make one. */
static const char *rpm_database(struct cli *c)
{
	static const char *const places[] = { "/usr/lib/sysimage/rpm", "/var/lib/rpm" };
	char path[CLI_PATH];

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (cli_path(c, places[i], path) && files_exists(path))
			return places[i];
	return NULL;
}

/* rpm ARGUMENT package, in the root given; what it says. */
static int rpm_says(struct cli *c, const char *argument, const char *package, char **ret, size_t *ret_n, struct err *e)
{
	const char *root = c->root[0] ? c->root : "/";
	const char *database = rpm_database(c);
	const char *const argv[] = { "rpm", "--root", root, "--dbpath", database, argument, package, NULL };
	int fd[2], status = -1;
	size_t n = 0, cap = 1 << 16;
	ssize_t k = 0;
	pid_t pid;
	char *s;

	if (!database)
		return err_set(e, -DSI_ENOENT, "no package database below %s: neither %s/status nor rpm's", root, DPKG);
	s = malloc(cap + 1);
	if (!s || pipe2(fd, O_CLOEXEC)) {
		free(s);
		return err_set(e, -DSI_ENOMEM, "rpm: %s", strerror(errno));
	}
	pid = fork();
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		execvp("rpm", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fd[1]);
	while (pid > 0 && n < TEXT_MAX && (k = read(fd[0], s + n, cap - n)) > 0) {
		char *more;

		n += (size_t)k;
		if (n < cap)
			continue;
		cap *= 2;
		more = realloc(s, cap + 1);
		if (!more)
			break;
		s = more;
	}
	close(fd[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status || k) {
		free(s);
		return err_set(e, -DSI_ENOENT, "%s: rpm %s does not know it", package, argument);
	}
	s[n] = '\0';
	*ret = s;
	*ret_n = n;
	return 0;
}

static int rpm_source(struct cli *c, const char *package, struct source_package *p, struct texts *conffiles, struct err *e)
{
	size_t n = 0;
	char *s = NULL;
	int r = rpm_says(c, "-ql", package, &s, &n, e);

	if (r == 0)
		r = texts_add(&p->lists, package, s, n, e);
	if (r == 0)
		r = rpm_says(c, "-qc", package, &s, &n, e);
	return r < 0 ? r : texts_add(conffiles, package, s, n, e);
}

/* ---- files -------------------------------------------------------------------------------------------- */

/* Each line of a list that `want` likes, read as a text. What is not there is left out. */
static int read_listed(struct cli *c, const struct texts *lists, struct texts *ret, bool (*want)(const char *path), struct err *e)
{
	char path[IMAGE_PATH_MAX + 1], full[CLI_PATH];
	int r = 0;

	for (u32 i = 0; i < lists->n; i++)
		for (const char *s = lists->t[i].s; r == 0 && *s; s += strcspn(s, "\n"), s += *s == '\n') {
			size_t n = strcspn(s, "\n");

			if (n >= sizeof(path))
				continue;
			(void)snprintf(path, sizeof(path), "%.*s", (int)n, s);
			if (!image_path_invalid(path, n) && want(path) && cli_path(c, path, full) && files_exists(full))
				r = texts_read(c, ret, path, path, e);
		}
	return r;
}

static bool is_unit(const char *path)
{
	const char *dot = strrchr(path, '.');

	return (!strncmp(path, "/lib/systemd/system/", 20) || !strncmp(path, "/usr/lib/systemd/system/", 24)) && dot &&
	       !strcmp(dot, ".service");
}

static bool is_conf(const char *path)
{
	return !strncmp(path, "/etc/", 5) && strchr(path + 5, '/');
}

static int read_source(struct cli *c, const char *status, const char *package, struct source_package *p, struct err *e)
{
	static struct texts conffiles;
	int r;

	conffiles.n = 0;
	if (!name_valid(package))
		return err_set(e, -DSI_EUSAGE, "no name of a package: give one such as nginx");
	r = status ? dpkg_source(c, status, package, p, &conffiles, e) : rpm_source(c, package, p, &conffiles, e);
	if (r == 0)
		r = read_listed(c, &p->lists, &p->units, is_unit, e);
	if (r == 0)
		r = read_listed(c, &conffiles, &p->confs, is_conf, e);
	texts_fini(&conffiles);
	return r;
}

/* The file behind links, seen from inside the root. */
struct real {
	int root;
	char root_path[PATH_MAX], path[PATH_MAX];
};

static const char *real_path(void *ctx, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	struct real *r = ctx;
	char link[40];
	ssize_t n;
	size_t skip = strcmp(r->root_path, "/") ? strlen(r->root_path) : 0;
	int fd = (int)syscall(SYS_openat2, r->root, path, &how, sizeof(how));

	if (fd < 0)
		return NULL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, r->path, sizeof(r->path) - 1);
	close(fd);
	if (n <= 0 || strncmp(r->path, r->root_path, skip))
		return NULL;
	r->path[n] = '\0';
	return (size_t)n > skip ? r->path + skip : NULL;
}

static int real_open(struct real *r, const char *root, struct err *e)
{
	if (!realpath(root[0] ? root : "/", r->root_path))
		return err_set(e, -DSI_ENOENT, "%s: %s", root, strerror(errno));
	r->root = open(r->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r->root < 0 ? err_set(e, -DSI_EIO, "%s: %s", root, strerror(errno)) : 0;
}

/* ---- the command -------------------------------------------------------------------------------------- */

static int deliver(struct cli *c, struct wbuf *w, struct err *e)
{
	const char *out = cli_opt(c, "out");

	if (out)
		return files_write(out, 0644, true, w->data, w->len, e);
	if (c->format == CLI_JSON)
		return cli_show(c, json_pack("{s:s#}", "text", w->data, (int)w->len), NULL);
	return fwrite(w->data, 1, w->len, c->out) == w->len ? 0 : err_set(e, -DSI_EIO, "cannot write the draft");
}

static int draft(struct cli *c, struct source_package *p, struct err *e)
{
	struct infer_service s[INFER_SERVICES];
	struct real real;
	struct wbuf w;
	int r = real_open(&real, c->root, e);

	if (r < 0)
		return r;
	for (int i = 0; i < c->n_args; i++)
		s[i] = (struct infer_service){ c->args[i], p[i].lists.t, p[i].units.t, p[i].confs.t, p[i].lists.n, p[i].units.n,
					       p[i].confs.n };
	wbuf_init(&w, OUT_MAX);
	r = infer_draft(s, (u32)c->n_args, cli_flag(c, "enforcing"), real_path, &real, &w, e);
	if (r == 0)
		r = deliver(c, &w, e);
	wbuf_fini(&w);
	close(real.root);
	return r;
}

int cmd_policy_infer(struct cli *c, struct err *e)
{
	struct source_package *p;
	char path[CLI_PATH];
	u8 *status = NULL;
	size_t n;
	int r = 0;

	if (c->n_args > INFER_SERVICES)
		return err_set(e, -DSI_EUSAGE, "at most %d packages at once", INFER_SERVICES);
	p = calloc((size_t)c->n_args, sizeof(*p));
	if (!p)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	if (cli_path(c, DPKG "/status", path) && files_exists(path))
		r = files_read(path, STATUS_MAX, &status, &n, e);
	for (int i = 0; r == 0 && i < c->n_args; i++)
		r = read_source(c, (const char *)status, c->args[i], &p[i], e);
	if (r == 0)
		r = draft(c, p, e);
	for (int i = 0; i < c->n_args; i++) {
		texts_fini(&p[i].lists);
		texts_fini(&p[i].units);
		texts_fini(&p[i].confs);
	}
	free(status);
	free(p);
	return r;
}
