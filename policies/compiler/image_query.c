/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to an open image: names, classes, the rules of one node, the decision. Must never answer
 * "allowed" without a rule or the subject's unconfined flag. Works on checked images only.
 */
#include <string.h>

#include "policies/compiler/image_format.h"
#include "policies/compiler/vocab.h"
#include "policies/image.h"

bool image_name_valid(const char *s, size_t len)
{
	if (!len || len > IMAGE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
		      c == '-' || c == '.'))
			return false;
	}
	return true;
}

const char *image_path_invalid(const char *s, size_t len)
{
	size_t start = 1;

	if (!len || s[0] != '/')
		return "a path starts with /";
	if (len > IMAGE_PATH_MAX)
		return "path is too long";
	for (size_t i = 0; i < len; i++)
		if ((u8)s[i] < 0x20 || s[i] == 0x7f)
			return "control character in a path";
	for (size_t i = 1; i <= len && len > 1; i++) {
		size_t part = i - start;

		if (i < len && s[i] != '/')
			continue;
		if (!part)
			return i == len ? "path ends with /" : "empty part in a path (//)";
		if (s[start] == '.' && (part == 1 || (part == 2 && s[start + 1] == '.')))
			return "`.` or `..` in a path";
		start = i + 1;
	}
	return NULL;
}

/* First row i in [0, count) for which cmp(img, i, arg) >= 0. */
static u32 lower_bound(const struct image *img, u32 count, int (*cmp)(const struct image *, u32, const void *),
		       const void *arg)
{
	u32 lo = 0, hi = count;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (cmp(img, mid, arg) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int cmp_node(const struct image *img, u32 i, const void *name)
{
	return strcmp(image_node(img, i).name, name);
}

u32 image_nclass_of(const struct image *img, const char *node_name)
{
	u32 n = image_count(img, IMAGE_NODES);
	u32 i = lower_bound(img, n, cmp_node, node_name);

	if (i < n && !cmp_node(img, i, node_name))
		return image_node(img, i).nclass;
	return DSI_NCLASS_MEMBER;
}

static int cmp_port(const struct image *img, u32 i, const void *arg)
{
	u16 port = *(const u16 *)arg;
	struct image_ports p = image_ports(img, i);

	return p.last < port ? -1 : p.first > port;
}

u32 image_pclass_of(const struct image *img, u16 port)
{
	u32 n = image_count(img, IMAGE_PORTS);
	u32 i = lower_bound(img, n, cmp_port, &port);

	return i < n && !cmp_port(img, i, &port) ? image_ports(img, i).pclass : DSI_PCLASS_OTHER;
}

static int cmp_u32(u32 a, u32 b)
{
	return a < b ? -1 : a > b;
}

static int cmp_context(const struct image *img, u32 i, const void *sid)
{
	return cmp_u32(image_context(img, i).sid, *(const u32 *)sid);
}

static int cmp_type(const struct image *img, u32 i, const void *sid)
{
	return cmp_u32(image_type(img, i).sid, *(const u32 *)sid);
}

static int cmp_retired(const struct image *img, u32 i, const void *sid)
{
	return cmp_u32(image_retired(img, i).sid, *(const u32 *)sid);
}

bool image_context_of(const struct image *img, u32 sid, struct image_context *ret)
{
	u32 n = image_count(img, IMAGE_CONTEXTS);
	u32 i = lower_bound(img, n, cmp_context, &sid);

	if (i == n || image_context(img, i).sid != sid)
		return false;
	*ret = image_context(img, i);
	return true;
}

const char *image_sid_name(const struct image *img, u32 sid)
{
	struct image_context c;
	u32 n, i;

	if (sid < DSI_SID_FIRST)
		return vocab_reserved_name(sid);
	if (image_context_of(img, sid, &c))
		return c.name;
	n = image_count(img, IMAGE_TYPES);
	i = lower_bound(img, n, cmp_type, &sid);
	if (i < n && image_type(img, i).sid == sid)
		return image_type(img, i).name;
	n = image_count(img, IMAGE_RETIRED);
	i = lower_bound(img, n, cmp_retired, &sid);
	if (i < n && image_retired(img, i).sid == sid)
		return image_retired(img, i).name;
	return NULL;
}

static int cmp_name(const struct image *img, u32 i, const void *name)
{
	return strcmp(image_name_row(img, i, NULL), name);
}

bool image_sid_by_name(const struct image *img, const char *name, u32 *ret_sid)
{
	const struct vocab_name *r = vocab_reserved(name);
	u32 n = image_count(img, IMAGE_NAMES), i;

	if (r) {
		*ret_sid = r->number;
		return true;
	}
	i = lower_bound(img, n, cmp_name, name);
	if (i == n || cmp_name(img, i, name))
		return false;
	(void)image_name_row(img, i, ret_sid);
	return true;
}

static int cmp_path(const struct image *img, u32 i, const void *path)
{
	return strcmp(image_path(img, i).path, path);
}

/* Longest labelled prefix of path that ends at a part's end. */
u32 image_type_of_path(const struct image *img, const char *path)
{
	u32 n = image_count(img, IMAGE_PATHS), i;
	char buf[IMAGE_PATH_MAX + 1];
	size_t len = strnlen(path, sizeof(buf));

	if (len == sizeof(buf) || image_path_invalid(path, len))
		return DSI_SID_UNLABELED;
	memcpy(buf, path, len + 1);
	for (;;) {
		i = lower_bound(img, n, cmp_path, buf);
		if (i < n && !cmp_path(img, i, buf))
			return image_path(img, i).sid;
		if (len <= 1)
			return DSI_SID_UNLABELED;
		while (buf[len - 1] != '/')
			len--;
		len = MAX(len - 1, (size_t)1);
		buf[len] = '\0';
	}
}

struct exec_key {
	const char *path;
	u32 from;
};

static int cmp_exec(const struct image *img, u32 i, const void *arg)
{
	const struct exec_key *k = arg;
	struct image_exec x = image_exec(img, i);
	int r = strcmp(x.path, k->path);

	return r ? r : cmp_u32(x.from, k->from);
}

u32 image_exec_of(const struct image *img, u32 from, const char *path)
{
	struct exec_key k = { path, from };
	u32 n = image_count(img, IMAGE_EXECS);
	u32 i = lower_bound(img, n, cmp_exec, &k);

	return i < n && !cmp_exec(img, i, &k) ? image_exec(img, i).to : from;
}

static int key_order(const struct dsi_rule_key *a, const struct dsi_rule_key *b)
{
	const u32 x[] = { a->ssid, a->tsid, a->nclass, a->qual, a->cls };
	const u32 y[] = { b->ssid, b->tsid, b->nclass, b->qual, b->cls };

	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		if (x[i] != y[i])
			return cmp_u32(x[i], y[i]);
	return 0;
}

static int cmp_rule(const struct image *img, u32 i, const void *key)
{
	struct dsi_rule_key k = image_rule(img, i).key;

	return key_order(&k, key);
}

static bool loads(const struct image_rule *r, u32 own_class)
{
	return !r->where || image_classes_has(r->where, own_class);
}

/* Merge the rules of one key from row *i on; *i ends behind them. False when this node loads none. */
static bool merge_key(const struct image *img, u32 *i, u32 own_class, struct dsi_rule_key *ret_key,
		      struct dsi_rule_value *ret)
{
	u32 n = image_count(img, IMAGE_RULES), first = DSI_RULE_NONE, used = 0;

	*ret_key = image_rule(img, *i).key;
	*ret = (struct dsi_rule_value){ 0, DSI_RULE_NONE };
	for (; *i < n; (*i)++) {
		struct image_rule r = image_rule(img, *i);

		if (key_order(&r.key, ret_key))
			break;
		if (!loads(&r, own_class))
			continue;
		ret->allow |= r.allow;
		if (!used++)
			first = *i;
	}
	ret->rule = used == 1 ? first : DSI_RULE_NONE;
	return used > 0;
}

int image_rules_for(const struct image *img, const char *own, image_rule_fn fn, void *arg)
{
	u32 own_class = image_nclass_of(img, own);
	struct dsi_rule_value value;
	struct dsi_rule_key key;
	int r = 0;

	for (u32 i = 0; !r && i < image_count(img, IMAGE_RULES);)
		if (merge_key(img, &i, own_class, &key, &value))
			r = fn(arg, &key, &value);
	return r;
}

static int count_rule(void *arg, const struct dsi_rule_key *key DSI_UNUSED,
		      const struct dsi_rule_value *value DSI_UNUSED)
{
	++*(u32 *)arg;
	return 0;
}

u32 image_rules_count_for(const struct image *img, const char *own)
{
	u32 n = 0;

	(void)image_rules_for(img, own, count_rule, &n);
	return n;
}

static enum image_verdict verdict_without_rule(const struct image *img, const struct dsi_rule_key *key)
{
	struct image_context c = { .flags = 0 };

	(void)image_context_of(img, key->ssid, &c);
	if (c.flags & DSI_CTX_UNCONFINED && key->nclass == DSI_NCLASS_LOCAL)
		return IMAGE_UNCONFINED;
	if (c.flags & DSI_CTX_PERMISSIVE || img->flags & DSI_POLICY_PERMISSIVE)
		return IMAGE_PERMISSIVE;
	return IMAGE_REFUSED;
}

enum image_verdict image_decide(const struct image *img, const char *own, const struct dsi_rule_key *key, u32 perm,
				struct image_why *ret_why)
{
	u32 n = image_count(img, IMAGE_RULES), own_class = image_nclass_of(img, own);
	struct image_why why = { IMAGE_REFUSED, DSI_RULE_NONE };
	u32 granted = 0;

	for (u32 i = lower_bound(img, n, cmp_rule, key); i < n; i++) {
		struct image_rule r = image_rule(img, i);

		if (key_order(&r.key, key))
			break;
		if (!loads(&r, own_class) || !(r.allow & perm))
			continue;
		if (!granted)
			why.rule = i;
		granted |= r.allow & perm;
	}
	if (perm && granted == perm) {
		why.verdict = IMAGE_ALLOWED;
	} else {
		why.rule = DSI_RULE_NONE;
		why.verdict = verdict_without_rule(img, key);
	}
	if (ret_why)
		*ret_why = why;
	return why.verdict;
}
