/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wait: until the status document says what a script wants it to say. It asks the daemon again and again from one
 * process; a daemon that is not there yet, or not for a while, is waited for too.
 */
#include <string.h>
#include <time.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/render.h"

enum { DEFAULT_S = 60, PAUSE_FIRST_MS = 50, PAUSE_MOST_MS = 250 };

/* In an array of objects a step is the "name" of one. */
static const json_t *step(const json_t *at, const char *key)
{
	const json_t *row;
	size_t i;

	if (!json_is_array(at))
		return doc_at(at, key);
	json_array_foreach((json_t *)at, i, row)
		if (!strcmp(doc_str(row, "name"), key))
			return row;
	return NULL;
}

/* What is at PATH; NULL when there is nothing. */
static const json_t *at_path(const json_t *doc, const char *path, size_t n)
{
	char copy[LIM_NAME * 4], *rest = copy, *key;

	if (n >= sizeof(copy))
		return NULL;
	memcpy(copy, path, n);
	copy[n] = 0;
	while (doc && (key = strsep(&rest, ".")))
		doc = step(doc, key);
	return doc;
}

static void as_text(char *ret, size_t cap, const json_t *v)
{
	if (json_is_boolean(v))
		snprintf(ret, cap, "%s", json_is_true(v) ? "true" : "false");
	else if (v)
		render_value(ret, cap, v, RENDER_PLAIN);
	else
		snprintf(ret, cap, "not there");
}

static size_t path_length(const char *condition)
{
	return strcspn(condition, "!=");
}

static bool negated(const char *condition)
{
	return condition[path_length(condition)] == '!';
}

static const char *wanted(const char *condition)
{
	return condition + path_length(condition) + (negated(condition) ? 2 : 1);
}

int wait_check(const char *condition, struct err *e)
{
	size_t n = path_length(condition);

	if (n > 0 && condition[n] && (!negated(condition) || condition[n + 1] == '='))
		return 0;
	return err_set(e, -DSI_EUSAGE, "'%s' is no condition; say PATH=VALUE or PATH!=VALUE, as view.voters_present=3", condition);
}

bool wait_holds(const json_t *doc, const char *condition)
{
	const json_t *v = at_path(doc, condition, path_length(condition));
	char text[512];

	if (!v)
		return false;
	as_text(text, sizeof(text), v);
	return !strcmp(text, wanted(condition)) != negated(condition);
}

static const char *first_unmet(const struct cli *c, const json_t *doc)
{
	for (int i = 0; i < c->n_args; i++)
		if (!wait_holds(doc, c->args[i]))
			return c->args[i];
	return NULL;
}

static int not_within(u64 seconds, const char *unmet, const json_t *doc, const struct err *last, struct err *e)
{
	char text[512];

	if (!doc)
		return err_set(e, -DSI_ETIMEDOUT, "nobody answered within %llu s: %s", (unsigned long long)seconds, last->text);
	as_text(text, sizeof(text), at_path(doc, unmet, path_length(unmet)));
	return err_set(e, -DSI_ETIMEDOUT, "not within %llu s: %.*s is %s, wanted %s%s", (unsigned long long)seconds,
		       (int)path_length(unmet), unmet, text, negated(unmet) ? "anything but " : "", wanted(unmet));
}

void render_waited(FILE *f, const json_t *doc)
{
	fprintf(f, "after %lld ms\n", doc_int(doc, "waited_ms"));
}

int cmd_wait(struct cli *c, struct err *e)
{
	const char *t = cli_opt(c, "timeout");
	u64 seconds = DEFAULT_S, start = cli_monotonic_ms(), pause_ms = PAUSE_FIRST_MS;
	int r = t ? args_duration(t, &seconds, e) : 0;

	for (int i = 0; i < c->n_args && r == 0; i++)
		r = wait_check(c->args[i], e);
	while (r == 0) {
		struct timespec pause = { .tv_nsec = (long)pause_ms * 1000000l };
		struct err last = { 0 };
		const char *unmet = c->args[0];
		json_t *doc = NULL;
		u64 waited;

		r = client_call_any(c, false, "status", NULL, &doc, &last);
		waited = cli_monotonic_ms() - start;
		if (r == 0 && !(unmet = first_unmet(c, doc))) {
			json_object_set_new(doc, "waited_ms", json_integer((json_int_t)waited));
			return cli_show(c, doc, render_waited);
		}
		if (r < 0 && r != -DSI_ENOTCONN && r != -DSI_ETIMEDOUT && r != -DSI_EAGAIN)
			return err_set(e, r, "%s", last.text);
		r = waited < seconds * 1000 ? 0 : not_within(seconds, unmet, doc, &last, e);
		json_decref(doc);
		if (r == 0)
			nanosleep(&pause, NULL);
		pause_ms = MIN(pause_ms * 2, (u64)PAUSE_MOST_MS);
	}
	return r;
}
