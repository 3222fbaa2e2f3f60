/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The join token: what an administrator carries to a new node, once. Core.
 *
 * One line of text: "dsi-join-1:" base64 of
 *   u8 version(1) | blob statement (operator-signed TOKEN) | 32 bytes secret | u8 n, n times str direct address |
 *   first 8 bytes of SHA-256 of all before (against typing and cutting, not against people).
 * The secret seeds the token's signing key: seed = HKDF-SHA-256(secret, info "dsi-token-1" | token id). The log has
 * the public half only. Text and struct are secrets: wipe both.
 */
#ifndef DSI_GCS_TOKEN_H
#define DSI_GCS_TOKEN_H

#include "gcs/state.h"

enum { TOKEN_ADDRS = LIM_SERVERS, TOKEN_TEXT_MAX = 8192 };
#define TOKEN_PREFIX "dsi-join-1:"

struct token {
	struct body_s_token said;       /* name, roles, expiry, hash of the root */
	u8 cluster[16];
	u32 generation;
	u8 secret[CRYPTO_KEY];
	char direct[TOKEN_ADDRS][LIM_PATH]; /* numeric host:port of members to ask */
	u32 n_direct;
	u8 statement[2048];             /* to be submitted, and checked against the operators of GENESIS */
	size_t statement_len;
};
_Static_assert(sizeof(((struct token *)0)->statement) + CRYPTO_KEY + TOKEN_ADDRS * LIM_PATH + 64 < TOKEN_TEXT_MAX / 4 * 3,
	       "the largest token fits its text");

/* Make (dsi-admin join-token). The caller fills header->cluster, generation, request, expires_ms, pub, and t->said
 * except token_pub, t->secret (32 random bytes; said.token: 16), t->direct. Signs, and fills the rest. The token is
 * of no use before its statement is committed. */
int token_make(struct token *t, const struct statement *header, statement_sign_fn *sign, void *ctx, struct err *e) DSI_MUST_CHECK;
/* Text, malloc'ed; NULL on ENOMEM. */
char *token_text(const struct token *t);
/* Strict; one newline at the end is tolerated. Checks the sum, the statement's signature under the key it names,
 * and that the secret belongs to it. Whether that key is an operator's: token_check(). */
int token_parse(struct token *t, const char *text, size_t n, struct err *e) DSI_MUST_CHECK;
void token_wipe(struct token *t);

/* Newcomer, after genesis_verify(..., t->said.root, s): the token is this cluster's and signed by one of its
 * operators who may. wall_ms: our clock; 0: do not judge expiry here. */
int token_check(const struct token *t, const struct state *s, u64 wall_ms, struct err *e) DSI_MUST_CHECK;
/* Newcomer: body_e_enrol image (nid 0) for this session's exporter. node->name must be the token's. */
int token_enrol(const struct token *t, const struct body_node *node, const u8 exporter[CRYPTO_HASH],
		statement_sign_fn *node_sign, void *ctx, struct wbuf *ret, struct err *e) DSI_MUST_CHECK;

#endif
