/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Node classes and sets of them. Invariant: sets are distinct, not empty, and hold only classes of named
 * nodes, so that "everywhere" has one spelling.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/places.h"

enum { MEMBERSHIP_LEN = IMAGE_GROUPS_MAX / 8 };

static int cmp_node(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->sym->text, (*(struct node *const *)b)->sym->text);
}

static bool sort_nodes(struct places *pl)
{
	u32 n = 0;

	for (const struct node *x = pl->p->nodes; x; x = x->next)
		n++;
	pl->nodes = arena_array(pl->p->arena, n, sizeof(*pl->nodes));
	if (!pl->nodes)
		return false;
	for (struct node *x = pl->p->nodes; x; x = x->next)
		pl->nodes[pl->n_nodes++] = x;
	if (n)
		qsort(pl->nodes, n, sizeof(*pl->nodes), cmp_node);
	for (u32 i = 0; i < n; i++)
		pl->nodes[i]->nclass = i; /* index, until classes are known */
	return true;
}

/* Same groups, same class. */
static int classify(struct places *pl, struct diag_list *diags)
{
	u8(*member)[MEMBERSHIP_LEN] = arena_array(pl->p->arena, pl->n_nodes, sizeof(*member));
	u8(*known)[MEMBERSHIP_LEN] = arena_array(pl->p->arena, DSI_NCLASS_MAX + 1, sizeof(*known));

	if (!member || !known)
		return -DSI_ENOMEM;
	for (const struct group *g = pl->p->groups; g; g = g->next)
		for (u32 i = 0; i < g->n_nodes; i++)
			member[g->nodes[i].sym->node->nclass][g->index / 8] |= (u8)(1 << g->index % 8);
	for (u32 i = 0; i < pl->n_nodes; i++) {
		u32 c = DSI_NCLASS_FIRST;

		while (c < pl->n_classes && memcmp(known[c], member[i], MEMBERSHIP_LEN))
			c++;
		if (c > DSI_NCLASS_MAX) {
			diag_error(pl->p, diags, (struct pos){ UINT32_MAX, 0, 0 },
				   "node groups tell more than %d classes of nodes apart",
				   DSI_NCLASS_MAX - DSI_NCLASS_FIRST + 1);
			return -DSI_ELIMIT;
		}
		if (c == pl->n_classes)
			memcpy(known[pl->n_classes++], member[i], MEMBERSHIP_LEN);
		pl->nodes[i]->nclass = c;
	}
	return 0;
}

int places_build(struct policy *p, struct diag_list *diags, struct places *ret)
{
	int r;

	*ret = (struct places){ .p = p, .n_classes = DSI_NCLASS_FIRST };
	if (!sort_nodes(ret))
		return -DSI_ENOMEM;
	r = classify(ret, diags);
	for (struct group *g = p->groups; !r && g; g = g->next)
		for (u32 i = 0; i < g->n_nodes; i++) {
			u32 c = g->nodes[i].sym->node->nclass;

			g->classes[c / 8] |= (u8)(1 << c % 8);
		}
	return r;
}

u32 places_intern(struct places *pl, const u8 *classes)
{
	u32 i;

	if (!classes)
		return IMAGE_PLACE_EVERYWHERE;
	for (i = 0; i < pl->n_sets; i++)
		if (!memcmp(pl->sets[i].classes, classes, IMAGE_CLASSES_LEN))
			return i;
	if (i == IMAGE_PLACE_EVERYWHERE)
		return UINT32_MAX;
	if (i == pl->cap) {
		u32 cap = pl->cap ? pl->cap * 2 : 16;
		struct place *sets = arena_array(pl->p->arena, cap, sizeof(*sets));

		if (!sets)
			return UINT32_MAX;
		if (i)
			memcpy(sets, pl->sets, i * sizeof(*sets));
		pl->sets = sets;
		pl->cap = cap;
	}
	memcpy(pl->sets[i].classes, classes, IMAGE_CLASSES_LEN);
	return pl->n_sets++;
}

bool places_and(const u8 *a, const u8 *b, u8 *ret)
{
	u8 any = 0;

	for (u32 i = 0; i < IMAGE_CLASSES_LEN; i++) {
		ret[i] = (a ? a[i] : 0xff) & (b ? b[i] : 0xff);
		any |= ret[i];
	}
	return any;
}

static const u8 *classes_of(const struct places *pl, u32 place)
{
	return place == IMAGE_PLACE_EVERYWHERE ? NULL : pl->sets[place].classes;
}

bool places_covers(const struct places *pl, u32 big, u32 small)
{
	const u8 *a = classes_of(pl, big), *b = classes_of(pl, small);

	if (!a || !b)
		return !a;
	for (u32 i = 0; i < IMAGE_CLASSES_LEN; i++)
		if (b[i] & ~a[i])
			return false;
	return true;
}

bool places_meet(const struct places *pl, u32 a, u32 b)
{
	u8 both[IMAGE_CLASSES_LEN];

	return places_and(classes_of(pl, a), classes_of(pl, b), both);
}

struct sorted {
	struct place place;
	u32 old;
};

static int cmp_sorted(const void *a, const void *b)
{
	return memcmp(((const struct sorted *)a)->place.classes, ((const struct sorted *)b)->place.classes,
		      IMAGE_CLASSES_LEN);
}

void places_sort(struct places *pl, u32 *ret_map)
{
	struct sorted *s = arena_array(pl->p->arena, pl->n_sets, sizeof(*s));

	if (!s)
		return; /* the arena remembers */
	for (u32 i = 0; i < pl->n_sets; i++)
		s[i] = (struct sorted){ pl->sets[i], i };
	if (pl->n_sets)
		qsort(s, pl->n_sets, sizeof(*s), cmp_sorted);
	for (u32 i = 0; i < pl->n_sets; i++) {
		pl->sets[i] = s[i].place;
		ret_map[s[i].old] = i;
	}
}
