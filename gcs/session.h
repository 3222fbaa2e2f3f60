/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Session: between the port and everything above it. Outgoing: body -> tpl -> (seal) -> envelope -> sign ->
 * send. Incoming, in this order and no other: length, magic, version, cluster, generation; sender's binding
 * {NID, role} live and its corosync nodeid consistent; signature over the raw bytes; incarnation; ring and
 * view of the envelope = current ones; opening and sequence; term; type, channel, role may send this type;
 * group key; then tpl. Each refusal is counted by reason and by verified sender; nothing is parsed before
 * its turn.
 *
 * Envelope, little-endian: "DSI1" u8 version u8 channel u16 type | id16 cluster | u32 generation | u32 nid |
 * u8 role u8 flags u16 view | u64 incarnation | u32 ring_nodeid u64 ring_seq | u64 term | u32 keygen |
 * u32 opening | u64 seq | u32 body_len | body (sealed: + 16 tag) | sig (purpose ENVELOPE over all before).
 * flags: bit 0 sealed, bits 1-2 priority, others zero.
 * view: fold of the view's member list. The ring alone does not name a view (processes come and go in one
 * ring); {ring, view} and the opening together do, so that what was sent in another view is refused by
 * all members alike.
 * opening: counts this sender's HELLOs. seq: counts from 0 in each {opening, priority}, so priorities may
 * overtake and still every gap shows: agreed order means exactly last + 1, CPG loses nothing inside a
 * view. Only a HELLO may skip (openings that died with their view). A sender that sees a gap in its own
 * messages opens again by itself; one-sided gaps end with the next view.
 * Seal: AES-256-GCM, key = HKDF(group key, {cluster, nid, role, incarnation, random of this start}), nonce =
 * {opening, priority, seq}, aad = the header. HELLO (clear, signed) makes `random` known before anything
 * sealed is read.
 * term: never goes back within one incarnation of a sender.
 */
#ifndef DSI_GCS_SESSION_H
#define DSI_GCS_SESSION_H

#include "gcs/gcs.h"
#include "lib/keyservice.h"
#include "lib/msg.h"

#define SESSION_REFUSAL_TABLE(X)                                                                       \
	X(SHORT, "wrong length") X(MAGIC, "not a DSI message") X(VERSION, "unsupported version")          \
	X(CLUSTER, "other cluster") X(GENERATION, "other generation") X(UNKNOWN, "unknown sender")     \
	X(DEAD, "sender revoked, removed or suspended") X(NODEID, "sender is on another node")         \
	X(SIGNATURE, "bad signature") X(INCARNATION, "old incarnation") X(REPLAY, "replayed or out of order") \
	X(VIEW, "sent in another view") X(TERM, "stale term") X(ROLE, "role may not send this")        \
	X(TYPE, "unknown type") X(CHANNEL, "wrong channel") X(NOKEY, "group key unknown")              \
	X(SEAL, "does not open") X(BODY, "malformed body") X(TOOBIG, "too large")                     \
	X(HELLO, "no HELLO in this view") X(GAP, "messages before it are missing")

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
	/* New view; HELLO is queued already, what is sent from here on belongs to it. */
	void (*view)(void *ctx, const struct gcs_view *v);
	void (*down)(void *ctx, const char *why); /* no view any more: session_send says -DSI_EAGAIN */
	/* First refusal of a kind from a sender, then at powers of two. nid 0 when not verified: what a message
	 * claims never counts against the node it claims to be from. May be NULL. */
	void (*refused)(void *ctx, enum session_refusal why, u32 nid, u32 nodeid, u64 count);
	/* Quorate flag, votes or token changed within the view (gcs_events.quorum). May be NULL. */
	void (*quorum)(void *ctx, const struct gcs_view *v);
	/* An own message came back in a later view, refused by everybody alike: send it again if it is still
	 * meant. May be NULL. */
	void (*returned)(void *ctx, u16 type, const u8 *raw, size_t raw_len);
	/* A message of our cluster that claims a later generation, and was refused for that. Nothing of it is verified:
	 * a reason to look, no more. At every such message. May be NULL. */
	void (*ahead)(void *ctx, u32 generation);
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
/* Sends HELLO by itself at the head of every view, before anything else. term: stamped into envelopes;
 * a lower one than before is ignored. tail: what the next HELLO says. */
void session_set_term(struct session *s, u64 term);
void session_set_tail(struct session *s, u64 index);
/* 0; -DSI_EAGAIN: no view, no group key for a sealed type, or queue full; -DSI_EROLE: this role may not
 * send this type; -DSI_EINVAL: unknown or direct-only type; -DSI_ELIMIT; -DSI_ECRYPTO, -DSI_ENOTCONN. */
int session_send(struct session *s, u16 type, enum gcs_prio prio, const void *body);
/* Group keys by number; the newest seals, it and one predecessor open. */
void session_key(struct session *s, u32 keygen, const u8 key[CRYPTO_KEY]);
const u64 *session_refusals(const struct session *s);            /* [REFUSED_COUNT] */
/* Of one verified sender; NULL when nothing of it was ever verified. */
const u64 *session_refusals_of(const struct session *s, u32 nid, enum msg_role role);
const char *session_refusal_name(enum session_refusal why); /* "SHORT" */
const char *session_refusal_text(enum session_refusal why); /* "wrong length" */

/* The envelope alone, for the direct leg and for evidence: verify raw bytes under pub, parse the header. */
enum { ENVELOPE_HEADER = 84, ENVELOPE_MIN = ENVELOPE_HEADER + CRYPTO_SIG, ENVELOPE_VERSION = 1 };
enum { ENVELOPE_SEALED = 1, ENVELOPE_PRIO_SHIFT = 1, ENVELOPE_PRIO_MASK = 3 << 1 };
struct envelope {
	u8 version, channel, role, flags;
	u16 type, view;
	u8 cluster[16];
	u32 generation, nid, keygen, opening;
	u64 incarnation, term, seq;
	struct gcs_ring ring;
	const u8 *body; /* as on the wire: with its tag when sealed */
	size_t body_len;
};
/* Lengths and magic only: 0, -DSI_ETRUNC, -DSI_ETRAIL, -DSI_ELIMIT, -DSI_EPARSE (magic). The version is the
 * caller's to judge; it stands where it stands in every version. */
int envelope_parse(struct envelope *v, const u8 *p, size_t n) DSI_MUST_CHECK;
int envelope_verify(const u8 *p, size_t n, const u8 pub[CRYPTO_PUB]) DSI_MUST_CHECK;
struct wbuf;
/* Header and body, without the signature: sign what w then holds, append 64 bytes. */
void envelope_encode(const struct envelope *v, struct wbuf *w);
enum gcs_prio envelope_prio(const struct envelope *v);

#endif
