/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Authority: what lets a command change the cluster. An operator key signs a statement here, on the
 * operator's machine; dsid only carries it. Nothing of the key leaves this process.
 *
 *	authority_begin()      which cluster, which generation, which policy: from dsid
 *	authority_key()        the operator's key, unsealed
 *	authority_statement()  body -> signed statement
 *	authority_submit()     statement -> ordered, with what the nodes answered
 *	authority_end()        wipes
 */
#ifndef DSI_CLI_AUTHORITY_H
#define DSI_CLI_AUTHORITY_H

#include "cli/cli.h"
#include "cli/opkey.h"
#include "gcs/statement.h"

struct authority {
	u8 cluster[16];
	u32 generation;
	u8 root[CRYPTO_HASH];     /* SHA-256 of the root's public key */
	u64 policy_version;
	char policy_digest[2 * CRYPTO_HASH + 1]; /* "" when there is no policy */
	u8 request[16];           /* of the last statement made */
	struct opkey key;
	json_t *doc;              /* the CLUSTER answer */
};

int authority_begin(struct cli *c, struct authority *a, struct err *e);
/* --operator FILE, $DSI_OPERATOR_KEY, ~/.config/dsi/operator.key, /etc/dsi/operators/default.key. */
int authority_key(struct cli *c, struct authority *a, struct err *e);
/* Reads and unseals any key file; prompts when it must. path as it lies on disk. */
int authority_key_file(struct cli *c, const char *path, enum opkey_kind kind, struct opkey *ret, struct err *e);
/* expires_ms: wall time, 0 never. base: policy version it builds on, 0 any. */
int authority_statement(struct cli *c, struct authority *a, u16 kind, u64 base, u64 expires_ms,
			const struct body_schema *schema, const void *body, struct wbuf *ret, struct err *e);
/* Hands it in, again while the daemon says "try again", up to --timeout; one request id, applied once. */
int authority_submit(struct cli *c, const struct wbuf *statement, const char *blob_hex, u64 wait_ms, json_t **ret,
		     struct err *e);
void authority_end(struct authority *a);

/* begin + key + statement + submit + end, for a body that needs nothing of the cluster. */
int authority_say(struct cli *c, u16 kind, u64 expires_ms, const struct body_schema *schema, const void *body,
		  u64 wait_ms, json_t **ret, struct err *e);

/* Options of every command that signs. */
#define AUTHORITY_OPTIONS                                                                              \
	{ "operator", "FILE", "operator key (else $DSI_OPERATOR_KEY, ~/.config/dsi/operator.key, default.key)" }, \
	{ "passphrase-fd", "N", "read the passphrase from this descriptor" },                         \
	{ "timeout", "TIME", "how long to try (default 60s)" }

/* Is there a default key, and where: for messages. False when none of the places has a file. */
bool authority_find(const struct cli *c, char ret[CLI_PATH]);

#endif
