/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/authority.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/files.h"
#include "cli/passphrase.h"
#include "cli/render.h"
#include "gcs/entry.h"

enum { TIMEOUT_S = 60, RETRY_MS = 200 };

static int unhex_of(const json_t *doc, const char *key, void *ret, size_t n, struct err *e)
{
	if (crypto_unhex(doc_str(doc, key), ret, n) < 0)
		return err_set(e, -DSI_EPEER, "dsid's answer about the cluster has no valid \"%s\"", key);
	return 0;
}

int authority_begin(struct cli *c, struct authority *a, struct err *e)
{
	const json_t *policy;
	u8 root[CRYPTO_PUB];
	int r;

	memset(a, 0, sizeof(*a));
	r = client_call(c, CTL_DSID, "cluster", NULL, CLIENT_TIMEOUT_MS, &a->doc, e);
	if (r < 0)
		return r;
	r = unhex_of(a->doc, "id", a->cluster, sizeof(a->cluster), e);
	if (r == 0)
		r = unhex_of(a->doc, "root", root, sizeof(root), e);
	if (r == 0)
		r = crypto_sha256(root, sizeof(root), a->root);
	if (r == 0 && memcmp(a->root, a->cluster, sizeof(a->cluster)))
		r = err_set(e, -DSI_EPEER, "dsid's cluster id is not that of its root key");
	a->generation = (u32)doc_int(a->doc, "generation");
	policy = doc_at(a->doc, "policy");
	a->policy_version = (u64)doc_int(policy, "version");
	if (r == 0 && a->policy_version) {
		u8 digest[CRYPTO_HASH];

		r = unhex_of(policy, "digest", digest, sizeof(digest), e);
		crypto_hex(digest, sizeof(digest), a->policy_digest);
	}
	if (r < 0)
		authority_end(a);
	return r;
}

void authority_end(struct authority *a)
{
	opkey_wipe(&a->key);
	json_decref(a->doc);
	a->doc = NULL;
}

/* ---- the key ------------------------------------------------------------------------------------------ */

static bool is_there(const char *path, char ret[CLI_PATH])
{
	return path && files_exists(path) && snprintf(ret, CLI_PATH, "%s", path) < CLI_PATH;
}

bool authority_find(const struct cli *c, char ret[CLI_PATH])
{
	const char *env = getenv("DSI_OPERATOR_KEY"), *home = getenv("HOME");
	char path[CLI_PATH];

	if (env && *env)
		return snprintf(ret, CLI_PATH, "%s", env) < CLI_PATH;
	if (home && snprintf(path, sizeof(path), "%s/.config/dsi/operator.key", home) < CLI_PATH && is_there(path, ret))
		return true;
	return cli_path(c, PATH_OPERATORS "/default.key", path) && is_there(path, ret);
}

static int passphrase_fd(const struct cli *c, int *ret, struct err *e)
{
	const char *s = cli_opt(c, "passphrase-fd");
	u64 fd;
	int r;

	*ret = -1;
	if (!s)
		return 0;
	r = args_u64(s, 65535, &fd, e);
	if (r < 0)
		return err_wrap(e, "--passphrase-fd");
	if (fcntl((int)fd, F_GETFD) < 0)
		return err_set(e, -DSI_EUSAGE, "--passphrase-fd %s: descriptor is not open", s);
	*ret = (int)fd;
	return 0;
}

static int unseal(struct cli *c, const u8 *p, size_t n, struct opkey *k, struct err *e)
{
	char pass[PASSPHRASE_MAX], prompt[128];
	int fd, r;

	r = opkey_decode(k, p, n, e);
	if (r < 0 || !k->sealed)
		return r < 0 ? r : opkey_unseal(k, p, n, NULL, e);
	r = passphrase_fd(c, &fd, e);
	snprintf(prompt, sizeof(prompt), "Passphrase of key \"%s\": ", k->name);
	if (r == 0)
		r = passphrase_ask(fd, prompt, false, pass, e);
	if (r == 0)
		r = opkey_unseal(k, p, n, pass, e);
	crypto_wipe(pass, sizeof(pass));
	return r;
}

int authority_key_file(struct cli *c, const char *path, enum opkey_kind kind, struct opkey *ret, struct err *e)
{
	u8 *p = NULL;
	size_t n = 0;
	struct stat st;
	int r;

	if (stat(path, &st) == 0 && (st.st_mode & 07077))
		return err_set(e, -DSI_EPERM, "%s can be used by others than its owner; chmod 0400 it, and make a new "
			       "key if others may have read it", path);
	r = files_read(path, OPKEY_MAX_FILE, &p, &n, e);
	if (r < 0)
		return r;
	r = unseal(c, p, n, ret, e);
	crypto_wipe(p, n);
	free(p);
	if (r < 0)
		return err_wrap(e, "%s", path);
	if (ret->kind != kind) {
		opkey_wipe(ret);
		return err_set(e, -DSI_EAUTH, "%s is %s, %s is needed", path,
			       kind == OPKEY_ROOT ? "an operator's key" : "a root key",
			       kind == OPKEY_ROOT ? "the root key" : "an operator's key");
	}
	return 0;
}

int authority_key(struct cli *c, struct authority *a, struct err *e)
{
	const char *given = cli_opt(c, "operator");
	char path[CLI_PATH];

	if (!given && !authority_find(c, path))
		return err_set(e, -DSI_EAUTH, "this needs an operator's key: give --operator FILE or set DSI_OPERATOR_KEY "
			       "(root on a node is not an operator)");
	return authority_key_file(c, given ? given : path, OPKEY_OPERATOR, &a->key, e);
}

/* ---- statements --------------------------------------------------------------------------------------- */

int authority_statement(struct cli *c, struct authority *a, u16 kind, u64 base, u64 expires_ms,
			const struct body_schema *schema, const void *body, struct wbuf *ret, struct err *e)
{
	struct statement s = { .signer = a->key.kind == OPKEY_ROOT ? S_ROOT : S_OPERATOR, .kind = kind,
			       .generation = a->generation, .expires_ms = expires_ms, .base = base };
	struct wbuf w;
	int r;

	(void)c;
	wbuf_init(&w, LIM_ENTRY_BODY);
	r = crypto_random(a->request, sizeof(a->request));
	if (r == 0)
		r = body_encode(schema, body, &w);
	if (r == 0) {
		memcpy(s.cluster, a->cluster, sizeof(s.cluster));
		memcpy(s.request, a->request, sizeof(s.request));
		memcpy(s.pub, a->key.pub, sizeof(s.pub));
		s.body = w.data;
		s.body_len = w.len;
		r = statement_make(&s, opkey_sign, &a->key, ret);
	}
	wbuf_fini(&w);
	return r < 0 ? err_set(e, r, "cannot make the statement: %s", err_text(r)) : 0;
}

static json_t *submit_args(const struct wbuf *statement, const char *blob_hex, u64 wait_ms)
{
	char *b64 = crypto_base64(statement->data, statement->len);
	json_t *args = b64 ? json_pack("{s:s, s:I}", "statement", b64, "wait_ms", (json_int_t)wait_ms) : NULL;

	free(b64);
	if (args && blob_hex)
		json_object_set_new(args, "blob", json_string(blob_hex));
	return args;
}

/* Worth asking again with the same request: nothing was decided, or nobody knows. */
static bool again(int code)
{
	return code == -DSI_EAGAIN || code == -DSI_ENOTCONN || code == -DSI_ETIMEDOUT;
}

static int submit_once(struct cli *c, const struct wbuf *statement, const char *blob_hex, u64 wait_ms, json_t **ret,
		       struct err *e)
{
	json_t *args = submit_args(statement, blob_hex, wait_ms);

	if (!args)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	return client_call(c, CTL_DSID, "submit", args, (int)wait_ms + CLIENT_TIMEOUT_MS, ret, e);
}

int authority_submit(struct cli *c, const struct wbuf *statement, const char *blob_hex, u64 wait_ms, json_t **ret,
		     struct err *e)
{
	const char *t = cli_opt(c, "timeout");
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000l };
	u64 seconds = TIMEOUT_S, until;
	bool retried = false;
	int r = t ? args_duration(t, &seconds, e) : 0;

	if (r < 0)
		return err_wrap(e, "--timeout");
	wait_ms = MIN(wait_ms, MIN(seconds, 86400) * 1000);
	until = cli_monotonic_ms() + seconds * 1000;
	for (;; retried = true) {
		r = submit_once(c, statement, blob_hex, wait_ms, ret, e);
		if (!again(r) || cli_monotonic_ms() >= until)
			break;
		nanosleep(&pause, NULL);
	}
	if (r != -DSI_EREPLAY || !retried)
		return r;
	*ret = json_pack("{s:b, s:s}", "replayed", true, "text", "ordered by an earlier try, whose answer was lost");
	return *ret ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

int authority_say(struct cli *c, u16 kind, u64 expires_ms, const struct body_schema *schema, const void *body,
		  u64 wait_ms, json_t **ret, struct err *e)
{
	struct authority a;
	struct wbuf w;
	int r = authority_begin(c, &a, e);

	if (r < 0)
		return r;
	wbuf_init(&w, LIM_ENTRY_BODY);
	r = authority_key(c, &a, e);
	if (r == 0)
		r = authority_statement(c, &a, kind, 0, expires_ms, schema, body, &w, e);
	if (r == 0)
		r = authority_submit(c, &w, NULL, wait_ms, ret, e);
	wbuf_fini(&w);
	authority_end(&a);
	return r;
}
