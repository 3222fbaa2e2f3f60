/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threat: the ring's key and node list as a prize and as a weapon. A newcomer, a stranger, a revoked, suspended or
 * isolated node asks a member for them; a server on a member's node too. A compromised engine or member has the root
 * helper write something else into corosync's files: a ring without encryption, without this node, with nobody else, a
 * key of a wrong size, another machine's file paths; a link in /etc stands where the file should.
 *
 * Expected: given only to a manager with a live binding, as the files are just then; refused by the helper with the
 * files untouched, both of them.
 */
#include <sys/stat.h>

#include "dsid/engine.h"
#include "dsid/ring_helper.h"
#include "gcs/replica_impl.h"
#include "gcs/ring_files.h"
#include "lib/privsep.h"
#include "tests/unit/gcs_fixture.h"
#include "tests/unit/gcs_world.h"

static char dir[64], conf_path[96], key_path[96];
static struct ring_files files = { .conf = conf_path, .key = key_path, .self = "n1" };
static struct err err;

static const char conf[] =
	"totem {\n\tversion: 2\n\tconfig_version: 1\n\tcrypto_cipher: aes256\n\tcrypto_hash: sha256\n}\n"
	"nodelist {\n"
	"\tnode {\n\t\tnodeid: 1\n\t\tname: n1\n\t\tring0_addr: 10.77.0.1\n\t}\n"
	"\tnode {\n\t\tnodeid: 2\n\t\tname: n2\n\t\tring0_addr: 10.77.0.2\n\t}\n"
	"\tnode {\n\t\tnodeid: 3\n\t\tname: n3\n\t\tring0_addr: 10.77.0.3\n\t}\n"
	"}\n";

static void put(const char *path, const void *p, size_t n, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
	ck_assert(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

static void files_up(void)
{
	u8 key[256];

	snprintf(dir, sizeof(dir), "/tmp/dsi-ring-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(conf_path, sizeof(conf_path), "%s/corosync.conf", dir);
	snprintf(key_path, sizeof(key_path), "%s/authkey", dir);
	memset(key, 1, sizeof(key));
	put(conf_path, conf, strlen(conf), 0640);
	put(key_path, key, sizeof(key), 0400);
}

static void files_down(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static bool file_is(const char *path, const void *p, size_t n, mode_t mode)
{
	u8 got[4096];
	struct stat st;
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, got, sizeof(got));
	bool is = len == (ssize_t)n && !memcmp(got, p, n) && !fstat(fd, &st) && (st.st_mode & 07777) == mode;

	close(fd);
	return is;
}

static bool untouched(void)
{
	u8 key[256];

	memset(key, 1, sizeof(key));
	return file_is(conf_path, conf, strlen(conf), 0640) && file_is(key_path, key, sizeof(key), 0400);
}

/* --- the helper's work -------------------------------------------------------------------------------------- */

static struct ring_member members[] = {
	{ .nid = 1, .wish = RING_KNOWN, .name = "n1", .addr = { "10.77.0.1" }, .n_addr = 1 },
	{ .nid = 2, .wish = RING_KNOWN, .name = "n2", .addr = { "10.77.0.2" }, .n_addr = 1 },
	{ .nid = 3, .wish = RING_OFF, .name = "n3", .addr = { "10.77.0.3" }, .n_addr = 1 },
};
static u8 new_key[128] = { 2, 2, 2 };
static struct ring_done done;

static int do_job(const struct ring_job *j)
{
	int rc;

	ring_done_fini(&done);
	rc = ring_files_do(&files, j, &done, &err);
	return rc;
}

static int take(const char *text)
{
	return do_job(&(struct ring_job){ .kind = RING_JOB_TAKE,
					  .conf = (const u8 *)text,
					  .conf_len = strlen(text),
					  .key = new_key,
					  .key_len = sizeof(new_key) });
}

static const struct ring_job follow = { .kind = RING_JOB_FOLLOW,
					.index = 9,
					.member = members,
					.n_member = 3,
					.key = new_key,
					.key_len = sizeof(new_key) };

START_TEST(both_or_neither)
{
	u8 old[256];
	char previous[128];

	files_up();
	memset(old, 1, sizeof(old));
	ck_assert_msg(do_job(&follow) == 0, "%s", err.text);
	ck_assert(done.changed && done.before == 3 && done.after == 2);
	ck_assert(file_is(key_path, new_key, sizeof(new_key), 0400));
	snprintf(previous, sizeof(previous), "%s.dsi-previous", conf_path);
	ck_assert(file_is(previous, conf, strlen(conf), 0640));
	snprintf(previous, sizeof(previous), "%s.dsi-previous", key_path);
	ck_assert(file_is(previous, old, sizeof(old), 0400));
	ck_assert_int_eq(do_job(&follow), 0); /* again: nothing to do */
	ck_assert(!done.changed && done.after == 2);
	files_down();
	/* the second file cannot be changed: the first is not either */
	files_up();
	unlink(key_path);
	ck_assert_int_eq(mkdir(key_path, 0700), 0);
	ck_assert_int_eq(do_job(&follow), -DSI_EPERM);
	ck_assert(file_is(conf_path, conf, strlen(conf), 0640));
	files_down();
}
END_TEST

START_TEST(helper_refuses)
{
	static const char *const cipher[] = { "aes256", "none  " };
	char *text = strdup(conf);

	files_up();
	/* what a member gives */
	memcpy(strstr(text, cipher[0]), cipher[1], 6);
	ck_assert_int_eq(take(text), -DSI_ECONFIG);
	strcpy(text, conf);
	memcpy(strstr(text, "name: n1"), "name: xx", 8);
	ck_assert_int_eq(take(text), -DSI_ENOENT); /* without us */
	ck_assert_int_eq(take("totem {\n crypto_cipher: aes256\n crypto_hash: sha256\n}\nnodelist {\n node {\n  name: "
			      "n1\n  nodeid: 1\n"
			      "  ring0_addr: 10.77.0.1\n }\n}\n"),
			 -DSI_ENOTSAFE); /* with nobody else */
	ck_assert_int_eq(take("totem {\n"), -DSI_EPARSE);
	/* what an engine asks for */
	members[0].wish = RING_OFF;
	ck_assert_int_eq(do_job(&follow), -DSI_ENOTSAFE);
	members[1].wish = RING_OFF;
	ck_assert_int_eq(do_job(&follow), -DSI_ENOTSAFE);
	members[0].wish = members[1].wish = RING_KNOWN;
	ck_assert(untouched());
	/* a ring that is not encrypted is neither followed nor handed on */
	strcpy(text, conf);
	memcpy(strstr(text, cipher[0]), cipher[1], 6);
	put(conf_path, text, strlen(text), 0640);
	ck_assert_int_eq(do_job(&follow), -DSI_ECONFIG);
	ck_assert_int_eq(do_job(&(struct ring_job){ .kind = RING_JOB_READ }), -DSI_ECONFIG);
	ck_assert(!done.key && file_is(conf_path, text, strlen(text), 0640));
	/* a key that corosync reads elsewhere */
	snprintf(text, strlen(conf) + 1, "totem {\n keyfile: /x\n secauth: on\n}\n%s", strstr(conf, "nodelist"));
	put(conf_path, text, strlen(text), 0640);
	ck_assert_int_eq(do_job(&follow), -DSI_ECONFIG);
	/* a link where the file should be */
	put(conf_path, conf, strlen(conf), 0640);
	unlink(key_path);
	ck_assert_int_eq(symlink("/etc/hostname", key_path), 0);
	ck_assert_int_eq(do_job(&follow), -DSI_EPERM);
	ck_assert_int_eq(take(conf), -DSI_EPERM);
	ck_assert(file_is(conf_path, conf, strlen(conf), 0640));
	free(text);
	files_down();
}
END_TEST

START_TEST(a_members_paths_are_not_ours)
{
	char text[2048];
	u8 *p;

	files_up();
	snprintf(text, sizeof(text), "%slogging {\n logfile: /etc/cron.d/x\n}\nsystem {\n state_dir: /etc\n}\n", conf);
	memcpy(strstr(text, "config_version: 1"), "config_version: 7", 17);
	ck_assert_msg(take(text) == 0, "%s", err.text);
	ck_assert(done.changed);
	ck_assert_int_eq(do_job(&(struct ring_job){ .kind = RING_JOB_READ }), 0);
	p = done.conf;
	ck_assert_ptr_null(memmem(p, done.conf_len, "cron", 4));
	ck_assert_ptr_null(memmem(p, done.conf_len, "state_dir", 9));
	ck_assert_ptr_nonnull(memmem(p, done.conf_len, "config_version: 7", 17));
	ring_done_fini(&done);
	files_down();
}
END_TEST

/* --- who is given it ------------------------------------------------------------------------------------------ */

/* A manager's engine as far as the ring goes, on a real direct leg; the monitor is played, the helper's is real. */
static struct {
	struct engine g;
	struct replica r;
	struct world *w;
	struct fixture_keys own, peer;
	struct direct *direct, *client;
	struct link *monitor;
	char log[96], address[64];
	int code;
	bool answered, has_key;
	u32 reads;
} T;

static void on_job(void *ctx, u16 type, u32 id, const u8 *p, size_t n, int fd)
{
	static struct ring_member m[RING_MEMBERS];
	struct monop_reply reply = { .op = type };
	struct ring_answer a = { 0 };
	struct ring_done d;
	struct ring_job j;
	struct wbuf w;

	ck_assert_int_eq(type, MONOP_RING);
	ck_assert_int_eq(ring_job_decode(&j, m, p, n), 0);
	T.reads += j.kind == RING_JOB_READ;
	ck_assert_int_eq(link_send(T.monitor, true, UP_REPLY, id, &reply, sizeof(reply), -1), 0);
	a.code = ring_files_do(&files, &j, &d, &err);
	a.before = d.before;
	a.after = d.after;
	a.conf = d.conf;
	a.conf_len = d.conf_len;
	a.key = d.key;
	a.key_len = d.key_len;
	wbuf_init(&w, LIM_LINK_FRAME);
	ring_answer_encode(&a, &w);
	ck_assert_int_eq(link_send(T.monitor, true, UP_RING, 0, w.data, w.len, -1), 0);
	wbuf_fini(&w);
	ring_done_fini(&d);
}

static void on_link_closed(void *ctx, const char *why)
{
}

static void on_ring_answer(void *ctx, const u8 *p, size_t n)
{
	ring_answered(T.g.ring, p, n);
}

static void on_monitor_closed(void *ctx, const char *why)
{
	ck_abort_msg("%s", why);
}

static void on_drained(void *ctx)
{
}

static void on_request(void *ctx, struct direct_request *rq, const struct direct_peer *peer, enum direct_kind kind,
		       const u8 *p, size_t n)
{
	ck_assert_int_eq(kind, DIRECT_RING);
	ring_request(T.g.ring, rq, peer, n);
}

static u32 client_binding(void *ctx, const u8 pub[CRYPTO_PUB], u32 *ret_role)
{
	*ret_role = ROLE_MANAGER;
	return !memcmp(pub, T.own.keys.pub.sign, CRYPTO_PUB) || !memcmp(pub, T.peer.keys.pub.sign, CRYPTO_PUB) ? 1 : 0;
}

static void up(void)
{
	static const struct enforce_ops eops = { .ring = on_ring_answer,
						 .closed = on_monitor_closed,
						 .drained = on_drained };
	static const struct link_ops lops = { .frame = on_job, .closed = on_link_closed };
	static const struct replica_ops rops = { .request = on_request };
	static const struct direct_ops cops = { .binding = client_binding };
	struct state_node *n;
	struct log_boot boot;
	int pair[2];

	memset(&T, 0, sizeof(T));
	files_up();
	fixture_keys_start(&T.own, KEYFILE_NODE);
	fixture_keys_start(&T.peer, KEYFILE_NODE);
	T.w = w_three();
	for (u32 i = 0; i < T.w->s->n_node; i++) {
		n = &T.w->s->node[i];
		n->n_addr = 1;
		n->addr[0].len = 4;
		memcpy(n->addr[0].bytes, (const u8[]){ 10, 77, 0, (u8)n->nid }, 4);
	}
	memcpy(T.w->s->node[0].sign, T.own.keys.pub.sign, CRYPTO_PUB);
	memcpy(T.w->s->node[2].sign, T.peer.keys.pub.sign, CRYPTO_PUB);
	T.g.loop = T.r.cfg.loop = loop_new();
	T.r.state = T.w->s;
	T.r.nid = 1;
	T.r.ops = &rops;
	T.g.replica = &T.r;
	snprintf(T.log, sizeof(T.log), "%s/log", dir);
	ck_assert_int_eq(mkdir(T.log, 0700), 0);
	ck_assert_msg(log_open(&T.r.log, T.g.loop, T.log, &boot, &err) == 0, "%s", err.text);
	ck_assert_int_eq(privsep_pair(pair, &err), 0);
	T.g.enforce = enforce_new(T.g.loop, pair[0], &eops, NULL);
	T.monitor = link_new(T.g.loop, pair[1], 1 << 20, &lops, NULL);
	T.g.ring = ring_side_new(&T.g);
	ck_assert(T.g.enforce && T.monitor && T.g.ring);
	ck_assert_int_eq(direct_new(&T.direct, T.g.loop, &T.own.keys, "127.0.0.1:0", &replica_direct_ops, &T.r, &err),
			 0);
	ck_assert_int_eq(direct_new(&T.client, T.g.loop, &T.peer.keys, NULL, &cops, NULL, &err), 0);
	T.r.direct = T.direct;
	snprintf(T.address, sizeof(T.address), "127.0.0.1:%u", direct_port(T.direct));
	ring_joined(T.g.ring);
}

static void down(void)
{
	direct_free(T.client);
	direct_free(T.direct);
	ring_side_free(T.g.ring);
	enforce_free(T.g.enforce);
	link_free(T.monitor);
	log_close(T.r.log);
	loop_free(T.g.loop);
	fixture_keys_stop(&T.own);
	fixture_keys_stop(&T.peer);
	w_free(T.w);
	files_down();
}

static void on_gift(void *ctx, int code, const struct direct_peer *peer, const u8 *p, size_t n)
{
	struct ring_gift g;

	T.code = code;
	T.answered = true;
	T.has_key =
		!code && !ring_gift_decode(&g, p, n) && g.key_len == 256 && g.key[0] == 1 && g.conf_len == strlen(conf);
	loop_stop(T.g.loop, 0);
}

/* As the client's node 3 stands in the log; again while the member says "not yet". */
static int ask(void)
{
	for (int i = 0; i < 100; i++) {
		int rc = direct_call(T.client, T.address, NULL, DIRECT_RING, NULL, 0, 5000000000ull, on_gift, NULL);

		T.answered = false;
		if (rc)
			return rc;
		while (!T.answered)
			loop_run(T.g.loop);
		if (T.code != -DSI_EAGAIN)
			break;
	}
	return T.code;
}

START_TEST(to_a_live_manager)
{
	up();
	ck_assert_int_eq(ask(), 0);
	ck_assert(T.has_key && T.reads == 1);
	down();
}
END_TEST

START_TEST(to_nobody_else)
{
	struct state_node *n;

	up();
	ck_assert_int_eq(ask(), 0); /* everything is at work */
	T.reads = 0;
	n = &T.w->s->node[2];
	n->status = NODE_REVOKED;
	ck_assert_int_lt(ask(), 0);
	n->status = NODE_SUSPENDED;
	ck_assert_int_lt(ask(), 0);
	n->status = NODE_REMOVED;
	ck_assert_int_lt(ask(), 0);
	n->status = NODE_BOUND;
	T.r.suspended[3 / 8] |= 1u << 3 % 8; /* by a verdict that was delivered, not committed */
	ck_assert_int_lt(ask(), 0);
	T.r.suspended[3 / 8] = 0;
	T.g.isolated[3 / 8] |= 1u << 3 % 8; /* by hand, here */
	ck_assert_int_lt(ask(), 0);
	T.g.isolated[3 / 8] = 0;
	memset(n->sign, 9, sizeof(n->sign)); /* a key that the log does not know: a newcomer */
	ck_assert_int_lt(ask(), 0);
	memcpy(n->server_sign, T.peer.keys.pub.sign, CRYPTO_PUB); /* the server's key of that node: not a manager */
	ck_assert_int_lt(ask(), 0);
	ck_assert_uint_eq(T.reads, 0); /* the files were not even read */
	memcpy(n->sign, T.peer.keys.pub.sign, CRYPTO_PUB);
	memset(n->server_sign, 0, sizeof(n->server_sign));
	ck_assert_int_eq(ask(), 0);
	down();
}
END_TEST

/* A verdict has committed and its key is not on disk here: the old key, which its target knows, is nobody's now. */
START_TEST(not_the_old_key)
{
	struct entry e = { .type = ENTRY_VERDICT };

	up();
	ck_assert_int_eq(ask(), 0);
	T.w->s->node[1].status = NODE_REVOKED;
	T.w->s->node[1].verdict_at = T.w->s->applied + 1;
	T.w->s->node[2].verdict_at = 0;
	ring_applied(T.g.ring, &e, true);
	T.reads = 0;
	ck_assert_int_eq(ask(), -DSI_EAGAIN);
	ck_assert_uint_eq(T.reads, 0);
	ck_assert(untouched()); /* and nobody was taken off without it */
	/* the verdict's key comes: both change, and are given again */
	e.index = T.w->s->node[1].verdict_at;
	ring_verdict_key(T.g.ring, &e, new_key);
	ring_applied(T.g.ring, &e, true);
	ck_assert_int_eq(ask(), 0);
	ck_assert(!untouched() && !T.has_key);
	down();
}
END_TEST

/* What every survivor derives is the same everywhere, another for every verdict and cluster, and of corosync's size. */
START_TEST(key_is_the_verdicts)
{
	u8 seen[3][128];
	struct entry e = { .type = ENTRY_VERDICT };

	for (int i = 0; i < 3; i++) {
		up();
		T.w->s->node[1].status = NODE_REVOKED;
		e.index = T.w->s->node[1].verdict_at = T.w->s->applied + 1 + (i == 2);
		ring_verdict_key(T.g.ring, &e, new_key);
		ring_applied(T.g.ring, &e, true);
		ck_assert_int_eq(ask(), 0);
		ck_assert_int_eq(do_job(&(struct ring_job){ .kind = RING_JOB_READ }), 0);
		ck_assert_uint_eq(done.key_len, 128);
		memcpy(seen[i], done.key, 128);
		ck_assert_ptr_null(memmem(done.conf, done.conf_len, "n2", 2));
		ring_done_fini(&done);
		down();
	}
	ck_assert_int_eq(memcmp(seen[0], seen[1], 128), 0);
	ck_assert_int_ne(memcmp(seen[0], seen[2], 128), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, both_or_neither);
	tcase_add_test(t, helper_refuses);
	tcase_add_test(t, a_members_paths_are_not_ours);
	tcase_add_test(t, to_a_live_manager);
	tcase_add_test(t, to_nobody_else);
	tcase_add_test(t, not_the_old_key);
	tcase_add_test(t, key_is_the_verdicts);
	suite_add_tcase(s, t);
	return check_main(s);
}
