/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/client.h"

#include <stdlib.h>
#include <string.h>

#include "cli/render.h"
#include "lib/crypto.h"

enum { PIECE = 384 << 10 }; /* base64 of it and the JSON around fit LIM_CTL */
_Static_assert(PIECE / 3 * 4 + 4096 < LIM_CTL, "a piece fits a request");

static int refused(const json_t *doc, int code, struct err *e)
{
	const char *text = json_string_value(json_object_get(doc, "text"));

	if (code > 0 || code <= -DSI_ERR_COUNT)
		return err_set(e, -DSI_EPEER, "the daemon answered with an unknown code %d", code);
	return err_set(e, code, "%s", text && *text ? text : err_text(code));
}

int client_parse(const char *p, size_t n, json_t **ret, struct err *e)
{
	json_error_t je;
	json_t *doc = json_loadb(p, n, JSON_REJECT_DUPLICATES, &je), *code, *data;
	int r;

	if (!doc)
		return err_set(e, -DSI_EPEER, "the daemon's answer is not JSON (%s)", je.text);
	code = json_object_get(doc, "code");
	data = json_object_get(doc, "data");
	if (!json_is_integer(code)) {
		r = err_set(e, -DSI_EPEER, "the daemon's answer has no code");
	} else if (json_integer_value(code) != 0) {
		r = refused(doc, (int)json_integer_value(code), e);
	} else {
		*ret = json_is_object(data) ? json_incref(data) : json_object();
		r = *ret ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
		/* A remark on a success: part of the record. */
		if (*doc_str(doc, "text") && !json_object_get(*ret, "text"))
			json_object_set(*ret, "text", json_object_get(doc, "text"));
	}
	json_decref(doc);
	return r;
}

int client_call(struct cli *c, const char *service, const char *verb, json_t *args, int timeout_ms, json_t **ret,
		struct err *e)
{
	json_t *doc = json_pack("{s:s, s:o}", "verb", verb, "args", args ? args : json_object());
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL, *reply = NULL;
	size_t len = 0;
	int r;

	json_decref(doc);
	if (!text)
		return err_set(e, -DSI_ENOMEM, "cannot make the request");
	r = strlen(text) > LIM_CTL ? err_set(e, -DSI_ELIMIT, "the request is larger than %d bytes", LIM_CTL) :
		c->transport(c->transport_ctx, service, text, strlen(text), timeout_ms, &reply, &len, e);
	free(text);
	if (r == 0)
		r = client_parse(reply, len, ret, e);
	free(reply);
	return r;
}

int client_call_any(struct cli *c, bool server_first, const char *verb, json_t *args, json_t **ret, struct err *e)
{
	const char *first = server_first ? CTL_SERVER : CTL_DSID, *second = server_first ? CTL_DSID : CTL_SERVER;
	struct err first_e = { 0 };
	int r;

	json_incref(args);
	r = client_call(c, first, verb, args, CLIENT_TIMEOUT_MS, ret, &first_e);
	if (r != -DSI_ENOTCONN) {
		json_decref(args);
		if (r < 0)
			err_set(e, r, "%s", first_e.text);
		return r;
	}
	r = client_call(c, second, verb, args, CLIENT_TIMEOUT_MS, ret, e);
	/* Neither is there: dsid is the one that should be. */
	return r == -DSI_ENOTCONN && !server_first ? err_set(e, r, "%s", first_e.text) : r;
}

static int get_piece(struct cli *c, const char *digest, size_t offset, u8 **ret, size_t *ret_len, size_t *ret_total,
		     struct err *e)
{
	json_t *data = NULL;
	const char *b64;
	json_int_t size;
	int r;

	r = client_call(c, CTL_DSID, "blob-get", json_pack("{s:s, s:I}", "digest", digest, "offset", (json_int_t)offset),
			CLIENT_TIMEOUT_MS, &data, e);
	if (r < 0)
		return r;
	size = json_integer_value(json_object_get(data, "size"));
	b64 = json_string_value(json_object_get(data, "data"));
	if (!b64 || size <= 0 || size > LIM_POLICY || crypto_unbase64(b64, strlen(b64), ret, ret_len) < 0)
		r = err_set(e, -DSI_EPEER, "the daemon's piece of blob %.16s is malformed", digest);
	*ret_total = (size_t)size;
	json_decref(data);
	return r;
}

int client_blob_get(struct cli *c, const char *digest_hex, u8 **ret, size_t *ret_len, struct err *e)
{
	size_t have = 0, total = 0, n, size;
	u8 *all = NULL, *piece, digest[CRYPTO_HASH];
	char hex[2 * CRYPTO_HASH + 1];
	int r;

	do {
		piece = NULL;
		r = get_piece(c, digest_hex, have, &piece, &n, &size, e);
		if (r == 0 && (n == 0 || n > size - have || (total && size != total)))
			r = err_set(e, -DSI_EPEER, "the pieces of blob %.16s do not fit together", digest_hex);
		if (r == 0 && !all && !(all = malloc(size)))
			r = err_set(e, -DSI_ENOMEM, "out of memory");
		if (r == 0) {
			memcpy(all + have, piece, n);
			have += n;
			total = size;
		}
		free(piece);
	} while (r == 0 && have < total);
	if (r == 0 && (crypto_sha256(all, have, digest) < 0 || strcmp(crypto_hex(digest, sizeof(digest), hex), digest_hex)))
		r = err_set(e, -DSI_EPEER, "blob %.16s arrived with another digest", digest_hex);
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = all;
	*ret_len = have;
	return 0;
}

static int put_piece(struct cli *c, const char *digest, const u8 *p, size_t n, size_t offset, size_t *ret_have,
		     struct err *e)
{
	size_t piece = MIN(n - offset, (size_t)PIECE);
	char *b64 = crypto_base64(p + offset, piece);
	json_t *data = NULL, *args;
	json_int_t have;
	int r;

	args = b64 ? json_pack("{s:s, s:I, s:I, s:s}", "digest", digest, "size", (json_int_t)n, "offset",
			       (json_int_t)offset, "data", b64) : NULL;
	free(b64);
	if (!args)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	r = client_call(c, CTL_DSID, "blob-put", args, CLIENT_TIMEOUT_MS, &data, e);
	if (r < 0)
		return r;
	have = json_integer_value(json_object_get(data, "have"));
	json_decref(data);
	/* What was there already may take it further than we sent; never back. */
	if (have <= (json_int_t)offset || have > (json_int_t)n)
		return err_set(e, -DSI_EPEER, "dsid has %lld of %zu bytes after %zu", (long long)have, n, offset + piece);
	*ret_have = (size_t)have;
	return 0;
}

int client_blob_put(struct cli *c, const char *digest_hex, const u8 *p, size_t n, struct err *e)
{
	size_t have = 0;

	while (have < n) {
		int r = put_piece(c, digest_hex, p, n, have, &have, e);

		if (r < 0)
			return err_wrap(e, "hand the image to dsid");
	}
	return 0;
}

int client_own_address(struct cli *c, char ret[LIM_PATH], struct err *e)
{
	json_t *status = NULL;
	const json_t *row;
	size_t i;
	int r = client_call(c, CTL_DSID, "status", NULL, CLIENT_TIMEOUT_MS, &status, e);

	if (r < 0)
		return r;
	ret[0] = 0;
	json_array_foreach((json_t *)doc_at(status, "nodes"), i, row)
		if (doc_int(row, "nid") == doc_int(status, "nid"))
			snprintf(ret, LIM_PATH, "%s", doc_str(row, "direct"));
	json_decref(status);
	return *ret ? 0 : err_set(e, -DSI_ENOENT, "dsid does not know its own address yet");
}
