/* SPDX-License-Identifier: GPL-2.0-or-later */
/* failover, cluster reform: who serves, and what is left when a majority is gone. */
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/authority.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/logcopy.h"
#include "cli/render.h"

enum { WAIT_MS = 10000, MAX_LOGS = 16, MAX_VERDICTS = 16 };

static void render_failover(FILE *f, const json_t *doc)
{
	render_escaped(f, doc_str(doc, "from"));
	fprintf(f, " stepped aside; the active server is now ");
	render_escaped(f, doc_str(doc, "to"));
	fprintf(f, ", term %lld, after %lld ms\n", doc_int(doc, "term"), doc_int(doc, "ms"));
}

int cmd_failover(struct cli *c, struct err *e)
{
	json_t *doc = NULL;
	int r = client_call(c, CTL_SERVER, "failover", NULL, 2 * WAIT_MS, &doc, e);

	return r < 0 ? r : cli_show(c, doc, render_failover);
}

/* ---- reform ------------------------------------------------------------------------------------------- */

struct reform {
	struct authority a;
	struct logcopy base;              /* of our own dsid: what the new generation stands on */
	struct state *met[MAX_LOGS];      /* every log met, uncommitted tails included */
	u32 n_met;
	struct body_s_verdict verdict[MAX_VERDICTS]; /* in force here at delivery, in no log yet */
	u32 n_verdict;
	struct arena arena;
	struct body_s_reform body;
};

static void reform_fini(struct reform *f)
{
	for (u32 i = 0; i < f->n_met; i++)
		state_free(f->met[i]);
	logcopy_fini(&f->base);
	arena_fini(&f->arena);
	authority_end(&f->a);
}

static int meet(struct reform *f, struct logcopy *l, struct err *e)
{
	if (f->n_met == MAX_LOGS)
		return err_set(e, -DSI_ELIMIT, "more than %d logs", MAX_LOGS);
	f->met[f->n_met] = logcopy_with_tail(l);
	return f->met[f->n_met++] ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

static int read_logs(struct cli *c, struct reform *f, struct err *e)
{
	char key[CLI_PATH], address[LIM_PATH];
	const char *other;
	int r = client_own_address(c, address, e);

	if (r == 0 && !cli_path(c, PATH_NODE_KEY, key))
		r = err_set(e, -DSI_ELIMIT, "--root is too long");
	if (r == 0)
		r = logcopy_from(&f->base, address, key, f->a.root, e);
	if (r == 0)
		r = meet(f, &f->base, e);
	for (int i = 0; r == 0 && (other = cli_opt_nth(c, "from", i)); i++) {
		struct logcopy l;

		r = logcopy_init(&l, e);
		if (r == 0)
			r = logcopy_from(&l, other, key, f->a.root, e);
		if (r == 0)
			r = meet(f, &l, e);
		logcopy_fini(&l);
	}
	return r;
}

/* ---- who is dead anywhere ----------------------------------------------------------------------------- */

/* Verdicts that were delivered and could not commit: dsid holds the operators' statements. */
static int read_verdicts(struct cli *c, struct reform *f, struct err *e)
{
	const json_t *list = doc_at(f->a.doc, "verdicts"), *one;
	size_t i;

	json_array_foreach((json_t *)list, i, one) {
		const char *text = json_string_value(one);
		struct statement st;
		u8 *p = NULL;
		size_t n;
		int r;

		if (!text || crypto_unbase64(text, strlen(text), &p, &n))
			return err_set(e, -DSI_EPEER, "dsid's answer about the cluster has a malformed verdict");
		if (f->n_verdict == MAX_VERDICTS) {
			free(p);
			return err_set(e, -DSI_ELIMIT, "more than %d verdicts that are not committed", MAX_VERDICTS);
		}
		r = statement_open(&st, p, n);
		if (r == 0)
			r = state_check(f->base.state, &st, c->wall_ms(), NULL, 0, NULL);
		if (r == 0 && st.kind == ENTRY_VERDICT &&
		    body_decode(&schema_s_verdict, st.body, st.body_len, &f->verdict[f->n_verdict], &f->arena) == 0 &&
		    !f->verdict[f->n_verdict].until_ms) /* one with an end stays a suspension, at those who hold it */
			f->n_verdict++;
		free(p);
	}
	return 0;
}

static const char *verdict_not_committed(const struct reform *f, u32 nid)
{
	for (u32 i = 0; i < f->n_verdict; i++)
		if (f->verdict[i].nid == nid)
			return f->verdict[i].reason;
	return NULL;
}

/* The worst that any log says. A suspension that only another log knows counts as final: nothing at the base could
 * end it. *ret_reason: why. NULL: alive. */
static const struct state_node *dead_in_any(const struct reform *f, u32 nid, u32 *ret_status, const char **ret_reason)
{
	const struct state_node *at_base = state_node(f->base.state, nid), *dead = NULL;

	*ret_reason = verdict_not_committed(f, nid);
	*ret_status = NODE_REVOKED;
	if (*ret_reason)
		return at_base;
	for (u32 i = 0; i < f->n_met; i++) {
		const struct state_node *n = state_node(f->met[i], nid);
		bool suspended = n && n->status == NODE_SUSPENDED && at_base && at_base->status == NODE_BOUND;

		if (!n || (n->status != NODE_REVOKED && n->status != NODE_REMOVED && !suspended))
			continue;
		if (!dead || n->status != NODE_REMOVED) {
			dead = n;
			*ret_status = n->status == NODE_REMOVED ? NODE_REMOVED : NODE_REVOKED;
			*ret_reason = n->reason;
		}
		if (n->status == NODE_REVOKED)
			break;
	}
	return dead;
}

static bool is_dead(const struct reform *f, u32 nid)
{
	const char *reason;
	u32 status;

	return dead_in_any(f, nid, &status, &reason);
}

static bool is_deposed(const struct reform *f, u32 nid)
{
	for (u32 i = 0; i < f->n_met; i++) {
		const struct state_node *n = state_node(f->met[i], nid);

		if (n && n->deposed)
			return true;
	}
	return false;
}

static void dead_body(const struct state_node *n, u32 status, const char *reason, struct body_dead *d)
{
	memset(d, 0, sizeof(*d));
	d->nid = n->nid;
	snprintf(d->name, sizeof(d->name), "%s", n->name);
	memcpy(d->sign, n->sign, 32);
	memcpy(d->kem, n->kem, 32);
	memcpy(d->server_sign, n->server_sign, 32);
	memcpy(d->server_kem, n->server_kem, 32);
	d->status = status;
	snprintf(d->reason, sizeof(d->reason), "%s", reason);
}

static int add_dead(struct reform *f, const struct state_node *n, u32 status, const char *reason, struct err *e)
{
	struct body_dead d;
	struct wbuf w;
	u8 *p;
	int r;

	dead_body(n, status, reason, &d);
	wbuf_init(&w, LIM_ENTRY_BODY);
	r = body_encode(&schema_dead, &d, &w);
	p = r == 0 ? arena_alloc(&f->arena, w.len) : NULL;
	if (p) {
		memcpy(p, w.data, w.len);
		f->body.dead.v[f->body.dead.n++] = (struct blob){ p, w.len };
	}
	wbuf_fini(&w);
	return p ? 0 : err_set(e, -DSI_ENOMEM, "out of memory");
}

static int collect_dead(struct reform *f, struct err *e)
{
	int r = 0;

	f->body.next_nid = 0;
	for (u32 i = 0; i < f->n_met; i++)
		f->body.next_nid = MAX(f->body.next_nid, f->met[i]->next_nid);
	f->body.dead.v = arena_array(&f->arena, f->body.next_nid + 1, sizeof(struct blob));
	if (!f->body.dead.v)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	for (u32 nid = 1; r == 0 && nid < f->body.next_nid; nid++) {
		const char *reason;
		u32 status;
		const struct state_node *n = dead_in_any(f, nid, &status, &reason);

		if (n)
			r = add_dead(f, n, status, reason, e);
	}
	return r;
}

/* ---- voters and servers ------------------------------------------------------------------------------- */

static int add_nid(struct reform *f, struct wbuf *w, const char *name, bool server, struct err *e)
{
	const struct state_node *n = state_node_named(f->base.state, name);

	if (!n || !state_nid_live(f->base.state, n->nid))
		return err_set(e, -DSI_ENOENT, "%s is no live member in this node's log", name);
	if (is_dead(f, n->nid))
		return err_set(e, -DSI_EREVOKED, "%s was thrown out or removed, here or in one of the logs met", name);
	if (server && (is_deposed(f, n->nid) || !(n->roles & NODE_SERVER)))
		return err_set(e, -DSI_EREVOKED, "%s hosts no server in office", name);
	wbuf_u32(w, n->nid);
	return 0;
}

static int nid_list(struct reform *f, const char *names, bool server, struct blob *ret, struct err *e)
{
	char copy[2048], *save = NULL;
	u8 *bytes = arena_alloc(&f->arena, 4 * LIM_VOTERS);
	struct wbuf w;
	int r = bytes && strlen(names) < sizeof(copy) ? 0 : err_set(e, -DSI_ELIMIT, "list of nodes is too long");

	if (r < 0)
		return r;
	wbuf_fixed(&w, bytes, 4 * LIM_VOTERS);
	snprintf(copy, sizeof(copy), "%s", names);
	for (char *p = strtok_r(copy, ",", &save); r == 0 && p; p = strtok_r(NULL, ",", &save))
		r = add_nid(f, &w, p, server, e);
	if (r == 0 && (!wbuf_ok(&w) || !w.len))
		r = err_set(e, -DSI_EUSAGE, "1 to %d names are needed, not \"%s\"", LIM_VOTERS, names);
	*ret = (struct blob){ bytes, w.len };
	return r;
}

/* Without --servers: the voters named that are servers in office, by rank. */
static int default_servers(struct reform *f, struct blob *ret, struct err *e)
{
	const struct state *s = f->base.state;
	u8 *bytes = arena_alloc(&f->arena, 4 * LIM_SERVERS);
	struct wbuf w;

	if (!bytes)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	wbuf_fixed(&w, bytes, 4 * LIM_SERVERS);
	for (u32 i = 0; i < s->n_server; i++) {
		struct rbuf b;

		rbuf_init(&b, f->body.voters.p, f->body.voters.n);
		while (rbuf_left(&b))
			if (rbuf_u32(&b) == s->server_order[i] && !is_deposed(f, s->server_order[i]))
				wbuf_u32(&w, s->server_order[i]);
	}
	*ret = (struct blob){ bytes, w.len };
	return w.len ? 0 : err_set(e, -DSI_ENOENT, "none of the voters named hosts a server in office: give --servers");
}

static int reform_body(struct cli *c, struct reform *f, struct err *e)
{
	const char *voters = cli_opt(c, "voters"), *servers = cli_opt(c, "servers");
	struct body_s_reform *b = &f->body;
	int r;

	for (u32 i = 0; i < f->n_met; i++)
		b->new_generation = MAX(b->new_generation, f->met[i]->generation + 1);
	b->base_index = f->base.state->applied;
	memcpy(b->base_hash, f->base.hash, sizeof(b->base_hash));
	r = nid_list(f, voters, false, &b->voters, e);
	if (r == 0)
		r = servers ? nid_list(f, servers, true, &b->servers, e) : default_servers(f, &b->servers, e);
	return r < 0 ? r : collect_dead(f, e);
}

static void render_reformed(FILE *f, const json_t *doc)
{
	fprintf(f, "generation %lld stands on log entry %lld: log entry %lld, %lld ms. %lld dead kept out.\n",
		doc_int(doc, "generation"), doc_int(doc, "base"), doc_int(doc, "index"), doc_int(doc, "ms"),
		doc_int(doc, "dead"));
	if (*doc_str(doc, "next"))
		fprintf(f, "%s\n", doc_str(doc, "next"));
}

/* Our voters are the log's; corosync counts its own, and must agree before anything is ordered. */
static void hint(struct cli *c, json_t *doc)
{
	json_t *status = NULL;
	const json_t *view;

	if (client_call(c, CTL_DSID, "status", NULL, CLIENT_TIMEOUT_MS, &status, NULL) < 0)
		return;
	view = doc_at(status, "view");
	if (view && !doc_bool(view, "quorate"))
		json_object_set_new(doc, "next", json_string(
			"corosync is not quorate here: unless more nodes come, lower what it expects: corosync-quorumtool -e "
			"VOTES, and take the nodes that are gone out of corosync.conf"));
	json_decref(status);
}

static int reform_submit(struct cli *c, struct reform *f, struct err *e)
{
	json_t *doc = NULL;
	struct wbuf w;
	int r = authority_key_file(c, cli_opt(c, "root-key"), OPKEY_ROOT, &f->a.key, e);

	wbuf_init(&w, LIM_ENTRY_BODY);
	f->a.generation = f->body.new_generation;
	if (r == 0)
		r = authority_statement(c, &f->a, ENTRY_REFORM, c->wall_ms(), 0, &schema_s_reform, &f->body, &w, e);
	if (r == 0)
		r = authority_submit(c, &w, NULL, WAIT_MS, &doc, e);
	wbuf_fini(&w);
	if (r < 0)
		return r;
	json_object_set_new(doc, "generation", json_integer(f->body.new_generation));
	json_object_set_new(doc, "base", json_integer((json_int_t)f->body.base_index));
	json_object_set_new(doc, "dead", json_integer(f->body.dead.n));
	hint(c, doc);
	return cli_show(c, doc, render_reformed);
}

/* "2 of 3 voters", while they are a majority that decides; "" when it is gone or nobody knows. */
static void majority_here(struct cli *c, char *ret, size_t n)
{
	json_t *status = NULL;
	const json_t *view;

	ret[0] = '\0';
	if (client_call(c, CTL_DSID, "status", NULL, CLIENT_TIMEOUT_MS, &status, NULL) < 0)
		return;
	view = doc_at(status, "view");
	if (view && doc_bool(view, "live") && doc_int(view, "voters_present") >= doc_int(view, "majority"))
		snprintf(ret, n, "%lld of %lld voters", doc_int(view, "voters_present"), doc_int(view, "voters"));
	json_decref(status);
}

static int forced(struct cli *c, struct err *e)
{
	char here[64];

	majority_here(c, here, sizeof(here));
	if (cli_flag(c, "force")) {
		if (*here)
			fprintf(c->log, "warning: %s are here, a majority: what they commit after the base is given up\n", here);
		return 0;
	}
	if (*here)
		return err_set(e, -DSI_ENOTSAFE, "%s are here, a majority that can decide: nothing needs reforming (revoke-node, "
			       "node remove, node promote change it). What they commit would be given up: only --force does that", here);
	return err_set(e, -DSI_ENOTSAFE, "what only the absent voters committed is given up, and they must not come "
		       "back on their own; say --force when they are surely gone");
}

int cmd_cluster_reform(struct cli *c, struct err *e)
{
	struct reform f = { 0 };
	int r;

	if (!cli_opt(c, "root-key") || !cli_opt(c, "voters"))
		return err_set(e, -DSI_EUSAGE, "--root-key FILE and --voters NODE,... are required");
	r = forced(c, e);
	if (r < 0)
		return r;
	arena_init(&f.arena, 16 << 20);
	r = authority_begin(c, &f.a, e);
	if (r == 0)
		r = logcopy_init(&f.base, e);
	if (r == 0)
		r = read_logs(c, &f, e);
	if (r == 0)
		r = read_verdicts(c, &f, e);
	if (r == 0)
		r = reform_body(c, &f, e);
	if (r == 0)
		r = reform_submit(c, &f, e);
	reform_fini(&f);
	return r;
}
