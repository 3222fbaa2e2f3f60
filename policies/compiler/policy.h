/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The source model: what the admin wrote, name by name, with positions. Made by parse, completed by
 * check, read by compile, eval and print. Everything lives in one arena and dies with it; nothing here
 * depends on the order of files.
 *
 * Two name spaces: domains, file types and sets share one; node groups and nodes have one each.
 */
#ifndef DSI_POLICIES_COMPILER_POLICY_H
#define DSI_POLICIES_COMPILER_POLICY_H

#include "lib/arena.h"
#include "lib/compiler.h"
#include "policies/compiler/vocab.h"
#include "policies/image.h"

enum {
	POLICY_FILES_MAX = IMAGE_FILES_MAX,
	POLICY_FILE_SIZE_MAX = 32 << 20,
	POLICY_RULES_MAX = 500000,
	POLICY_SET_DEPTH_MAX = 32,
	POLICY_SET_MEMBERS_MAX = 1 << 20, /* sum over all sets, flattened */
	POLICY_PORTLISTS_MAX = 4096,      /* different port lists */
	POLICY_LIST_MAX = 4096,           /* members of one list in one statement */
	POLICY_SYMBOL_BUCKETS = 1 << 15,
};

struct pos {
	u32 file, line, col; /* file: index in policy->files; line, col from 1; line 0: no position */
};

struct policy_file {
	const char *name; /* as given, for messages */
	const char *text;
	size_t len;
};

/* An interned name: equal texts are one symbol. The pointers say what it was declared as (first wins). */
struct symbol {
	struct symbol *hash_next;
	const char *text;
	const struct vocab_name *reserved; /* NULL: not reserved */
	struct domain *domain;
	struct filetype *type;
	struct set *set;
	struct group *group;
	struct node *node;
	u32 mark;      /* scratch of check: last walk that saw it */
	u32 sid, tsid; /* compile: SID as a context, SID as a file type; 0: none */
};

struct ref {
	struct symbol *sym;
	struct pos pos;
};

struct pathref {
	const char *path;
	struct pos pos;
};

struct group {
	struct group *next;
	struct ref name;
	struct ref *nodes;
	u32 n_nodes;
	u32 index;                         /* check: number among the groups */
	u8 classes[IMAGE_CLASSES_LEN];     /* compile */
};

struct node {
	struct node *next;
	struct symbol *sym;
	u32 nclass; /* compile */
};

struct set {
	struct set *next;
	struct ref name;
	struct ref *members;
	u32 n_members;
	struct ref *flat; /* check: members without sets, each once; positions are those in this set */
	u32 n_flat;
	enum { SET_NEW, SET_OPEN, SET_DONE } state;
};

struct domain {
	struct domain *next;
	struct ref name;
	u32 flags; /* enum dsi_context_flag */
	struct pathref *execs;
	u32 n_execs;
	struct ref *from; /* as written */
	u32 n_from;
	struct ref *enters; /* check: the domains that enter this one, each once; `default` when none is written */
	u32 n_enters;
	bool has_from;
	bool whole; /* its body parsed to the end */
};

/* One `files` block; several blocks may add to one type. symbol->type is the first. */
struct filetype {
	struct filetype *next;
	struct ref name;
	struct pathref *paths;
	u32 n_paths;
};

struct term {
	struct ref name;      /* sym NULL: `*` (in never only) */
	struct symbol *group; /* NULL: no @, or @* */
	bool at;              /* @ was written; without a group it is @* */
	struct pos group_pos;
};

struct port_range {
	u16 first, last;
};

enum rule_kind { RULE_ALLOW, RULE_NEVER };

struct rule {
	struct rule *next;
	enum rule_kind kind;
	struct pos pos;
	struct ref on; /* sym NULL: everywhere */
	struct term *subjects, *targets;
	u32 n_subjects, n_targets;
	u32 cls, perms;
	struct pos cls_pos, perm_pos;
	struct port_range *ports; /* sorted, merged; n_ports 0: every port */
	u32 n_ports;
	u32 portlist; /* compile: which list of ports; 0: every port */
	u16 *sockets; /* DSI_SOCKET_QUAL, for class socket */
	u32 n_sockets;
	bool bad; /* check found an error in it: not compiled */
	u32 n_entries, n_covered;        /* compile: keys it makes; those that other rules grant too */
	const struct rule *covered_by;
};

struct policy {
	struct arena *arena;
	struct policy_file files[POLICY_FILES_MAX];
	u32 n_files;
	struct symbol *buckets[POLICY_SYMBOL_BUCKETS];
	const char *name; /* NULL: no policy statement */
	struct pos name_pos;
	u32 flags; /* enum dsi_policy_flag */
	struct group *groups, **groups_end;
	struct node *nodes;
	struct set *sets, **sets_end;
	struct domain *domains, **domains_end;
	struct filetype *types, **types_end;
	struct rule *rules, **rules_end;
	u32 n_rules;
	u32 walk; /* source of marks */
	/* check */
	u32 n_groups;
	struct ref *confined; /* domains that need rules: what `*` means in never */
	u32 n_confined;
};

struct policy *policy_new(struct arena *arena); /* NULL: no memory */
/* Intern s[0..len); NULL: no memory. */
struct symbol *policy_symbol(struct policy *p, const char *s, size_t len);
/* Look up without interning; NULL: never written. */
struct symbol *policy_symbol_find(const struct policy *p, const char *s);
/* Sort and merge port ranges in place; the new count. */
u32 policy_merge_ports(struct port_range *r, u32 n);
/* Base name of file i: what the image says instead of a path; "?" when it is none that an image may hold. */
const char *policy_file_base(const struct policy *p, u32 i);

static inline bool symbol_is_context(const struct symbol *s)
{
	return s->reserved ? s->reserved->use & VOCAB_DOMAIN : s->domain != NULL;
}

static inline bool symbol_is_type(const struct symbol *s)
{
	return s->reserved ? s->reserved->use & VOCAB_TYPE : s->type != NULL;
}

static inline bool symbol_is(const struct symbol *s, u32 sid)
{
	return s->reserved && s->reserved->number == sid;
}

#endif
