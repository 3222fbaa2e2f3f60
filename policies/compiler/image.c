/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The strict reader of policy images: untrusted bytes in, a checked view out, and its rows. Must never
 * allocate, trust a count or an offset before it is checked, or accept two encodings of one policy.
 * Invariant: after image_open() every offset, SID, class and index in the image refers to something.
 */
#include <string.h>

#include "policies/image.h"
#include "policies/compiler/image_format.h"
#include "policies/compiler/vocab.h"

static const struct {
	const char *name;
	u32 width, max, level;
} sections[IMAGE_SECTION_COUNT] = {
#define X(id, width, max, level) [IMAGE_##id] = { #id, width, max, level },
	IMAGE_SECTION_TABLE(X)
#undef X
};

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static u32 get32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static const u8 *row(const struct image *img, enum image_section s, u32 i)
{
	assert(i < img->section[s].count);
	return img->data + img->section[s].offset + (size_t)i * sections[s].width;
}

/* Column c (32-bit words) of a row. */
static u32 word(const struct image *img, enum image_section s, u32 i, u32 c)
{
	return get32(row(img, s, i) + (size_t)c * 4);
}

static const char *str(const struct image *img, u32 offset)
{
	return (const char *)img->data + img->section[IMAGE_STRINGS].offset + offset;
}

u32 image_count(const struct image *img, enum image_section section)
{
	return img->section[section].count;
}

u32 image_level(const struct image *img)
{
	u32 level = img->format == 1 ? 1 : KNOWS_IMAGE_2;

	for (u32 s = 0; s < IMAGE_SECTION_COUNT; s++)
		if (img->section[s].count)
			level = MAX(level, sections[s].level);
	return level;
}

const u8 *image_base_digest(const struct image *img)
{
	return img->data + IMAGE_OFF_BASE;
}

struct image_context image_context(const struct image *img, u32 i)
{
	u32 file = word(img, IMAGE_CONTEXTS, i, 3);

	return (struct image_context){
		.sid = word(img, IMAGE_CONTEXTS, i, 0),
		.name = str(img, word(img, IMAGE_CONTEXTS, i, 1)),
		.flags = word(img, IMAGE_CONTEXTS, i, 2),
		.file = file == IMAGE_NO_FILE ? NULL : image_file(img, file),
		.line = word(img, IMAGE_CONTEXTS, i, 4),
	};
}

struct image_type image_type(const struct image *img, u32 i)
{
	return (struct image_type){
		.sid = word(img, IMAGE_TYPES, i, 0),
		.name = str(img, word(img, IMAGE_TYPES, i, 1)),
	};
}

struct image_retired image_retired(const struct image *img, u32 i)
{
	return (struct image_retired){
		.sid = word(img, IMAGE_RETIRED, i, 0),
		.name = str(img, word(img, IMAGE_RETIRED, i, 1)),
		.kind = word(img, IMAGE_RETIRED, i, 2),
	};
}

struct image_path image_path(const struct image *img, u32 i)
{
	return (struct image_path){
		.path = str(img, word(img, IMAGE_PATHS, i, 0)),
		.sid = word(img, IMAGE_PATHS, i, 1),
	};
}

struct image_exec image_exec(const struct image *img, u32 i)
{
	return (struct image_exec){
		.path = str(img, word(img, IMAGE_EXECS, i, 0)),
		.from = word(img, IMAGE_EXECS, i, 1),
		.to = word(img, IMAGE_EXECS, i, 2),
	};
}

struct image_node image_node(const struct image *img, u32 i)
{
	return (struct image_node){
		.name = str(img, word(img, IMAGE_NODES, i, 0)),
		.nclass = word(img, IMAGE_NODES, i, 1),
	};
}

struct image_group image_group(const struct image *img, u32 i)
{
	return (struct image_group){
		.name = str(img, word(img, IMAGE_GROUPS, i, 0)),
		.classes = row(img, IMAGE_GROUPS, i) + 4,
	};
}

struct image_ports image_ports(const struct image *img, u32 i)
{
	const u8 *p = row(img, IMAGE_PORTS, i);

	return (struct image_ports){ .first = get16(p), .last = get16(p + 2), .pclass = get32(p + 4) };
}

struct image_rule image_rule(const struct image *img, u32 i)
{
	const u8 *p = row(img, IMAGE_RULES, i);
	u32 place = get16(p + 26);

	return (struct image_rule){
		.key = {
			.ssid = get32(p),
			.tsid = get32(p + 4),
			.nclass = get16(p + 8),
			.qual = get16(p + 10),
			.cls = get32(p + 12),
		},
		.allow = get32(p + 16),
		.line = get32(p + 20),
		.file = image_file(img, get16(p + 24)),
		.where = place == IMAGE_PLACE_EVERYWHERE ? NULL : row(img, IMAGE_PLACES, place),
	};
}

const char *image_file(const struct image *img, u32 i)
{
	return str(img, word(img, IMAGE_FILES, i, 0));
}

const char *image_name_row(const struct image *img, u32 i, u32 *ret_sid)
{
	if (ret_sid)
		*ret_sid = word(img, IMAGE_NAMES, i, 1);
	return str(img, word(img, IMAGE_NAMES, i, 0));
}

/* Checks. Each answers NULL or what is wrong. */

static bool str_ok(const struct image *img, u32 offset)
{
	return offset < image_count(img, IMAGE_STRINGS) && (!offset || !str(img, offset)[-1]);
}

static bool name_ok(const struct image *img, u32 offset)
{
	return str_ok(img, offset) && image_name_valid(str(img, offset), strlen(str(img, offset)));
}

static bool path_ok(const struct image *img, u32 offset)
{
	return str_ok(img, offset) && !image_path_invalid(str(img, offset), strlen(str(img, offset)));
}

/* Row with this value in its first column, in a section sorted by it; count when there is none. */
static u32 find_sid(const struct image *img, enum image_section s, u32 sid)
{
	u32 lo = 0, hi = image_count(img, s);

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		u32 v = word(img, s, mid, 0);

		if (v == sid)
			return mid;
		if (v < sid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return image_count(img, s);
}

static bool has_sid(const struct image *img, enum image_section s, u32 sid)
{
	return find_sid(img, s, sid) < image_count(img, s);
}

static const char *check_strings(struct image *img)
{
	u32 n = image_count(img, IMAGE_STRINGS), len;
	const char *prev = NULL, *s;

	if (!n || str(img, n - 1)[0])
		return "strings are not terminated";
	for (u32 at = 0; at < n; at += len + 1) {
		s = str(img, at);
		len = (u32)strlen(s);
		if (!len || len > IMAGE_PATH_MAX)
			return "empty or overlong string";
		for (u32 i = 0; i < len; i++)
			if ((u8)s[i] < 0x20 || s[i] == 0x7f)
				return "control byte in a string";
		if (prev && strcmp(prev, s) >= 0)
			return "strings out of order";
		prev = s;
	}
	return NULL;
}

/* SIDs of contexts and types: reserved ones first, by their own names; then ascending from DSI_SID_FIRST. */
static const char *check_sids(struct image *img, enum image_section s, const u32 *fixed, u32 n_fixed)
{
	u32 n = image_count(img, s);

	if (n < n_fixed)
		return "reserved rows missing";
	for (u32 i = 0; i < n; i++) {
		u32 sid = word(img, s, i, 0), name = word(img, s, i, 1);

		if (!name_ok(img, name))
			return "bad name";
		if (i < n_fixed) {
			if (sid != fixed[i] || strcmp(str(img, name), vocab_reserved_name(sid)))
				return "wrong reserved row";
			continue;
		}
		if (sid < DSI_SID_FIRST || sid >= IMAGE_SID_END)
			return "SID out of range";
		if (i && sid <= word(img, s, i - 1, 0))
			return "SIDs out of order";
	}
	return NULL;
}

static const char *check_contexts(struct image *img)
{
	static const u32 fixed[IMAGE_FIXED_CONTEXTS] = { DSI_SID_DEFAULT, DSI_SID_KERNEL, DSI_SID_DSI };
	const char *why = check_sids(img, IMAGE_CONTEXTS, fixed, ARRAY_SIZE(fixed));

	for (u32 i = 0; !why && i < image_count(img, IMAGE_CONTEXTS); i++) {
		u32 file = word(img, IMAGE_CONTEXTS, i, 3), line = word(img, IMAGE_CONTEXTS, i, 4);

		if (word(img, IMAGE_CONTEXTS, i, 2) & ~(u32)(DSI_CTX_UNCONFINED | DSI_CTX_PERMISSIVE))
			return "unknown context flags";
		if (file == IMAGE_NO_FILE ? line || i >= IMAGE_FIXED_CONTEXTS
					  : file >= image_count(img, IMAGE_FILES) || !line)
			return "bad source of a context";
	}
	return why;
}

static const char *check_types(struct image *img)
{
	static const u32 fixed[IMAGE_FIXED_TYPES] = { DSI_SID_DSI, DSI_SID_UNLABELED };

	return check_sids(img, IMAGE_TYPES, fixed, ARRAY_SIZE(fixed));
}

static const char *check_retired(struct image *img)
{
	const char *why = check_sids(img, IMAGE_RETIRED, NULL, 0);

	for (u32 i = 0; !why && i < image_count(img, IMAGE_RETIRED); i++) {
		u32 sid = word(img, IMAGE_RETIRED, i, 0), kind = word(img, IMAGE_RETIRED, i, 2);

		if (kind != IMAGE_KIND_CONTEXT && kind != IMAGE_KIND_TYPE)
			return "unknown kind";
		if (has_sid(img, IMAGE_CONTEXTS, sid) || has_sid(img, IMAGE_TYPES, sid))
			return "SID in use";
	}
	return why;
}

/* names is a bijection onto the contexts and types that are not reserved. */
static const char *check_names(struct image *img)
{
	u32 n = image_count(img, IMAGE_NAMES);

	if (n != image_count(img, IMAGE_CONTEXTS) - IMAGE_FIXED_CONTEXTS +
		 image_count(img, IMAGE_TYPES) - IMAGE_FIXED_TYPES)
		return "wrong number of names";
	for (u32 i = 0; i < n; i++) {
		u32 name = word(img, IMAGE_NAMES, i, 0), sid = word(img, IMAGE_NAMES, i, 1);
		u32 c = find_sid(img, IMAGE_CONTEXTS, sid), t = find_sid(img, IMAGE_TYPES, sid);
		bool is_c = c < image_count(img, IMAGE_CONTEXTS), is_t = t < image_count(img, IMAGE_TYPES);

		if (i && name <= word(img, IMAGE_NAMES, i - 1, 0))
			return "names out of order";
		if (sid < DSI_SID_FIRST || is_c == is_t)
			return "name of no SID";
		if (name != (is_c ? word(img, IMAGE_CONTEXTS, c, 1) : word(img, IMAGE_TYPES, t, 1)))
			return "name of another SID";
		if (vocab_reserved(str(img, name)))
			return "reserved name";
	}
	return NULL;
}

static const char *check_paths(struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_PATHS); i++) {
		u32 path = word(img, IMAGE_PATHS, i, 0);

		if (!path_ok(img, path))
			return "bad path";
		if (i && path <= word(img, IMAGE_PATHS, i - 1, 0))
			return "paths out of order";
		if (!has_sid(img, IMAGE_TYPES, word(img, IMAGE_PATHS, i, 1)))
			return "path of no type";
	}
	return NULL;
}

static const char *check_execs(struct image *img)
{
	u32 prev_path = 0, prev_from = 0;

	for (u32 i = 0; i < image_count(img, IMAGE_EXECS); i++) {
		u32 path = word(img, IMAGE_EXECS, i, 0), from = word(img, IMAGE_EXECS, i, 1);

		if (!path_ok(img, path))
			return "bad path";
		if (i && (path < prev_path || (path == prev_path && from <= prev_from)))
			return "entries out of order";
		if (!has_sid(img, IMAGE_CONTEXTS, from) || !has_sid(img, IMAGE_CONTEXTS, word(img, IMAGE_EXECS, i, 2)))
			return "entry of no context";
		prev_path = path;
		prev_from = from;
	}
	return NULL;
}

/* Node classes are numbered in order of first appearance. */
static const char *check_nodes(struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_NODES); i++) {
		u32 name = word(img, IMAGE_NODES, i, 0), c = word(img, IMAGE_NODES, i, 1);

		if (!name_ok(img, name))
			return "bad name";
		if (i && name <= word(img, IMAGE_NODES, i - 1, 0))
			return "nodes out of order";
		if (c < DSI_NCLASS_FIRST || c > img->nclass_end || c > DSI_NCLASS_MAX)
			return "bad node class";
		if (c == img->nclass_end)
			img->nclass_end++;
	}
	return NULL;
}

/* A bitmap of classes that nodes have, not empty. */
static bool classes_ok(const struct image *img, const u8 *classes)
{
	bool any = false;

	for (u32 c = 0; c <= DSI_NCLASS_MAX; c++) {
		if (!image_classes_has(classes, c))
			continue;
		if (c < DSI_NCLASS_FIRST || c >= img->nclass_end)
			return false;
		any = true;
	}
	return any;
}

static const char *check_groups(struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_GROUPS); i++) {
		u32 name = word(img, IMAGE_GROUPS, i, 0);

		if (!name_ok(img, name))
			return "bad name";
		if (i && name <= word(img, IMAGE_GROUPS, i - 1, 0))
			return "groups out of order";
		if (!classes_ok(img, row(img, IMAGE_GROUPS, i) + 4))
			return "bad set of node classes";
	}
	return NULL;
}

static const char *check_places(struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_PLACES); i++) {
		if (!classes_ok(img, row(img, IMAGE_PLACES, i)))
			return "bad set of node classes";
		if (i && memcmp(row(img, IMAGE_PLACES, i - 1), row(img, IMAGE_PLACES, i), IMAGE_CLASSES_LEN) >= 0)
			return "places out of order";
	}
	return NULL;
}

/* Port classes too are numbered in order of first appearance; neighbours of one class are one range. */
static const char *check_ports(struct image *img)
{
	struct image_ports prev = { 0, 0, 0 };

	for (u32 i = 0; i < image_count(img, IMAGE_PORTS); i++) {
		struct image_ports p = image_ports(img, i);

		if (p.first > p.last || (i && p.first <= prev.last))
			return "ranges out of order";
		if (i && p.first == prev.last + 1 && p.pclass == prev.pclass)
			return "ranges not merged";
		if (!p.pclass || p.pclass > img->pclass_end || p.pclass > DSI_PCLASS_MAX)
			return "bad port class";
		if (p.pclass == img->pclass_end)
			img->pclass_end++;
		prev = p;
	}
	return NULL;
}

static const char *check_local(const struct image *img, const struct dsi_rule_key *k, enum image_section target)
{
	if (k->nclass != DSI_NCLASS_LOCAL)
		return "local class with a remote node";
	if (!has_sid(img, IMAGE_CONTEXTS, k->ssid) || !has_sid(img, target, k->tsid))
		return "rule for no SID";
	return NULL;
}

static const char *check_tcp(const struct image *img, const struct dsi_rule_key *k, u32 allow)
{
	const u32 own = DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN;

	if (k->qual >= img->pclass_end)
		return "bad port class";
	if (k->ssid == DSI_SID_OUTSIDE ? k->nclass != DSI_NCLASS_OUTSIDE
	    : k->ssid == DSI_SID_STALE ? k->nclass < DSI_NCLASS_MEMBER
				       : !has_sid(img, IMAGE_CONTEXTS, k->ssid))
		return "bad subject";
	if (k->tsid == DSI_SID_ANY)
		return allow == DSI_PERM_TCP_CONNECT && k->ssid != DSI_SID_OUTSIDE && k->ssid != DSI_SID_STALE
			       ? NULL
			       : "bad connect";
	if (!has_sid(img, IMAGE_CONTEXTS, k->tsid) || allow & DSI_PERM_TCP_CONNECT)
		return "bad target";
	if (k->nclass == DSI_NCLASS_OUTSIDE && k->ssid != DSI_SID_OUTSIDE)
		return "context on no member";
	if (allow & own && (k->ssid != k->tsid || k->nclass != DSI_NCLASS_LOCAL))
		return "bind on another's behalf";
	return NULL;
}

static const char *check_rule_shape(const struct image *img, const struct dsi_rule_key *k, u32 allow)
{
	if (!allow || allow & ~image_class_perms(k->cls))
		return "bad permissions";
	if (k->nclass >= img->nclass_end)
		return "bad node class";
	if (k->cls != DSI_CLASS_TCP && k->cls != DSI_CLASS_SOCKET && k->qual)
		return "qualifier without a meaning";
	switch (k->cls) {
	case DSI_CLASS_FILE:
		return check_local(img, k, IMAGE_TYPES);
	case DSI_CLASS_TCP:
		return check_tcp(img, k, allow);
	case DSI_CLASS_SOCKET:
		return k->ssid == k->tsid ? check_local(img, k, IMAGE_CONTEXTS) : "socket of another";
	default:
		return check_local(img, k, IMAGE_CONTEXTS);
	}
}

/* -1, 0, 1 by (key, place, file, line). */
static int rule_order(const u8 *a, const u8 *b)
{
	static const struct {
		u8 at, wide;
	} columns[] = { { 0, 4 }, { 4, 4 }, { 8, 2 }, { 10, 2 }, { 12, 4 }, { 26, 2 }, { 24, 2 }, { 20, 4 } };

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		u32 at = columns[i].at;
		u32 x = columns[i].wide == 4 ? get32(a + at) : get16(a + at);
		u32 y = columns[i].wide == 4 ? get32(b + at) : get16(b + at);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static const char *check_rules(struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_RULES); i++) {
		const u8 *p = row(img, IMAGE_RULES, i);
		u32 place = get16(p + 26);
		struct dsi_rule_key k = { get32(p), get32(p + 4), get16(p + 8), get16(p + 10), get32(p + 12) };
		const char *why = check_rule_shape(img, &k, get32(p + 16));

		if (why)
			return why;
		if (place != IMAGE_PLACE_EVERYWHERE && place >= image_count(img, IMAGE_PLACES))
			return "bad place";
		if (get16(p + 24) >= image_count(img, IMAGE_FILES) || !get32(p + 20))
			return "bad source of a rule";
		if (i && rule_order(row(img, IMAGE_RULES, i - 1), p) >= 0)
			return "rules out of order";
	}
	return NULL;
}

static const char *check_files(struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_FILES); i++) {
		u32 name = word(img, IMAGE_FILES, i, 0);

		if (!str_ok(img, name))
			return "bad name";
		if (i && name < word(img, IMAGE_FILES, i - 1, 0))
			return "files out of order";
	}
	return NULL;
}

static int check_sections(struct image *img, struct err *e)
{
	/* strings first; then each only after those that it refers to */
	static const struct {
		enum image_section section;
		const char *(*check)(struct image *img);
	} checks[] = {
		{ IMAGE_STRINGS, check_strings }, { IMAGE_FILES, check_files },     { IMAGE_CONTEXTS, check_contexts },
		{ IMAGE_TYPES, check_types },     { IMAGE_RETIRED, check_retired }, { IMAGE_NAMES, check_names },
		{ IMAGE_PATHS, check_paths },     { IMAGE_EXECS, check_execs },     { IMAGE_NODES, check_nodes },
		{ IMAGE_GROUPS, check_groups },   { IMAGE_PLACES, check_places },   { IMAGE_PORTS, check_ports },
		{ IMAGE_RULES, check_rules },
	};

	_Static_assert(ARRAY_SIZE(checks) == IMAGE_SECTION_COUNT_1, "every section that may have rows is checked");
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		const char *why = checks[i].check(img);

		if (why)
			return err_set(e, -DSI_EPARSE, "policy image: section %s: %s",
				       sections[checks[i].section].name, why);
	}
	return 0;
}

/* Sections follow each other without gap or overlap; size is what the header says. What the format lacks has no rows. */
static int read_layout(struct image *img, struct err *e)
{
	size_t at = img->format == 1 ? IMAGE_HEADER_LEN_1 : IMAGE_HEADER_LEN_2;

	for (u32 s = 0; s < image_section_count(img->format); s++) {
		const u8 *h = img->data + IMAGE_OFF_SECTIONS + (size_t)s * 12;
		u32 offset = get32(h), size = get32(h + 4), count = get32(h + 8);

		if (count > sections[s].max)
			return err_set(e, -DSI_ELIMIT, "policy image: section %s has %u rows, at most %u",
				       sections[s].name, count, sections[s].max);
		if (count && sections[s].level > KNOWS_NOW)
			return err_set(e, -DSI_EVERSION, "policy image: section %s has %u rows that this program does not "
				       "know: bring its package up to date", sections[s].name, count);
		if (offset != at || size != count * sections[s].width)
			return err_set(e, -DSI_EPARSE, "policy image: section %s is misplaced", sections[s].name);
		if (size > img->len - at)
			return err_set(e, -DSI_ETRUNC, "policy image: section %s is cut short", sections[s].name);
		img->section[s].offset = offset;
		img->section[s].count = count;
		for (at += size; at % 4; at++)
			if (at >= img->len || img->data[at])
				return err_set(e, -DSI_EPARSE, "policy image: padding after %s", sections[s].name);
	}
	if (at != img->len)
		return err_set(e, -DSI_ETRAIL, "policy image: trailing bytes");
	return 0;
}

static int read_header(struct image *img, struct err *e)
{
	u32 size;

	if (img->len < IMAGE_HEADER_LEN_1)
		return err_set(e, -DSI_ETRUNC, "policy image: shorter than its header");
	if (memcmp(img->data, IMAGE_MAGIC, 4))
		return err_set(e, -DSI_EPARSE, "not a policy image");
	img->format = get16(img->data + 4);
	if (!img->format || img->format > IMAGE_FORMAT)
		return err_set(e, -DSI_EVERSION, "policy image: format %u, this program knows 1 to %u: bring its package up "
			       "to date", img->format, IMAGE_FORMAT);
	if (img->format > 1 && img->len < IMAGE_HEADER_LEN_2)
		return err_set(e, -DSI_ETRUNC, "policy image: shorter than its header");
	img->flags = get16(img->data + 6);
	if (img->flags & ~(u32)DSI_POLICY_PERMISSIVE)
		return err_set(e, -DSI_EVERSION, "policy image: unknown flags 0x%x", img->flags);
	size = get32(img->data + 8);
	if (size != img->len)
		return err_set(e, size > img->len ? -DSI_ETRUNC : -DSI_ETRAIL,
			       "policy image: %zu bytes, its header says %u", img->len, size);
	return 0;
}

int image_open(struct image *ret, const void *data, size_t len, struct err *e)
{
	struct image img = { .data = data, .len = len, .nclass_end = DSI_NCLASS_FIRST, .pclass_end = 1 };
	int r;

	if (len > IMAGE_SIZE_MAX)
		return err_set(e, -DSI_ELIMIT, "policy image: %zu bytes, at most %d", len, IMAGE_SIZE_MAX);
	r = read_header(&img, e);
	if (!r)
		r = read_layout(&img, e);
	if (!r)
		r = check_sections(&img, e);
	if (r)
		return r;
	if (!str_ok(&img, get32(img.data + IMAGE_OFF_NAME)))
		return err_set(e, -DSI_EPARSE, "policy image: bad policy name");
	img.name = str(&img, get32(img.data + IMAGE_OFF_NAME));
	*ret = img;
	return 0;
}
