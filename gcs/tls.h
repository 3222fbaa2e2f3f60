/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 for the direct leg, as a machine of bytes in and bytes out: no descriptor, no clock, never
 * blocks. gcs/tls.c and its provider are the only users of openssl/ssl.
 *
 * Both sides present a self-signed certificate over an Ed25519 key and demand one. Names, dates and chains
 * are not looked at: the key that was proved is handed to the caller, who pins it. No tickets, no
 * resumption, no early data, no renegotiation. The private key is wherever `sign` is.
 */
#ifndef DSI_GCS_TLS_H
#define DSI_GCS_TLS_H

#include "lib/crypto.h"
#include "lib/err.h"

/* purpose: SIGN_TLS or SIGN_CERT. Blocking, microseconds. 0 or negative. */
struct tls_key {
	u8 pub[CRYPTO_PUB];
	int (*sign)(void *ctx, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG]);
	void *ctx;
};

struct tls;      /* one key; makes connections; one thread */
struct tls_conn; /* one connection */

int tls_new(struct tls **ret, const struct tls_key *key, struct err *e);
void tls_free(struct tls *t); /* after its connections */

struct tls_conn *tls_conn_new(struct tls *t, bool server); /* NULL: no memory */
void tls_conn_free(struct tls_conn *c);

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_CLOSED /* by the peer, orderly */, TLS_FAILED };

/* Bytes from the wire. Advances the handshake. A client that has seen nothing yet is started with n = 0. */
enum tls_state tls_input(struct tls_conn *c, const void *p, size_t n);
/* Bytes for the wire: a view of what waits; then say how many were written. */
size_t tls_output(struct tls_conn *c, const u8 **ret);
void tls_output_done(struct tls_conn *c, size_t n);
/* Plain bytes; 0 when there are none, or -DSI_EPEER. Only in TLS_OPEN (and once more in TLS_CLOSED). */
long tls_read(struct tls_conn *c, void *p, size_t cap);
/* Everything is taken (it grows in memory: bound it by looking at tls_output). 0 or -DSI_EPEER. */
int tls_write(struct tls_conn *c, const void *p, size_t n);
enum tls_state tls_state(const struct tls_conn *c);
/* In TLS_OPEN: what the peer proved, and this session's exporter "EXPORTER-dsi-enrol". */
const u8 *tls_peer(const struct tls_conn *c); /* CRYPTO_PUB bytes */
int tls_exporter(struct tls_conn *c, u8 ret[CRYPTO_HASH]) DSI_MUST_CHECK;
/* Why it failed: a short text, never NULL. */
const char *tls_why(const struct tls_conn *c);

#endif
