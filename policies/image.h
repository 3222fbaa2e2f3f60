/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiled policy image: what is signed, pushed, stored and loaded. This header is the whole
 * contract for daemons and loader; nothing outside the compiler needs any other file of policies/.
 *
 * The bytes are a function of the policy's meaning, its file base names and line numbers, and the base
 * image: no clock, no randomness, no absolute path. Version, author and signature are NOT in here: a
 * signed log entry names the image by the SHA-256 of its bytes. All integers are little-endian.
 *
 *	header   magic "DSIP", u16 format, u16 flags (enum dsi_policy_flag), u32 size, u32 name,
 *	         u8 base[32] (SHA-256 of the image whose SIDs were kept; zero: none),
 *	         as many x { u32 offset, u32 size, u32 count } as the format has sections: 1: 13, 2: 22
 *	strings  NUL-terminated, sorted, unique; every "name" or "path" is an offset in here
 *	contexts { u32 sid, name, flags (enum dsi_context_flag), file, line }   by sid; 1..3 are always there
 *	types    { u32 sid, name }                                              by sid; 3, 4 are always there
 *	retired  { u32 sid, name, kind }       by sid: names that were removed; a SID never means another name
 *	names    { u32 name, sid }             by name: contexts and types from DSI_SID_FIRST on
 *	paths    { u32 path, sid }             by path: subtree -> file type, the nearest ancestor wins
 *	execs    { u32 path, from, to }        by path, from: process in `from` executes path -> enters `to`
 *	nodes    { u32 name, nclass }          by name
 *	groups   { u32 name, u8 classes[32] }  by name; bitmap of node classes
 *	places   { u8 classes[32] }            sorted, unique; where a rule is loaded
 *	ports    { u16 first, last, u32 pclass } sorted, disjoint; other ports are DSI_PCLASS_OTHER
 *	rules    { rule key (u32 ssid, tsid, u16 nclass, qual, u32 cls), u32 allow, u32 line, u16 file, u16 place }
 *	         strictly ascending by (key, place, file, line)
 *	files    { u32 name }                  source files, base names
 *	  format 2 goes on:
 *	phases   { u32 sid, domain, phase }    by sid: `domain` (a name) in which phase; contexts only
 *	protect  { u32 ssid, tsid, u16 nclass, qual, u32 how }  by the first four, as in a rule's key; how: 1 mtls
 *	filter   { u16 from (node class), proto (IP), first, last, place, zero }  ascending; what the packet filter admits
 *	audit    { u32 ssid, tsid, cls, perms, level }  ascending: what is recorded from which level on
 *	patterns { u32 name, record, key, count, window_ms, severity }  by name; key: bit set of the record's fields
 *	reactions{ u32 pattern, what, bound, sid }  ascending; pattern: row of patterns; sid: context restricted to, or 0
 *	signed   { u32 sid, u8 digest[32] }    by sid, digest: what may be code there; zero digest: whatever a key signed
 *	services { u32 name, sid, flags }      by name: which context may announce it
 *	attributes { u32 service, user, sid }  by service, user (names): the context of a session
 *
 * Written as format 1 unless a section of format 2 has rows, so that a cluster in the middle of an upgrade takes every
 * policy that its older members can. The sections of format 2 are laid out here and filled by nothing yet: rows in a
 * section that this program has no meaning for are refused (-DSI_EVERSION), never skipped: what was left out might be
 * the refusal. IMAGE_SECTION_TABLE says by `level` who knows the rows (lib/knows.h).
 *
 * Sections lie in this order, each 4-aligned behind the one before, padding zero. image_open() proves
 * all of this once; accessors then only decode and never fail on a valid index.
 *
 * How a key is asked (what the kernel part must build; [] = nclass LOCAL, qual 0 unless said):
 *	file     { process, type of the path } ; transition { old context, new context }
 *	process  { process, target process }
 *	tcp      connect { process, ANY, nclass of peer, pclass of remote port }
 *	         accept  { peer's context, listener, nclass of peer, pclass of local port }
 *	                 a host that is no member: ssid OUTSIDE, nclass OUTSIDE;
 *	                 a member past the lease: ssid STALE, nclass of that member
 *	         bind, listen { process, same process, LOCAL, pclass of local port }
 *	socket   create  { process, same process, LOCAL, DSI_SOCKET_QUAL(family, type) }
 * A peer on the same node is nclass LOCAL. Subjects with DSI_CTX_UNCONFINED need no rule where nclass is
 * LOCAL, whatever the class; elsewhere everybody does. Port 0 on bind ("any") is asked as port 0.
 */
#ifndef DSI_POLICIES_IMAGE_H
#define DSI_POLICIES_IMAGE_H

#include "lib/compiler.h"
#include "lib/err.h"
#include "lib/knows.h"
#include "policies/vocabulary.h"

enum {
	IMAGE_FORMAT = 2, /* the newest; 1 is read and written as well */
	IMAGE_DIGEST_LEN = 32,
	IMAGE_CLASSES_LEN = (DSI_NCLASS_MAX + 1) / 8,
	IMAGE_PLACE_EVERYWHERE = 0xffff,
	IMAGE_NAME_MAX = 63,  /* bytes of a name, without the NUL */
	IMAGE_PATH_MAX = 1023,
	IMAGE_NAMES_MAX = 65536,
	IMAGE_PATHS_MAX = 65536,
	IMAGE_NODES_MAX = 4096,
	IMAGE_GROUPS_MAX = 1024,
	IMAGE_FILES_MAX = 1024,
	IMAGE_RULES_MAX = 1 << 20,
	IMAGE_SIGNED_MAX = 1 << 20,
	IMAGE_ROWS_MAX = 4096, /* of the small sections of format 2 */
	IMAGE_SIZE_MAX = 64 << 20,
	IMAGE_SID_END = 1 << 20, /* SIDs from here on are the log's to grant for contexts made at run time */
};

#define IMAGE_SECTION_TABLE(X)                                                                         \
	/* X(name, bytes of a row, rows at most, level of lib/knows.h that knows the rows) */          \
	X(STRINGS, 1, IMAGE_SIZE_MAX, 1)                                                               \
	X(CONTEXTS, 20, IMAGE_NAMES_MAX, 1)                                                            \
	X(TYPES, 8, IMAGE_NAMES_MAX, 1)                                                                \
	X(RETIRED, 12, IMAGE_SID_END, 1)                                                               \
	X(NAMES, 8, IMAGE_NAMES_MAX, 1)                                                                \
	X(PATHS, 8, IMAGE_PATHS_MAX, 1)                                                                \
	X(EXECS, 12, IMAGE_PATHS_MAX, 1)                                                               \
	X(NODES, 8, IMAGE_NODES_MAX, 1)                                                                \
	X(GROUPS, 36, IMAGE_GROUPS_MAX, 1)                                                             \
	X(PLACES, 32, IMAGE_PLACE_EVERYWHERE, 1)                                                       \
	X(PORTS, 8, 65536, 1)                                                                          \
	X(RULES, 28, IMAGE_RULES_MAX, 1)                                                               \
	X(FILES, 4, IMAGE_FILES_MAX, 1)                                                                \
	/* format 2. KNOWS_NOBODY: laid out, not yet filled; who fills one gives it the next level */  \
	X(PHASES, 12, IMAGE_NAMES_MAX, KNOWS_NOBODY)                                                   \
	X(PROTECT, 16, IMAGE_ROWS_MAX, KNOWS_NOBODY)                                                   \
	X(FILTER, 12, IMAGE_ROWS_MAX, KNOWS_NOBODY)                                                    \
	X(AUDIT, 20, IMAGE_ROWS_MAX, KNOWS_NOBODY)                                                     \
	X(PATTERNS, 24, IMAGE_ROWS_MAX, KNOWS_NOBODY)                                                  \
	X(REACTIONS, 16, IMAGE_ROWS_MAX, KNOWS_NOBODY)                                                 \
	X(SIGNED, 36, IMAGE_SIGNED_MAX, KNOWS_NOBODY)                                                  \
	X(SERVICES, 12, IMAGE_ROWS_MAX, KNOWS_NOBODY)                                                  \
	X(ATTRIBUTES, 12, IMAGE_ROWS_MAX, KNOWS_NOBODY)

enum image_section {
#define X(name, width, max, level) IMAGE_##name,
	IMAGE_SECTION_TABLE(X)
#undef X
	IMAGE_SECTION_COUNT,
	IMAGE_SECTION_COUNT_1 = IMAGE_FILES + 1, /* of format 1 */
};

enum image_kind { IMAGE_KIND_CONTEXT = 1, IMAGE_KIND_TYPE = 2 };

/* An open image: a view into bytes that the caller keeps unchanged and alive. Copyable, nothing to free. */
struct image {
	const u8 *data;
	size_t len;
	u32 format;
	const char *name;
	u32 flags; /* enum dsi_policy_flag */
	struct {
		u32 offset, count;
	} section[IMAGE_SECTION_COUNT];
	u32 nclass_end; /* one past the highest node class; DSI_NCLASS_FIRST when no group names a node */
	u32 pclass_end; /* one past the highest port class; 1 when no rule names a port */
};

struct image_context {
	u32 sid;
	const char *name;
	u32 flags;
	const char *file; /* where declared; NULL for a reserved context that nobody declared */
	u32 line;
};

struct image_type {
	u32 sid;
	const char *name;
};

struct image_retired {
	u32 sid;
	const char *name;
	u32 kind; /* enum image_kind */
};

struct image_path {
	const char *path;
	u32 sid;
};

struct image_exec {
	const char *path;
	u32 from, to;
};

struct image_node {
	const char *name;
	u32 nclass;
};

struct image_group {
	const char *name;
	const u8 *classes; /* IMAGE_CLASSES_LEN bytes; bit n%8 of byte n/8 = node class n */
};

struct image_ports {
	u16 first, last;
	u32 pclass;
};

/* One statement's share in one key. Several rules may have one key: image_rules_for() merges them. */
struct image_rule {
	struct dsi_rule_key key;
	u32 allow;
	u32 line;
	const char *file;
	const u8 *where; /* classes of the nodes that load it; NULL: every node */
};

/*
 * Check untrusted bytes completely and fill *ret. 0 or -DSI_ETRUNC, -DSI_ETRAIL, -DSI_EVERSION,
 * -DSI_ELIMIT, -DSI_EPARSE with the reason in *e (may be NULL). Time O(n log n) in the size, no allocation.
 */
int image_open(struct image *ret, const void *data, size_t len, struct err *e) DSI_MUST_CHECK;

/* The level (lib/knows.h) that a program needs to load it: 1 for what every program can. */
u32 image_level(const struct image *img);

const u8 *image_base_digest(const struct image *img); /* IMAGE_DIGEST_LEN bytes; zero: built without a base */

/* Rows. i < image_count(img, section) is the caller's duty (asserted). */
u32 image_count(const struct image *img, enum image_section section);
struct image_context image_context(const struct image *img, u32 i);
struct image_type image_type(const struct image *img, u32 i);
struct image_retired image_retired(const struct image *img, u32 i);
struct image_path image_path(const struct image *img, u32 i);
struct image_exec image_exec(const struct image *img, u32 i);
struct image_node image_node(const struct image *img, u32 i);
struct image_group image_group(const struct image *img, u32 i);
struct image_ports image_ports(const struct image *img, u32 i);
struct image_rule image_rule(const struct image *img, u32 i);
const char *image_file(const struct image *img, u32 i);

/* Look-ups. Names of reserved SIDs are known too. */
u32 image_nclass_of(const struct image *img, const char *node_name); /* DSI_NCLASS_MEMBER when not named */
u32 image_pclass_of(const struct image *img, u16 port);
const char *image_sid_name(const struct image *img, u32 sid); /* NULL when unknown; retired names are found */
bool image_sid_by_name(const struct image *img, const char *name, u32 *ret_sid);
bool image_context_of(const struct image *img, u32 sid, struct image_context *ret);
u32 image_type_of_path(const struct image *img, const char *path); /* nearest labelled ancestor; DSI_SID_UNLABELED */
u32 image_exec_of(const struct image *img, u32 from, const char *path); /* context after exec: `from` when no entry */

/*
 * What the node `own` loads: each key once, permissions of all its rules on this node merged, in
 * ascending key order. value.rule is the index of the rule (image_rule()), DSI_RULE_NONE when several.
 * A callback's non-zero answer stops the walk and is returned.
 */
typedef int (*image_rule_fn)(void *arg, const struct dsi_rule_key *key, const struct dsi_rule_value *value);
int image_rules_for(const struct image *img, const char *own, image_rule_fn fn, void *arg);
u32 image_rules_count_for(const struct image *img, const char *own);

/* The decision on node `own`, as the kernel makes it. perm: one or more bits, all must be granted. */
enum image_verdict {
	IMAGE_REFUSED,
	IMAGE_PERMISSIVE, /* no rule, recorded, let through: context or policy is permissive */
	IMAGE_UNCONFINED, /* the subject needs no rule for this */
	IMAGE_ALLOWED,    /* by rule */
};

struct image_why {
	enum image_verdict verdict;
	u32 rule; /* ALLOWED: first rule that grants a bit of perm; else DSI_RULE_NONE */
};

enum image_verdict image_decide(const struct image *img, const char *own, const struct dsi_rule_key *key,
				u32 perm, struct image_why *ret_why /* may be NULL */);

/*
 * The same as a person reads it: the rule's file:line, or "no rule: default deny" with the nearest
 * candidates (same subject and target, other permission, port, node). Always NUL-terminates dst.
 */
enum image_verdict image_explain(const struct image *img, const char *own, const struct dsi_rule_key *key,
				 u32 perm, char *dst, size_t cap);

/* Texts for keys: "nginx -> redis:tcp accept port 6379 from n1". Always NUL-terminates. */
void image_key_text(const struct image *img, const struct dsi_rule_key *key, u32 perm, char *dst, size_t cap);

/* Names of classes and permissions; NULL when unknown. `dst` gets "read write" for a set of bits. */
const char *image_class_name(u32 cls);
u32 image_class_perms(u32 cls); /* all bits of the class */
const char *image_perm_name(u32 cls, u32 bit);
void image_perms_text(u32 cls, u32 perms, char *dst, size_t cap);

static inline bool image_classes_has(const u8 *classes, u32 nclass)
{
	return nclass <= DSI_NCLASS_MAX && (classes[nclass / 8] >> (nclass % 8) & 1);
}

#endif
