/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real replica (log on disk, direct leg on the loopback) on the log of a struct world, for tests of what it does with
 * what others bring. Keys: the world's, in real key services.
 */
#ifndef DSI_TESTS_GCS_REPLICA_KIT_H
#define DSI_TESTS_GCS_REPLICA_KIT_H

#include "gcs/local.h"
#include "gcs/replica_impl.h"
#include "tests/unit/gcs_fixture.h"
#include "tests/unit/gcs_world.h"

#define KIT DSI_UNUSED static

struct kit {
	struct loop *loop;
	struct replica *r;
	struct fixture_keys keys;
	char dir[64];
	u32 n_suspended, suspended_nid, n_alarm;
	char alarm[512];
	struct replica_ops ops;
};

/* name: of the world's node whose seeds go into the file. */
KIT void kit_keys(struct fixture_keys *k, const char *name, enum keyfile_kind kind)
{
	const bool server = kind == KEYFILE_SERVER;
	u8 seeds[3][CRYPTO_SEED];

	w_seed2(name, server ? "server_sign" : "sign", seeds[0]);
	w_seed2(name, server ? "server_kem" : "kem", seeds[1]);
	w_seed2(name, "ca", seeds[2]);
	fixture_keys_seeded(k, kind, (const u8(*)[CRYPTO_SEED])seeds);
}

KIT void kit_on_suspended(void *ctx, u32 nid, const struct statement *st)
{
	struct kit *k = ctx;

	(void)st;
	k->n_suspended++;
	k->suspended_nid = nid;
}

KIT void kit_on_alarm(void *ctx, u32 severity, const char *kind, const char *text)
{
	struct kit *k = ctx;

	(void)severity;
	k->n_alarm++;
	snprintf(k->alarm, sizeof(k->alarm), "%s: %s", kind, text);
}

KIT int kit_backend(void *ctx, struct gcs_backend **ret, const struct gcs_events *ev, void *ev_ctx, struct err *e)
{
	struct kit *k = ctx;

	return local_new(ret, k->loop, ev, ev_ctx) ? err_set(e, -DSI_ENOMEM, "local") : 0;
}

/* The first `commit` entries of the world's log are known committed, the others are tail. */
KIT void kit_start(struct kit *k, struct world *w, const char *name, enum msg_role role, u64 commit)
{
	struct replica_config rc = { .role = role, .make_backend = kit_backend,
				     .listen = role == ROLE_MANAGER ? "127.0.0.1:0" : NULL };
	struct log_boot boot;
	struct err e = { 0 };
	struct log *log;

	memset(k, 0, sizeof(*k));
	snprintf(k->dir, sizeof(k->dir), "/tmp/dsi-test-replica.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(k->dir));
	kit_keys(&k->keys, name, role == ROLE_SERVER ? KEYFILE_SERVER : KEYFILE_NODE);
	k->loop = loop_new();
	ck_assert_ptr_nonnull(k->loop);
	ck_assert_msg(log_open(&log, k->loop, k->dir, &boot, &e) == 0, "%s", e.text);
	for (u64 i = 1; i <= w->s->applied; i++)
		ck_assert_int_eq(log_append(log, i, w->log[i - 1].p, w->log[i - 1].n, NULL, NULL), 0);
	ck_assert_int_eq(log_commit_hint(log, commit), 0);
	log_close(log);
	rc.loop = k->loop;
	rc.keys = &k->keys.keys;
	rc.dir = k->dir;
	rc.cluster = "/nowhere";
	snprintf(rc.node, sizeof(rc.node), "%s", name);
	k->ops.suspended = kit_on_suspended;
	k->ops.alarm = kit_on_alarm;
	ck_assert_msg(replica_new(&k->r, &rc, &k->ops, k, &e) == 0, "%s", e.text);
	ck_assert_msg(replica_start(k->r, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(replica_state(k->r)->applied, commit);
}

KIT void kit_stop(struct kit *k)
{
	char cmd[128];

	replica_free(k->r);
	loop_free(k->loop);
	fixture_keys_stop(&k->keys);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", k->dir);
	ck_assert_int_eq(system(cmd), 0);
}

KIT void kit_stop_loop(void *ctx)
{
	loop_stop(ctx, 1);
}

/* Until somebody stops the loop; false: not in time. */
KIT bool kit_run(struct kit *k, u64 ms)
{
	struct loop_timer *t = loop_timer_new(k->loop, kit_stop_loop, k->loop);
	int status;

	loop_timer_set(t, ms * 1000000);
	status = loop_run(k->loop);
	loop_timer_free(t);
	return status == 0;
}

#undef KIT
#endif
