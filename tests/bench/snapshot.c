/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node that joins a cluster with 10,000 context changes in its log and a policy image of 1 MiB: from the first question
 * on the direct leg (TLS on the loopback) to the state installed and the image on disk. ours: by a snapshot; beside:
 * the same log replayed with proofs, in the same run, from the same member. The member is a real replica in a process of
 * its own; its longest turn of the loop is what others may have to wait for while it serves.
 *
 * snapshot ROWS: writes its rows there (bench/lib.sh says in which form; bench/snapshot.sh shows and judges them).
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "gcs/local.h"
#include "gcs/replica_impl.h"
#include "tests/unit/gcs_acks.h"
#include "tests/unit/gcs_fixture.h"

enum { CHANGES = 10000, IMAGE = 1 << 20, STEP_PROOF = LIM_PROOF_EVERY };
static const char *rows_path;

struct member {
	struct fixture_keys keys;
	struct replica *r;
	char dir[80];
	bool joined, blob;
};

struct cost {
	double wall, cpu, source_turn, source_cpu;
};

static struct loop *loop;
static struct world *w;
static struct member source, learner;
static char top[64], address[64];
static u8 policy[IMAGE], policy_digest[CRYPTO_HASH];
static volatile sig_atomic_t leave;

static double now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *direct_of(const char *name)
{
	return !strcmp(name, "n1") ? address : "127.0.0.1:1";
}

static int on_backend(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx, struct err *e)
{
	return local_new(ret, loop, ev, ev_ctx);
}

static void on_blob(void *ctx, int code)
{
	struct member *m = ctx;

	ck_assert_int_eq(code, 0);
	m->blob = true;
}

static void on_joined(void *ctx)
{
	struct member *m = ctx;

	m->joined = true;
	if (m == &learner)
		replica_blob_fetch(m->r, replica_state(m->r)->policy.digest, on_blob, m);
}

static void on_alarm(void *ctx, u32 severity, const char *kind, const char *text)
{
	if (severity > 1)
		fprintf(stderr, "%s: %s\n", kind, text);
}

static const struct replica_ops ops = { .joined = on_joined, .alarm = on_alarm };

static void keys_of(struct fixture_keys *k, const char *name)
{
	u8 seeds[3][CRYPTO_SEED];

	w_seed2(name, "sign", seeds[0]);
	w_seed2(name, "kem", seeds[1]);
	w_seed2(name, "ca", seeds[2]);
	fixture_keys_seeded(k, KEYFILE_NODE, (const u8(*)[CRYPTO_SEED])seeds);
}

static void start(struct member *m, const char *name, const char *listen)
{
	static struct replica_config cfg;
	char genesis[96];
	struct err e = { 0 };
	FILE *f;

	snprintf(genesis, sizeof(genesis), "%s/cluster", top);
	f = fopen(genesis, "w");
	ck_assert(f && fwrite(w->log[0].p, 1, w->log[0].n, f) == w->log[0].n && !fclose(f));
	cfg = (struct replica_config){ .loop = loop, .role = ROLE_MANAGER, .keys = &m->keys.keys, .dir = m->dir, .listen = listen,
				       .cluster = genesis, .make_backend = on_backend };
	snprintf(cfg.node, sizeof(cfg.node), "%s", name);
	if (m == &learner) {
		snprintf(cfg.peers[0], sizeof(cfg.peers[0]), "%s", address);
		cfg.n_peers = 1;
	}
	m->joined = m->blob = false;
	ck_assert_msg(replica_new(&m->r, &cfg, &ops, m, &e) == 0, "%s", e.text);
	ck_assert_msg(replica_start(m->r, &e) == 0, "%s", e.text);
}

/* What a policy with its contexts looks like in the log: small statements by an operator, the last with a large image. */
static void make_log(void)
{
	struct body_s_policy p;

	w = w_new();
	ck_assert_uint_eq(w_join(w, "n2", "n2", NODE_MEMBER | NODE_VOTER), 2);
	ck_assert_uint_eq(w_join(w, "n3", "n3", NODE_MEMBER | NODE_VOTER), 3);
	ck_assert_uint_eq(w_join(w, "n4", "n4", NODE_MEMBER), 4);
	for (u32 i = 0; i + 1 < CHANGES; i++, w->now += 500) /* request ids are remembered until they expire */
		ck_assert_int_eq(w_order(w, w_policy(w, "alice", "contexts", 0)), 0);
	p = w_policy_body(w, "last", 0);
	memcpy(p.digest, policy_digest, sizeof(p.digest));
	p.size = IMAGE;
	ck_assert_int_eq(w_order(w, w_statement(w, ENTRY_POLICY, "alice", &schema_s_policy, &p)), 0);
	while (w->s->applied % LIM_DIGEST_EVERY)
		ck_assert_int_eq(w_put(w, ENTRY_NOP, (struct blob){ 0 }), 0);
}

static void on_drained(void *ctx, u64 value, int code)
{
	loop_stop(loop, 0);
}

static void source_disk(void)
{
	struct log_boot boot;
	struct err e = { 0 };
	struct log *g;

	ck_assert_msg(log_open(&g, loop, source.dir, &boot, &e) == 0, "%s", e.text);
	for (u64 i = 1; i <= w->s->applied; i++)
		ck_assert_int_eq(log_append(g, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	log_commit_hint(g, w->s->applied);
	for (u64 at = 5; at; at = at == 5 ? 8 : at == 8 ? STEP_PROOF : at + STEP_PROOF > w->s->applied ? 0 : at + STEP_PROOF) {
		struct blob p = a_prove(w, at, (const u32[]){ 1, 2, 3 }, at == 5 ? 2 : 3);

		ck_assert_int_eq(log_proof_put(g, at, 0, p.p, p.n), 0);
	}
	struct blob end = a_prove(w, w->s->applied, (const u32[]){ 1, 2, 3 }, 3);

	ck_assert_int_eq(log_proof_put(g, w->s->applied, 0, end.p, end.n), 0);
	ck_assert_int_eq(blob_put(g, policy_digest, policy, sizeof(policy), NULL, NULL), 0);
	ck_assert_int_eq(log_drain(g, on_drained, NULL), 0);
	loop_run(loop);
	log_close(g);
}

/* As the stream would: it tells its state at the last entry, and hears the others. */
static void source_told(void)
{
	struct body_digest m;
	struct entry e;
	u8 digest[CRYPTO_HASH];

	a_entry(w, w->s->applied, &e);
	w_digest(w->s, digest);
	agree_applied(source.r, &e, true);
	for (u32 nid = 1; nid <= 3; nid++) {
		struct blob raw = a_word(w, nid, e.index, digest, NULL, &m);

		snap_noted(source.r, nid, &m, raw.p, raw.n);
	}
}

/* --- the member's process ---------------------------------------------------------------------------------- */

static struct loop_timer *look;
static double turn, longest;

static void on_term(int sig)
{
	leave = 1;
}

/* Every millisecond; what comes later than that was held up. */
static void on_source_look(void *ctx)
{
	double t = now(CLOCK_MONOTONIC);

	longest = MAX(longest, t - turn - 0.001);
	turn = t;
	if (leave)
		loop_stop(loop, 0);
	else
		loop_timer_set(look, 1000000);
}

static void source_main(bool tells, int ready)
{
	double told[2];

	loop = loop_new();
	signal(SIGTERM, on_term);
	start(&source, "n1", address);
	if (tells)
		source_told();
	look = loop_timer_new(loop, on_source_look, NULL);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	told[1] = now(CLOCK_PROCESS_CPUTIME_ID);
	turn = now(CLOCK_MONOTONIC);
	loop_timer_set(look, 1);
	loop_run(loop);
	told[0] = longest;
	told[1] = now(CLOCK_PROCESS_CPUTIME_ID) - told[1];
	_exit(write(ready, told, sizeof(told)) != sizeof(told));
}

/* --- the joiner's ------------------------------------------------------------------------------------------- */

static void on_look(void *ctx)
{
	if (learner.joined && learner.blob)
		loop_stop(loop, 0);
	else
		loop_timer_set(look, 100000);
}

static struct cost join(bool by_snapshot)
{
	char cmd[200], ready;
	struct cost c;
	u8 want[CRYPTO_HASH], have[CRYPTO_HASH];
	double told[2];
	int fd[2];
	pid_t pid;

	snprintf(cmd, sizeof(cmd), "rm -rf %s", learner.dir);
	ck_assert_int_eq(system(cmd), 0);
	ck_assert_int_eq(pipe(fd), 0);
	pid = fork();
	if (!pid)
		source_main(by_snapshot, fd[1]);
	ck_assert_int_eq(read(fd[0], &ready, 1), 1);
	c.wall = now(CLOCK_MONOTONIC);
	c.cpu = now(CLOCK_PROCESS_CPUTIME_ID);
	start(&learner, "n4", "127.0.0.1:0");
	look = loop_timer_new(loop, on_look, NULL);
	loop_timer_set(look, 1);
	loop_run(loop);
	c.wall = now(CLOCK_MONOTONIC) - c.wall;
	c.cpu = now(CLOCK_PROCESS_CPUTIME_ID) - c.cpu;
	loop_timer_free(look);
	kill(pid, SIGTERM);
	ck_assert_int_eq(read(fd[0], told, sizeof(told)), sizeof(told));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(fd[0]);
	close(fd[1]);
	c.source_turn = told[0] * 1000;
	c.source_cpu = told[1] * 1000;
	w_digest(w->s, want);
	w_digest(replica_state(learner.r), have);
	ck_assert_mem_eq(want, have, CRYPTO_HASH);
	ck_assert_uint_eq(log_base(replica_log(learner.r), NULL), by_snapshot ? w->s->applied : 0);
	replica_free(learner.r);
	return c;
}

static void row(FILE *rows, const char *work, const char *unit, double ours, double beside, const char *goal)
{
	fprintf(rows, "%s\t%s\t%.6f\t%.6f\t%s\t\t\n", work, unit, ours, beside, goal);
}

START_TEST(measure)
{
	struct cost snap, replay;
	struct wbuf image;
	FILE *rows;

	snprintf(top, sizeof(top), "/tmp/dsi-bench-snapshot.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	snprintf(source.dir, sizeof(source.dir), "%s/source", top);
	snprintf(learner.dir, sizeof(learner.dir), "%s/learner", top);
	for (size_t i = 0; i < sizeof(policy); i++)
		policy[i] = (u8)(i * 7 + i / 251);
	ck_assert_int_eq(crypto_sha256(policy, sizeof(policy), policy_digest), 0);
	loop = loop_new();
	keys_of(&source.keys, "n1");
	keys_of(&learner.keys, "n4");
	snprintf(address, sizeof(address), "127.0.0.1:%u", 20000 + (unsigned)getpid() % 20000);
	w_direct_of = direct_of;
	make_log();
	source_disk();
	wbuf_init(&image, LIM_STATE);
	ck_assert_int_eq(state_save(w->s, &image), 0);
	snap = join(true);
	replay = join(false);
	rows = fopen(rows_path, "a");
	ck_assert_ptr_nonnull(rows);
	printf("a log of %llu entries, state image %zu KiB, policy image %d KiB; beside: the same log replayed\n\n",
	       (unsigned long long)w->s->applied, image.len >> 10, IMAGE >> 10);
	row(rows, "snapshot to a joiner: ask to state and policy installed", "s", snap.wall, replay.wall, "ours < 1.0");
	row(rows, "CPU of it at the joiner", "s", snap.cpu, replay.cpu, "");
	row(rows, "CPU of it at the member that serves", "ms", snap.source_cpu, replay.source_cpu, "");
	row(rows, "that member's longest turn of its loop", "ms", snap.source_turn, replay.source_turn, "");
	ck_assert_int_eq(fclose(rows), 0);
	wbuf_fini(&image);
	fixture_keys_stop(&source.keys);
	fixture_keys_stop(&learner.keys);
	loop_free(loop);
	w_free(w);
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *s = suite_create("bench_snapshot");
	TCase *t = tcase_create("measure");

	if (argc != 2)
		return 64;
	rows_path = argv[1];
	tcase_set_timeout(t, 300);
	tcase_add_test(t, measure);
	suite_add_tcase(s, t);
	return check_main(s);
}
