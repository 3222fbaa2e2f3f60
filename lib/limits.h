/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every limit of the system, with the assertions that tie them together. */
#ifndef DSI_LIB_LIMITS_H
#define DSI_LIB_LIMITS_H

#include "lib/compiler.h"

#ifndef DSI_VERSION
#define DSI_VERSION "0.1.0"
#endif

enum {
	LIM_NAME = 64,             /* node, domain, group, operator, cluster names, with NUL */
	LIM_PATH = 256,            /* labelled paths, with NUL */
	LIM_REASON = 200,          /* free text of a verdict, with NUL */
	LIM_VOTERS = 15,           /* voters in one set */
	LIM_SERVERS = 7,           /* nodes that may host dsi-ss */
	LIM_NODES = 128,           /* live members (CPG's own limit per group) */
	LIM_NIDS = 1024,           /* NIDs ever given; they are never reused */
	LIM_OPERATORS = 32,        /* operator keys in the cluster record */
	LIM_ADDRS = 4,             /* addresses of one node on the cluster's networks */
	LIM_TOKENS = 256,          /* tokens not yet used or expired */
	LIM_RING_MSG = 64 << 10,   /* one message on the ordered leg, envelope included */
	LIM_ENTRY_BODY = 48 << 10, /* body of a log entry: must fit a ring message with its envelope */
	LIM_BODY = 60 << 10,       /* any message body */
	LIM_POLICY = 32 << 20,     /* a compiled policy image */
	LIM_BLOB_NAME = 32,        /* blobs (policy images) are named by their SHA-256 */
	LIM_DIRECT_FRAME = 1 << 20,/* one frame on the direct leg */
	LIM_LINK_FRAME = 128 << 10,/* one frame between two processes of a daemon */
	LIM_RING_CONF = 64 << 10,  /* corosync.conf, where DSI changes or hands it on */
	LIM_RING_KEY = 4096,       /* corosync's own bounds of its key */
	LIM_RING_KEY_MIN = 128,
	LIM_CTL = 1 << 20,         /* one control request or reply (JSON text) */
	LIM_QUEUE = 4096,          /* messages waiting for the ring */
	LIM_SKEW_MS = 600000,      /* how far the date of an entry may be from our clock before we acknowledge it */
	LIM_FOREIGN = 16,          /* submissions that other members handed in over the direct leg, at once */
	LIM_FOREIGN_EACH = 4,      /* of these, by one member */
	LIM_STAGE = 64 << 20,      /* entries shown by a source, not yet proven committed */
	LIM_STATE = 4 << 20,       /* the image of the replicated state */
	LIM_SNAPSHOT_AHEAD = 256,  /* entries that a learner replays rather than take a snapshot */
	LIM_DIGEST_EVERY = 64,     /* entries between two comparisons of state */
	LIM_PROOF_EVERY = 1024,    /* entries between two commit proofs that are kept for good */
	LIM_SVC_FRAME = 64 << 10,  /* one packet on the service socket */
	LIM_SERVICES = 64,         /* services of one node, generations that drain included */
	LIM_SVC_CALLS = 256,       /* requests to services that are not answered yet, on one node */
	LIM_SVC_EACH = 32,         /* of these, of one connection */
	LIM_SVC_WAIT_MS = 10000,   /* how long a request waits for its answer, also over a provider's restart */
	LIM_SVC_DRAIN_MS = 5000,   /* how long an old generation may take for its last answers */
};

_Static_assert(LIM_ENTRY_BODY + 8192 <= LIM_BODY, "an entry fits a message body");
_Static_assert(LIM_STATE <= LIM_POLICY, "an image of the state is kept as a blob");
_Static_assert(LIM_FOREIGN_EACH < LIM_FOREIGN, "one member leaves room for the others");
_Static_assert(LIM_BODY + 1024 <= LIM_RING_MSG, "a body and its envelope fit the ring");
_Static_assert(LIM_RING_MSG + 1024 <= LIM_LINK_FRAME, "a ring message fits a link frame");
_Static_assert(LIM_SVC_EACH < LIM_SVC_CALLS, "one program leaves room for the others");
_Static_assert(LIM_RING_CONF + LIM_RING_KEY + 1024 <= LIM_LINK_FRAME, "both files of the ring fit a link frame");

#endif
