/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The empty model and its symbols. Invariant: one symbol per text. */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/policy.h"

struct policy *policy_new(struct arena *arena)
{
	struct policy *p = arena_alloc(arena, sizeof(*p));

	if (!p)
		return NULL;
	p->arena = arena;
	p->groups_end = &p->groups;
	p->sets_end = &p->sets;
	p->domains_end = &p->domains;
	p->types_end = &p->types;
	p->rules_end = &p->rules;
	return p;
}

/* FNV-1a: inputs are the admin's own; limits bound what collisions could cost. */
static u32 hash(const char *s, size_t len)
{
	u32 h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (u8)s[i]) * 16777619u;
	return h ^ h >> 15;
}

static struct symbol *find(const struct policy *p, const char *s, size_t len, u32 bucket)
{
	for (struct symbol *sym = p->buckets[bucket]; sym; sym = sym->hash_next)
		if (!strncmp(sym->text, s, len) && !sym->text[len])
			return sym;
	return NULL;
}

struct symbol *policy_symbol(struct policy *p, const char *s, size_t len)
{
	u32 bucket = hash(s, len) % POLICY_SYMBOL_BUCKETS;
	struct symbol *sym = find(p, s, len, bucket);

	if (sym)
		return sym;
	sym = arena_alloc(p->arena, sizeof(*sym));
	if (sym)
		sym->text = arena_strndup(p->arena, s, len);
	if (!sym || !sym->text)
		return NULL;
	sym->reserved = vocab_reserved(sym->text);
	sym->hash_next = p->buckets[bucket];
	p->buckets[bucket] = sym;
	return sym;
}

struct symbol *policy_symbol_find(const struct policy *p, const char *s)
{
	size_t len = strlen(s);

	return find(p, s, len, hash(s, len) % POLICY_SYMBOL_BUCKETS);
}

static int cmp_range(const void *va, const void *vb)
{
	const struct port_range *a = va, *b = vb;

	return a->first < b->first ? -1 : a->first > b->first;
}

u32 policy_merge_ports(struct port_range *r, u32 n)
{
	u32 out = 0;

	if (!n)
		return 0;
	qsort(r, n, sizeof(*r), cmp_range);
	for (u32 i = 1; i < n; i++) {
		if (r[i].first <= (u32)r[out].last + 1)
			r[out].last = MAX(r[out].last, r[i].last);
		else
			r[++out] = r[i];
	}
	return out + 1;
}

const char *policy_file_base(const struct policy *p, u32 i)
{
	const char *slash = strrchr(p->files[i].name, '/');
	const char *base = slash && slash[1] ? slash + 1 : p->files[i].name;
	size_t len = strlen(base);

	if (!len || len > IMAGE_PATH_MAX)
		return "?";
	for (size_t k = 0; k < len; k++)
		if ((u8)base[k] < 0x20 || base[k] == 0x7f)
			return "?";
	return base;
}
