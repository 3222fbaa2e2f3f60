/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vocabulary as tables of names. Must never hold a number that vocabulary.h does not define:
 * everything but the socket names (Linux ABI numbers) is generated from there.
 */
#include <stdio.h>
#include <string.h>

#include "policies/compiler/vocab.h"
#include "policies/image.h"

/* What each reserved name may stand for. A SID added to the vocabulary does not compile without its row. */
enum {
	USE_NONE = VOCAB_NEVER,
	USE_DEFAULT = VOCAB_DOMAIN,
	USE_KERNEL = VOCAB_DOMAIN,
	USE_DSI = VOCAB_DOMAIN | VOCAB_TYPE,
	USE_UNLABELED = VOCAB_TYPE,
	USE_OUTSIDE = VOCAB_REMOTE | VOCAB_TARGET,
	USE_STALE = VOCAB_REMOTE,
	USE_ANY = VOCAB_NEVER,
	USE_SELF = VOCAB_SELF,
};

static const struct vocab_name reserved[] = {
#define X(id, number, text, doc) { text, number, USE_##id },
	DSI_SID_TABLE(X)
#undef X
};

static const struct vocab_name classes[] = {
#define CLASS(id, number, text) { text, number, 0 },
	DSI_CLASS_TABLE(CLASS)
#undef CLASS
};

static const struct {
	u32 cls;
	const char *name;
	u32 bit;
} perms[] = {
#define PERM(id, perm, bit, text) { DSI_CLASS_##id, text, 1u << bit },
	DSI_PERM_TABLE(PERM)
#undef PERM
};

/* Linux numbers, also on other hosts: the policy is compiled for Linux kernels. */
static const struct vocab_name families[] = {
	{ "unix", 1, 0 },    { "inet", 2, 0 },       { "inet6", 10, 0 }, { "key", 15, 0 },  { "netlink", 16, 0 },
	{ "packet", 17, 0 }, { "bluetooth", 31, 0 }, { "alg", 38, 0 },   { "vsock", 40, 0 }, { "xdp", 44, 0 },
};

static const struct vocab_name socktypes[] = {
	{ "stream", 1, 0 }, { "dgram", 2, 0 }, { "raw", 3, 0 }, { "rdm", 4, 0 }, { "seqpacket", 5, 0 }, { "packet", 10, 0 },
};

static const struct vocab_name *find_name(const struct vocab_name *t, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(t[i].name, name))
			return &t[i];
	return NULL;
}

static const struct vocab_name *find_number(const struct vocab_name *t, size_t n, u32 number)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].number == number)
			return &t[i];
	return NULL;
}

static const char *name_at(const struct vocab_name *t, size_t n, u32 index)
{
	return index < n ? t[index].name : NULL;
}

const struct vocab_name *vocab_reserved(const char *name)
{
	return find_name(reserved, ARRAY_SIZE(reserved), name);
}

const char *vocab_reserved_name(u32 sid)
{
	const struct vocab_name *r = find_number(reserved, ARRAY_SIZE(reserved), sid);

	return r ? r->name : NULL;
}

u32 vocab_class(const char *name)
{
	const struct vocab_name *c = find_name(classes, ARRAY_SIZE(classes), name);

	return c ? c->number : 0;
}

const char *vocab_class_at(u32 index)
{
	return name_at(classes, ARRAY_SIZE(classes), index);
}

u32 vocab_perm(u32 cls, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(perms); i++)
		if (perms[i].cls == cls && !strcmp(perms[i].name, name))
			return perms[i].bit;
	return 0;
}

const char *vocab_perm_at(u32 cls, u32 index)
{
	for (size_t i = 0; i < ARRAY_SIZE(perms); i++)
		if (perms[i].cls == cls && index-- == 0)
			return perms[i].name;
	return NULL;
}

int vocab_family(const char *name)
{
	const struct vocab_name *f = find_name(families, ARRAY_SIZE(families), name);

	return f ? (int)f->number : -1;
}

int vocab_socktype(const char *name)
{
	const struct vocab_name *t = find_name(socktypes, ARRAY_SIZE(socktypes), name);

	return t ? (int)t->number : -1;
}

const char *vocab_family_at(u32 index)
{
	return name_at(families, ARRAY_SIZE(families), index);
}

const char *vocab_socktype_at(u32 index)
{
	return name_at(socktypes, ARRAY_SIZE(socktypes), index);
}

void vocab_socket_text(u16 qual, char *dst, size_t cap)
{
	const struct vocab_name *f = find_number(families, ARRAY_SIZE(families), qual >> 4);
	const struct vocab_name *t = find_number(socktypes, ARRAY_SIZE(socktypes), qual & 0xf);
	char fn[16], tn[16];

	(void)snprintf(fn, sizeof(fn), "%d", qual >> 4);
	(void)snprintf(tn, sizeof(tn), "%d", qual & 0xf);
	(void)snprintf(dst, cap, "%s %s", f ? f->name : fn, t ? t->name : tn);
}

const char *image_class_name(u32 cls)
{
	const struct vocab_name *c = find_number(classes, ARRAY_SIZE(classes), cls);

	return c ? c->name : NULL;
}

u32 image_class_perms(u32 cls)
{
	u32 all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(perms); i++)
		if (perms[i].cls == cls)
			all |= perms[i].bit;
	return all;
}

const char *image_perm_name(u32 cls, u32 bit)
{
	for (size_t i = 0; i < ARRAY_SIZE(perms); i++)
		if (perms[i].cls == cls && perms[i].bit == bit)
			return perms[i].name;
	return NULL;
}

void image_perms_text(u32 cls, u32 bits, char *dst, size_t cap)
{
	size_t len = 0;

	assert(cap);
	dst[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(perms) && len < cap; i++)
		if (perms[i].cls == cls && (perms[i].bit & bits))
			len += (size_t)snprintf(dst + len, cap - len, "%s%s", len ? " " : "", perms[i].name);
}
