/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new generation taken in by one manager, on the local backend, with a real log and key service: what is refused,
 * what is kept over a restart, two of one number. Members that learn it from each other: tests/netns/50-reform.sh.
 */
#include "gcs/genesis.h"
#include "gcs/local.h"
#include "gcs/replica.h"
#include "tests/unit/gcs_fixture.h"

static struct fixture_keys k;
static struct loop *loop;
static struct replica *r;
static char dir[64], cluster_file[128];
static u8 root_seed[32] = { 1 }, server_seed[32] = { 2 }, other_seed[32] = { 3 };
static u8 cluster[16], request, bend; /* bend: of the base's hash */
static u32 n_live, joined, views, alarms;
static u64 live_index;
static bool (*wanted)(void);
static bool late;

/* --- one node ------------------------------------------------------------------------------------------- */

static void look(void)
{
	if (wanted && wanted())
		loop_stop(loop, 0);
}

static void on_applied(void *ctx, const struct entry *e, const struct state_result *res, bool live)
{
	CHECK(!res->code);
	if (live && e->type == ENTRY_REFORM) {
		n_live++;
		live_index = e->index;
	}
	look();
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	views++;
	look();
}

static void on_joined(void *ctx)
{
	joined++;
	look();
}

static void on_alarm(void *ctx, u32 severity, const char *kind, const char *text)
{
	alarms += severity >= 3;
}

static int make_backend(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx, struct err *e)
{
	return local_new(ret, loop, ev, ev_ctx);
}

static const struct replica_ops ops = { .applied = on_applied, .view = on_view, .joined = on_joined, .alarm = on_alarm };

static void on_late(void *ctx)
{
	late = true;
	loop_stop(loop, 0);
}

static bool until(bool (*what)(void))
{
	struct loop_timer *t = loop_timer_new(loop, on_late, NULL);

	late = false;
	wanted = what;
	loop_timer_set(t, 20000000000ull);
	if (!what())
		loop_run(loop);
	loop_timer_free(t);
	wanted = NULL;
	return !late;
}

static bool in_view(void)
{
	return views > 0;
}

static bool reformed(void)
{
	return n_live > 0 && joined > 0 && views > 0;
}

static void up(void)
{
	struct replica_config cfg = { .loop = loop, .role = ROLE_MANAGER, .keys = &k.keys, .node = "n1",
				      .direct = "127.0.0.1:1", .dir = dir, .cluster = cluster_file,
				      .make_backend = make_backend };
	struct err e = { 0 };

	n_live = joined = views = alarms = 0;
	MUST(!replica_new(&r, &cfg, &ops, NULL, &e));
	MUST(!replica_start(r, &e));
}

static void down(void)
{
	replica_free(r);
	r = NULL;
}

static void make_cluster(void)
{
	struct body_operator op = { .name = "alice", .roles = OP_ALL };
	struct genesis g = { .cluster = "demo", .operators = &op, .n_operators = 1, .wall_ms = 1700000000000 };
	u8 hash[32], addr[4] = { 127, 0, 0, 1 };
	struct blob list = { addr, 4 };
	struct err e = { 0 };
	struct wbuf w;
	FILE *f;

	MUST(!crypto_sign_pub(root_seed, g.root) && !crypto_sign_pub(other_seed, op.pub));
	memcpy(g.node.sign, k.keys.pub.sign, 32);
	memcpy(g.node.kem, k.keys.pub.kem, 32);
	MUST(!crypto_sign_pub(server_seed, g.node.server_sign) && !crypto_kem_pub(server_seed, g.node.server_kem));
	snprintf(g.node.name, sizeof(g.node.name), "n1");
	snprintf(g.node.direct, sizeof(g.node.direct), "127.0.0.1:1");
	g.node.addrs = (struct blobs){ &list, 1 };
	g.node.roles = NODE_MEMBER | NODE_VOTER | NODE_SERVER;
	wbuf_init(&w, ENTRY_MAX);
	MUST(!genesis_make(&g, statement_sign_seed, root_seed, statement_sign_seed, server_seed, &w, &e));
	MUST(!genesis_root_hash(g.root, hash));
	memcpy(cluster, hash, sizeof(cluster));
	snprintf(dir, sizeof(dir), "/tmp/dsi-reform-XXXXXX");
	MUST(mkdtemp(dir));
	snprintf(cluster_file, sizeof(cluster_file), "%s/cluster", dir);
	f = fopen(cluster_file, "w");
	MUST(f && fwrite(w.data, w.len, 1, f) == 1 && !fclose(f));
	wbuf_fini(&w);
}

/* --- what root says --------------------------------------------------------------------------------------- */

struct said {
	u8 p[2048];
	size_t n;
};

static void base_of(u64 index, u8 ret[32])
{
	struct entry e;
	size_t n;
	const u8 *p = log_entry(replica_log(r), index, &n);

	MUST(p && !entry_decode(&e, p, n));
	memcpy(ret, e.hash, 32);
}

static struct said say(u32 generation, u64 base, u8 *seed)
{
	static u8 one[4] = { 1 };
	struct body_s_reform f = { .new_generation = generation, .base_index = base, .next_nid = 2, .voters = { one, 4 },
				   .servers = { one, 4 } };
	struct statement st = { .signer = S_ROOT, .kind = ENTRY_REFORM, .generation = generation, .base = 1700000001000 };
	struct said s;
	struct wbuf body, w;

	base_of(base, f.base_hash);
	f.base_hash[0] ^= bend;
	memcpy(st.cluster, cluster, sizeof(cluster));
	st.request[0] = ++request;
	MUST(!crypto_sign_pub(seed, st.pub));
	wbuf_init(&body, LIM_ENTRY_BODY);
	MUST(!body_encode(&schema_s_reform, &f, &body));
	st.body = body.data;
	st.body_len = body.len;
	wbuf_fixed(&w, s.p, sizeof(s.p));
	MUST(!statement_make(&st, statement_sign_seed, seed, &w));
	s.n = w.len;
	wbuf_fini(&body);
	return s;
}

static int take(const struct said *s)
{
	struct err e = { 0 };
	int rc;

	n_live = joined = views = 0;
	rc = replica_reform(r, s->p, s->n, &e);
	CHECK(!rc || e.text[0]);
	return rc;
}

/* --- cases -------------------------------------------------------------------------------------------------- */

static void test_refused(void)
{
	struct said s, good;

	up();
	CHECK(until(in_view));
	s = say(2, 1, other_seed); /* an operator's key */
	CHECK(take(&s) == -DSI_EAUTH);
	good = s = say(2, 1, root_seed);
	s.p[s.n - 1] ^= 1;
	CHECK(take(&s) == -DSI_ESIG);
	s = say(1, 1, root_seed);
	CHECK(take(&s) == -DSI_ESTALE);
	s = say(2, 1, root_seed);
	cluster[0] ^= 1;
	s = say(2, 1, root_seed); /* another cluster's */
	cluster[0] ^= 1;
	CHECK(take(&s) == -DSI_ECLUSTER);
	bend = 1;
	s = say(2, 1, root_seed); /* on another log */
	bend = 0;
	CHECK(take(&s) == -DSI_ECONFLICT);
	CHECK(replica_state(r)->generation == 1 && log_tail(replica_log(r)) == 1 && !alarms);
	CHECK(good.n > 0);
	down();
}

static void test_taken(void)
{
	struct order_status o;
	struct said s, again;

	up();
	CHECK(until(in_view));
	s = again = say(2, 1, root_seed);
	CHECK(take(&s) == 0);
	s = say(3, 1, root_seed);
	{
		struct err e = { 0 };

		CHECK(replica_reform(r, s.p, s.n, &e) == -DSI_EAGAIN); /* one at a time */
	}
	CHECK(until(reformed));
	CHECK(n_live == 1 && live_index == 2 && replica_state(r)->generation == 2);
	CHECK(replica_state(r)->voters[0].n == 1 && replica_state(r)->voters[0].index == 2);
	replica_status(r, &o);
	CHECK(o.tail == 2 && o.commit == 2 && o.voters == 1 && !o.halted && !o.stale_disk);
	CHECK(take(&again) == -DSI_EREPLAY);
	CHECK(!replica_halted(r) && !alarms);
	down();
}

static void test_after_a_restart(void)
{
	struct said s;

	up();
	CHECK(until(in_view));
	CHECK(replica_state(r)->generation == 2 && replica_state(r)->applied == 2);
	/* below our own commit point: only root may */
	s = say(3, 1, root_seed);
	CHECK(take(&s) == 0);
	CHECK(until(reformed));
	CHECK(replica_state(r)->generation == 3 && log_tail(replica_log(r)) == 2 && live_index == 2);
	s = say(4, 2, root_seed);
	CHECK(take(&s) == 0);
	CHECK(until(reformed));
	CHECK(replica_state(r)->generation == 4 && log_tail(replica_log(r)) == 3 && !alarms);
	down();
}

static void test_two_of_one_number(void)
{
	struct order_status o;
	struct said s;

	up();
	CHECK(until(in_view));
	s = say(3, 2, root_seed); /* an old number is stale, not a contradiction */
	CHECK(take(&s) == -DSI_ESTALE && !replica_halted(r));
	s = say(4, 2, root_seed);
	CHECK(take(&s) == -DSI_ECONFLICT);
	CHECK(replica_halted(r) && alarms == 1);
	replica_status(r, &o);
	CHECK(o.halted && o.phase == ORDER_DOWN && !o.live);
	down();
	up(); /* and it stays so */
	{
		struct loop_timer *t = loop_timer_new(loop, on_late, NULL);

		loop_timer_set(t, 300000000);
		loop_run(loop);
		loop_timer_free(t);
	}
	CHECK(replica_halted(r) && !joined && !views);
	s = say(4, 2, root_seed);
	CHECK(take(&s) == -DSI_ECONFLICT);
	s = say(5, 3, root_seed);
	CHECK(take(&s) == 0);
	CHECK(until(reformed));
	CHECK(!replica_halted(r) && replica_state(r)->generation == 5 && log_tail(replica_log(r)) == 4);
	down();
	up();
	CHECK(until(in_view));
	CHECK(!replica_halted(r) && replica_state(r)->generation == 5);
	down();
}

int main(void)
{
	char cmd[128];

	loop = loop_new();
	MUST(loop);
	fixture_keys_start(&k, KEYFILE_NODE);
	make_cluster();
	RUN(test_refused);
	RUN(test_taken);
	RUN(test_after_a_restart);
	RUN(test_two_of_one_number);
	loop_free(loop);
	fixture_keys_stop(&k);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	CHECK(!system(cmd));
	return fixture_end("gcs_reform");
}
