/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small cluster for fuzz targets: GENESIS by fixed keys, term 1, one operator with all roles. */
#ifndef DSI_TESTS_GCS_FUZZ_H
#define DSI_TESTS_GCS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "gcs/genesis.h"

enum { FUZZ_ROOT = 1, FUZZ_OPERATOR, FUZZ_NODE, FUZZ_KEM, FUZZ_SERVER, FUZZ_SERVER_KEM };
static const u64 fuzz_now = 1700000000000;

DSI_UNUSED static void must(bool true_)
{
	if (!true_)
		abort();
}

DSI_UNUSED static const u8 *fuzz_seed(u8 which)
{
	static u8 seed[8][CRYPTO_SEED];

	memset(seed[which], which, CRYPTO_SEED);
	return seed[which];
}

DSI_UNUSED static void fuzz_apply(struct state *s, u16 type, const u8 *body, size_t n, struct state_result *res)
{
	struct entry e = { .type = type, .author_role = ROLE_SERVER, .author_nid = 1, .term = type == ENTRY_TERM ? s->term + 1 : s->term,
			   .generation = type == ENTRY_REFORM ? s->generation + 1 : s->generation, .index = s->applied + 1,
			   .wall_ms = fuzz_now, .body = body, .body_len = n };
	struct err err;

	memcpy(e.cluster, s->cluster, sizeof(e.cluster));
	int rc = state_verify_entry(s, &e, &err); /* its signature is none: refused, but after a look at it */

	must(rc < 0);
	must(state_apply(s, &e, res) == 0);
}

/* The state after GENESIS and TERM 1; the caller clones it. */
DSI_UNUSED static const struct state *fuzz_state(void)
{
	static struct state *s;
	struct body_operator op = { .name = "op", .roles = OP_ALL };
	struct genesis g = { .cluster = "fuzz", .wall_ms = fuzz_now, .operators = &op, .n_operators = 1 };
	const struct body_e_term term = { .ring_nodeid = 1 };
	struct blob addr = { (const u8 *)"\x0a\0\0\1", 4 };
	struct state_result res;
	struct wbuf w;
	struct err e;

	if (s)
		return s;
	s = state_new();
	must(s && !crypto_sign_pub(fuzz_seed(FUZZ_ROOT), g.root) && !crypto_sign_pub(fuzz_seed(FUZZ_OPERATOR), op.pub));
	g.node = (struct body_node){ .name = "n1", .direct = "10.0.0.1:1", .addrs = { &addr, 1 },
				     .roles = NODE_MEMBER | NODE_VOTER | NODE_SERVER };
	must(!crypto_sign_pub(fuzz_seed(FUZZ_NODE), g.node.sign) && !crypto_kem_pub(fuzz_seed(FUZZ_KEM), g.node.kem));
	must(!crypto_sign_pub(fuzz_seed(FUZZ_SERVER), g.node.server_sign) &&
	     !crypto_kem_pub(fuzz_seed(FUZZ_SERVER_KEM), g.node.server_kem));
	wbuf_init(&w, ENTRY_MAX);
	must(!genesis_make(&g, statement_sign_seed, (void *)fuzz_seed(FUZZ_ROOT), statement_sign_seed,
			   (void *)fuzz_seed(FUZZ_SERVER), &w, &e));
	must(!genesis_verify(w.data, w.len, NULL, s, &e));
	wbuf_reset(&w);
	must(!body_encode(&schema_e_term, &term, &w));
	fuzz_apply(s, ENTRY_TERM, w.data, w.len, &res);
	must(res.code == 0 && s->term == 1);
	wbuf_fini(&w);
	return s;
}

/* body as a statement of this kind, rightly signed by whoever may say it. */
DSI_UNUSED static int fuzz_statement(const struct state *s, u16 kind, const u8 *body, size_t n, struct wbuf *w)
{
	const bool root = kind == ENTRY_REFORM || kind == ENTRY_GENESIS;
	const u8 *seed = fuzz_seed(root ? FUZZ_ROOT : FUZZ_OPERATOR);
	struct statement st = { .signer = root ? S_ROOT : S_OPERATOR, .kind = kind, .expires_ms = fuzz_now + 1, .body = body,
				.body_len = n, .generation = s->generation + (kind == ENTRY_REFORM), .base = s->policy.version };

	must(!crypto_sha256(body, n, st.pub));
	memcpy(st.request, st.pub, sizeof(st.request));
	memcpy(st.cluster, s->cluster, sizeof(st.cluster));
	must(!crypto_sign_pub(seed, st.pub));
	return statement_make(&st, statement_sign_seed, (void *)seed, w);
}

#endif
