/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `dsi-admin enroll` against a member's real direct leg, in a child process: over TLS, with the real key
 * service, the real rules of the log. What an impostor gets, and what a lost answer costs.
 *
 *   enroll (this process) ── TLS 1.3 ──▶ direct leg + state (child) ── key service (grandchild)
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cli/opkey.h"
#include "gcs/direct.h"
#include "gcs/ring_job.h"
#include "gcs/status.h"
#include "lib/keyservice.h"
#include "tests/unit/cli_fixture.h"
#include "tests/unit/gcs_world.h"

enum behaviour {
	HONEST,
	LOSES_ANSWER,   /* binds us, and says it timed out */
	OTHER_CLUSTER,  /* shows the first entry of another root */
	UNKNOWN_KEY,    /* a true log, our key in it, but its own is not */
	NEVER_BINDS,    /* says yes, but the log does not have us */
	LIES_ABOUT_NID,
	GIVES_RING,     /* once the newcomer is in the node list, a moment later */
};

struct server {
	struct world *w;
	struct direct *direct;
	enum behaviour behaviour;
	u32 asked_ring;
};

/* ---- the member --------------------------------------------------------------------------------------- */

/* A key file with the seeds of a world's node. */
static void key_file(const char *path, const char *key)
{
	u8 seed[CRYPTO_SEED], hash[CRYPTO_HASH], file[KEYFILE_SIZE];
	struct wbuf w;
	int fd;

	wbuf_fixed(&w, file, sizeof(file));
	wbuf_bytes(&w, "DSIK", 4);
	wbuf_u8(&w, 1);
	wbuf_u8(&w, KEYFILE_NODE);
	w_seed2(key, "sign", seed);
	wbuf_bytes(&w, seed, sizeof(seed));
	w_seed2(key, "kem", seed);
	wbuf_bytes(&w, seed, sizeof(seed));
	w_seed2(key, "ca", seed);
	wbuf_bytes(&w, seed, sizeof(seed));
	ck_assert_int_eq(crypto_sha256(w.data, w.len, hash), 0);
	wbuf_bytes(&w, hash, sizeof(hash));
	ck_assert(wbuf_ok(&w) && w.len == sizeof(file));
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0440);
	ck_assert_int_eq(write(fd, file, sizeof(file)), (int)sizeof(file));
	close(fd);
}

static void start_keys(struct keys *k, const char *path)
{
	int sv[2], fd = open(path, O_RDONLY | O_CLOEXEC);
	struct err e = { 0 };

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	if (fork() == 0) {
		for (int i = 3; i < 64; i++)
			if (i != fd && i != sv[1])
				close(i);
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		keyservice_run(fd, KEYFILE_NODE, &sv[1], 1);
	}
	close(fd);
	close(sv[1]);
	ck_assert_msg(keys_open(k, sv[0], &e) == 0, "%s", e.text);
}

static u32 on_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	struct server *s = ctx;
	const struct state_node *n = state_node_keyed(s->w->s, pub);

	*ret_role = ROLE_MANAGER;
	if (s->behaviour == NEVER_BINDS && !n)
		return 9; /* lets the newcomer read the log all the same */
	return n && state_nid_live(s->w->s, n->nid) ? n->nid : 0;
}

static void roots(struct server *s, struct direct_request *rq)
{
	struct wbuf w;
	struct world *other = NULL;

	wbuf_init(&w, 64 << 10);
	if (s->behaviour == OTHER_CLUSTER) {
		struct body_operator ops[3];
		struct genesis g;
		struct wbuf b;
		u8 root[CRYPTO_SEED], server[CRYPTO_SEED];

		other = w_new();
		w_genesis(other, &g, ops);
		w_seed("other root", root);
		w_pub("other root", g.root);
		w_seed2("n1", "server_sign", server);
		wbuf_init(&b, ENTRY_MAX);
		ck_assert_int_eq(genesis_make(&g, statement_sign_seed, root, statement_sign_seed, server, &b, &other->err), 0);
		wbuf_blob(&w, b.data, b.len);
		wbuf_fini(&b);
	} else {
		wbuf_blob(&w, s->w->log[0].p, s->w->log[0].n);
	}
	wbuf_u64(&w, s->w->s->applied);
	direct_reply(rq, 0, w.data, w.len);
	wbuf_fini(&w);
	if (other)
		w_free(other);
}

static void entries(struct server *s, struct direct_request *rq, const u8 *p, size_t n)
{
	struct rbuf in;
	struct wbuf w;
	u64 from;

	rbuf_init(&in, p, n);
	from = rbuf_u64(&in);
	wbuf_init(&w, LIM_DIRECT_FRAME);
	wbuf_u64(&w, s->w->s->applied);
	wbuf_u64(&w, s->w->s->applied);
	/* two at a time, so that the caller has to ask again */
	for (u64 i = from; i <= s->w->s->applied && i < from + 2; i++)
		wbuf_blob(&w, s->w->log[i - 1].p, s->w->log[i - 1].n);
	direct_reply(rq, 0, w.data, w.len);
	wbuf_fini(&w);
}

static void enrol(struct server *s, struct direct_request *rq, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct wbuf w;
	u32 nid = 9;
	int r = state_check_enrol(s->w->s, p, n, peer->exporter, s->w->now, &s->w->err);

	if (r) {
		direct_reply(rq, r, s->w->err.text, strlen(s->w->err.text));
		return;
	}
	if (s->behaviour != NEVER_BINDS) {
		w_put(s->w, ENTRY_ENROL, w_enrol_body(s->w, (struct blob){ p, n }));
		nid = s->w->res.nid;
	}
	if (s->behaviour == LIES_ABOUT_NID)
		nid++;
	wbuf_init(&w, 64);
	wbuf_u32(&w, nid);
	if (s->behaviour == LOSES_ANSWER)
		direct_reply(rq, -DSI_ETIMEDOUT, NULL, 0);
	else
		direct_reply(rq, 0, w.data, w.len);
	wbuf_fini(&w);
}

#define RING_HEAD "totem {\n version: 2\n config_version: 4\n secauth: on\n}\nnodelist {\n node {\n  name: n1\n  nodeid: 1\n" \
		  "  ring0_addr: 10.0.0.1\n }\n"
#define RING_US " node {\n  name: n7\n  nodeid: 2\n  ring0_addr: 10.9.9.9\n }\n"

static void ring(struct server *s, struct direct_request *rq, const struct direct_peer *peer)
{
	static const u8 key[128] = { 5 };
	const char *text = s->asked_ring > 1 ? RING_HEAD RING_US "}\n" : RING_HEAD "}\n";
	struct ring_gift g = {
		.index = 4, .conf = (const u8 *)text, .conf_len = strlen(text), .key = key, .key_len = sizeof(key)
	};
	struct wbuf w;

	if (!s->asked_ring++ || !peer->nid) {
		direct_reply(rq, -DSI_EAGAIN, NULL, 0);
		return;
	}
	wbuf_init(&w, 64 << 10);
	ring_gift_encode(&g, &w);
	direct_reply(rq, 0, w.data, w.len);
	wbuf_fini(&w);
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	struct server *s = ctx;

	if (kind == DIRECT_ROOTS)
		roots(ctx, rq);
	else if (kind == DIRECT_ENTRIES)
		entries(ctx, rq, p, n);
	else if (kind == DIRECT_ENROL)
		enrol(ctx, rq, peer, p, n);
	else if (kind == DIRECT_RING && s->behaviour == GIVES_RING)
		ring(ctx, rq, peer);
	else
		direct_reply(rq, -DSI_EROLE, NULL, 0);
}

/* Child: serves until killed; says its port on fd. */
static void serve(struct server *s, const char *key_path, int fd)
{
	static const struct direct_ops ops = { .binding = on_binding, .request = on_request };
	struct keys keys;
	struct loop *loop = loop_new();
	struct err e = { 0 };
	u16 port;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_keys(&keys, key_path);
	if (direct_new(&s->direct, loop, &keys, "127.0.0.1:0", &ops, s, &e)) {
		fprintf(stderr, "%s\n", e.text);
		_exit(1);
	}
	port = direct_port(s->direct);
	if (write(fd, &port, sizeof(port)) != sizeof(port))
		_exit(1);
	loop_run(loop);
	_exit(0);
}

/* ---- the newcomer ------------------------------------------------------------------------------------- */

struct scene {
	char dir[64], contact[32], token[128];
	struct world *w;
	pid_t pid;
	struct fake f;
};

static u64 world_wall_ms(void)
{
	return 1700000000000;
}

static void scene_start(struct scene *sc, enum behaviour behaviour)
{
	struct server s = { .behaviour = behaviour };
	char key[128], *text;
	struct token t;
	int pipes[2];
	u16 port;
	FILE *f;

	memset(sc, 0, sizeof(*sc));
	temp_make(sc->dir);
	sc->w = s.w = w_new();
	w_token(s.w, &t, "alice", "n7", "tok", NODE_MEMBER | NODE_VOTER | NODE_SERVER, s.w->now + 600000);
	ck_assert_int_eq(w_order(s.w, (struct blob){ t.statement, t.statement_len }), 0);
	text = token_text(&t);
	snprintf(sc->token, sizeof(sc->token), "%s/token", sc->dir);
	f = fopen(sc->token, "w");
	fprintf(f, "%s\n", text);
	fclose(f);
	free(text);
	snprintf(key, sizeof(key), "%s/member.key", sc->dir);
	key_file(key, behaviour == UNKNOWN_KEY ? "stranger" : "n1");
	ck_assert_int_eq(pipe(pipes), 0);
	sc->pid = fork();
	if (sc->pid == 0)
		serve(&s, key, pipes[1]);
	close(pipes[1]);
	ck_assert_int_eq(read(pipes[0], &port, sizeof(port)), (int)sizeof(port));
	close(pipes[0]);
	snprintf(sc->contact, sizeof(sc->contact), "127.0.0.1:%u", port);
}

static void scene_end(struct scene *sc)
{
	kill(sc->pid, SIGKILL);
	waitpid(sc->pid, NULL, 0);
	w_free(sc->w);
	fake_fini(&sc->f);
	temp_remove(sc->dir);
}

static int cli(struct scene *sc, int n, const char *const *argv)
{
	FILE *out, *log;
	char *args[32] = { 0 };
	int r;

	for (int i = 0; i < n; i++)
		args[i] = (char *)argv[i];
	free(sc->f.out);
	free(sc->f.log);
	out = open_memstream(&sc->f.out, &sc->f.out_n);
	log = open_memstream(&sc->f.log, &sc->f.log_n);
	cli_init(&sc->f.cli, out, log);
	sc->f.cli.transport = fake_transport; /* nobody there */
	sc->f.cli.transport_ctx = &sc->f;
	sc->f.cli.wall_ms = world_wall_ms;
	r = cli_run(&sc->f.cli, n, args);
	fclose(out);
	fclose(log);
	return r;
}

#define CLI(sc, ...) cli(sc, (int)ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })), (const char *const[]){ __VA_ARGS__ })

static int enroll(struct scene *sc, const char *timeout, bool again)
{
	const char *argv[] = { "dsi-admin", "enroll", "--token", sc->token, "--address", "10.9.9.9:21065", "--addr",
			       "10.8.8.8", "--contact", sc->contact, "--timeout", timeout, "--root", sc->dir, "--again" };

	return cli(sc, (int)ARRAY_SIZE(argv) - !again, argv);
}

static char *text_of(const struct scene *sc, const char *path)
{
	static char text[4096];
	char full[256];
	FILE *f;
	size_t n;

	snprintf(full, sizeof(full), "%s%s", sc->dir, path);
	f = fopen(full, "r");
	if (!f)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

#define CONF                                                                                           \
	"# Who this node is; written by dsi-admin. The log decides; this is where to begin.\n"         \
	"nid = 2\nname = n7\ndirect = 10.9.9.9:21065\nroles = member voter server\npeer = 10.0.0.1:5407\npeer = "

static void is_enrolled(const struct scene *sc)
{
	char want[512];
	struct state *s = state_new();
	const char *p;

	snprintf(want, sizeof(want), CONF "%s\n", state_node(sc->w->s, 1)->direct);
	ck_assert_str_eq(text_of(sc, PATH_NODE), want);
	p = text_of(sc, PATH_CLUSTER);
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(genesis_verify((const u8 *)p, sc->w->log[0].n, sc->w->genesis_root, s, NULL), 0);
	ck_assert_ptr_nonnull(text_of(sc, PATH_SERVER_KEY));
	ck_assert_ptr_nonnull(text_of(sc, PATH_DSID_CONF));
	state_free(s);
}

START_TEST(enrols)
{
	struct scene sc;

	scene_start(&sc, HONEST);
	ck_assert_msg(enroll(&sc, "20s", false) == 0, "%s", sc.f.log);
	is_enrolled(&sc);
	ck_assert_ptr_nonnull(strstr(sc.f.out, "n7 is node 2 of cluster demo"));
	/* once */
	ck_assert_int_eq(enroll(&sc, "2s", false), 108);
	is_enrolled(&sc);
	/* the token is used: a machine that puts its membership aside needs another */
	ck_assert_int_ne(enroll(&sc, "2s", true), 0);
	ck_assert_ptr_null(text_of(&sc, PATH_CLUSTER));
	scene_end(&sc);
}
END_TEST

START_TEST(lost_answer_is_no_loss)
{
	struct scene sc;

	scene_start(&sc, LOSES_ANSWER);
	ck_assert_msg(enroll(&sc, "20s", false) == 0, "%s", sc.f.log);
	is_enrolled(&sc);
	scene_end(&sc);
}
END_TEST

/* Asked until the member has put us into its list; what was there stays beside it. */
START_TEST(takes_the_ring)
{
	static const char own[] = "totem {\n secauth: on\n}\nnodelist {\n}\nlogging {\n to_syslog: yes\n}\n";
	char path[128];
	struct scene sc;
	const char *got;
	FILE *f;

	scene_start(&sc, GIVES_RING);
	snprintf(path, sizeof(path), "mkdir -p %s/etc/corosync", sc.dir);
	ck_assert_int_eq(system(path), 0);
	snprintf(path, sizeof(path), "%s/etc/corosync/corosync.conf", sc.dir);
	f = fopen(path, "w");
	fputs(own, f);
	fclose(f);
	ck_assert_msg(enroll(&sc, "20s", false) == 0, "%s", sc.f.log);
	is_enrolled(&sc);
	ck_assert_msg(strstr(sc.f.out, "corosync's files written for 2 nodes") != NULL, "%s", sc.f.out);
	got = text_of(&sc, "/etc/corosync/corosync.conf");
	ck_assert_ptr_nonnull(strstr(got, RING_US));
	ck_assert_ptr_nonnull(strstr(got, "to_syslog"));
	ck_assert_str_eq(text_of(&sc, "/etc/corosync/corosync.conf.dsi-previous"), own);
	ck_assert_ptr_nonnull(text_of(&sc, "/etc/corosync/authkey"));
	scene_end(&sc);
	/* not wanted, not there, not given: the enrolment holds all the same */
	scene_start(&sc, GIVES_RING);
	ck_assert_int_eq(CLI(&sc, "dsi-admin", "enroll", "--no-ring", "--token", sc.token, "--address",
			     "10.9.9.9:21065", "--contact", sc.contact, "--root", sc.dir),
			 0);
	ck_assert_ptr_nonnull(strstr(sc.f.out, "corosync left alone"));
	scene_end(&sc);
	scene_start(&sc, HONEST);
	ck_assert_int_eq(enroll(&sc, "20s", false), 0);
	ck_assert_ptr_nonnull(strstr(sc.f.out, "corosync is not installed"));
	scene_end(&sc);
}
END_TEST

/* THREAT: somebody answers at the address who is no member of the cluster that made the token. */
START_TEST(impostors)
{
	static const struct {
		enum behaviour behaviour;
		const char *text;
		bool keys_stay; /* they were shown: a member may have bound them */
	} cases[] = {
		{ OTHER_CLUSTER, "another cluster", false },
		{ UNKNOWN_KEY, "does not know", true },
		{ NEVER_BINDS, "", true },
		{ LIES_ABOUT_NID, "said we are node", true },
	};
	struct scene sc;

	scene_start(&sc, cases[_i].behaviour);
	ck_assert_int_ne(enroll(&sc, "2s", false), 0);
	ck_assert_msg(strstr(sc.f.log, cases[_i].text) != NULL, "%s", sc.f.log);
	ck_assert_ptr_null(text_of(&sc, PATH_CLUSTER));
	ck_assert_ptr_null(text_of(&sc, PATH_NODE));
	ck_assert((text_of(&sc, PATH_NODE_KEY) != NULL) == cases[_i].keys_stay);
	scene_end(&sc);
}
END_TEST

/* ---- what root does with the node's key over the direct leg ------------------------------------------- */

/* Our own dsid is played by the member's direct leg. */
static void answer_status(struct scene *sc, char reply[512])
{
	snprintf(reply, 512, "{\"code\": 0, \"data\": {\"nid\": 2, \"nodes\": [{\"nid\": 2, \"direct\": \"%s\"}]}}", sc->contact);
	fake_answer(&sc->f, CTL_DSID, "status", reply, 0);
}

START_TEST(backup_and_restore)
{
	char reply[512], file[128], root[128];
	struct log_boot boot;
	struct loop *loop = loop_new();
	struct log *log = NULL;
	struct scene sc;
	struct err e = { 0 };

	scene_start(&sc, HONEST);
	ck_assert_int_eq(enroll(&sc, "20s", false), 0);
	snprintf(file, sizeof(file), "%s/backup", sc.dir);
	snprintf(root, sizeof(root), "%s/new", sc.dir);
	answer_status(&sc, reply);
	ck_assert_msg(CLI(&sc, "dsi-admin", "backup", "--out", file, "--root", sc.dir) == 0, "%s", sc.f.log);
	ck_assert_ptr_nonnull(strstr(sc.f.out, "log to entry 4"));
	ck_assert_int_eq(CLI(&sc, "dsi-admin", "restore", file, "--root", root), 107); /* dsid runs */
	sc.f.n = 0;
	ck_assert_msg(CLI(&sc, "dsi-admin", "restore", file, "--root", root) == 0, "%s", sc.f.log);
	ck_assert_ptr_nonnull(text_of(&sc, "/new" PATH_CLUSTER));
	snprintf(root, sizeof(root), "%s/new" PATH_DSID_LOG, sc.dir);
	ck_assert_msg(log_open(&log, loop, root, &boot, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(boot.tail_index, 4);
	log_close(log);
	loop_free(loop);
	snprintf(root, sizeof(root), "%s/new", sc.dir);
	ck_assert_int_eq(CLI(&sc, "dsi-admin", "restore", file, "--root", root), 108);
	scene_end(&sc);
}
END_TEST

static void root_key(const char *path)
{
	struct opkey k = { .kind = OPKEY_ROOT, .name = "demo" };
	u8 file[OPKEY_MAX_FILE];
	struct wbuf w;
	int fd;

	w_seed("root", k.seed);
	w_pub("root", k.pub);
	wbuf_fixed(&w, file, sizeof(file));
	ck_assert_int_eq(opkey_encode(&k, NULL, &w, NULL), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0400);
	ck_assert_int_eq(write(fd, w.data, w.len), (int)w.len);
	close(fd);
}

static void answer_again(struct fake *f, const char *verb, const char *reply)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(f->answer[i].verb, verb))
			f->answer[i].reply = reply;
}

START_TEST(reforms)
{
	char status[512], key[128], *cluster;
	struct body_s_reform b;
	struct statement st;
	struct status_input in = { .order = &(struct order_status){ 0 } };
	struct arena a;
	struct scene sc;
	json_t *doc;
	u8 *said;
	size_t n;

	arena_init(&a, 1 << 16);
	scene_start(&sc, HONEST);
	ck_assert_int_eq(enroll(&sc, "20s", false), 0);
	answer_status(&sc, status);
	in.state = sc.w->s;
	doc = json_pack("{s:i, s:o}", "code", 0, "data", status_cluster(&in));
	cluster = json_dumps(doc, 0);
	fake_answer(&sc.f, CTL_DSID, "cluster", cluster, 0);
	fake_answer(&sc.f, CTL_DSID, "submit", "{\"code\": 0, \"data\": {\"index\": 5, \"ms\": 3}}", 0);
	snprintf(key, sizeof(key), "%s/root.key", sc.dir);
	root_key(key);
	ck_assert_int_eq(CLI(&sc, "dsi-admin", "cluster", "reform", "--force", "--voters", "n7,n9", "--root-key", key, "--root",
			     sc.dir), 105);
	ck_assert_msg(CLI(&sc, "dsi-admin", "cluster", "reform", "--force", "--voters", "n1,n7", "--root-key", key, "--root",
			  sc.dir) == 0, "%s", sc.f.log);
	ck_assert_ptr_nonnull(strstr(sc.f.out, "generation 2 stands on log entry 4"));
	cluster = (free(cluster), NULL);
	{
		const char *b64 = json_string_value(json_object_get(fake_asked(&sc.f, "submit"), "statement"));

		ck_assert_int_eq(crypto_unbase64(b64, strlen(b64), &said, &n), 0);
	}
	ck_assert_int_eq(statement_open(&st, said, n), 0);
	ck_assert_uint_eq(st.signer, S_ROOT);
	ck_assert_uint_eq(st.generation, 2);
	ck_assert_int_eq(body_decode(&schema_s_reform, st.body, st.body_len, &b, &a), 0);
	ck_assert_uint_eq(b.base_index, 4);
	ck_assert_uint_eq(b.next_nid, 3);
	ck_assert_uint_eq(b.voters.n, 8);
	ck_assert_uint_eq(b.servers.n, 8); /* both host one */
	ck_assert_uint_eq(b.dead.n, 0);
	ck_assert_uint_gt(st.base, 0); /* when it was signed */
	free(said);
	json_decref(doc);

	/* a verdict that was delivered here and never committed is kept; one that nobody may say is not */
	const struct body_s_verdict on_n7 = { .nid = 2, .name = "n7", .reason = "caught" };
	struct blob verdicts[2] = { w_verdict(sc.w, "mallory", 1),
				    w_statement(sc.w, ENTRY_VERDICT, "alice", &schema_s_verdict, &on_n7) };
	struct body_dead d;

	in.verdicts = (struct blobs){ verdicts, 2 };
	doc = json_pack("{s:i, s:o}", "code", 0, "data", status_cluster(&in));
	cluster = json_dumps(doc, 0);
	answer_again(&sc.f, "cluster", cluster);
	ck_assert_int_eq(CLI(&sc, "dsi-admin", "cluster", "reform", "--force", "--voters", "n1,n7", "--root-key", key, "--root",
			     sc.dir), err_exit(-DSI_EREVOKED));
	ck_assert_msg(CLI(&sc, "dsi-admin", "cluster", "reform", "--force", "--voters", "n1", "--root-key", key, "--root",
			  sc.dir) == 0, "%s", sc.f.log);
	{
		const char *b64 = json_string_value(json_object_get(fake_asked(&sc.f, "submit"), "statement"));

		ck_assert_int_eq(crypto_unbase64(b64, strlen(b64), &said, &n), 0);
	}
	ck_assert_int_eq(statement_open(&st, said, n), 0);
	ck_assert_int_eq(body_decode(&schema_s_reform, st.body, st.body_len, &b, &a), 0);
	ck_assert_uint_eq(b.dead.n, 1);
	ck_assert_int_eq(body_decode(&schema_dead, b.dead.v[0].p, b.dead.v[0].n, &d, &a), 0);
	ck_assert_uint_eq(d.nid, 2);
	ck_assert_uint_eq(d.status, NODE_REVOKED);
	ck_assert_str_eq(d.reason, "caught");
	free(said);

	/* a majority that is here: said, and only --force goes on */
	answer_again(&sc.f, "status", "{\"code\": 0, \"data\": {\"view\": {\"live\": true, \"voters\": 3, "
		    "\"voters_present\": 2, \"majority\": 2}}}");
	ck_assert_int_eq(CLI(&sc, "dsi-admin", "cluster", "reform", "--voters", "n1", "--root-key", key, "--root", sc.dir), 107);
	ck_assert_ptr_nonnull(strstr(sc.f.log, "2 of 3 voters are here"));
	free(cluster);
	json_decref(doc);
	arena_fini(&a);
	scene_end(&sc);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli_enroll");
	TCase *t = tcase_create("enroll");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, enrols);
	tcase_add_test(t, takes_the_ring);
	tcase_add_test(t, lost_answer_is_no_loss);
	tcase_add_loop_test(t, impostors, 0, 4);
	tcase_add_test(t, backup_and_restore);
	tcase_add_test(t, reforms);
	suite_add_tcase(s, t);
	return check_main(s);
}
