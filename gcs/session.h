/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: between the port and everything above it. Outgoing: body -> tpl -> (seal) -> envelope -> sign ->
 * send. Incoming, in this order and no other: length, magic, version, cluster, generation; sender's binding
 * {NID, role} live and its corosync nodeid consistent; signature over the raw bytes; incarnation and
 * sequence; ring of the envelope = current ring; role may send this type; group key; then tpl. Each refusal
 * is counted by reason and by verified sender; nothing is parsed before its turn.
 *
 * Envelope, little-endian: "DSI1" u8 version u8 channel u16 type | id16 cluster | u32 generation | u32 nid |
 * u8 role u8 flags u16 zero | u64 incarnation | u32 ring_nodeid u64 ring_seq | u64 term | u32 keygen |
 * u64 seq | u32 body_len | body (sealed: + 16 tag) | sig (purpose ENVELOPE over all before).
 * Seal: AES-256-GCM, key = HKDF(group key, {cluster, nid, role, incarnation, random of this start}), nonce =
 * seq, aad = the header. HELLO (clear, signed) makes `random` known before anything sealed is read.
 */
#ifndef DSI_GCS_SESSION_H
#define DSI_GCS_SESSION_H

#include "gcs/gcs.h"
#include "lib/keyservice.h"
#include "lib/msg.h"

#define SESSION_REFUSAL_TABLE(X)                                                                       \
	X(SHORT, "too short") X(MAGIC, "not a DSI message") X(VERSION, "unsupported version")          \
	X(CLUSTER, "other cluster") X(GENERATION, "other generation") X(UNKNOWN, "unknown sender")     \
	X(DEAD, "sender revoked, removed or suspended") X(NODEID, "sender is on another node")         \
	X(SIGNATURE, "bad signature") X(INCARNATION, "old incarnation") X(REPLAY, "replayed or out of order") \
	X(VIEW, "sent in another view") X(TERM, "stale term") X(ROLE, "role may not send this")        \
	X(TYPE, "unknown type") X(CHANNEL, "wrong channel") X(NOKEY, "group key unknown")              \
	X(SEAL, "does not open") X(BODY, "malformed body") X(TOOBIG, "too large")

enum session_refusal {
#define X(name, text) REFUSED_##name,
	SESSION_REFUSAL_TABLE(X)
#undef X
	REFUSED_COUNT
};

struct session;
struct session_sender {
	u32 nid;
	enum msg_role role;
	u64 incarnation;
	struct gcs_member member;
	u64 term;
};

struct session_ops {
	/* The key that {nid, role} must have signed with; false when unknown. *ret_dead: bound once, now revoked,
	 * suspended or removed. From the caller's replicated state plus suspensions at delivery. */
	bool (*binding)(void *ctx, u32 nid, enum msg_role role, u8 ret_pub[CRYPTO_PUB], bool *ret_dead);
	/* A verified, decoded message of the current view, own ones included. body: struct of the type;
	 * raw: the envelope. Valid during the call. */
	void (*message)(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
			const u8 *raw, size_t raw_len);
	void (*view)(void *ctx, const struct gcs_view *v);
	void (*down)(void *ctx, const char *why);
	/* First refusal of a kind from a sender, then at powers of two. nid 0 when not verified. */
	void (*refused)(void *ctx, enum session_refusal why, u32 nid, u32 nodeid, u64 count);
};

struct session_config {
	u8 cluster[16];
	u32 generation, nid;
	enum msg_role role;
	u64 incarnation;
	struct keys *keys; /* signs */
	char node[LIM_NAME];
	char direct[LIM_PATH];
};

int session_new(struct session **ret, const struct session_config *cfg, const struct session_ops *ops, void *ctx,
		struct err *e);
void session_free(struct session *s);
void session_attach(struct session *s, struct gcs_backend *b); /* its events must be session_events, ctx s */
extern const struct gcs_events session_events;
/* Sends HELLO by itself at the head of every view, before anything else. term: stamped into envelopes. */
void session_set_term(struct session *s, u64 term);
int session_send(struct session *s, u16 type, enum gcs_prio prio, const void *body);
/* Group keys by number; the newest seals, it and one predecessor open. */
void session_key(struct session *s, u32 keygen, const u8 key[CRYPTO_KEY]);
const u64 *session_refusals(const struct session *s); /* [REFUSED_COUNT] */

/* The envelope alone, for the direct leg and for evidence: verify raw bytes under pub, parse the header. */
struct envelope {
	u8 channel, role, flags;
	u16 type;
	u8 cluster[16];
	u32 generation, nid, keygen;
	u64 incarnation, term, seq;
	struct gcs_ring ring;
	const u8 *body;
	size_t body_len;
};
int envelope_parse(struct envelope *v, const u8 *p, size_t n) DSI_MUST_CHECK; /* lengths and magic only */
int envelope_verify(const u8 *p, size_t n, const u8 pub[CRYPTO_PUB]) DSI_MUST_CHECK;

#endif
