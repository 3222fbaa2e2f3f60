/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The message catalogue: what travels on the secure communication channel. dsid and dsi-ss meet here
 * and nowhere else. Numbers are a format: append only.
 *
 * MSG(NAME, number, channel, roles that may send it, flags, tag of its body)
 * Flags: C in clear (signed only; holds no secret), S sealed with the group key; D direct leg only.
 */
#ifndef DSI_LIB_MSG_H
#define DSI_LIB_MSG_H

#include "lib/body.h"

enum msg_channel { CH_CONTROL = 0, CH_ALARM, CH_MANAGEMENT, CH_DISCOVERY, CH_POLICY, CH_CONTEXT, CH_AUDIT, CH_COUNT };
enum msg_role { ROLE_MANAGER = 1, ROLE_SERVER = 2, ROLE_OPERATOR = 4, ROLE_TOKEN = 8 };
enum msg_flag { MSG_CLEAR = 0, MSG_SEALED = 1, MSG_DIRECT = 2 };

#define MSG_TABLE(MSG)                                                                                 \
	/* order: view opening, terms, entries (DESIGN §4) */                                         \
	MSG(HELLO, 1, DISCOVERY, ROLE_MANAGER | ROLE_SERVER, MSG_CLEAR, hello)                        \
	MSG(HEARTBEAT, 2, CONTROL, ROLE_MANAGER | ROLE_SERVER, MSG_CLEAR, heartbeat)                  \
	MSG(STATE, 3, CONTROL, ROLE_MANAGER, MSG_CLEAR, state)                                        \
	MSG(OPEN, 4, CONTROL, ROLE_MANAGER | ROLE_SERVER, MSG_CLEAR, open)                            \
	MSG(OPENACK, 5, CONTROL, ROLE_MANAGER, MSG_CLEAR, openack)                                    \
	MSG(ENTRY, 6, CONTROL, ROLE_SERVER, MSG_CLEAR, entry)                                         \
	MSG(ACK, 7, CONTROL, ROLE_MANAGER, MSG_CLEAR, ack)                                            \
	MSG(YIELD, 8, CONTROL, ROLE_SERVER, MSG_CLEAR, yield)                                         \
	/* management */                                                                              \
	MSG(SUBMIT, 16, MANAGEMENT, ROLE_MANAGER | ROLE_SERVER, MSG_CLEAR, submit)                    \
	MSG(SUBMITTED, 17, MANAGEMENT, ROLE_SERVER, MSG_CLEAR, submitted)                             \
	MSG(REPORT, 18, MANAGEMENT, ROLE_MANAGER, MSG_CLEAR, report)                                  \
	MSG(VERDICTACK, 19, ALARM, ROLE_MANAGER, MSG_CLEAR, verdictack)                               \
	MSG(ALARM, 20, ALARM, ROLE_MANAGER | ROLE_SERVER, MSG_SEALED, alarm)                          \
	MSG(DENIALS, 32, AUDIT, ROLE_MANAGER, MSG_SEALED, denials)                                    \
	MSG(DIGEST, 24, MANAGEMENT, ROLE_MANAGER, MSG_CLEAR, digest)                                  \
	MSG(RING, 25, MANAGEMENT, ROLE_MANAGER, MSG_CLEAR, ring)

/* --- bodies ------------------------------------------------------------------------------------- */

/* Sent at start and at the head of every view: makes the sender's subkey and address known. */
#define BODY_HELLO(F)                                                                                  \
	F(key, random) /* of this start: goes into the sealing subkey */                              \
	F(str, node)                                                                                  \
	F(text, version) /* of the program, then its level: "0.1.0/2" (lib/knows.h) */                                            \
	F(text, direct)  /* address:port of the direct leg */                                         \
	F(u64, tail_index)

#define BODY_HEARTBEAT(F) F(u64, n) F(u64, commit)

/* A voter's durable state; the view it belongs to is in the envelope. */
#define BODY_STATE(F)                                                                                  \
	F(u64, promised)                                                                              \
	F(u64, tail_term)                                                                             \
	F(u64, tail_index)                                                                            \
	F(hash, tail_hash)                                                                            \
	F(u64, commit)                                                                                \
	F(blobs, urgent) /* every unexpired operator-signed verdict and deposition held, not yet committed */

/* Lists the STATEs it counts; receivers recompute term from what they delivered in this view. */
#define BODY_OPEN(F) F(u64, term) F(blob, voters) /* u32 NIDs, ascending */

/* The promise is also signed alone (purpose PROMISE over {cluster, generation, ring, term, nid}), so
 * that TERM can carry a majority's promises to those who were not there. */
#define BODY_OPENACK(F) F(u64, term) F(sig, promise)

#define BODY_ENTRY(F) F(blob, entry) /* gcs/entry.h: canonical bytes, hash, author's signature */

#define BODY_ACK(F) F(u64, term) F(u64, index) F(hash, hash)

/* The active server of this term gives the lead away: the others open again, the next by rank leads. */
#define BODY_YIELD(F) F(u64, term)

/* Anyone's request that the active server order something; body = operator's statement and what it needs. */
#define BODY_SUBMIT(F) F(id16, request) F(u32, kind) F(blob, statement) F(u32, blob_from) /* NID that holds the named blob */

#define BODY_SUBMITTED(F) F(id16, request) F(u32, code) F(u64, index) F(text, text)

/* What a node enforces now; sent when it changes. mode: 0 not enforcing 1 permissive 2 enforcing. */
#define BODY_REPORT(F)                                                                                 \
	F(u64, applied)        /* log index applied */                                                \
	F(u64, policy_version) /* version the kernel enforces; 0 none */                              \
	F(u32, mode)                                                                                  \
	F(u32, lagging)        /* error code, 0 when none */                                          \
	F(u64, verdicts)       /* index of the last verdict the kernel holds */                       \
	F(text, detail)

#define BODY_VERDICTACK(F) F(id16, request) F(u32, target) F(u32, stage) /* 1 suspended 2 final */ F(u64, kernel_us)

/* How far a node's corosync files follow the log; said again in each view. Times a reload, decides nothing else. */
#define BODY_RING(F)                                                                                   \
	F(u64, index) /* newest entry they follow (gcs/ring_follow.h) */                              \
	F(u32, stage) /* enum ring_stage */                                                           \
	F(u32, nodes) /* in its node list */

#define BODY_ALARM(F) F(u64, wall_ms) F(u32, severity) F(str, kind) F(text, text)

/* Digest of the replicated state after entry index: at each TERM and every LIM_DIGEST_EVERY entries. entry: that
 * entry's hash, so that who is shown the state knows where the log goes on. format: of the bytes that the digest is
 * of; only those of one format compare. */
#define BODY_DIGEST(F) F(u64, index) F(hash, entry) F(u32, format) F(hash, digest)

#define BODY_DENIALS(F) F(u64, lost) F(blobs, events) /* body_denial, one each */
/* One refusal as the kernel recorded it, translated by dsid: numbers only, names are found by who shows it. */
#define BODY_DENIAL(F)                                                                                 \
	F(u64, wall_ms)                                                                               \
	F(u32, ssid) F(u32, tsid)                                                                     \
	F(u32, snid)   /* subject's node; 0: this one */                                              \
	F(u32, nclass) F(u32, cls) F(u32, perms) F(u32, qual) F(u32, port)                                        \
	F(u32, reason) /* enum dsi_reason of kernel/abi.h */                                          \
	F(u32, enforced)                                                                              \
	F(u64, version) /* policy version that decided */                                             \
	F(u32, pid)                                                                                   \
	F(str, comm)                                                                                  \
	F(text, reason_text)                                                                          \
	F(text, detail) /* path tail or address tuple */                                              \
	F(u32, count)  /* alike ones folded into this record */

#define BODY_DECLARE_ALL                                                                               \
	BODY_DECLARE(hello, BODY_HELLO)                                                               \
	BODY_DECLARE(heartbeat, BODY_HEARTBEAT)                                                       \
	BODY_DECLARE(state, BODY_STATE)                                                               \
	BODY_DECLARE(open, BODY_OPEN)                                                                 \
	BODY_DECLARE(openack, BODY_OPENACK)                                                           \
	BODY_DECLARE(entry, BODY_ENTRY)                                                               \
	BODY_DECLARE(ack, BODY_ACK)                                                                   \
	BODY_DECLARE(yield, BODY_YIELD)                                                               \
	BODY_DECLARE(submit, BODY_SUBMIT)                                                             \
	BODY_DECLARE(submitted, BODY_SUBMITTED)                                                       \
	BODY_DECLARE(report, BODY_REPORT)                                                             \
	BODY_DECLARE(verdictack, BODY_VERDICTACK)                                                     \
	BODY_DECLARE(ring, BODY_RING)                                                                 \
	BODY_DECLARE(alarm, BODY_ALARM)                                                               \
	BODY_DECLARE(digest, BODY_DIGEST)                                                             \
	BODY_DECLARE(denials, BODY_DENIALS)                                                           \
	BODY_DECLARE(denial, BODY_DENIAL)
BODY_DECLARE_ALL

enum msg_type {
#define MSG(name, n, ch, roles, flags, tag) MSG_##name = n,
	MSG_TABLE(MSG)
#undef MSG
};

struct msg_info {
	u16 type;
	u8 channel;
	u8 roles;
	u8 flags;
	const char *name;
	const struct body_schema *schema;
};
/* NULL for a type that is not in the table. */
const struct msg_info *msg_info(u16 type);

#endif
