/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entries that root makes: the first of a cluster, made offline by `dsi-admin init`, checked by everybody who
 * joins; and REFORM, the first of every later generation. Core.
 *
 * The root signs the GENESIS statement (name, root key, operators, first node); the first node's server signs the
 * entry that carries it. Whoever knows the SHA-256 of the root's public key can tell this cluster from any other.
 */
#ifndef DSI_GCS_GENESIS_H
#define DSI_GCS_GENESIS_H

#include "gcs/state.h"

struct genesis {
	char cluster[LIM_NAME];
	u8 root[CRYPTO_PUB];
	u8 request[16]; /* random */
	u64 wall_ms;
	const struct body_operator *operators;
	u32 n_operators;
	struct body_node node; /* roles: voter and server among them */
};

/* Cluster id: the first 16 bytes of the hash. */
int genesis_root_hash(const u8 root[CRYPTO_PUB], u8 ret[CRYPTO_HASH]) DSI_MUST_CHECK;
/* Appends the bytes of entry 1. Both keys stay where they are (file, key service, PKCS#11). The result has passed
 * genesis_verify(); a refusal there is returned with its text. */
int genesis_make(const struct genesis *g, statement_sign_fn *root_sign, void *root_ctx, statement_sign_fn *server_sign,
		 void *server_ctx, struct wbuf *ret_entry, struct err *e) DSI_MUST_CHECK;
/* Is p, n entry 1 of the cluster whose root has this hash? Applies it to s, which must be fresh. root_hash NULL:
 * of whatever cluster it names (the file an administrator put there). s is of no use after a failure. 0 or -DSI_ECLUSTER, -DSI_ESIG, ... */
int genesis_verify(const u8 *p, size_t n, const u8 root_hash[CRYPTO_HASH], struct state *s, struct err *e) DSI_MUST_CHECK;

/* What a REFORM statement stands on. */
struct reform_place {
	u32 generation;             /* the new one */
	u64 base_index;             /* its entry comes right after this one, whatever was there */
	u8 base_hash[CRYPTO_HASH];
	u32 author;                 /* the first of its servers */
};
/* st: from statement_open(). Nothing but its form is judged. 0 or -DSI_EINVAL, -DSI_EPARSE, -DSI_ENOMEM ... */
int reform_place(const struct statement *st, struct reform_place *ret, struct err *e) DSI_MUST_CHECK;
/* Appends the entry that the statement becomes: a pure function of the statement and of the term of the base's last
 * entry, so that everybody who has both has the same bytes, and no two entries can come of one statement. Whether it
 * may be is state_verify_entry()'s business, on a state at the base. */
int reform_entry(const struct statement *st, u64 base_term, struct wbuf *ret_entry, struct err *e) DSI_MUST_CHECK;
/* The statement in a REFORM entry; its signature holds, nothing else is judged. st points into e. */
int reform_statement(const struct entry *e, struct arena *a, struct statement *st, struct err *err) DSI_MUST_CHECK;

#endif
