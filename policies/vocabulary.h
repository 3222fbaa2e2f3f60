/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vocabulary of a decision, shared by the policy compiler, the daemons and the BPF programs:
 * reserved SIDs, classes, permissions, the rule key. Compiled by both the host compiler and
 * clang -target bpf, so: no libc, fixed-width types, sizes asserted. Numbers here are a format:
 * they are never reused, only appended to.
 *
 * A decision is one hash lookup:  allow = rules[{ssid, tsid, nclass, qual, class}] & perm.
 */
#ifndef DSI_POLICIES_VOCABULARY_H
#define DSI_POLICIES_VOCABULARY_H

#ifndef __bpf__
#include <stdint.h>
typedef uint8_t dsi_u8;
typedef uint16_t dsi_u16;
typedef uint32_t dsi_u32;
typedef uint64_t dsi_u64;
#else
typedef __u8 dsi_u8;
typedef __u16 dsi_u16;
typedef __u32 dsi_u32;
typedef __u64 dsi_u64;
#endif

/* Reserved SIDs (name in the policy language, meaning). Policy contexts start at DSI_SID_FIRST. */
#define DSI_SID_TABLE(X)                                                                               \
	X(NONE, 0, "none", "no label could be established: always refused")                           \
	X(DEFAULT, 1, "default", "processes that no exec rule entered; the default context")          \
	X(KERNEL, 2, "kernel", "kernel threads")                                                      \
	X(DSI, 3, "dsi", "DSI's own processes, state and objects")                                    \
	X(UNLABELED, 4, "unlabeled", "files below no labelled directory")                             \
	X(OUTSIDE, 5, "outside", "hosts that are no members of the cluster")                          \
	X(STALE, 6, "stale", "remote subjects while remote trust has run out")                        \
	X(ANY, 7, "any", "target of a source-side connect: the peer's context is not known there")    \
	X(SELF, 8, "self", "in the language only: the subject's own context")

enum dsi_sid {
#define X(name, number, text, doc) DSI_SID_##name = number,
	DSI_SID_TABLE(X)
#undef X
	DSI_SID_FIRST = 64, /* first SID given to a policy context or file type */
};

/* Node classes: nodes that no rule tells apart share one. The compiler numbers them from
 * DSI_NCLASS_FIRST by node *name*; the loader maps each NID to its class. */
enum dsi_nclass {
	DSI_NCLASS_LOCAL = 0,   /* subject and object on one node */
	DSI_NCLASS_OUTSIDE = 1, /* not a member */
	DSI_NCLASS_MEMBER = 2,  /* a member that no group names */
	DSI_NCLASS_FIRST = 3,
	DSI_NCLASS_MAX = 255,
};

/* Classes and permissions. CLASS(NAME, number, "text"), PERM(CLASS, NAME, bit, "text"). */
#define DSI_CLASS_TABLE(CLASS)                                                                         \
	CLASS(FILE, 1, "file")                                                                        \
	CLASS(PROCESS, 2, "process")                                                                  \
	CLASS(TCP, 3, "tcp")                                                                          \
	CLASS(SOCKET, 4, "socket")

#define DSI_PERM_TABLE(PERM)                                                                           \
	PERM(FILE, READ, 0, "read")        /* open for reading; list a directory */                   \
	PERM(FILE, WRITE, 1, "write")      /* open for writing, truncate, append */                   \
	PERM(FILE, EXECUTE, 2, "execute")  /* run as a program (exec) */                              \
	PERM(FILE, MAP, 3, "map")          /* map executable (shared libraries) */                    \
	PERM(FILE, CREATE, 4, "create")    /* make, link or move something into it */                 \
	PERM(FILE, DELETE, 5, "delete")    /* remove or move something out of it */                   \
	PERM(FILE, SETATTR, 6, "setattr")  /* mode, owner, times, xattrs */                           \
	PERM(PROCESS, TRANSITION, 0, "transition") /* enter the domain at exec */                     \
	PERM(PROCESS, SIGNAL, 1, "signal")                                                            \
	PERM(PROCESS, PTRACE, 2, "ptrace")                                                            \
	PERM(TCP, CONNECT, 0, "connect")   /* source side: tsid = any, nclass = the peer's */         \
	PERM(TCP, ACCEPT, 1, "accept")     /* target side, judged on the SYN before accept */         \
	PERM(TCP, BIND, 2, "bind")         /* local port */                                           \
	PERM(TCP, LISTEN, 3, "listen")                                                                \
	PERM(SOCKET, CREATE, 0, "create")  /* qual = DSI_SOCKET_QUAL(family, type) */

enum dsi_class {
#define CLASS(name, number, text) DSI_CLASS_##name = number,
	DSI_CLASS_TABLE(CLASS)
#undef CLASS
	DSI_CLASS_COUNT
};

enum dsi_perm {
#define PERM(cls, name, bit, text) DSI_PERM_##cls##_##name = 1u << bit,
	DSI_PERM_TABLE(PERM)
#undef PERM
};

/*
 * qual: for tcp the class of the port. Ports that no rule tells apart share a port class; class 0 is
 * "every port that no rule names". For socket: address family and type. Otherwise 0.
 */
#define DSI_SOCKET_QUAL(family, type) ((dsi_u16)(((family) << 4) | ((type)&0xf)))
enum { DSI_PCLASS_OTHER = 0, DSI_PCLASS_MAX = 4095 };

struct dsi_rule_key {
	dsi_u32 ssid;
	dsi_u32 tsid;
	dsi_u16 nclass; /* DSI_NCLASS_LOCAL, or the class of the *other* node */
	dsi_u16 qual;
	dsi_u32 cls; /* enum dsi_class; u32 so that the key has no holes */
};

struct dsi_rule_value {
	dsi_u32 allow; /* permission bits */
	dsi_u32 rule;  /* index of the rule in the image, for explain; DSI_RULE_NONE when several */
};
enum { DSI_RULE_NONE = 0xffffffffu };

/* Per-context flags. */
enum dsi_context_flag {
	DSI_CTX_UNCONFINED = 1 << 0, /* local file, process and socket access needs no rule; remote does */
	DSI_CTX_PERMISSIVE = 1 << 1, /* refusals are recorded, not enforced */
};

/* Per-image flags. */
enum dsi_policy_flag {
	DSI_POLICY_PERMISSIVE = 1 << 0,
};

_Static_assert(sizeof(struct dsi_rule_key) == 16, "rule key is a format");
_Static_assert(sizeof(struct dsi_rule_value) == 8, "rule value is a format");

#endif
