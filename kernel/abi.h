/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the BPF programs and user space agree on: map keys and values, the shared state page, the event
 * record, reasons. Compiled by the host compiler and by clang -target bpf; no libc, fixed-width types,
 * every size asserted. DSI_ABI_VERSION rises with any change of a size, an offset or a meaning; it stands
 * at offset 0 of the pinned state map, so that a newer dsid recognises pins it cannot drive.
 *
 * Addresses are 16 bytes; IPv4 is written ::ffff:a.b.c.d. Ports, lengths, SIDs: host byte order.
 */
#ifndef DSI_KERNEL_ABI_H
#define DSI_KERNEL_ABI_H

#include "policies/vocabulary.h"

enum {
	DSI_ABI_VERSION = 1,
	DSI_STATE_MAGIC = 0x31495344, /* "DSI1" */
	DSI_SLOTS = 2,                /* policy sets kept: the one in force and the one being filled */
	DSI_NAME_LEN = 64,            /* file name in an exec entry, with NUL */
	DSI_PATH_LEN = 1024,          /* path in a record from user space, with NUL (image: 1023) */
	DSI_WALK_MAX = 128,           /* ancestors looked at; deeper is "unknown", refused for the confined */
	DSI_EXEMPT_MAX = 16,
	DSI_COMM_LEN = 16,
	DSI_EVENT_PATH = 128,
	DSI_ADDRS_MAX = 4096,         /* addresses of all nodes together */
	DSI_NODES_MAX = 1024,         /* = LIM_NIDS */
	DSI_CONNS_MAX = 16384,        /* SYNs judged and not yet accepted, LRU */
	DSI_RING_BYTES = 1 << 20,
	DSI_EVENTS_PER_SECOND = 64,   /* default limit per subject (SID, node) */
};

/* SYN option, experimental kind 253 (RFC 6994), always the last 20 bytes of the TCP header (the 20 that are
 * free beside the default options):
 * kind, length, ExID, SID, NID word, MAC; all big-endian. The MAC is kernel/synmac.h. */
enum {
	DSI_OPT_KIND = 253,
	DSI_OPT_LEN = 20,
	DSI_OPT_EXID = 0x0d51,
};
#define DSI_NID_WORD(nid, keygen) (((nid) << 8) | ((keygen)&0xff))
enum { DSI_NID_MAX = 0xffffff };

/* --- the shared state page ------------------------------------------------------------------------ */

enum dsi_mode { DSI_MODE_OFF, DSI_MODE_PERMISSIVE, DSI_MODE_ENFORCING, DSI_MODE_COUNT };
enum dsi_guard { DSI_GUARD_OFF, DSI_GUARD_ON };

/* What a slot holds. Written before `active` names it, constant while it does. */
struct dsi_slot {
	dsi_u64 policy_version; /* version in the cluster's log */
	dsi_u32 policy_flags;   /* enum dsi_policy_flag */
	dsi_u32 default_flags;  /* context flags of DSI_SID_DEFAULT: spares the commonest look-up */
	dsi_u32 n_labels;       /* labelled directories that were found; 0: no file is walked */
	dsi_u32 n_execs;
	dsi_u32 n_names;        /* files labelled by name */
	dsi_u32 zero;
	dsi_u8 digest[32];      /* of the image; told back to a dsid that re-adopts */
};

enum dsi_exempt_flag {
	DSI_EXEMPT_LABEL = 1 << 0,   /* SYNs to this port need no label: the service authenticates itself (ring, direct leg) */
	DSI_EXEMPT_REVOKED = 1 << 1, /* open also to suspended and revoked nodes, both directions */
};
struct dsi_exempt {
	dsi_u16 port;
	dsi_u8 proto; /* IPPROTO_TCP, IPPROTO_UDP; 0: unused */
	dsi_u8 flags; /* enum dsi_exempt_flag */
};

/* The programs' .bss: one page-sized map, mapped by dsid, read by every hook. */
struct dsi_state {
	dsi_u32 abi;            /* DSI_ABI_VERSION; by the loader, once */
	dsi_u32 magic;
	dsi_u32 size;           /* sizeof(struct dsi_state) */
	dsi_u32 mode;           /* enum dsi_mode */
	dsi_u32 active;         /* generation; slot = active % DSI_SLOTS; 0: no policy yet. Read once per hook */
	dsi_u32 own_nid;        /* 0: not enrolled */
	dsi_u32 guard;          /* enum dsi_guard */
	dsi_u32 revalidate;     /* enum dsi_revalidate */
	dsi_u32 quarantined;    /* nodes suspended or revoked */
	dsi_u32 rate;           /* events per second and subject; 0: no limit */
	dsi_u32 flags;          /* enum dsi_state_flag */
	dsi_u32 keygen_own;     /* low 8 bits: generation in labels to this node itself */
	dsi_u64 lease_deadline; /* CLOCK_BOOTTIME ns; remote labels past it are DSI_SID_STALE; 0: no trust */
	dsi_u64 own_key[2];     /* MAC key of connections inside this node; random, by the loader */
	dsi_u64 loaded_at;      /* CLOCK_BOOTTIME ns */
	dsi_u64 guard_ino;      /* directory of our pins ... */
	dsi_u64 guard_mnt;      /* ... its mount, as the kernel addresses it ... */
	dsi_u32 guard_dev;      /* ... and its s_dev */
	dsi_u32 zero;
	dsi_u64 ovl_inuse;      /* bit of inode.i_state that says "layer of an overlay" on this kernel */
	struct dsi_slot slots[DSI_SLOTS];
	struct dsi_exempt exempt[DSI_EXEMPT_MAX];
};

enum dsi_revalidate {
	DSI_REVALIDATE_OFF,
	DSI_REVALIDATE_LOST,    /* the other slot still holds the policy before: who loses a right is stopped */
	DSI_REVALIDATE_STOPPED, /* it is being refilled: who was stopped stays so */
};

enum dsi_state_flag {
	DSI_STATE_ATTACHED = 1 << 0, /* every hook is attached and pinned; set last by the loader */
	DSI_STATE_REFUSED_RST = 1 << 1, /* somebody answers refused SYNs (ring reader alive) */
};

/* --- policy set: one of each per slot, in arrays of maps ------------------------------------------ */

/* rules: struct dsi_rule_key -> struct dsi_rule_value (policies/vocabulary.h)
 * contexts: u32 sid -> u32 flags
 * nclasses: u32 nid -> u32 node class; missing: DSI_NCLASS_MEMBER
 * ports: 0 -> struct dsi_ports
 * labels: struct dsi_inode_key -> u32 sid
 * execs: struct dsi_name_key -> u32 sid to enter; from = 0: type of a file labelled by itself, there or not yet */
struct dsi_ports {
	dsi_u16 pclass[65536];
};

/* An inode as the kernel sees it (s_dev, not st_dev: they differ on overlayfs). */
struct dsi_inode_key {
	dsi_u64 ino;
	dsi_u32 dev;
	dsi_u32 zero;
};

/* A file by directory and name: an upgrade that renames a new file into place (a package's program,
 * /etc/shadow) keeps what is said about it. */
struct dsi_name_key {
	dsi_u64 dir_ino;
	dsi_u32 dir_dev;
	dsi_u32 from; /* SID that executes; 0: this is a label */
	dsi_u8 name[DSI_NAME_LEN]; /* NUL-padded */
};

/* --- records that fill a policy set (mapset_put) -------------------------------------------------- */

#define DSI_REC_TABLE(X)                                                                               \
	X(RULE, 1, dsi_rec_rule, 1 << 20)                                                             \
	X(CONTEXT, 2, dsi_rec_context, 65536)                                                         \
	X(PORTS, 3, dsi_rec_ports, 65536)                                                             \
	X(NCLASS, 4, dsi_rec_nclass, DSI_NODES_MAX)                                                   \
	X(LABEL, 5, dsi_rec_label, 65536)                                                             \
	X(EXEC, 6, dsi_rec_exec, 65536)

enum dsi_rec_kind {
#define X(name, number, type, max) DSI_REC_##name = number,
	DSI_REC_TABLE(X)
#undef X
	DSI_REC_COUNT
};

struct dsi_rec_rule {
	struct dsi_rule_key key;
	struct dsi_rule_value value;
};
struct dsi_rec_context {
	dsi_u32 sid;
	dsi_u32 flags; /* enum dsi_context_flag */
};
struct dsi_rec_ports {
	dsi_u16 first, last; /* both included */
	dsi_u32 pclass;
};
struct dsi_rec_nclass {
	dsi_u32 nid;
	dsi_u32 nclass;
};
struct dsi_rec_label {
	dsi_u32 sid;
	dsi_u32 zero;
	char path[DSI_PATH_LEN]; /* a directory labels what is below it, a file itself; links are followed */
};
struct dsi_rec_exec {
	dsi_u32 from, to;
	char path[DSI_PATH_LEN];
};

/* --- labels --------------------------------------------------------------------------------------- */

/* In task storage. A task without one is DSI_SID_DEFAULT (kernel threads: DSI_SID_KERNEL). */
struct dsi_task_label {
	dsi_u32 sid;
	dsi_u32 next; /* entered at the end of the exec under way; DSI_SID_NONE: none */
};

/* In socket storage. A socket without one is owned by DSI_SID_DEFAULT and has an unlabelled peer. */
struct dsi_sock_label {
	dsi_u32 sid;      /* own: of the creator; children have the listener's */
	dsi_u32 peer_sid; /* DSI_SID_NONE: not accepted with a label */
	dsi_u32 peer_nid; /* 0: none; own NID: same node */
	dsi_u32 flags;    /* enum dsi_sock_flag */
};
enum dsi_sock_flag {
	DSI_SOCK_ACCEPTED = 1 << 0,
};

/* In inode storage. Each word is written and read whole; both carry the generation they are true for.
 * A file that was renamed to or from a name with a label of its own is never cached again. */
struct dsi_inode_label {
	dsi_u64 label;    /* generation << 32 | sid */
	dsi_u64 decision; /* ssid << 32 | low 24 bits of generation << 8 | file permissions granted */
	dsi_u64 uncached; /* only ever set */
};

/* --- nodes ---------------------------------------------------------------------------------------- */

enum dsi_node_state { DSI_NODE_NONE, DSI_NODE_MEMBER, DSI_NODE_SUSPENDED, DSI_NODE_REVOKED, DSI_NODE_STATE_COUNT };

struct dsi_addr {
	dsi_u8 a[16];
};

/* nodes: u32 nid -> */
struct dsi_node {
	dsi_u32 state;       /* enum dsi_node_state */
	dsi_u32 keygen;      /* generation of key[0]; key[1] is keygen - 1 */
	dsi_u64 key[2][2];   /* pairwise SipHash keys: current, previous */
	dsi_u32 has_previous;
	dsi_u32 zero;
};

/* addrs: struct dsi_addr -> u32 nid */

/* conns: SYN judged -> label, until the child socket takes it. */
struct dsi_conn_key {
	struct dsi_addr saddr, daddr;
	dsi_u16 sport, dport;
	dsi_u32 zero;
	dsi_u64 net; /* network namespace */
};
struct dsi_conn {
	dsi_u32 ssid, snid;
	dsi_u32 isn;
	dsi_u32 used; /* the child exists: the same SYN again is a replay */
};

/* --- iterators (driven by kernel/ only, not a format) --------------------------------------------- */

enum dsi_scan_op { DSI_SCAN_TELL, DSI_SCAN_LABEL, DSI_SCAN_EXECS, DSI_SCAN_POLICY, DSI_SCAN_NODES };

/* What the next iterator run is to do. */
struct dsi_scan {
	dsi_u32 op;   /* enum dsi_scan_op */
	dsi_u32 tgid; /* this process only; 0: all */
	dsi_u32 sid;  /* LABEL: to give */
	dsi_u32 gen;  /* policy set to go by; its slot must be filled */
};
/* A question put to the decision itself (BPF test run): what the kernel would answer. */
struct dsi_query {
	struct dsi_rule_key key;
	dsi_u32 perm;
	dsi_u32 gen;                           /* policy set to ask */
	dsi_u32 allow, reason, granted, rule;  /* answer, as struct dsi_answer */
};
struct dsi_scan_task {
	dsi_u32 pid, tgid, sid, changed;
};
/* A connection, an open file or a mapping whose right is gone. */
struct dsi_scan_sock {
	struct dsi_addr local, remote;
	dsi_u16 lport, rport;
	dsi_u8 family, state, gone, destroyed; /* gone: offender; else only counted */
};
struct dsi_scan_open {
	dsi_u32 pid, fd; /* of a mapping: 0 */
	dsi_u32 gone, zero;
};
/* Files that stay stopped: (subject, inode) that had a right and lost it. */
struct dsi_stop_key {
	dsi_u64 ino;
	dsi_u32 dev;
	dsi_u32 ssid;
};
/* Local ports that somebody listens on, found on the way by the connection sweep. */
struct dsi_listening {
	dsi_u8 bits[8192];
};
enum { DSI_STOPPED_MAX = 4096 };
/* Where an open descriptor points, as the kernel names it. */
struct dsi_scan_fd {
	dsi_u64 ino;
	dsi_u64 mnt;
	dsi_u32 dev, fd;
};

/* --- events --------------------------------------------------------------------------------------- */

#define DSI_EVENT_TABLE(X)                                                                             \
	X(DENY, 1, "denied")           /* no right */                                                 \
	X(GUARD, 2, "guard")           /* someone touched DSI itself */                               \
	X(LABEL, 3, "label")           /* a label could not be made or read */                        \
	X(TRANSITION, 4, "transition") /* a process entered another context; not a refusal */

/* Why. Numbers are a format (they travel in audit records): append only. */
#define DSI_REASON_TABLE(X)                                                                            \
	X(RULE, 0, "allowed by rule")                                                                 \
	X(UNCONFINED, 1, "subject is unconfined")                                                     \
	X(NO_RULE, 2, "no rule: default deny")                                                        \
	X(NO_LABEL, 3, "subject's label unknown")                                                     \
	X(TARGET_UNKNOWN, 4, "target's label unknown (deeper than the walk)")                         \
	X(RELABEL, 5, "move or link across labels")                                                   \
	X(LABEL_ROOT, 6, "a labelled directory may not be moved or removed")                          \
	X(UNSAFE_EXEC, 7, "context change refused: traced or shared process")                         \
	X(SYN_UNLABELLED, 8, "connection from a member's address without a label")                    \
	X(SYN_BAD_MAC, 9, "label's authentication failed")                                            \
	X(SYN_STALE_KEY, 10, "label made with a key that is no longer valid")                         \
	X(SYN_WRONG_NODE, 11, "label names another node than the address")                            \
	X(SYN_BAD_SID, 12, "label names a context that no process can have")                          \
	X(SYN_REPLAYED, 13, "label was used before")                                                  \
	X(SUSPENDED, 14, "node is suspended")                                                         \
	X(REVOKED, 15, "node is revoked")                                                             \
	X(NO_KEY, 16, "no key for that node")                                                         \
	X(PROTOCOL, 17, "protocol that no rule can name")                                             \
	X(GUARDED, 18, "belongs to DSI")                                                              \
	X(NO_MEMORY, 19, "no memory for a label")                                                     \
	X(NO_POLICY, 20, "no policy yet")

enum dsi_event_type {
#define X(name, number, text) DSI_EVENT_##name = number,
	DSI_EVENT_TABLE(X)
#undef X
};

enum dsi_reason {
#define X(name, number, text) DSI_REASON_##name = number,
	DSI_REASON_TABLE(X)
#undef X
	DSI_REASON_COUNT
};

enum dsi_event_flag {
	DSI_EVENT_ENFORCED = 1 << 0, /* else: recorded only (permissive) */
	DSI_EVENT_TUPLE = 1 << 1,    /* saddr..isn are set */
	DSI_EVENT_FILE = 1 << 2,     /* dev, ino, path are set */
	DSI_EVENT_SYN = 1 << 3,      /* a SYN of that tuple was dropped: answer it with a RST */
	DSI_EVENT_REVALIDATED = 1 << 4, /* something already open lost its right */
};

struct dsi_event {
	dsi_u16 abi;  /* DSI_ABI_VERSION */
	dsi_u8 type;  /* enum dsi_event_type */
	dsi_u8 flags; /* enum dsi_event_flag */
	dsi_u32 reason;
	dsi_u32 ssid, tsid;
	dsi_u32 snid;    /* subject's node; 0: this one, or no member (ssid OUTSIDE) */
	dsi_u32 nclass;
	dsi_u32 cls;     /* enum dsi_class; 0: none (guard) */
	dsi_u32 asked, missing; /* permission bits */
	dsi_u32 qual;    /* as in the rule key */
	dsi_u32 rule;    /* nearest rule's index, or DSI_RULE_NONE */
	dsi_u32 generation;
	dsi_u64 policy_version;
	dsi_u64 boottime;
	dsi_u32 pid;     /* thread group; 0 when judged in a packet's context */
	dsi_u32 uid;
	char comm[DSI_COMM_LEN];
	dsi_u64 ino;
	dsi_u32 dev;
	dsi_u32 suppressed; /* events of this subject dropped by the rate limit since its last one */
	struct dsi_addr saddr, daddr;
	dsi_u16 sport, dport;
	dsi_u32 isn;
	char path[DSI_EVENT_PATH]; /* names from the file up, each NUL-terminated, "" ends; see ring_event_path() */
};

/* Counters, per CPU: u32 -> u64. */
#define DSI_STAT_TABLE(X)                                                                              \
	X(DENIED, "denied")                                                                           \
	X(PERMISSIVE, "let through by permissive mode")                                               \
	X(EVENTS, "events sent")                                                                      \
	X(EVENTS_LOST, "events lost, ring full")                                                      \
	X(EVENTS_LIMITED, "events dropped by the rate limit")                                         \
	X(LABEL_UNKNOWN, "label unreadable")                                                          \
	X(SYN_SENT, "labels written")                                                                 \
	X(SYN_SENT_FAILED, "labels that found no room")                                               \
	X(SYN_OK, "labels verified")                                                                  \
	X(SYN_REFUSED, "connections refused")                                                         \
	X(TRANSITIONS, "context changes")                                                             \
	X(QUARANTINE_DROPS, "packets of suspended nodes dropped")                                     \
	X(STOPPED, "calls stopped by revalidation")                                                   \
	X(GUARDED, "touches refused by the guard")

enum dsi_stat {
#define X(name, text) DSI_STAT_##name,
	DSI_STAT_TABLE(X)
#undef X
	DSI_STAT_COUNT
};

#define DSI_ASSERT_SIZE(type, n) _Static_assert(sizeof(struct type) == (n), #type " is a format")
DSI_ASSERT_SIZE(dsi_slot, 64);
DSI_ASSERT_SIZE(dsi_exempt, 4);
DSI_ASSERT_SIZE(dsi_state, 48 + 64 + 2 * 64 + 16 * 4);
DSI_ASSERT_SIZE(dsi_ports, 131072);
DSI_ASSERT_SIZE(dsi_inode_key, 16);
DSI_ASSERT_SIZE(dsi_name_key, 80);
DSI_ASSERT_SIZE(dsi_rec_rule, 24);
DSI_ASSERT_SIZE(dsi_rec_context, 8);
DSI_ASSERT_SIZE(dsi_rec_ports, 8);
DSI_ASSERT_SIZE(dsi_rec_nclass, 8);
DSI_ASSERT_SIZE(dsi_rec_label, 1032);
DSI_ASSERT_SIZE(dsi_rec_exec, 1032);
DSI_ASSERT_SIZE(dsi_task_label, 8);
DSI_ASSERT_SIZE(dsi_sock_label, 16);
DSI_ASSERT_SIZE(dsi_inode_label, 24);
DSI_ASSERT_SIZE(dsi_node, 48);
DSI_ASSERT_SIZE(dsi_conn_key, 48);
DSI_ASSERT_SIZE(dsi_conn, 16);
DSI_ASSERT_SIZE(dsi_event, 272);
DSI_ASSERT_SIZE(dsi_query, 40);
_Static_assert(__builtin_offsetof(struct dsi_state, active) == 16, "state is a format");
_Static_assert(__builtin_offsetof(struct dsi_state, lease_deadline) == 48, "state is a format");
_Static_assert(__builtin_offsetof(struct dsi_state, slots) == 112, "state is a format");
_Static_assert(__builtin_offsetof(struct dsi_event, policy_version) == 48, "event is a format");
_Static_assert(__builtin_offsetof(struct dsi_event, path) == 144, "event is a format");

#endif
