/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strict reader and writer of certificate names. Must never skip, fold or decode a byte: each one has its place or ends it. */
#include "lib/spiffe.h"

#include <stdio.h>
#include <string.h>

static const char scheme[] = "spiffe://", end_of_host[] = ".dsi", path[] = "/domain/";

static bool lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool letter(char c)
{
	return lower(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.';
}

/* Node, cluster, instance. */
static bool label_ok(const char *p, size_t n)
{
	if (!n || n >= LIM_NAME || !lower(p[0]) || !lower(p[n - 1]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!lower(p[i]) && p[i] != '-')
			return false;
	return true;
}

static bool domain_ok(const char *p, size_t n)
{
	if (!n || n >= LIM_NAME || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'))))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!letter(p[i]))
			return false;
	return true;
}

struct cursor {
	const char *p, *end;
};

static bool literal(struct cursor *c, const char *s)
{
	size_t n = strlen(s);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, s, n))
		return false;
	c->p += n;
	return true;
}

/* Up to `stop` or the end, when it is what ok() wants. */
static bool part(struct cursor *c, char stop, bool (*ok)(const char *p, size_t n), char ret[LIM_NAME])
{
	const char *at = c->p < c->end ? memchr(c->p, stop, (size_t)(c->end - c->p)) : NULL;
	size_t n = (size_t)((at ? at : c->end) - c->p);

	if (!ok(c->p, n))
		return false;
	memcpy(ret, c->p, n);
	ret[n] = '\0';
	c->p += n;
	return true;
}

int spiffe_parse(struct spiffe *ret, const char *p, size_t n, struct err *e)
{
	struct cursor c = { p, p + n };
	struct spiffe s = { .instance = "" };
	const char *why = NULL;

	if (n >= SPIFFE_MAX)
		return err_set(e, -DSI_ELIMIT, "certificate name of %zu bytes, at most %d", n, SPIFFE_MAX - 1);
	if (!literal(&c, scheme))
		why = "it does not begin with spiffe://";
	else if (!part(&c, '.', label_ok, s.node) || !literal(&c, "."))
		why = "its host does not begin with a node's name";
	else if (!part(&c, '.', label_ok, s.cluster) || !literal(&c, end_of_host))
		why = "its host is not NODE.CLUSTER.dsi";
	else if (!literal(&c, path))
		why = "/domain/ does not follow its host";
	else if (!part(&c, '/', domain_ok, s.domain))
		why = "its domain is no name";
	else if (c.p < c.end && (!literal(&c, "/") || !part(&c, '/', label_ok, s.instance) || c.p < c.end))
		why = "what follows its domain is no instance";
	if (why)
		return err_set(e, -DSI_EPARSE, "certificate name: %s", why);
	*ret = s;
	return 0;
}

int spiffe_text(const struct spiffe *s, char dst[SPIFFE_MAX])
{
	dst[0] = '\0';
	if (!label_ok(s->node, strnlen(s->node, LIM_NAME)) || !label_ok(s->cluster, strnlen(s->cluster, LIM_NAME)) ||
	    !domain_ok(s->domain, strnlen(s->domain, LIM_NAME)) ||
	    (s->instance[0] && !label_ok(s->instance, strnlen(s->instance, LIM_NAME))))
		return -DSI_EINVAL;
	snprintf(dst, SPIFFE_MAX, "%s%s.%s%s%s%s%s%s", scheme, s->node, s->cluster, end_of_host, path, s->domain,
		 s->instance[0] ? "/" : "", s->instance);
	return 0;
}
