/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.conf read, and written with a change. Core.
 *
 * Must never: change a line that it was not asked to; write a file that ring_plan_read() refuses.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/ring_plan.h"
#include "gcs/ring_text.h"

/* --- what it says ------------------------------------------------------------------------------------- */

static int take_text(struct ring_reader *r, char *dst, size_t cap)
{
	if (r->line.value_len >= cap)
		return ring_text_bad(r, (size_t)(r->line.value - r->line.p), "the value is too long");
	if (dst[0])
		return ring_text_bad(r, 0, "given twice");
	memcpy(dst, r->line.value, r->line.value_len);
	dst[r->line.value_len] = 0;
	return 0;
}

static int take_number(struct ring_reader *r, u64 max, u64 *ret)
{
	u64 v = 0;

	for (size_t i = 0; i < r->line.value_len; i++) {
		char c = r->line.value[i];

		if (c < '0' || c > '9' || v > (max - (u64)(c - '0')) / 10)
			return ring_text_bad(r, (size_t)(r->line.value - r->line.p), "not a number, or too large");
		v = v * 10 + (u64)(c - '0');
	}
	*ret = v;
	return 0;
}

static int take_u32(struct ring_reader *r, u32 *ret)
{
	u64 v;
	int rc = take_number(r, UINT32_MAX, &v);

	*ret = rc ? 0 : (u32)v;
	return rc;
}

/* A line that may be there once; its number is noted. */
static int once(struct ring_reader *r, u32 *at)
{
	if (*at)
		return ring_text_bad(r, 0, "given twice");
	*at = r->line.number;
	return 0;
}

static int totem_key(struct ring_reader *r, struct ring_conf *c, bool *secauth)
{
	const char *k = r->line.key;
	char word[RING_WORD] = "";
	int rc;

	if (!strcmp(k, "config_version")) {
		rc = once(r, &c->version_line);
		return rc ? rc : take_number(r, INT64_MAX, &c->config_version);
	}
	if (!strcmp(k, "cluster_name"))
		return take_text(r, c->cluster_name, sizeof(c->cluster_name));
	if (!strcmp(k, "transport"))
		return take_text(r, c->transport, sizeof(c->transport));
	if (!strcmp(k, "crypto_cipher"))
		return take_text(r, c->cipher, sizeof(c->cipher));
	if (!strcmp(k, "crypto_hash"))
		return take_text(r, c->hash, sizeof(c->hash));
	if (!strcmp(k, "keyfile"))
		return take_text(r, c->keyfile, sizeof(c->keyfile));
	if (!strcmp(k, "key")) {
		c->inline_key = true;
		return 0;
	}
	if (strcmp(k, "secauth"))
		return 0;
	rc = take_text(r, word, sizeof(word));
	*secauth = !strcmp(word, "on");
	return rc;
}

static int quorum_key(struct ring_reader *r, struct ring_conf *c)
{
	u32 v;
	int rc = 0;

	if (!strcmp(r->line.key, "expected_votes")) {
		rc = once(r, &c->expected_line);
		return rc ? rc : take_u32(r, &c->expected_votes);
	}
	if (strcmp(r->line.key, "two_node"))
		return 0;
	rc = once(r, &c->two_node_line);
	if (!rc)
		rc = take_u32(r, &v);
	c->two_node = !rc && v == 1;
	return rc;
}

static int node_key(struct ring_reader *r, struct ring_node *n)
{
	const char *k = r->line.key;
	u32 link;

	if (!strcmp(k, "nodeid"))
		return n->nodeid ? ring_text_bad(r, 0, "given twice") : take_u32(r, &n->nodeid);
	if (!strcmp(k, "name"))
		return take_text(r, n->name, sizeof(n->name));
	if (strncmp(k, "ring", 4) || strcmp(k + 5, "_addr") || k[4] < '0' || k[4] >= '0' + RING_LINKS)
		return 0;
	link = (u32)(k[4] - '0');
	n->n_addr = MAX(n->n_addr, link + 1);
	return take_text(r, n->addr[link], sizeof(n->addr[link]));
}

static int node_done(struct ring_reader *r, struct ring_conf *c)
{
	struct ring_node *n = &c->node[c->n_node];

	n->last = r->line.number;
	if (!n->n_addr)
		return ring_text_bad(r, 0, "this node has no ring0_addr");
	for (u32 i = 0; i < n->n_addr; i++)
		if (!n->addr[i][0])
			return ring_text_bad(r, 0, "this node's addresses have a hole");
	for (u32 i = 0; i < c->n_node; i++)
		if ((n->nodeid && c->node[i].nodeid == n->nodeid) || (n->name[0] && !strcmp(c->node[i].name, n->name)) ||
		    !strcmp(c->node[i].addr[0], n->addr[0]))
			return ring_text_bad(r, 0, "two nodes with one name, number or address");
	c->n_node++;
	return 0;
}

static int on_open(struct ring_reader *r, struct ring_conf *c)
{
	if (ring_text_in(r, "totem", NULL))
		return once(r, &c->totem_open);
	if (ring_text_in(r, "quorum", "device"))
		c->device = true;
	if (!ring_text_in(r, "nodelist", "node"))
		return 0;
	if (c->n_node == LIM_NODES)
		return ring_text_bad(r, 0, "too many nodes");
	c->node[c->n_node].first = r->line.number;
	c->tabs = r->line.p[0] == '\t';
	return 0;
}

/* r->path still holds the name of what was just closed. */
static int on_close(struct ring_reader *r, struct ring_conf *c)
{
	if (r->depth == 1 && !strcmp(r->path[0], "nodelist") && !strcmp(r->path[1], "node"))
		return node_done(r, c);
	if (!r->depth && !strcmp(r->path[0], "nodelist"))
		return once(r, &c->nodelist_close);
	return 0;
}

static int on_key(struct ring_reader *r, struct ring_conf *c, bool *secauth)
{
	if (ring_text_in(r, "totem", NULL))
		return totem_key(r, c, secauth);
	if (ring_text_in(r, "quorum", NULL))
		return quorum_key(r, c);
	if (ring_text_in(r, "nodelist", "node"))
		return node_key(r, &c->node[c->n_node]);
	return 0;
}

static void fill_default(char *dst, size_t cap, const char *v)
{
	if (!dst[0])
		snprintf(dst, cap, "%s", v);
}

int ring_plan_read(struct ring_conf *c, const char *name, const char *text, size_t n, struct err *e)
{
	struct ring_reader r = { .name = name, .text = text, .n = n, .e = e };
	bool secauth = false;
	int rc;

	memset(c, 0, sizeof(*c));
	if (n > RING_CONF_MAX)
		return err_set(e, -DSI_ELIMIT, "%s: larger than %d bytes", name, RING_CONF_MAX);
	while ((rc = ring_text_next(&r)) > 0) {
		rc = r.line.kind == LINE_OPEN  ? on_open(&r, c) :
		     r.line.kind == LINE_CLOSE ? on_close(&r, c) :
		     r.line.kind == LINE_KEY   ? on_key(&r, c, &secauth) : 0;
		if (rc)
			break;
	}
	if (!rc && (!c->totem_open || !c->nodelist_close))
		rc = err_set(e, -DSI_EPARSE, "%s: no %s section", name, c->totem_open ? "nodelist" : "totem");
	fill_default(c->transport, sizeof(c->transport), "knet");
	fill_default(c->cipher, sizeof(c->cipher), secauth ? "aes256" : "none");
	fill_default(c->hash, sizeof(c->hash), secauth ? "sha256" : "none");
	if (rc)
		memset(c, 0, sizeof(*c));
	return rc;
}

int ring_plan_crypto(const struct ring_conf *c, const char *name, struct err *e)
{
	if (strcmp(c->transport, "knet"))
		return err_set(e, -DSI_ECONFIG, "%s: transport %s has no encryption: in section totem, write \"transport: knet\"",
			       name, c->transport);
	if (!strcmp(c->cipher, "none") || !strcmp(c->hash, "none"))
		return err_set(e, -DSI_ECONFIG, "%s: the ring is not encrypted: in section totem, write \"crypto_cipher: aes256\" and "
			       "\"crypto_hash: sha256\", on all nodes, with one key (corosync-keygen), then corosync-cfgtool -R", name);
	return 0;
}

const struct ring_node *ring_plan_find(const struct ring_conf *c, const char *node)
{
	for (u32 i = 0; i < c->n_node; i++)
		if (!strcmp(c->node[i].name[0] ? c->node[i].name : c->node[i].addr[0], node))
			return &c->node[i];
	return NULL;
}

/* --- new text ----------------------------------------------------------------------------------------- */

struct edit {
	const struct ring_conf *c;
	u64 version;
	u32 nodes;                    /* how many there will be */
	const bool *gone;             /* [c->n_node], or NULL */
	const struct ring_node *add;
	u32 n_add;
};

static size_t indent(const struct ring_line *l)
{
	size_t i = 0;

	while (i < l->n && ring_text_blank(l->p[i]))
		i++;
	return i;
}

/* The line's own indentation and key, a new number. */
static void put_number(struct wbuf *w, const struct ring_line *l, const char *key, u64 v)
{
	char text[64];

	wbuf_bytes(w, l->p, indent(l));
	snprintf(text, sizeof(text), "%s: %llu\n", key, (unsigned long long)v);
	ring_text_put(w, text);
}

static void put_key(struct wbuf *w, const char *pad, const char *key, const char *value)
{
	ring_text_put(w, pad);
	ring_text_put(w, key);
	ring_text_put(w, ": ");
	ring_text_put(w, value);
	ring_text_put(w, "\n");
}

static void put_node(struct wbuf *w, const struct ring_node *n, bool tabs)
{
	const char *pad = tabs ? "\t\t" : "        ";
	char text[32];

	ring_text_put(w, tabs ? "\tnode {\n" : "    node {\n");
	snprintf(text, sizeof(text), "%u", n->nodeid);
	put_key(w, pad, "nodeid", text);
	put_key(w, pad, "name", n->name);
	for (u32 i = 0; i < n->n_addr; i++) {
		snprintf(text, sizeof(text), "ring%u_addr", i);
		put_key(w, pad, text, n->addr[i]);
	}
	ring_text_put(w, tabs ? "\t}\n" : "    }\n");
}

static bool line_gone(const struct edit *x, u32 number)
{
	for (u32 i = 0; x->gone && i < x->c->n_node; i++)
		if (x->gone[i] && number >= x->c->node[i].first && number <= x->c->node[i].last)
			return true;
	return false;
}

static void put_line(struct wbuf *w, const struct edit *x, const struct ring_line *l)
{
	const struct ring_conf *c = x->c;

	if (line_gone(x, l->number))
		return;
	if (l->number == c->version_line) {
		put_number(w, l, "config_version", x->version);
		return;
	}
	if (l->number == c->expected_line && c->expected_votes) {
		put_number(w, l, "expected_votes", x->nodes);
		return;
	}
	if (l->number == c->two_node_line && c->two_node && x->nodes != 2) {
		put_number(w, l, "two_node", 0);
		return;
	}
	for (u32 i = 0; i < x->n_add && l->number == c->nodelist_close; i++)
		put_node(w, &x->add[i], c->tabs);
	wbuf_bytes(w, l->p, l->n);
	ring_text_put(w, "\n");
	if (l->number == c->totem_open && !c->version_line) {
		char text[64];

		snprintf(text, sizeof(text), "    config_version: %llu\n", (unsigned long long)x->version);
		ring_text_put(w, text);
	}
}

static int rewrite(const char *name, const char *text, size_t n, struct edit *x, struct wbuf *w, struct err *e)
{
	struct ring_reader r = { .name = name, .text = text, .n = n, .e = e };
	struct ring_conf *check;
	size_t start = w->len;
	int rc;

	if (x->version && x->version <= x->c->config_version)
		return err_set(e, -DSI_ESTALE, "%s: config_version %llu must be above %llu", name,
			       (unsigned long long)x->version, (unsigned long long)x->c->config_version);
	if (!x->version)
		x->version = x->c->config_version + 1;
	while ((rc = ring_text_next(&r)) > 0)
		put_line(w, x, &r.line);
	if (rc)
		return rc;
	if (!wbuf_ok(w))
		return err_set(e, -DSI_ENOMEM, "%s: out of memory", name);
	check = malloc(sizeof(*check)); /* what is handed out has been read */
	if (!check)
		return err_set(e, -DSI_ENOMEM, "%s: out of memory", name);
	rc = ring_plan_read(check, name, (const char *)w->data + start, w->len - start, e);
	if (!rc && (check->n_node != x->nodes || check->config_version != x->version))
		rc = err_set(e, -DSI_EFAIL, "%s: the change did not come out as meant", name);
	free(check);
	return rc;
}

int ring_plan_drop(const char *name, const char *text, size_t n, const char *node, u64 version, struct wbuf *w,
		   struct err *e)
{
	struct ring_conf *c = malloc(sizeof(*c));
	bool gone[LIM_NODES] = { false };
	struct edit x = { .c = c, .version = version, .gone = gone };
	int rc = c ? ring_plan_read(c, name, text, n, e) : err_set(e, -DSI_ENOMEM, "%s: out of memory", name);

	if (!rc) {
		const struct ring_node *d = ring_plan_find(c, node);

		x.nodes = c->n_node - 1;
		if (!d)
			rc = err_set(e, -DSI_ENOENT, "%s: %s is not in the node list", name, node);
		else if (!x.nodes)
			rc = err_set(e, -DSI_ENOTSAFE, "%s: %s is the only node", name, node);
		else
			gone[d - c->node] = true;
	}
	if (!rc)
		rc = rewrite(name, text, n, &x, w, e);
	free(c);
	return rc;
}

static bool value_ok(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s > '~' || *s == '{' || *s == '}' || *s == '#')
			return false;
	return true;
}

static bool nodeid_used(const struct ring_conf *c, u32 id)
{
	for (u32 i = 0; i < c->n_node; i++)
		if (c->node[i].nodeid == id)
			return true;
	return false;
}

static u32 free_nodeid(const struct ring_conf *c)
{
	u32 id = 1;

	while (nodeid_used(c, id))
		id++;
	return id;
}

static int add_ok(const struct ring_conf *c, const char *name, const struct ring_node *n, struct err *e)
{
	if (!value_ok(n->name) || !n->n_addr || n->n_addr > RING_LINKS)
		return err_set(e, -DSI_EINVAL, "%s: a node needs a name and addresses", name);
	for (u32 k = 0; k < n->n_addr; k++)
		if (!value_ok(n->addr[k]))
			return err_set(e, -DSI_EINVAL, "%s: address %u of %s", name, k, n->name);
	if (c->n_node == LIM_NODES)
		return err_set(e, -DSI_ELIMIT, "%s: %d nodes already", name, LIM_NODES);
	for (u32 i = 0; i < c->n_node; i++) {
		const struct ring_node *o = &c->node[i];

		if (!strcmp(o->name, n->name) || (n->nodeid && o->nodeid == n->nodeid))
			return err_set(e, -DSI_EEXIST, "%s: %s (nodeid %u) is in the node list", name, o->name, o->nodeid);
		if (o->n_addr != n->n_addr)
			return err_set(e, -DSI_EINVAL, "%s: %s has %u addresses, the others have %u", name, n->name, n->n_addr,
				       o->n_addr);
		for (u32 k = 0; k < n->n_addr; k++)
			for (u32 m = 0; m < o->n_addr; m++)
				if (!strcmp(o->addr[m], n->addr[k]))
					return err_set(e, -DSI_EEXIST, "%s: address %s is %s's", name, n->addr[k], o->name);
	}
	return 0;
}

int ring_plan_add(const char *name, const char *text, size_t n, const struct ring_node *node, u64 version,
		  struct wbuf *w, struct err *e)
{
	return ring_plan_change(name, text, n, NULL, node, 1, version, w, e);
}

int ring_plan_change(const char *name, const char *text, size_t n, const bool *gone, const struct ring_node *add,
		     u32 n_add, u64 version, struct wbuf *w, struct err *e)
{
	struct ring_conf *c = malloc(sizeof(*c)), *after = malloc(sizeof(*after));
	struct ring_node *list = calloc(n_add + 1, sizeof(*list));
	struct edit x = { .c = c, .version = version, .gone = gone, .add = list, .n_add = n_add };
	int rc = c && after && list ? ring_plan_read(c, name, text, n, e)
				    : err_set(e, -DSI_ENOMEM, "%s: out of memory", name);

	if (!rc) {
		*after = *c; /* numbers are free once their node is gone; links are counted by who stays */
		after->n_node = 0;
		for (u32 i = 0; i < c->n_node; i++)
			if (!gone || !gone[i])
				after->node[after->n_node++] = c->node[i];
		if (!after->n_node)
			rc = err_set(e, -DSI_ENOTSAFE, "%s: no node would be left", name);
	}
	for (u32 i = 0; i < n_add && !rc; i++) {
		rc = add_ok(after, name, &add[i], e);
		if (rc)
			break;
		list[i] = add[i];
		list[i].first = list[i].last = 0;
		if (!list[i].nodeid)
			list[i].nodeid = free_nodeid(after);
		after->node[after->n_node++] = list[i];
	}
	if (!rc) {
		x.nodes = after->n_node;
		rc = rewrite(name, text, n, &x, w, e);
	}
	free(c);
	free(after);
	free(list);
	return rc;
}
