/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries: collected, sorted by (key, place, file, line), merged. Invariant: no two entries share all of
 * these; the order is the image's.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/entries.h"

struct collector {
	struct policy *p;
	struct entries *es;
	struct diag_list *diags;
};

static int collect(void *arg, const struct entry *e)
{
	struct collector *c = arg;
	struct entries *es = c->es;

	if (es->n == es->cap) {
		u32 cap = es->cap ? es->cap * 2 : 1024;
		struct entry *items;

		if (es->n > IMAGE_RULES_MAX) {
			diag_error(c->p, c->diags, e->pos, "the policy makes more than %d keys: name fewer ports or groups",
				   IMAGE_RULES_MAX);
			return -DSI_ELIMIT;
		}
		items = arena_array(c->p->arena, cap, sizeof(*items));
		if (!items)
			return -DSI_ENOMEM;
		if (es->n)
			memcpy(items, es->items, es->n * sizeof(*items));
		es->items = items;
		es->cap = cap;
	}
	es->items[es->n] = *e;
	es->items[es->n++].pos.file = es->file_rank[e->pos.file];
	return 0;
}

static int cmp_u32(u32 a, u32 b)
{
	return a < b ? -1 : a > b;
}

int entries_key_order(const struct dsi_rule_key *a, const struct dsi_rule_key *b)
{
	if (a->ssid != b->ssid)
		return cmp_u32(a->ssid, b->ssid);
	if (a->tsid != b->tsid)
		return cmp_u32(a->tsid, b->tsid);
	if (a->nclass != b->nclass)
		return cmp_u32(a->nclass, b->nclass);
	if (a->qual != b->qual)
		return cmp_u32(a->qual, b->qual);
	return cmp_u32(a->cls, b->cls);
}

static int cmp_entry(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;
	int r = entries_key_order(&a->key, &b->key);

	if (r)
		return r;
	if (a->place != b->place)
		return cmp_u32(a->place, b->place);
	if (a->pos.file != b->pos.file)
		return cmp_u32(a->pos.file, b->pos.file);
	return cmp_u32(a->pos.line, b->pos.line);
}

static void merge(struct entries *es)
{
	u32 out = 0;

	for (u32 i = 0; i < es->n; i++) {
		if (out && !cmp_entry(&es->items[out - 1], &es->items[i]))
			es->items[out - 1].allow |= es->items[i].allow;
		else
			es->items[out++] = es->items[i];
	}
	es->n = out;
}

static int renumber_places(struct policy *p, struct places *places, struct entries *es)
{
	u32 *map = arena_array(p->arena, places->n_sets, sizeof(*map));

	if (!map)
		return -DSI_ENOMEM;
	places_sort(places, map);
	for (u32 i = 0; i < es->n; i++)
		if (es->items[i].place != IMAGE_PLACE_EVERYWHERE)
			es->items[i].place = map[es->items[i].place];
	return p->arena->failed ? -DSI_ENOMEM : 0;
}

int entries_build(struct policy *p, const struct ports *ports, struct places *places, const u32 *file_rank,
		  struct diag_list *diags, struct entries *ret)
{
	struct collector c = { p, ret, diags };
	struct expand x = { p, ports, places, collect, &c };
	int r = 0;

	*ret = (struct entries){ .file_rank = file_rank };
	for (const struct domain *d = p->domains; !r && d; d = d->next)
		r = expand_domain(&x, d);
	for (const struct rule *rule = p->rules; !r && rule; rule = rule->next)
		if (rule->kind == RULE_ALLOW && !rule->bad)
			r = expand_rule(&x, rule);
	if (!r)
		r = renumber_places(p, places, ret);
	if (r)
		return r;
	if (ret->n)
		qsort(ret->items, ret->n, sizeof(*ret->items), cmp_entry);
	merge(ret);
	if (ret->n > IMAGE_RULES_MAX) {
		diag_error(p, diags, ret->items[0].pos, "the policy makes more than %d keys: name fewer ports or groups",
			   IMAGE_RULES_MAX);
		return -DSI_ELIMIT;
	}
	return 0;
}

u32 entries_find(const struct entries *es, const struct dsi_rule_key *key, u32 *ret_n)
{
	u32 lo = 0, hi = es->n, first;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (entries_key_order(&es->items[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	first = lo;
	while (lo < es->n && !entries_key_order(&es->items[lo].key, key))
		lo++;
	*ret_n = lo - first;
	return first;
}
