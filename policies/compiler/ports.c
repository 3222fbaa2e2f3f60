/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Partition refinement over elementary intervals of the 65536 ports. Must never depend on the order of
 * rules. Invariant: two ports share a class exactly when the same lists contain them.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/ports.h"

enum { PORTS = 65536, LIST_BUCKETS = 8192 };

struct builder {
	struct policy *p;
	struct diag_list *diags;
	struct ports *out;
	u32 buckets[LIST_BUCKETS]; /* index of a list, 0: empty */
	u32 *next;                 /* hash chain, by list */
	u32 interval_of[PORTS];
	u32 starts[PORTS + 1]; /* first port of an interval; one past the end behind the last */
	u32 n_intervals;
	u32 class_of[PORTS]; /* by interval */
	u32 size[PORTS], inside[PORTS], split[PORTS], stamp[PORTS]; /* by class */
};

static u32 find_list(struct builder *b, struct rule *r)
{
	u32 h = 2166136261u, i;

	for (i = 0; i < r->n_ports; i++)
		h = ((h ^ r->ports[i].first) * 16777619u ^ r->ports[i].last) * 16777619u;
	h = (h ^ h >> 13) % LIST_BUCKETS;
	for (i = b->buckets[h]; i; i = b->next[i]) {
		const struct port_list *l = &b->out->lists[i];

		if (l->n_ranges == r->n_ports && !memcmp(l->ranges, r->ports, r->n_ports * sizeof(*r->ports)))
			return i;
	}
	if (b->out->n_lists > POLICY_PORTLISTS_MAX)
		return 0;
	i = b->out->n_lists++;
	b->out->lists[i] = (struct port_list){ .ranges = r->ports, .n_ranges = r->n_ports, .pos = r->pos };
	b->next[i] = b->buckets[h];
	b->buckets[h] = i;
	return i;
}

static int collect(struct builder *b)
{
	for (struct rule *r = b->p->rules; r; r = r->next) {
		if (r->bad || !r->n_ports)
			continue;
		r->portlist = find_list(b, r);
		if (!r->portlist) {
			diag_error(b->p, b->diags, r->pos, "more than %d different port lists", POLICY_PORTLISTS_MAX);
			return -DSI_ELIMIT;
		}
	}
	return 0;
}

static void cut(struct builder *b)
{
	u8 *edge = (u8 *)b->stamp; /* borrowed: cleared again below */

	for (u32 i = 1; i < b->out->n_lists; i++)
		for (u32 k = 0; k < b->out->lists[i].n_ranges; k++) {
			edge[b->out->lists[i].ranges[k].first] = 1;
			if (b->out->lists[i].ranges[k].last < PORTS - 1)
				edge[b->out->lists[i].ranges[k].last + 1] = 1;
		}
	for (u32 port = 0; port < PORTS; port++) {
		if (!port || edge[port])
			b->starts[b->n_intervals++] = port;
		b->interval_of[port] = b->n_intervals - 1;
	}
	b->starts[b->n_intervals] = PORTS;
	memset(edge, 0, PORTS);
}

/* Split every class that list i contains in part. Class 0 loses whatever is named. False: too many. */
static bool refine(struct builder *b, u32 i, u32 *n_classes)
{
	const struct port_list *l = &b->out->lists[i];

	for (int pass = 0; pass < 2; pass++)
		for (u32 k = 0; k < l->n_ranges; k++) {
			u32 end = b->interval_of[l->ranges[k].last];

			for (u32 v = b->interval_of[l->ranges[k].first]; v <= end; v++) {
				u32 c = b->class_of[v];

				if (!pass) {
					b->inside[c]++;
					continue;
				}
				if (c && b->inside[c] == b->size[c] && b->stamp[c] != i)
					continue; /* wholly inside: stays one class */
				if (b->stamp[c] != i) {
					if (*n_classes > DSI_PCLASS_MAX)
						return false;
					b->stamp[c] = i;
					b->split[c] = (*n_classes)++;
				}
				b->class_of[v] = b->split[c];
				b->size[c]--;
				b->size[b->split[c]]++;
			}
		}
	for (u32 c = 0; c < *n_classes; c++)
		b->inside[c] = 0;
	return true;
}

/* Final numbers in order of the lowest port, merged ranges of the named ports. */
static void number(struct builder *b, u32 n_classes)
{
	struct image_ports *last = NULL;
	u32 next = 1;

	for (u32 c = 0; c < n_classes; c++)
		b->split[c] = 0;
	for (u32 v = 0; v < b->n_intervals; v++) {
		u32 c = b->class_of[v];

		if (c && !b->split[c])
			b->split[c] = next++;
		b->class_of[v] = c ? b->split[c] : 0;
		if (!c)
			continue;
		if (last && last->pclass == b->class_of[v] && (u32)last->last + 1 == b->starts[v]) {
			last->last = (u16)(b->starts[v + 1] - 1);
			continue;
		}
		last = &b->out->ranges[b->out->n_ranges++];
		*last = (struct image_ports){ (u16)b->starts[v], (u16)(b->starts[v + 1] - 1), b->class_of[v] };
	}
	b->out->n_classes = next;
}

static int cmp_u16(const void *a, const void *b)
{
	return (int)*(const u16 *)a - (int)*(const u16 *)b;
}

static int list_classes(struct builder *b, struct port_list *l, u32 mark)
{
	u32 n = 0;

	l->classes = arena_array(b->p->arena, MIN(b->out->n_classes, (u32)PORTS), sizeof(u16));
	if (!l->classes)
		return -DSI_ENOMEM;
	for (u32 k = 0; k < l->n_ranges; k++)
		for (u32 v = b->interval_of[l->ranges[k].first]; v <= b->interval_of[l->ranges[k].last]; v++) {
			u32 c = b->class_of[v];

			if (b->stamp[c] == mark)
				continue;
			b->stamp[c] = mark;
			l->classes[n++] = (u16)c;
		}
	qsort(l->classes, n, sizeof(u16), cmp_u16);
	l->n_classes = n;
	return 0;
}

static int all_classes(struct builder *b)
{
	struct port_list *every = &b->out->lists[0];
	int r = 0;

	memset(b->stamp, 0, sizeof(b->stamp));
	for (u32 i = 1; !r && i < b->out->n_lists; i++)
		r = list_classes(b, &b->out->lists[i], i);
	every->n_classes = b->out->n_classes;
	every->classes = arena_array(b->p->arena, every->n_classes, sizeof(u16));
	if (!every->classes)
		return -DSI_ENOMEM;
	for (u32 c = 0; c < every->n_classes; c++)
		every->classes[c] = (u16)c;
	return r;
}

int ports_build(struct policy *p, struct diag_list *diags, struct ports *ret)
{
	struct builder *b = arena_alloc(p->arena, sizeof(*b));
	u32 n_classes = 1;
	int r;

	*ret = (struct ports){ .n_lists = 1 };
	ret->lists = arena_array(p->arena, POLICY_PORTLISTS_MAX + 1, sizeof(*ret->lists));
	if (!b || !ret->lists)
		return -DSI_ENOMEM;
	b->p = p;
	b->diags = diags;
	b->out = ret;
	b->next = arena_array(p->arena, POLICY_PORTLISTS_MAX + 1, sizeof(*b->next));
	if (!b->next)
		return -DSI_ENOMEM;
	r = collect(b);
	if (r)
		return r;
	cut(b);
	ret->ranges = arena_array(p->arena, b->n_intervals, sizeof(*ret->ranges));
	if (!ret->ranges)
		return -DSI_ENOMEM;
	b->size[0] = b->n_intervals;
	for (u32 i = 1; i < ret->n_lists; i++)
		if (!refine(b, i, &n_classes)) {
			diag_error(p, diags, ret->lists[i].pos, "rules tell more than %d classes of ports apart",
				   DSI_PCLASS_MAX);
			return -DSI_ELIMIT;
		}
	number(b, n_classes);
	return all_classes(b);
}
