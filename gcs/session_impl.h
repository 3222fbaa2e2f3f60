/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of session: what sending (session.c) and judging (session_judge.c) both see. Included by these two only.
 */
#ifndef DSI_GCS_SESSION_IMPL_H
#define DSI_GCS_SESSION_IMPL_H

#include "gcs/seal.h"
#include "gcs/session.h"
#include "lib/arena.h"
#include "lib/buf.h"

enum { PRIOS = 3, ROLES = 2, OPENING_MAX = (1 << 30) - 1 };
enum { ACCEPTED = -1 };

union any_body {
#define MSG(name, n, ch, roles, flags, tag) struct body_##tag m_##name;
	MSG_TABLE(MSG)
#undef MSG
};

/* One {nid, role} that signed something once. Lives as long as the session: incarnations must not be
 * forgotten with the view. */
struct sender {
	u64 incarnation;
	bool opened; /* its HELLO of this view was accepted; random and member are valid */
	bool known_random;
	u32 opening;
	u64 next[PRIOS];
	u64 term;
	u8 random[32];
	struct gcs_member member;
	struct seal_subkey sub[SEAL_KEYS];
	u64 refused[REFUSED_COUNT];
};

struct session {
	struct session_config cfg;
	const struct session_ops *ops;
	void *ctx;
	struct gcs_backend *b;

	struct gcs_view view;
	u16 view_tag;
	bool in_view;
	bool hello_sent; /* in this opening */

	u8 random[32];
	u32 opening;
	u64 seq[PRIOS];
	u64 term, tail;
	struct seal_ring keys;
	struct seal_subkey own_sub;

	struct sender *senders[LIM_NIDS + 1][ROLES];
	u64 refused[REFUSED_COUNT];
	u64 unverified[REFUSED_COUNT];

	struct wbuf body, out;
	u8 plain[LIM_BODY];
};

struct incoming {
	struct gcs_member from;
	const u8 *raw;
	size_t n;
	struct envelope v;
	u8 pub[CRYPTO_PUB];
	struct sender *sender; /* NULL until the signature was good */
	bool own;
	const struct msg_info *info;
	const u8 *body;
	size_t body_len;
	union any_body st;
	struct arena arena;
};

static inline int session_role_slot(u32 role)
{
	return role == ROLE_MANAGER ? 0 : role == ROLE_SERVER ? 1 : -1;
}

/* What is wrong with a message as it was delivered, or ACCEPTED; m->st is then its body. A good signature makes m->sender,
 * and what is counted against a sender is from then on. */
int session_judge(struct session *s, struct incoming *m);

#endif
