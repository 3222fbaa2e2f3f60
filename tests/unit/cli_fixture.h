/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs dsi-admin's command line in this process against a fake daemon: answers come from a table, what was
 * asked is kept. Output lands in memory.
 */
#ifndef DSI_TESTS_UNIT_CLI_FIXTURE_H
#define DSI_TESTS_UNIT_CLI_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "tests/unit/lib_check.h"

enum { FAKE_ANSWERS = 32, FAKE_ASKED = 64 };

struct fake {
	struct {
		const char *service, *verb, *reply; /* service NULL: any; reply NULL: not connected */
		int times;                          /* 0: for ever */
	} answer[FAKE_ANSWERS];
	int n;
	json_t *asked[FAKE_ASKED]; /* whole requests */
	int n_asked;
	struct cli cli;
	char *out, *log;
	size_t out_n, log_n;
};

static inline void fake_answer(struct fake *f, const char *service, const char *verb, const char *reply, int times)
{
	f->answer[f->n].service = service;
	f->answer[f->n].verb = verb;
	f->answer[f->n].reply = reply;
	f->answer[f->n++].times = times;
}

static inline int fake_transport(void *ctx, const char *service, const char *request, size_t n, int timeout_ms,
				 char **ret, size_t *ret_len, struct err *e)
{
	struct fake *f = ctx;
	json_t *rq = json_loadb(request, n, 0, NULL);
	const char *verb = json_string_value(json_object_get(rq, "verb"));

	ck_assert_ptr_nonnull(verb);
	ck_assert_int_lt(f->n_asked, FAKE_ASKED);
	f->asked[f->n_asked++] = rq;
	for (int i = 0; i < f->n; i++) {
		if ((f->answer[i].service && strcmp(f->answer[i].service, service)) || strcmp(f->answer[i].verb, verb) ||
		    f->answer[i].times < 0)
			continue;
		if (f->answer[i].times && --f->answer[i].times == 0)
			f->answer[i].times = -1;
		if (!f->answer[i].reply)
			break;
		*ret = strdup(f->answer[i].reply);
		*ret_len = strlen(*ret);
		return 0;
	}
	return err_set(e, -DSI_ENOTCONN, "no %s here", service);
}

static inline u64 fake_wall_ms(void)
{
	return 1767225600000;
}

/* The last request for a verb, NULL. */
static inline const json_t *fake_asked(const struct fake *f, const char *verb)
{
	for (int i = f->n_asked - 1; i >= 0; i--)
		if (!strcmp(json_string_value(json_object_get(f->asked[i], "verb")), verb))
			return json_object_get(f->asked[i], "args");
	return NULL;
}

static inline int fake_run(struct fake *f, int argc, const char *const *argv)
{
	FILE *out, *log;
	char *args[64];
	int r;

	free(f->out);
	free(f->log);
	f->out = f->log = NULL;
	out = open_memstream(&f->out, &f->out_n);
	log = open_memstream(&f->log, &f->log_n);
	for (int i = 0; i < argc; i++)
		args[i] = (char *)argv[i];
	args[argc] = NULL;
	cli_init(&f->cli, out, log);
	f->cli.transport = fake_transport;
	f->cli.transport_ctx = f;
	f->cli.wall_ms = fake_wall_ms;
	r = cli_run(&f->cli, argc, args);
	fclose(out);
	fclose(log);
	return r;
}
#define RUN(f, ...)                                                                                    \
	fake_run(f, (int)ARRAY_SIZE(((const char *const[]){ "dsi-admin", __VA_ARGS__ })),              \
		 (const char *const[]){ "dsi-admin", __VA_ARGS__ })

static inline void fake_fini(struct fake *f)
{
	for (int i = 0; i < f->n_asked; i++)
		json_decref(f->asked[i]);
	free(f->out);
	free(f->log);
}

/* A fresh directory; removed by temp_remove(). */
static inline void temp_make(char dir[64])
{
	snprintf(dir, 64, "/tmp/dsi-cli-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline void temp_remove(const char *dir)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf -- '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

#endif
