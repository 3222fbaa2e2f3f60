/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From `init` on a bare directory to statements that the log's own rules accept: a fake dsid answers with
 * the real documents over a real state, and judges what is handed in with state_check().
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "gcs/genesis.h"
#include "gcs/status.h"
#include "gcs/token.h"
#include "lib/conf.h"
#include "lib/keyservice.h"
#include "policies/image.h"
#include "tests/unit/cli_fixture.h"

struct world {
	char dir[64];
	struct fake f;
	struct state *state;
	/* last statement handed in */
	u8 *said;
	size_t said_n;
	int code;       /* of state_check */
	struct err why;
	struct {
		char hex[65];
		u8 *p;
		size_t n;
	} blob[4];
	int n_blob;
	int busy;       /* how often "try again" is said first */
};

static struct world *g;

static char *at(const char *path)
{
	static char buf[4][256];
	static int i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%s%s", g->dir, path);
	return buf[i];
}

static u8 *slurp(const char *path, size_t *n)
{
	FILE *f = fopen(path, "r");
	u8 *p = malloc(1 << 20);

	ck_assert_msg(f != NULL, "%s", path);
	*n = fread(p, 1, 1 << 20, f);
	fclose(f);
	return p;
}

/* ---- the fake dsid ------------------------------------------------------------------------------------ */

static json_t *submitted(const json_t *args)
{
	const char *b64 = json_string_value(json_object_get(args, "statement"));
	struct statement st;
	u32 live[] = { 1 };

	free(g->said);
	g->said = NULL;
	ck_assert_int_eq(crypto_unbase64(b64, strlen(b64), &g->said, &g->said_n), 0);
	if (g->busy-- > 0)
		return json_pack("{s:i, s:s}", "code", -DSI_EAGAIN, "text", "no active server yet");
	ck_assert_int_eq(statement_open(&st, g->said, g->said_n), 0);
	g->code = state_check(g->state, &st, fake_wall_ms(), live, 1, &g->why);
	if (g->code)
		return json_pack("{s:i, s:s}", "code", g->code, "text", g->why.text);
	return json_pack("{s:i, s:{s:i, s:i, s:i, s:[{s:i, s:s, s:i, s:i}], s:[]}}", "code", 0, "data", "index", 9, "ms", 5,
			 "commit_ms", 3, "enforced", "nid", 1, "name", "n2", "suspended_ms", 2, "final_ms", 5, "missing");
}

static int find_blob(const json_t *args)
{
	const char *hex = json_string_value(json_object_get(args, "digest"));
	int i = 0;

	while (i < g->n_blob && strcmp(g->blob[i].hex, hex))
		i++;
	ck_assert_int_lt(i, 4);
	if (i == g->n_blob)
		snprintf(g->blob[g->n_blob++].hex, 65, "%s", hex);
	return i;
}

static json_t *blob_put_verb(const json_t *args)
{
	const char *b64 = json_string_value(json_object_get(args, "data"));
	size_t offset = (size_t)json_integer_value(json_object_get(args, "offset")), n;
	int i = find_blob(args);
	u8 *p;

	ck_assert_int_eq(crypto_unbase64(b64, strlen(b64), &p, &n), 0);
	ck_assert_uint_le(offset, g->blob[i].n);
	g->blob[i].p = realloc(g->blob[i].p, offset + n);
	memcpy(g->blob[i].p + offset, p, n);
	g->blob[i].n = offset + n;
	free(p);
	return json_pack("{s:i, s:{s:I}}", "code", 0, "data", "have", (json_int_t)g->blob[i].n);
}

static json_t *blob_get_verb(const json_t *args)
{
	size_t offset = (size_t)json_integer_value(json_object_get(args, "offset"));
	int i = find_blob(args);
	size_t n = MIN(g->blob[i].n - offset, (size_t)300); /* many small pieces */
	char *b64 = crypto_base64(g->blob[i].p + offset, n);
	json_t *r = json_pack("{s:i, s:{s:I, s:s}}", "code", 0, "data", "size", (json_int_t)g->blob[i].n, "data", b64);

	free(b64);
	return r;
}

static json_t *document(json_t *data)
{
	return json_pack("{s:i, s:o}", "code", 0, "data", data);
}

static json_t *answer(const char *verb, const json_t *args)
{
	static const struct order_status order = { .phase = ORDER_OPEN, .live = true, .active_nid = 1 };
	static const struct census census;
	struct status_input in = { .by = "dsid", .node = "n2", .nid = 1, .state = g->state, .order = &order,
				   .census = &census };

	if (!strcmp(verb, "cluster"))
		return document(status_cluster(&in));
	if (!strcmp(verb, "nodes"))
		return document(status_nodes(&in));
	if (!strcmp(verb, "history"))
		return document(status_history(g->state));
	if (!strcmp(verb, "submit"))
		return submitted(args);
	if (!strcmp(verb, "blob-put"))
		return blob_put_verb(args);
	return !strcmp(verb, "blob-get") ? blob_get_verb(args) : NULL;
}

static int world_transport(void *ctx, const char *service, const char *request, size_t n, int timeout_ms, char **ret,
			   size_t *ret_len, struct err *e)
{
	json_t *rq = json_loadb(request, n, 0, NULL), *reply = NULL;

	if (g->state && !strcmp(service, CTL_DSID))
		reply = answer(json_string_value(json_object_get(rq, "verb")), json_object_get(rq, "args"));
	json_decref(rq);
	if (!reply)
		return err_set(e, -DSI_ENOTCONN, "no %s here", service);
	*ret = json_dumps(reply, 0);
	*ret_len = strlen(*ret);
	json_decref(reply);
	return 0;
}

static int run(int argc, const char *const *argv)
{
	struct fake *f = &g->f;
	FILE *out, *log;
	char *args[64];
	int r;

	free(f->out);
	free(f->log);
	out = open_memstream(&f->out, &f->out_n);
	log = open_memstream(&f->log, &f->log_n);
	for (int i = 0; i < argc; i++)
		args[i] = (char *)argv[i];
	cli_init(&f->cli, out, log);
	f->cli.transport = world_transport;
	f->cli.wall_ms = fake_wall_ms;
	r = cli_run(&f->cli, argc, args);
	fclose(out);
	fclose(log);
	return r;
}
#define CLI(...)                                                                                       \
	run((int)ARRAY_SIZE(((const char *const[]){ "dsi-admin", __VA_ARGS__, "--root", g->dir })), \
	    (const char *const[]){ "dsi-admin", __VA_ARGS__, "--root", g->dir })
#define CLI_OK(...) ck_assert_msg(CLI(__VA_ARGS__) == 0, "%s", g->f.log)

static void world_start(void)
{
	g = calloc(1, sizeof(*g));
	unsetenv("DSI_OPERATOR_KEY");
	setenv("HOME", "/nonexistent", 1);
	temp_make(g->dir);
}

static void world_init(void)
{
	size_t n;
	u8 *p;

	world_start();
	CLI_OK("init", "--cluster", "demo", "--node", "n2", "--address", "10.0.0.2:21065", "--addr", "10.1.0.2", "--server",
	       "--no-passphrase");
	p = slurp(at(PATH_CLUSTER), &n);
	g->state = state_new();
	ck_assert_int_eq(genesis_verify(p, n, NULL, g->state, NULL), 0);
	free(p);
}

static void world_stop(void)
{
	state_free(g->state);
	free(g->said);
	for (int i = 0; i < g->n_blob; i++)
		free(g->blob[i].p);
	fake_fini(&g->f);
	temp_remove(g->dir);
	free(g);
	g = NULL;
}

/* ---- init --------------------------------------------------------------------------------------------- */

static int mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

struct node_conf {
	u32 nid;
	char name[LIM_NAME], direct[LIM_PATH], roles[64], peers[4096];
};

START_TEST(init_makes_a_cluster)
{
	static const struct conf_key keys[] = {
		{ "", "nid", CONF_U32, CONF_AT(struct node_conf, nid), .min = 1, .max = LIM_NIDS },
		{ "", "name", CONF_STR, CONF_AT(struct node_conf, name) },
		{ "", "direct", CONF_STR, CONF_AT(struct node_conf, direct) },
		{ "", "roles", CONF_STR, CONF_AT(struct node_conf, roles) },
		{ "", "peer", CONF_LIST, CONF_AT(struct node_conf, peers) },
	};
	struct node_conf conf;
	struct keyfile_pub pub;
	struct err e = { 0 };
	const struct state_node *n;

	world_init();
	n = state_node(g->state, 1);
	ck_assert_str_eq(g->state->name, "demo");
	ck_assert_str_eq(n->name, "n2");
	ck_assert_str_eq(n->direct, "10.0.0.2:21065");
	ck_assert_uint_eq(n->n_addr, 2);
	ck_assert_uint_eq(g->state->n_op, 1);
	ck_assert_str_eq(g->state->op[0].name, "admin");
	ck_assert_int_eq(keyfile_read_pub(at(PATH_NODE_KEY), KEYFILE_NODE, &pub, &e), 0);
	ck_assert_mem_eq(pub.sign, n->sign, CRYPTO_PUB);
	ck_assert_int_eq(keyfile_read_pub(at(PATH_SERVER_KEY), KEYFILE_SERVER, &pub, &e), 0);
	ck_assert_mem_eq(pub.kem, n->server_kem, CRYPTO_PUB);
	ck_assert_int_eq(mode_of(at(PATH_NODE_KEY)), 0440);
	ck_assert_int_eq(mode_of(at(PATH_OPERATORS)), 0700);
	ck_assert_int_eq(mode_of(at(PATH_OPERATORS "/root.key")), 0400);
	ck_assert_int_eq(mode_of(at(PATH_OPERATORS "/admin.key")), 0400);
	ck_assert_int_eq(conf_load(keys, ARRAY_SIZE(keys), at(PATH_NODE), false, &conf, &e), 0);
	ck_assert_uint_eq(conf.nid, 1);
	ck_assert_str_eq(conf.name, "n2");
	ck_assert_str_eq(conf.direct, "10.0.0.2:21065");
	ck_assert_str_eq(conf.roles, "member voter server");
	/* again: refused, nothing touched */
	ck_assert_int_eq(CLI("init", "--cluster", "x", "--node", "n2", "--address", "10.0.0.2:1", "--server", "--no-passphrase"),
			 108);
	world_stop();
}
END_TEST

START_TEST(init_refuses)
{
	world_start();
	ck_assert_int_eq(CLI("init", "--cluster", "demo", "--node", "n1", "--address", "10.0.0.1:1", "--no-passphrase"), 64);
	ck_assert_ptr_nonnull(strstr(g->f.log, "first node must host a security server"));
	ck_assert_int_eq(CLI("init", "--cluster", "Demo", "--node", "n1", "--address", "10.0.0.1:1", "--server"), 64);
	ck_assert_int_eq(CLI("init", "--cluster", "demo", "--node", "n_1", "--address", "10.0.0.1:1", "--server"), 64);
	ck_assert_int_eq(CLI("init", "--cluster", "demo", "--node", "n1", "--address", "n1:1", "--server"), 64);
	ck_assert_int_eq(CLI("init", "--cluster", "demo", "--node", "n1", "--address", "0.0.0.0:1", "--server"), 64);
	ck_assert_int_eq(mode_of(at("/etc")), -1);
	/* a failure half-way leaves no key behind */
	ck_assert_int_eq(CLI("init", "--cluster", "demo", "--node", "n1", "--address", "10.0.0.1:1", "--server",
			     "--no-passphrase", "--add-operator", "eve:xyz"), 64);
	ck_assert_int_eq(mode_of(at(PATH_OPERATORS "/root.key")), -1);
	ck_assert_int_eq(mode_of(at(PATH_OPERATORS "/admin.key")), -1);
	ck_assert_int_eq(mode_of(at(PATH_OPERATORS "/default.key")), -1);
	ck_assert_int_eq(mode_of(at(PATH_NODE_KEY)), -1);
	world_stop();
}
END_TEST

/* ---- statements --------------------------------------------------------------------------------------- */

START_TEST(token_is_accepted_by_the_log)
{
	struct token t;
	struct err e = { 0 };
	size_t n;
	u8 *p;

	world_init();
	CLI_OK("join-token", "n1", "--voter", "--expires", "30m", "--out", at("/tok"));
	ck_assert_int_eq(mode_of(at("/tok")), 0600);
	p = slurp(at("/tok"), &n);
	ck_assert_msg(token_parse(&t, (char *)p, n, &e) == 0, "%s", e.text);
	ck_assert_int_eq(token_check(&t, g->state, fake_wall_ms(), &e), 0);
	ck_assert_str_eq(t.said.name, "n1");
	ck_assert_uint_eq(t.said.roles, NODE_MEMBER | NODE_VOTER);
	ck_assert_uint_eq(t.said.expires_ms, fake_wall_ms() + 1800000);
	ck_assert_str_eq(t.direct[0], "10.0.0.2:21065");
	ck_assert_uint_eq(t.statement_len, g->said_n);
	ck_assert_mem_eq(t.statement, g->said, g->said_n);
	/* not printed where nobody asked for it */
	ck_assert_ptr_null(strstr(g->f.out, TOKEN_PREFIX));
	ck_assert_int_eq(CLI("join-token", "n1", "--out", at("/tok")), 108);
	ck_assert_int_eq(CLI("join-token", "n1"), 64);
	CLI_OK("join-token", "n3", "--stdout");
	ck_assert_int_eq(token_parse(&t, g->f.out, strlen(g->f.out), &e), 0);
	ck_assert_int_eq(CLI("join-token", "n2", "--stdout"), 108); /* a member already: the log says so */
	free(p);
	world_stop();
}
END_TEST

START_TEST(refusals_of_the_log_reach_the_operator)
{
	world_init();
	ck_assert_int_ne(CLI("revoke-node", "n2", "--reason", "demo"), 0);
	ck_assert_str_eq(strchr(g->f.log, ':') + 2, (strcat(g->why.text, "\n"), g->why.text));
	ck_assert_int_eq(CLI("revoke-node", "n9", "--reason", "demo"), 105);
	/* another operator's key */
	CLI_OK("operator", "new", "eve", "--no-passphrase");
	ck_assert_int_eq(CLI("depose", "n2", "--operator", at(PATH_OPERATORS "/eve.key")), 4);
	ck_assert_ptr_nonnull(strstr(g->f.log, "no operator's"));
	/* the root key is no operator's */
	ck_assert_int_eq(CLI("depose", "n2", "--operator", at(PATH_OPERATORS "/root.key")), 4);
	ck_assert_int_eq(chmod(at(PATH_OPERATORS "/admin.key"), 0444), 0);
	ck_assert_int_eq(CLI("depose", "n2"), 4);
	ck_assert_ptr_nonnull(strstr(g->f.log, "chmod"));
	ck_assert_int_eq(unlink(at(PATH_OPERATORS "/default.key")), 0);
	ck_assert_int_eq(CLI("depose", "n2"), 4);
	ck_assert_ptr_nonnull(strstr(g->f.log, "--operator FILE"));
	world_stop();
}
END_TEST

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

START_TEST(push_is_accepted_by_the_log)
{
	struct body_s_policy b;
	struct statement st;
	struct arena a;
	u8 digest[CRYPTO_HASH];
	char hex[65];

	world_init();
	arena_init(&a, 1 << 16);
	write_text(at("/p.dsp"), "policy \"small\" { mode enforcing; }\ndomain default { unconfined; }\n");
	write_text(at("/must"), "default exec /usr/bin/bash\n");
	g->busy = 2; /* a fail-over: the same request again until somebody takes it */
	CLI_OK("policy", "push", at("/p.dsp"), "--must-allow", at("/must"), "--comment", "first");
	ck_assert_int_eq(statement_open(&st, g->said, g->said_n), 0);
	ck_assert_uint_eq(st.kind, ENTRY_POLICY);
	ck_assert_int_eq(body_decode(&schema_s_policy, st.body, st.body_len, &b, &a), 0);
	ck_assert_uint_eq(b.version, 1);
	ck_assert_str_eq(b.name, "small");
	ck_assert_str_eq(b.comment, "first");
	ck_assert_int_eq(crypto_sha256(g->blob[0].p, g->blob[0].n, digest), 0);
	ck_assert_mem_eq(b.digest, digest, sizeof(digest));
	ck_assert_uint_eq(b.size, g->blob[0].n);
	ck_assert_str_eq(g->blob[0].hex, crypto_hex(digest, sizeof(digest), hex));
	ck_assert_ptr_nonnull(strstr(g->f.out, "policy 1 (small"));
	/* nothing earlier to go back to */
	ck_assert_int_eq(CLI("policy", "push", at("/p.dsp"), "--must-allow", at("/must"), "--confirm-within", "5m"), 64);
	/* locks out: refused before anything is sent */
	write_text(at("/must"), "default connect 5403 member\n");
	free(g->said);
	g->said = NULL;
	ck_assert_int_eq(CLI("policy", "push", at("/p.dsp"), "--must-allow", at("/must")), 107);
	ck_assert_ptr_nonnull(strstr(g->f.log, "default connect 5403 member"));
	ck_assert_ptr_null(g->said);
	write_text(at("/p.dsp"), "policy \"small\" { mode enforcing; }\nallow nosuch x:file { read };\n");
	ck_assert_int_eq(CLI("policy", "push", at("/p.dsp"), "--must-allow", at("/must")), 65);
	ck_assert_ptr_nonnull(strstr(g->f.log, "p.dsp:2:"));
	ck_assert_ptr_null(g->said);
	arena_fini(&a);
	world_stop();
}
END_TEST

/* As if the last push had been applied. */
static void in_force(u64 version, const char *name, u32 confirm_s)
{
	struct state_policy *p = &g->state->policy;
	int i = g->n_blob - 1;

	memset(p, 0, sizeof(*p));
	p->version = version;
	p->size = g->blob[i].n;
	p->confirm_s = confirm_s;
	p->confirm_by_ms = confirm_s ? fake_wall_ms() + confirm_s * 1000 : 0;
	snprintf(p->name, sizeof(p->name), "%s", name);
	ck_assert_int_eq(crypto_unhex(g->blob[i].hex, p->digest, CRYPTO_HASH), 0);
	memmove(&g->state->history[1], &g->state->history[0], g->state->n_history * sizeof(*p));
	g->state->history[0] = *p;
	g->state->n_history++;
}

static void last_policy(struct body_s_policy *b, struct statement *st, struct arena *a)
{
	ck_assert_int_eq(statement_open(st, g->said, g->said_n), 0);
	ck_assert_uint_eq(st->kind, ENTRY_POLICY);
	ck_assert_int_eq(body_decode(&schema_s_policy, st->body, st->body_len, b, a), 0);
}

/* The second version is compiled against the first, names the way back, and is undone by a third. */
START_TEST(second_push_and_rollback)
{
	struct body_s_policy b;
	struct statement st;
	struct image img;
	struct arena a;
	u8 first[CRYPTO_HASH];
	u32 was, is;

	world_init();
	arena_init(&a, 1 << 16);
	write_text(at("/must"), "default exec /usr/bin/bash\n");
	write_text(at("/p.dsp"), "policy \"one\" { mode enforcing; }\ndomain default { unconfined; }\n"
				 "files zebra { /srv/zebra; }\n");
	CLI_OK("policy", "push", at("/p.dsp"), "--must-allow", at("/must"));
	in_force(1, "one", 0);
	ck_assert_int_eq(crypto_sha256(g->blob[0].p, g->blob[0].n, first), 0);
	ck_assert_int_eq(image_open(&img, g->blob[0].p, g->blob[0].n, NULL), 0);
	ck_assert(image_sid_by_name(&img, "zebra", &was));
	CLI_OK("policy", "show");
	ck_assert_ptr_nonnull(strstr(g->f.out, "policy 1 (one)"));
	CLI_OK("policy", "show", "--version", "1", "--out", at("/one.image"));
	/* what has a name keeps its number, though "ant" sorts before it */
	write_text(at("/p.dsp"), "policy \"two\" { mode enforcing; }\ndomain default { unconfined; }\n"
				 "files ant { /srv/ant; }\nfiles zebra { /srv/zebra; }\n");
	CLI_OK("policy", "diff", at("/one.image"), at("/p.dsp"));
	ck_assert_ptr_nonnull(strstr(g->f.out, "+ "));
	CLI_OK("policy", "push", at("/p.dsp"), "--must-allow", at("/must"), "--dry-run");
	ck_assert_ptr_nonnull(strstr(g->f.out, "would become version 2"));
	ck_assert_int_eq(g->n_blob, 1);
	CLI_OK("policy", "push", at("/p.dsp"), "--must-allow", at("/must"), "--confirm-within", "5m");
	last_policy(&b, &st, &a);
	ck_assert_uint_eq(st.base, 1);
	ck_assert_uint_eq(b.version, 2);
	ck_assert_uint_eq(b.confirm_s, 300);
	ck_assert_mem_eq(b.back_digest, first, sizeof(first));
	ck_assert_int_eq(image_open(&img, g->blob[1].p, g->blob[1].n, NULL), 0);
	ck_assert(image_sid_by_name(&img, "zebra", &is) && is == was);
	in_force(2, "two", 300);
	CLI_OK("policy", "confirm");
	ck_assert_int_eq(statement_open(&st, g->said, g->said_n), 0);
	ck_assert_uint_eq(st.kind, ENTRY_CONFIRM);
	CLI_OK("policy", "history");
	ck_assert_int_eq(CLI("policy", "rollback", "2", "--must-allow", at("/must")), 108); /* is in force */
	ck_assert_int_eq(CLI("policy", "rollback", "7", "--must-allow", at("/must")), 105);
	CLI_OK("policy", "rollback", "1", "--must-allow", at("/must"));
	last_policy(&b, &st, &a);
	ck_assert_uint_eq(b.version, 3);
	ck_assert_mem_eq(b.digest, first, sizeof(first));
	ck_assert_str_eq(b.comment, "rollback to version 1");
	/* "ant" is gone, but processes may still bear its number: "bee" gets another */
	ck_assert(image_sid_by_name(&img, "ant", &was));
	g->n_blob = 1; /* what version 1 named is in force again */
	in_force(3, "one", 0);
	g->n_blob = 2;
	write_text(at("/p.dsp"), "policy \"four\" { mode enforcing; }\ndomain default { unconfined; }\n"
				 "files bee { /srv/bee; }\nfiles zebra { /srv/zebra; }\n");
	CLI_OK("policy", "push", at("/p.dsp"), "--must-allow", at("/must"));
	ck_assert_int_eq(image_open(&img, g->blob[2].p, g->blob[2].n, NULL), 0);
	is = 0;
	(void)image_sid_by_name(&img, "bee", &is);
	ck_assert_uint_ne(is, 0);
	ck_assert_uint_ne(is, was);
	ck_assert_str_eq(image_sid_name(&img, was), "ant");
	/* an image with numbers of its own */
	write_text(at("/p.dsp"), "policy \"own\" { mode enforcing; }\ndomain default { unconfined; }\n"
				 "files aaa { /srv/bee; }\nfiles zebra { /srv/zebra; }\n");
	CLI_OK("policy", "compile", at("/p.dsp"), "--out", at("/own.image"));
	ck_assert_int_eq(CLI("policy", "push", at("/own.image"), "--must-allow", at("/must")), 107);
	arena_fini(&a);
	world_stop();
}
END_TEST

START_TEST(reform_needs_force_and_root)
{
	world_init();
	ck_assert_int_eq(CLI("cluster", "reform", "--voters", "n2"), 64);
	ck_assert_int_eq(CLI("cluster", "reform", "--voters", "n2", "--root-key", at(PATH_OPERATORS "/root.key")), 107);
	world_stop();
}
END_TEST

/* ---- enroll without a cluster ------------------------------------------------------------------------- */

START_TEST(enroll_leaves_nothing_when_nobody_answers)
{
	world_init();
	CLI_OK("join-token", "n1", "--out", at("/tok"));
	state_free(g->state);
	g->state = NULL;
	ck_assert_int_eq(CLI("enroll", "--token", at("/tok"), "--address", "10.0.0.1:21065"), 108); /* a member already */
	ck_assert_int_eq(unlink(at(PATH_CLUSTER)), 0);
	ck_assert_int_eq(unlink(at(PATH_NODE)), 0);
	ck_assert_int_eq(unlink(at(PATH_NODE_KEY)), 0);
	ck_assert_int_ne(CLI("enroll", "--token", at("/tok"), "--address", "10.0.0.1:21065", "--timeout", "1s", "--contact",
			     "127.0.0.1:1"), 0);
	ck_assert_int_eq(mode_of(at(PATH_NODE_KEY)), -1);
	write_text(at("/tok"), "dsi-join-1:AAAA\n");
	ck_assert_int_eq(CLI("enroll", "--token", at("/tok"), "--address", "10.0.0.1:21065"), 65);
	ck_assert_int_eq(mode_of(at(PATH_NODE_KEY)), -1);
	world_stop();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli_cluster");
	TCase *t = tcase_create("cluster");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, init_makes_a_cluster);
	tcase_add_test(t, init_refuses);
	tcase_add_test(t, token_is_accepted_by_the_log);
	tcase_add_test(t, refusals_of_the_log_reach_the_operator);
	tcase_add_test(t, push_is_accepted_by_the_log);
	tcase_add_test(t, second_push_and_rollback);
	tcase_add_test(t, reform_needs_force_and_root);
	tcase_add_test(t, enroll_leaves_nothing_when_nobody_answers);
	suite_add_tcase(s, t);
	return check_main(s);
}
