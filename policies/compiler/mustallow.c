/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Must-allow cases, decided by image_decide() on the compiled image. Must never pass a line that it does
 * not understand. A permissive refusal passes: it locks nobody out.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/mustallow.h"
#include "policies/compiler/text.h"
#include "policies/compiler/vocab.h"

enum { WORDS = 5, LINE_LEN = 1200 };

struct checker {
	const struct image *img;
	const char *list;
	u32 line, cases, failed;
	char raw[LINE_LEN]; /* the line, for messages */
	char copy[LINE_LEN];
	const char *word[WORDS];
	u32 n_words;
	bool line_failed;
	mustallow_fn fn;
	void *arg;
	struct err *e;
};

static int malformed(struct checker *c, const char *why)
{
	return err_set(c->e, -DSI_EPARSE, "%s:%u: %s: `%.200s`", c->list, c->line, why, c->raw);
}

/* One case fails once, with the first key that is refused. */
static void fail(struct checker *c, const char *own, const struct dsi_rule_key *key, u32 perm)
{
	char buf[2048], what[512], why[1024];
	struct text t;

	if (c->line_failed)
		return;
	c->line_failed = true;
	image_key_text(c->img, key, perm, what, sizeof(what));
	(void)image_explain(c->img, own, key, perm, why, sizeof(why));
	text_init(&t, buf, sizeof(buf));
	text_add(&t, "%s:%u: `%s` would be refused: %s%s%s: %s", c->list, c->line, c->raw, what, *own ? " on " : "", own, why);
	if (!c->failed++)
		(void)err_set(c->e, -DSI_ENOTSAFE, "%s", buf);
	if (c->fn)
		c->fn(c->arg, buf);
}

static bool name_of_class(const struct image *img, u32 nclass, const char **ret)
{
	if (nclass == DSI_NCLASS_MEMBER) {
		*ret = ""; /* no node is called so: a member that no group names */
		return true;
	}
	for (u32 i = 0; i < image_count(img, IMAGE_NODES); i++)
		if (image_node(img, i).nclass == nclass) {
			*ret = image_node(img, i).name;
			return true;
		}
	return false;
}

/* Ask on a node of every class. */
static void must(struct checker *c, struct dsi_rule_key key, u32 perm)
{
	const char *own;

	for (u32 n = DSI_NCLASS_MEMBER; n < c->img->nclass_end; n++)
		if (name_of_class(c->img, n, &own) && image_decide(c->img, own, &key, perm, NULL) == IMAGE_REFUSED)
			fail(c, own, &key, perm);
}

static int subject(struct checker *c, const char *word, u32 *ret)
{
	struct image_context x;

	if (*word == '/') {
		*ret = image_exec_of(c->img, DSI_SID_DEFAULT, word);
		return 0;
	}
	if (!image_sid_by_name(c->img, word, ret) || !image_context_of(c->img, *ret, &x))
		return malformed(c, "no such context in the policy");
	return 0;
}

static int case_file(struct checker *c, u32 sid, u32 perm)
{
	struct dsi_rule_key key = { sid, 0, DSI_NCLASS_LOCAL, 0, DSI_CLASS_FILE };

	if (c->word[2][0] != '/')
		return malformed(c, "expected a path");
	key.tsid = image_type_of_path(c->img, c->word[2]);
	must(c, key, perm);
	return 0;
}

static int case_exec(struct checker *c, u32 sid, u32 perm)
{
	u32 to = image_exec_of(c->img, sid, c->word[2]);
	struct dsi_rule_key key = { sid, to, DSI_NCLASS_LOCAL, 0, DSI_CLASS_PROCESS };

	if (to != sid)
		must(c, key, DSI_PERM_PROCESS_TRANSITION);
	return case_file(c, sid, perm);
}

static int case_signal(struct checker *c, u32 sid, u32 perm)
{
	struct dsi_rule_key key = { sid, 0, DSI_NCLASS_LOCAL, 0, DSI_CLASS_PROCESS };
	int r = subject(c, c->word[2], &key.tsid);

	if (!r)
		must(c, key, perm);
	return r;
}

static int case_socket(struct checker *c, u32 sid, u32 perm)
{
	int family = vocab_family(c->word[2]), type = vocab_socktype(c->word[3]);
	struct dsi_rule_key key = { sid, sid, DSI_NCLASS_LOCAL, 0, DSI_CLASS_SOCKET };

	if (family < 0 || type < 0)
		return malformed(c, "unknown address family or socket type");
	key.qual = DSI_SOCKET_QUAL(family, type);
	must(c, key, perm);
	return 0;
}

/* The key on every port class that the word means. */
static int ports(struct checker *c, const char *word, struct dsi_rule_key key, u32 perm)
{
	char *end;
	unsigned long port = strtoul(word, &end, 10);

	if (!strcmp(word, "*")) {
		for (u32 p = 0; p < c->img->pclass_end; p++) {
			key.qual = (u16)p;
			must(c, key, perm);
		}
		return 0;
	}
	if (*word < '0' || *word > '9' || *end || port > UINT16_MAX)
		return malformed(c, "expected a port or *");
	key.qual = (u16)image_pclass_of(c->img, (u16)port);
	must(c, key, perm);
	return 0;
}

static int case_listen(struct checker *c, u32 sid, u32 perm)
{
	struct dsi_rule_key key = { sid, sid, DSI_NCLASS_LOCAL, 0, DSI_CLASS_TCP };

	return ports(c, c->word[2], key, perm);
}

static int every_member(struct checker *c, struct dsi_rule_key key, u32 perm)
{
	int r = 0;

	for (u32 n = DSI_NCLASS_MEMBER; !r && n < c->img->nclass_end; n++) {
		key.nclass = (u16)n;
		r = ports(c, c->word[2], key, perm);
	}
	return r;
}

static int case_connect(struct checker *c, u32 sid, u32 perm)
{
	struct dsi_rule_key key = { sid, DSI_SID_ANY, DSI_NCLASS_OUTSIDE, 0, DSI_CLASS_TCP };

	if (!strcmp(c->word[3], "outside"))
		return ports(c, c->word[2], key, perm);
	if (!strcmp(c->word[3], "member"))
		return every_member(c, key, perm);
	return malformed(c, "expected `outside` or `member`");
}

static int case_accept(struct checker *c, u32 sid, u32 perm)
{
	struct dsi_rule_key key = { DSI_SID_OUTSIDE, sid, DSI_NCLASS_OUTSIDE, 0, DSI_CLASS_TCP };
	bool member = !strcmp(c->word[3], "member");
	int r;

	if (member != (c->n_words == 5))
		return malformed(c, "expected `outside`, `stale` or `member SUBJECT`");
	if (!strcmp(c->word[3], "outside"))
		return ports(c, c->word[2], key, perm);
	if (!strcmp(c->word[3], "stale"))
		key.ssid = DSI_SID_STALE;
	else if (!member)
		return malformed(c, "expected `outside`, `stale` or `member SUBJECT`");
	r = member ? subject(c, c->word[4], &key.ssid) : 0;
	return r ? r : every_member(c, key, perm);
}

static const struct action {
	const char *word;
	u32 words_min, words_max, perm;
	int (*run)(struct checker *c, u32 sid, u32 perm);
} actions[] = {
	{ "read", 3, 3, DSI_PERM_FILE_READ, case_file },
	{ "write", 3, 3, DSI_PERM_FILE_WRITE, case_file },
	{ "create", 3, 3, DSI_PERM_FILE_CREATE, case_file },
	{ "delete", 3, 3, DSI_PERM_FILE_DELETE, case_file },
	{ "setattr", 3, 3, DSI_PERM_FILE_SETATTR, case_file },
	{ "map", 3, 3, DSI_PERM_FILE_MAP, case_file },
	{ "exec", 3, 3, DSI_PERM_FILE_EXECUTE, case_exec },
	{ "signal", 3, 3, DSI_PERM_PROCESS_SIGNAL, case_signal },
	{ "socket", 4, 4, DSI_PERM_SOCKET_CREATE, case_socket },
	{ "listen", 3, 3, DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN, case_listen },
	{ "connect", 4, 4, DSI_PERM_TCP_CONNECT, case_connect },
	{ "accept", 4, 5, DSI_PERM_TCP_ACCEPT, case_accept },
};

/* Words of c->copy. False: more than WORDS. */
static bool split(struct checker *c)
{
	char *save = NULL;

	c->n_words = 0;
	for (char *w = strtok_r(c->copy, " \t\r", &save); w; w = strtok_r(NULL, " \t\r", &save)) {
		if (c->n_words == WORDS)
			return false;
		c->word[c->n_words++] = w;
	}
	return true;
}

static int run_line(struct checker *c)
{
	char *comment = strchr(c->copy, '#');
	const struct action *a = NULL;
	u32 sid;
	int r;

	if (comment)
		*comment = '\0';
	if (!split(c))
		return malformed(c, "too many words");
	if (!c->n_words)
		return 0;
	for (size_t i = 0; c->n_words > 1 && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(c->word[1], actions[i].word))
			a = &actions[i];
	if (!a)
		return malformed(c, "unknown action");
	if (c->n_words < a->words_min || c->n_words > a->words_max)
		return malformed(c, "wrong number of words");
	r = subject(c, c->word[0], &sid);
	if (r)
		return r;
	c->cases++;
	c->line_failed = false;
	return a->run(c, sid, a->perm);
}

int mustallow_check(const struct image *img, const char *list, const char *text, size_t len, mustallow_fn fn, void *arg,
		    struct err *e)
{
	struct checker c = { .img = img, .list = list, .fn = fn, .arg = arg };
	struct err none;
	const char *end = text + len;
	int r = 0;

	c.e = e ? e : &none;
	while (!r && text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol : end) - text);

		c.line++;
		if (n >= LINE_LEN || memchr(text, '\0', n))
			return malformed(&c, "line is too long or binary");
		memcpy(c.raw, text, n);
		c.raw[n] = '\0';
		memcpy(c.copy, c.raw, n + 1);
		if (c.line > MUSTALLOW_LINES_MAX)
			return malformed(&c, "list is too long");
		r = run_line(&c);
		text = eol ? eol + 1 : end;
	}
	if (r)
		return r;
	if (!c.cases)
		return err_set(c.e, -DSI_EPARSE, "%s: no case in the list: refusing to call that safe", list);
	return c.failed ? -DSI_ENOTSAFE : 0;
}
