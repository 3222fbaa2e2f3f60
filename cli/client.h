/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control protocol from the asking side: one verb, one answer. client_ipc.c carries it over libqb. */
#ifndef DSI_CLI_CLIENT_H
#define DSI_CLI_CLIENT_H

#include "cli/cli.h"

enum { CLIENT_TIMEOUT_MS = 10000 };

cli_transport_fn client_transport_ipc;

/* args may be NULL; its reference is consumed. *ret is the answer's data, an object, to be released; it is
 * written on success only. A refusal comes back as its code and text. */
int client_call(struct cli *c, const char *service, const char *verb, json_t *args, int timeout_ms, json_t **ret,
		struct err *e);
/* Asks dsid, and when it is not there dsi-ss (or the other way round); for verbs that both answer. */
int client_call_any(struct cli *c, bool server_first, const char *verb, json_t *args, json_t **ret, struct err *e);
/* A reply as text -> data; pure. */
int client_parse(const char *p, size_t n, json_t **ret, struct err *e);

/* Whole blobs, in pieces. */
int client_blob_get(struct cli *c, const char *digest_hex, u8 **ret, size_t *ret_len, struct err *e);
int client_blob_put(struct cli *c, const char *digest_hex, const u8 *p, size_t n, struct err *e);

/* Where our own dsid's direct leg is: root asks it there like any member, with the node's key. */
int client_own_address(struct cli *c, char ret[LIM_PATH], struct err *e);

#endif
