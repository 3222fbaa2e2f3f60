/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * enroll: the newcomer's side. Trust begins with the token: it pins the root and names the operator who
 * signed it. Whoever answers must show the GENESIS of that root, and afterwards a log in which its own
 * proved key and ours are bound; what we sign is bound to this TLS session, so a man in the middle gets
 * nothing he can use elsewhere.
 *
 * A lost answer: the keys stay on disk, and the next try finds them bound in the log.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/logcopy.h"
#include "cli/nodefiles.h"
#include "cli/render.h"
#include "gcs/genesis.h"
#include "gcs/ring_files.h"
#include "gcs/token.h"

enum { TIMEOUT_S = 60, ANSWER_MS = 15000, PAUSE_MS = 500, CONTACTS = 16, RING_S = 20 };

struct enroll {
	struct cli *c;
	struct token token;
	struct nodefiles files;
	struct body_node node;
	struct nodefiles_addrs addrs;
	char key[CLI_PATH];
	bool sent;            /* from here on our keys may be bound */
	u32 nid;
	struct logcopy log;
	char ring[512];       /* what became of corosync's files, for people */
};

/* ---- the token ---------------------------------------------------------------------------------------- */

static int read_token(struct cli *c, struct enroll *s, struct err *e)
{
	const char *path = cli_opt(c, "token");
	u8 *text = NULL;
	size_t n = 0;
	struct stat st;
	int r;

	if (!path)
		return err_set(e, -DSI_EUSAGE, "--token FILE (or - for standard input) is required");
	if (strcmp(path, "-") && stat(path, &st) == 0 && (st.st_mode & 077))
		cli_say(c, "warning: %s can be read by others than its owner", path);
	r = files_read(path, TOKEN_TEXT_MAX, &text, &n, e);
	if (r < 0)
		return r;
	r = token_parse(&s->token, (const char *)text, n, e);
	crypto_wipe(text, n);
	free(text);
	return r < 0 ? err_wrap(e, "%s", strcmp(path, "-") ? path : "standard input") : 0;
}

/* ---- our own description ------------------------------------------------------------------------------ */

static int make_keys(struct enroll *s, struct err *e)
{
	struct keyfile_pub pub;
	int r = nodefiles_key(&s->files, KEYFILE_NODE, true, &pub, e);

	if (r < 0)
		return r;
	memcpy(s->node.sign, pub.sign, CRYPTO_PUB);
	memcpy(s->node.kem, pub.kem, CRYPTO_PUB);
	if (!(s->node.roles & NODE_SERVER))
		return 0;
	r = nodefiles_key(&s->files, KEYFILE_SERVER, true, &pub, e);
	memcpy(s->node.server_sign, pub.sign, CRYPTO_PUB);
	memcpy(s->node.server_kem, pub.kem, CRYPTO_PUB);
	return r;
}

static int describe(struct cli *c, struct enroll *s, struct err *e)
{
	int r = nodefiles_addresses(c, &s->node, &s->addrs, e);

	snprintf(s->node.name, sizeof(s->node.name), "%s", s->token.said.name);
	s->node.roles = s->token.said.roles;
	if (r == 0 && !cli_path(c, PATH_NODE_KEY, s->key))
		r = err_set(e, -DSI_ELIMIT, "--root is too long");
	if (r == 0)
		r = nodefiles_dirs(&s->files, s->node.roles & NODE_SERVER, e);
	return r < 0 ? r : make_keys(s, e);
}

/* ---- asking ------------------------------------------------------------------------------------------- */

/* ROOTS: entry 1 as a blob, u64 newest index. Proves which cluster this is, not yet who speaks. */
static int check_roots(struct enroll *s, struct direct_client *d, struct err *e)
{
	struct state *state = state_new();
	u8 *p = NULL;
	size_t n = 0, len = 0;
	struct rbuf b;
	const u8 *entry;
	int r = state ? direct_request(d, DIRECT_ROOTS, NULL, 0, &p, &n, e) : err_set(e, -DSI_ENOMEM, "out of memory");

	if (r == 0) {
		rbuf_init(&b, p, n);
		entry = rbuf_blob(&b, ENTRY_MAX, &len);
		(void)rbuf_u64(&b);
		if (rbuf_end(&b) < 0)
			r = err_set(e, -DSI_EPEER, "its first entry is malformed");
		if (r == 0)
			r = genesis_verify(entry, len, s->token.said.root, state, e);
		if (r == 0)
			r = token_check(&s->token, state, s->c->wall_ms(), e);
	}
	free(p);
	state_free(state);
	return r;
}

static int send_enrol(struct enroll *s, struct direct_client *d, const struct direct_peer *peer, struct err *e)
{
	u8 *p = NULL;
	size_t n = 0;
	struct rbuf b;
	struct wbuf w;
	int r;

	wbuf_init(&w, LIM_ENTRY_BODY);
	r = token_enrol(&s->token, &s->node, peer->exporter, nodefiles_sign, s->key, &w, e);
	if (r == 0) {
		s->sent = true;
		r = direct_request(d, DIRECT_ENROL, w.data, w.len, &p, &n, e);
	}
	wbuf_fini(&w);
	if (r == 0) {
		rbuf_init(&b, p, n);
		s->nid = rbuf_u32(&b); /* what follows is asked for again, as a member: logcopy_from() */
		if (!rbuf_ok(&b) || !s->nid)
			r = err_set(e, -DSI_EPEER, "its answer to the enrolment is malformed");
	}
	free(p);
	return r;
}

/* The log, asked for with our new key: proof of what was answered, and what a lost answer said. */
static int learn(struct enroll *s, const char *address, struct err *e)
{
	const struct state_node *n;
	int r;

	logcopy_fini(&s->log);
	r = logcopy_init(&s->log, e);
	if (r == 0)
		r = logcopy_from(&s->log, address, s->key, s->token.said.root, e);
	if (r < 0)
		return r;
	n = state_node_keyed(s->log.state, s->node.sign);
	if (!n || strcmp(n->name, s->node.name) || memcmp(n->kem, s->node.kem, CRYPTO_PUB))
		return err_set(e, -DSI_EAGAIN, "%s: our key is not in its log yet", address);
	if (!state_nid_live(s->log.state, n->nid))
		return err_set(e, -DSI_EREVOKED, "our key was bound as node %u and is dead now: remove " PATH_KEYS
			       " and enrol with a new token", n->nid);
	if (s->nid && s->nid != n->nid)
		return err_set(e, -DSI_EPEER, "%s said we are node %u, its log says %u", address, s->nid, n->nid);
	s->nid = n->nid;
	return 0;
}

static int ask(struct enroll *s, const char *address, struct err *e)
{
	struct direct_client *d = NULL;
	struct direct_peer peer;
	int r = direct_connect(&d, address, s->key, ANSWER_MS, &peer, e);

	if (r == 0)
		r = check_roots(s, d, e);
	if (r == 0)
		r = send_enrol(s, d, &peer, e);
	direct_close(d);
	return r < 0 ? err_wrap(e, "%s", address) : 0;
}

/* Refusals that a lost answer to an earlier try explains. */
static bool maybe_done(int code)
{
	return code == -DSI_EREPLAY || code == -DSI_EEXIST || code == -DSI_EREVOKED || code == -DSI_ETIMEDOUT ||
	       code == -DSI_ENOTCONN || code == -DSI_EROLE;
}

/* A further try, here or at the next address, may bring another answer. */
static bool worth_another(int code)
{
	return code == -DSI_EAGAIN || code == -DSI_ETIMEDOUT || code == -DSI_ENOTCONN || code == -DSI_EQUORUM ||
	       code == -DSI_EROLE || code == -DSI_EPEER || code == -DSI_EIO || code == -DSI_ENOENT;
}

static int try_one(struct enroll *s, const char *address, struct err *e)
{
	struct err later = { 0 };
	int r;

	if (s->nid)
		return learn(s, address, e);
	r = ask(s, address, e);
	if (r < 0 && !(maybe_done(r) && learn(s, address, &later) == 0))
		return r;
	return r < 0 ? 0 : learn(s, address, e);
}

static u32 contacts(struct enroll *s, const char *ret[CONTACTS])
{
	const char *given;
	u32 n = 0;

	for (int i = 0; n < CONTACTS && (given = cli_opt_nth(s->c, "contact", i)); i++)
		ret[n++] = given;
	for (u32 i = 0; n < CONTACTS && i < s->token.n_direct; i++)
		ret[n++] = s->token.direct[i];
	return n;
}

static int try_all(struct enroll *s, u64 seconds, struct err *e)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000l };
	const char *address[CONTACTS];
	u32 n = contacts(s, address);
	u64 until = cli_monotonic_ms() + seconds * 1000;
	int r = err_set(e, -DSI_EUSAGE, "nobody to ask: give --contact HOST:PORT");

	do {
		for (u32 i = 0; i < n; i++) {
			r = try_one(s, address[i], e);
			if (r == 0)
				return 0;
			if (!worth_another(r))
				return r;
			cli_say(s->c, "%s", e->text);
		}
		nanosleep(&pause, NULL);
	} while (n && cli_monotonic_ms() < until);
	return r;
}

/* ---- leaving it on disk ------------------------------------------------------------------------------- */

static bool listed(const char *const *list, u32 n, const char *address)
{
	for (u32 i = 0; i < n; i++)
		if (!strcmp(list[i], address))
			return true;
	return false;
}

/* Those of the token too: the log came from one member, which may have left out whoever would contradict it. */
static u32 find_peers(const struct enroll *s, const char *ret[LIM_VOTERS])
{
	const struct state *st = s->log.state;
	u32 n = 0;

	for (u32 i = 0; i < s->token.n_direct && n < LIM_VOTERS / 2; i++)
		if (strcmp(s->token.direct[i], s->node.direct) && !listed(ret, n, s->token.direct[i]))
			ret[n++] = s->token.direct[i];
	for (u32 i = 0; i < st->n_node && n < LIM_VOTERS; i++)
		if (st->node[i].nid != s->nid && state_nid_live(st, st->node[i].nid) && !listed(ret, n, st->node[i].direct))
			ret[n++] = st->node[i].direct;
	return n;
}

static int write_files(struct enroll *s, struct err *e)
{
	const char *peers[LIM_VOTERS];
	struct nodefiles_conf conf = { .nid = s->nid, .name = s->node.name, .direct = s->node.direct,
				       .roles = s->node.roles, .peers = peers, .n_peers = find_peers(s, peers) };
	u32 keys = s->files.n_made;
	int r;

	r = nodefiles_conf(&s->files, &conf, e);
	if (r == 0)
		r = nodefiles_finish(&s->files, s->log.genesis.data, s->log.genesis.len, e);
	if (r < 0) {
		/* The keys are bound by now and stay; the rest is undone, so that a retry begins cleanly. */
		for (u32 i = 0; i < keys; i++)
			s->files.made[i][0] = 0;
		nodefiles_undo(&s->files);
	}
	return r;
}

/* ---- the ring: node list and key of a member ---------------------------------------------------------- */

static void ring_say(struct enroll *s, const char *fmt, ...) DSI_PRINTF(2, 3);
static void ring_say(struct enroll *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->ring, sizeof(s->ring), fmt, ap);
	va_end(ap);
}

/* Below another root there is no corosync of ours to ask. */
static void ring_use(struct enroll *s, const struct ring_done *d)
{
	char path[CLI_PATH];
	struct err e = { 0 };
	int r;

	if (!cli_path(s->c, "/", path) || strcmp(path, "/"))
		ring_say(s, "corosync's files written for %u nodes", d->after);
	else if (d->old_nodeid && d->old_nodeid != d->nodeid)
		ring_say(s,
			 "corosync's files written; this node's number there changed from %u to %u: systemctl restart corosync",
			 d->old_nodeid, d->nodeid);
	else if (!d->changed)
		ring_say(s, "corosync's files are as the cluster has them, %u nodes", d->after);
	else if ((r = ring_reload(&e)) == 0)
		ring_say(s, "corosync: node list (%u nodes) and key of the cluster taken, reloaded", d->after);
	else if (r == -DSI_ENOTCONN)
		ring_say(s,
			 "corosync: node list (%u nodes) and key of the cluster taken; start it: "
			 "systemctl enable --now corosync",
			 d->after);
	else
		ring_say(s, "corosync's files written; %s", e.text);
}

/* Only from whom the log that we verified calls a member: what it gives decides who is on our ring. */
static int ring_from(struct enroll *s, const char *address, struct err *e)
{
	char conf[CLI_PATH], key[CLI_PATH];
	struct ring_files files = { .conf = conf, .key = key, .self = s->node.name };
	struct direct_client *d = NULL;
	struct direct_peer peer;
	const struct state_node *n;
	struct ring_gift gift;
	struct ring_done done = { 0 };
	u8 *p = NULL;
	size_t len = 0;
	int r;

	if (!cli_path(s->c, RING_CONF_PATH, conf) || !cli_path(s->c, RING_KEY_PATH, key))
		return err_set(e, -DSI_ELIMIT, "--root is too long");
	r = direct_connect(&d, address, s->key, ANSWER_MS, &peer, e);
	n = r == 0 ? state_node_keyed(s->log.state, peer.pub) : NULL;
	if (r == 0 && (!n || memcmp(n->sign, peer.pub, CRYPTO_PUB) || !state_nid_live(s->log.state, n->nid)))
		r = err_set(e, -DSI_EPEER, "%s: its key is no member's", address);
	if (r == 0)
		r = direct_request(d, DIRECT_RING, NULL, 0, &p, &len, e);
	direct_close(d);
	if (r == 0 && ring_gift_decode(&gift, p, len) < 0)
		r = err_set(e, -DSI_EPEER, "%s: its answer is malformed", address);
	if (r == 0) {
		struct ring_job job = { .kind = RING_JOB_TAKE,
					.conf = gift.conf,
					.conf_len = gift.conf_len,
					.key = gift.key,
					.key_len = gift.key_len };

		r = ring_files_do(&files, &job, &done, e);
		if (r == -DSI_ENOENT)
			r = e->code = -DSI_EAGAIN; /* not added yet */
	}
	if (r == 0)
		ring_use(s, &done);
	ring_done_fini(&done);
	if (p)
		crypto_wipe(p, len);
	free(p);
	return r;
}

/* The enrolment holds whatever comes of this. */
static void take_ring(struct enroll *s)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000l };
	const char *address[CONTACTS];
	u32 n = contacts(s, address);
	u64 until = cli_monotonic_ms() + RING_S * 1000;
	char dir[CLI_PATH];
	struct err e = { 0 }, first;
	bool again;

	if (cli_flag(s->c, "no-ring")) {
		ring_say(s, "corosync left alone");
		return;
	}
	if (!cli_path(s->c, RING_DIR, dir) || !files_exists(dir)) {
		ring_say(s, "corosync is not installed: no " RING_DIR);
		return;
	}
	do {
		memset(&first, 0, sizeof(first));
		again = false;
		for (u32 i = 0; i < n; i++) {
			int r = ring_from(s, address[i], &e);

			if (r == 0)
				return;
			if (!first.code)
				first = e;
			again |= r == -DSI_EAGAIN || r == -DSI_ENOTCONN || r == -DSI_ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	} while (again && cli_monotonic_ms() < until);
	ring_say(s, "corosync's files not taken: %s", first.text);
}

static void render_enrolled(FILE *f, const json_t *doc)
{
	fprintf(f, "%s is node %lld of cluster %s (%s)\n", doc_str(doc, "node"), doc_int(doc, "nid"),
		doc_str(doc, "cluster"), doc_str(doc, "roles"));
	fprintf(f, "%s\n", doc_str(doc, "ring"));
	fprintf(f, "Next: systemctl start dsid%s; dsi-admin status\n", strstr(doc_str(doc, "roles"), "server") ? " dsi-ss" : "");
}

static int show(struct enroll *s)
{
	char roles[64], id[33];

	nodefiles_roles_text(s->node.roles, roles, sizeof(roles));
	return cli_show(s->c,
			json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "node", s->node.name, "nid", (int)s->nid, "cluster",
				  s->log.state->name, "id", crypto_hex(s->log.state->cluster, 16, id), "roles", roles,
				  "ring", s->ring),
			render_enrolled);
}

/* --again: an ended membership makes room, unless its daemons still run. */
static int make_room(struct cli *c, struct enroll *s, struct err *e)
{
	json_t *doc = NULL;

	if (!cli_flag(c, "again"))
		return nodefiles_fresh(&s->files, e);
	if (client_call(c, CTL_DSID, "status", NULL, CLIENT_TIMEOUT_MS, &doc, NULL) != -DSI_ENOTCONN) {
		json_decref(doc);
		return err_set(e, -DSI_ENOTSAFE, "dsid runs: systemctl stop dsid dsi-ss first");
	}
	return nodefiles_set_aside(&s->files, e);
}

static int enroll(struct cli *c, struct enroll *s, struct err *e)
{
	const char *timeout = cli_opt(c, "timeout");
	u64 seconds = TIMEOUT_S;
	int r = timeout ? args_duration(timeout, &seconds, e) : 0;

	if (r == 0)
		r = read_token(c, s, e);
	if (r == 0)
		r = make_room(c, s, e);
	if (r == 0)
		r = describe(c, s, e);
	if (r == 0)
		r = try_all(s, seconds, e);
	if (r < 0 && !s->sent)
		nodefiles_undo(&s->files);
	if (r == 0)
		r = write_files(s, e);
	if (r == 0)
		take_ring(s);
	return r < 0 ? r : show(s);
}

int cmd_enroll(struct cli *c, struct err *e)
{
	static struct enroll s;
	int r;

	memset(&s, 0, sizeof(s));
	s.c = c;
	nodefiles_init(&s.files, c);
	r = enroll(c, &s, e);
	token_wipe(&s.token);
	logcopy_fini(&s.log);
	return r;
}
