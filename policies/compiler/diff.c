/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images as sorted lines of names, and the merge of two. Must never name a SID, a class number or a line
 * of a file: equal meaning gives equal lines.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "policies/compiler/diff.h"
#include "policies/compiler/text.h"
#include "policies/compiler/vocab.h"

enum { LINE_MAX_LEN = 4096 };

struct lines {
	struct arena *arena;
	const struct image *img;
	char **items;
	u32 n, cap;
	char buf[LINE_MAX_LEN];
	struct text t;
};

static void begin(struct lines *l)
{
	text_init(&l->t, l->buf, sizeof(l->buf));
}

static void end(struct lines *l)
{
	if (l->n == l->cap) {
		u32 cap = l->cap ? l->cap * 2 : 256;
		char **items = arena_array(l->arena, cap, sizeof(*items));

		if (!items)
			return;
		if (l->n)
			memcpy(items, l->items, l->n * sizeof(*items));
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n] = arena_strndup(l->arena, l->buf, l->t.len);
	l->n += l->items[l->n] != NULL;
}

static void domain_lines(struct lines *l)
{
	for (u32 i = 0; i < image_count(l->img, IMAGE_CONTEXTS); i++) {
		struct image_context c = image_context(l->img, i);

		if (!c.file)
			continue;
		begin(l);
		text_add(&l->t, "domain %s%s%s", c.name, c.flags & DSI_CTX_PERMISSIVE ? " permissive" : "",
			 c.flags & DSI_CTX_UNCONFINED ? " unconfined" : "");
		end(l);
	}
	for (u32 i = 0; i < image_count(l->img, IMAGE_EXECS); i++) {
		struct image_exec x = image_exec(l->img, i);

		begin(l);
		text_add(&l->t, "exec %s: %s -> %s", x.path, text_sid(l->img, x.from), text_sid(l->img, x.to));
		end(l);
	}
}

static void file_lines(struct lines *l)
{
	for (u32 i = 0; i < image_count(l->img, IMAGE_PATHS); i++) {
		struct image_path x = image_path(l->img, i);

		begin(l);
		text_add(&l->t, "files %s %s", text_sid(l->img, x.sid), x.path);
		end(l);
	}
}

static void node_lines(struct lines *l)
{
	for (u32 i = 0; i < image_count(l->img, IMAGE_GROUPS); i++) {
		struct image_group g = image_group(l->img, i);
		const char *sep = "";

		begin(l);
		text_add(&l->t, "nodes %s = ", g.name);
		for (u32 k = 0; k < image_count(l->img, IMAGE_NODES); k++) {
			struct image_node n = image_node(l->img, k);

			if (!image_classes_has(g.classes, n.nclass))
				continue;
			text_add(&l->t, "%s%s", sep, n.name);
			sep = ", ";
		}
		end(l);
	}
}

/* Rules: one tuple per permission bit, sorted so that ports, then nodes, can be gathered. */
struct tuple {
	u32 ssid, tsid, cls, bit;
	const u8 *where; /* NULL: every node; equal sets are one pointer (a place) */
	u32 nclass, qual;
	u32 done; /* in a line already */
};

static int cmp_u32(u32 a, u32 b)
{
	return a < b ? -1 : a > b;
}

static int cmp_head(const struct tuple *a, const struct tuple *b)
{
	if (a->ssid != b->ssid)
		return cmp_u32(a->ssid, b->ssid);
	if (a->tsid != b->tsid)
		return cmp_u32(a->tsid, b->tsid);
	if (a->cls != b->cls)
		return cmp_u32(a->cls, b->cls);
	if (a->bit != b->bit)
		return cmp_u32(a->bit, b->bit);
	return (uintptr_t)a->where < (uintptr_t)b->where ? -1 : (uintptr_t)a->where > (uintptr_t)b->where;
}

static int cmp_tuple(const void *va, const void *vb)
{
	const struct tuple *a = va, *b = vb;
	int r = cmp_head(a, b);

	if (!r)
		r = cmp_u32(a->nclass, b->nclass);
	return r ? r : cmp_u32(a->qual, b->qual);
}

static u32 make_tuples(struct lines *l, struct tuple **ret)
{
	struct tuple *t;
	u32 n = 0;

	for (u32 i = 0; i < image_count(l->img, IMAGE_RULES); i++)
		n += (u32)__builtin_popcount(image_rule(l->img, i).allow);
	t = arena_array(l->arena, n, sizeof(*t));
	*ret = t;
	if (!t)
		return 0;
	n = 0;
	for (u32 i = 0; i < image_count(l->img, IMAGE_RULES); i++) {
		struct image_rule r = image_rule(l->img, i);

		for (u32 bit = 1; bit && bit <= r.allow; bit <<= 1)
			if (r.allow & bit)
				t[n++] = (struct tuple){ .ssid = r.key.ssid, .tsid = r.key.tsid, .cls = r.key.cls, .bit = bit,
							 .where = r.where, .nclass = r.key.nclass, .qual = r.key.qual };
	}
	if (n)
		qsort(t, n, sizeof(*t), cmp_tuple);
	return n;
}

/* Do the runs [a, a+n) and [b, b+m) have the same quals? Duplicates (several rules, one key) count once. */
static bool same_quals(const struct tuple *t, u32 a, u32 a_end, u32 b, u32 b_end)
{
	while (a < a_end && b < b_end) {
		u32 q = t[a].qual;

		if (q != t[b].qual)
			return false;
		while (a < a_end && t[a].qual == q)
			a++;
		while (b < b_end && t[b].qual == q)
			b++;
	}
	return a == a_end && b == b_end;
}

/* Ports of a run as merged ranges; nothing when it is every port. */
static void add_ports(struct lines *l, const struct tuple *t, u32 first, u32 end_)
{
	u8 *in = arena_alloc(l->arena, DSI_PCLASS_MAX + 1);
	const char *sep = " port ";
	u32 start = 0, port, c;
	bool open = false, all = true;

	if (!in)
		return;
	for (u32 i = first; i < end_; i++)
		in[t[i].qual] = 1;
	for (c = 0; c < l->img->pclass_end; c++)
		all &= in[c];
	if (all)
		return;
	/* walk the ranges; between them lies class 0 */
	for (u32 i = 0, at = 0; at <= UINT16_MAX; at = port) {
		struct image_ports p = { UINT16_MAX, UINT16_MAX, 0 };
		bool named = false;

		if (i < image_count(l->img, IMAGE_PORTS)) {
			p = image_ports(l->img, i);
			named = p.first <= at;
			port = named ? (u32)p.last + 1 : p.first;
			i += named;
		} else {
			port = UINT16_MAX + 1;
		}
		c = named ? p.pclass : 0;
		if (in[c] && !open) {
			start = at;
			open = true;
		}
		if (open && (!in[c] || port > UINT16_MAX)) {
			u32 last = in[c] ? UINT16_MAX : at - 1;

			text_add(&l->t, start == last ? "%s%u" : "%s%u-%u", sep, start, last);
			sep = ", ";
			open = false;
		}
	}
}

static void add_sockets(struct lines *l, const struct tuple *t, u32 first, u32 end_)
{
	char buf[40];

	text_add(&l->t, " socket {");
	for (u32 i = first; i < end_; i++) {
		if (i > first && t[i].qual == t[i - 1].qual)
			continue;
		vocab_socket_text((u16)t[i].qual, buf, sizeof(buf));
		text_add(&l->t, "%s %s", i > first ? "," : "", buf);
	}
	text_add(&l->t, " }");
}

static void add_peer(struct lines *l, const struct tuple *t, const u8 *classes, bool members)
{
	if (!(t->cls == DSI_CLASS_TCP && t->bit & (DSI_PERM_TCP_CONNECT | DSI_PERM_TCP_ACCEPT)))
		return;
	text_add(&l->t, t->bit == DSI_PERM_TCP_CONNECT ? " to " : " from ");
	if (members)
		text_nodes(&l->t, l->img, classes);
	else
		text_nclass(&l->t, l->img, t->nclass);
}

/* One line: tuples [first, end) are the ports; classes are the peers that have the same. */
static void rule_line(struct lines *l, const struct tuple *t, u32 first, u32 end_, const u8 *classes, bool members)
{
	const struct tuple *x = &t[first];

	begin(l);
	text_add(&l->t, "allow %s", text_sid(l->img, x->ssid));
	if (x->cls == DSI_CLASS_SOCKET) {
		add_sockets(l, t, first, end_);
	} else {
		text_add(&l->t, " %s:%s { %s }",
			 x->ssid == x->tsid && x->cls != DSI_CLASS_FILE ? "self" : text_sid(l->img, x->tsid),
			 image_class_name(x->cls), image_perm_name(x->cls, x->bit));
		if (x->cls == DSI_CLASS_TCP)
			add_ports(l, t, first, end_);
	}
	add_peer(l, x, classes, members);
	if (x->where) {
		text_add(&l->t, " on ");
		text_nodes(&l->t, l->img, x->where);
	}
	end(l);
}

static u32 run_end(const struct tuple *t, u32 i, u32 n)
{
	u32 k = i;

	while (k < n && !cmp_head(&t[k], &t[i]) && t[k].nclass == t[i].nclass)
		k++;
	return k;
}

/* Gather peers of one head whose ports are the same into one line each. */
static void head_lines(struct lines *l, struct tuple *t, u32 first, u32 end_)
{
	for (u32 i = first; i < end_; i = run_end(t, i, end_)) {
		u32 i_end = run_end(t, i, end_);
		u8 classes[IMAGE_CLASSES_LEN] = { 0 };
		bool members = t[i].nclass >= DSI_NCLASS_MEMBER;

		if (t[i].done)
			continue; /* already in the line of an earlier peer */
		classes[t[i].nclass / 8] |= (u8)(1 << t[i].nclass % 8);
		for (u32 k = i_end; members && k < end_; k = run_end(t, k, end_)) {
			u32 k_end = run_end(t, k, end_);

			if (t[k].done || !same_quals(t, i, i_end, k, k_end))
				continue;
			t[k].done = 1;
			classes[t[k].nclass / 8] |= (u8)(1 << t[k].nclass % 8);
		}
		rule_line(l, t, i, i_end, classes, members);
	}
}

static void rule_lines(struct lines *l)
{
	struct tuple *t;
	u32 n = make_tuples(l, &t), end_;

	for (u32 i = 0; i < n; i = end_) {
		for (end_ = i; end_ < n && !cmp_head(&t[end_], &t[i]); end_++)
			;
		head_lines(l, t, i, end_);
	}
}

static int cmp_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void make_lines(struct lines *l)
{
	if (!l->img)
		return;
	begin(l);
	text_add(&l->t, "policy \"%s\" %s", l->img->name, l->img->flags & DSI_POLICY_PERMISSIVE ? "permissive" : "enforcing");
	end(l);
	domain_lines(l);
	file_lines(l);
	node_lines(l);
	rule_lines(l);
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), cmp_line);
}

static int merge(const struct lines *a, const struct lines *b, policy_diff_fn fn, void *arg)
{
	u32 i = 0, k = 0;
	int n = 0, r;

	while (i < a->n || k < b->n) {
		r = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->items[i], b->items[k]);
		if (!r) {
			i++;
			k++;
			continue;
		}
		fn(arg, r < 0 ? '-' : '+', r < 0 ? a->items[i] : b->items[k]);
		i += r < 0;
		k += r > 0;
		n++;
	}
	return n;
}

int policy_diff(const struct image *a, const struct image *b, struct arena *arena, policy_diff_fn fn, void *arg)
{
	struct lines *la = arena_alloc(arena, sizeof(*la)), *lb = arena_alloc(arena, sizeof(*lb));

	if (!la || !lb)
		return -DSI_ENOMEM;
	la->arena = lb->arena = arena;
	la->img = a;
	lb->img = b;
	make_lines(la);
	make_lines(lb);
	return arena->failed ? -DSI_ENOMEM : merge(la, lb, fn, arg);
}

int policy_image_text(const struct image *img, struct arena *arena, policy_diff_fn fn, void *arg)
{
	return policy_diff(NULL, img, arena, fn, arg);
}
