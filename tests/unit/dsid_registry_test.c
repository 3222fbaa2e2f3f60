/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry of services: look-up, names, limits, what happens to a request when its provider dies, is replaced, is
 * stopped or is slow; and random histories in which every request gets exactly one result.
 */
#include <stdio.h>
#include <string.h>

#include "dsid/registry.h"
#include "tests/unit/lib_check.h"

enum { ME = 1000 };
static struct registry *r;
static struct reg_actions acts;
static const struct reg_owner root = { 64, 0 }, other = { 65, 0 };
static const struct svc_task task = { ME, 77, 1000, 1, 64 };

static void setup(void)
{
	registry_free(r);
	r = registry_new();
	ck_assert_ptr_nonnull(r);
}

static int announce_as(reg_conn c, const char *name, u32 api, const struct reg_owner *who, u64 now)
{
	struct svc_frame f = { .type = SVC_ANNOUNCE, .id = 9, .version = "1.0", .api = api, .caps = 1 };

	strcpy(f.name, name);
	return registry_announce(r, c, &f, who, (u32)c, now, &acts);
}

static int announce(reg_conn c, u64 now)
{
	return announce_as(c, "time", 1, &root, now);
}

static int call(reg_conn c, u32 id, u64 now)
{
	struct svc_frame f = { .type = SVC_CALL, .id = id, .name = "time", .api = 1, .data = (const u8 *)"now", .len = 3 };

	return registry_call(r, c, &f, &task, now, &acts);
}

static int answer(reg_conn c, u32 ticket)
{
	struct svc_frame f = { .type = SVC_ANSWER, .id = ticket, .data = (const u8 *)"noon", .len = 4 };

	return registry_answer(r, c, &f, &acts);
}

static const struct reg_action *only(u32 i, u32 n, reg_conn to, u16 type)
{
	ck_assert_uint_eq(acts.n, n);
	ck_assert_uint_eq(acts.a[i].to, to);
	ck_assert_uint_eq(acts.a[i].frame.type, type);
	ck_assert(acts.a[i].drop == !type);
	return &acts.a[i];
}

START_TEST(announced_found_called_answered)
{
	const struct reg_action *a;
	struct svc_frame f;
	u32 ticket;

	setup();
	ck_assert_int_eq(registry_look(r, "time", &f), -DSI_ENOENT);
	ck_assert_int_eq(call(ME, 5, 0), -DSI_ENOENT);
	ck_assert_int_eq(announce(1, 0), 0);
	ck_assert_uint_eq(only(0, 1, 1, SVC_ANNOUNCED)->frame.id, 9);
	ck_assert_int_eq(registry_look(r, "time", &f), 0);
	ck_assert(f.api == 1 && f.caps == 1 && !strcmp(f.version, "1.0"));
	ck_assert_int_eq(call(ME, 5, 0), 0);
	a = only(0, 1, 1, SVC_REQUEST);
	ck_assert(a->frame.len == 3 && !memcmp(a->frame.data, "now", 3) && a->frame.task.pid == ME && a->frame.task.sid == 64);
	ticket = a->frame.id;
	ck_assert_int_eq(answer(2, ticket), -DSI_ENOENT); /* somebody else's */
	ck_assert_int_eq(answer(1, ticket), 0);
	a = only(0, 1, ME, SVC_RESULT);
	ck_assert(a->frame.id == 5 && a->frame.len == 4);
	ck_assert_int_eq(answer(1, ticket), -DSI_ENOENT); /* twice */
	ck_assert_uint_eq(registry_next(r), UINT64_MAX);
}
END_TEST

START_TEST(a_name_has_one_owner)
{
	struct svc_frame f = { .type = SVC_CALL, .name = "time", .api = 3 };

	setup();
	ck_assert_int_eq(announce_as(1, "time", 2, &root, 0), 0);
	ck_assert_int_eq(announce_as(2, "time", 2, &other, 0), -DSI_EEXIST);
	ck_assert_uint_eq(acts.n, 0);
	ck_assert_int_eq(announce_as(1, "date", 1, &root, 0), -DSI_EEXIST); /* one service, one connection */
	ck_assert_int_eq(announce_as(3, "time", 1, &root, 0), -DSI_EVERSION);
	ck_assert_int_eq(registry_call(r, ME, &f, &task, 0, &acts), -DSI_EVERSION);
	f.api = 1, f.caps = 2;
	ck_assert_int_eq(registry_call(r, ME, &f, &task, 0, &acts), -DSI_EVERSION);
	registry_gone(r, 1, 0, &acts);
	ck_assert_int_eq(announce_as(2, "time", 2, &other, 0), 0);
}
END_TEST

START_TEST(limits)
{
	char name[16];
	u32 n = 0;

	setup();
	for (u32 i = 0; i < LIM_SERVICES; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		ck_assert_int_eq(announce_as(1 + i, i ? name : "time", 1, &root, 0), 0);
	}
	ck_assert_int_eq(announce_as(500, "more", 1, &root, 0), -DSI_ELIMIT);
	for (u32 i = 0; i < LIM_SVC_EACH; i++)
		ck_assert_int_eq(call(ME, i, 0), 0);
	ck_assert_int_eq(call(ME, 1, 0), -DSI_ELIMIT);
	for (reg_conn c = ME + 1; n < LIM_SVC_CALLS - LIM_SVC_EACH; n++)
		ck_assert_int_eq(call(c + n / LIM_SVC_EACH, n, 0), 0);
	ck_assert_int_eq(call(ME + 900, 1, 0), -DSI_EAGAIN);
	registry_tick(r, LIM_SVC_WAIT_MS, &acts);
	ck_assert_uint_eq(acts.n, LIM_SVC_CALLS);
	ck_assert_uint_eq(acts.a[0].frame.code, DSI_ETIMEDOUT);
	ck_assert_int_eq(call(ME + 900, 1, 0), 0);
}
END_TEST

START_TEST(a_dead_providers_requests_wait_for_the_next)
{
	u32 ticket;

	setup();
	ck_assert_int_eq(announce(1, 0), 0);
	ck_assert_int_eq(call(ME, 5, 0), 0);
	ticket = acts.a[0].frame.id;
	registry_gone(r, 1, 10, &acts);
	ck_assert_uint_eq(acts.n, 0);
	ck_assert_uint_eq(registry_next(r), LIM_SVC_WAIT_MS);
	ck_assert_int_eq(announce(2, 20), 0);
	ck_assert_uint_eq(only(1, 2, 2, SVC_REQUEST)->frame.id, ticket);
	ck_assert_int_eq(answer(2, ticket), 0);
	ck_assert_uint_eq(only(0, 1, ME, SVC_RESULT)->frame.id, 5);
}
END_TEST

START_TEST(replaced_while_both_live)
{
	struct reg_row rows[LIM_SERVICES];
	u32 old, new;

	setup();
	ck_assert_int_eq(announce(1, 0), 0);
	ck_assert_int_eq(call(ME, 5, 0), 0);
	old = acts.a[0].frame.id;
	ck_assert_int_eq(announce_as(2, "time", 2, &root, 0), 0);
	(void)only(0, 2, 2, SVC_ANNOUNCED);
	(void)only(1, 2, 1, SVC_DRAIN);
	ck_assert_uint_eq(registry_rows(r, rows), 2);
	ck_assert_int_eq(call(ME, 6, 0), 0);
	new = only(0, 1, 2, SVC_REQUEST)->frame.id;
	ck_assert_int_eq(answer(1, old), 0);
	ck_assert_uint_eq(only(0, 2, ME, SVC_RESULT)->frame.id, 5);
	(void)only(1, 2, 1, 0); /* the last answer is out: closed */
	ck_assert_int_eq(answer(2, new), 0);
	ck_assert_uint_eq(registry_rows(r, rows), 1);
	ck_assert(rows[0].conn == 2 && rows[0].api == 2 && !rows[0].draining);
}
END_TEST

START_TEST(one_that_does_not_drain_is_dropped_and_its_request_is_not)
{
	setup();
	ck_assert_int_eq(announce(1, 0), 0);
	ck_assert_int_eq(call(ME, 5, 0), 0);
	ck_assert_int_eq(announce(2, 0), 0);
	ck_assert_uint_eq(registry_next(r), LIM_SVC_DRAIN_MS);
	registry_tick(r, LIM_SVC_DRAIN_MS, &acts);
	(void)only(0, 2, 1, 0);
	(void)only(1, 2, 2, SVC_REQUEST);
}
END_TEST

START_TEST(stopped_and_nobody_left)
{
	setup();
	ck_assert_int_eq(registry_stop(r, "time", 0, &acts), -DSI_ENOENT);
	ck_assert_int_eq(announce(1, 0), 0);
	ck_assert_int_eq(call(ME, 5, 0), 0);
	registry_gone(r, ME, 0, &acts);
	ck_assert_int_eq(registry_stop(r, "time", 0, &acts), 0);
	(void)only(0, 1, 1, SVC_DRAIN);
	ck_assert_int_eq(call(ME, 6, 0), -DSI_ENOENT);
	registry_gone(r, 1, 0, &acts); /* with a request of one who is gone too */
	ck_assert_uint_eq(acts.n, 0);
	ck_assert_uint_eq(registry_next(r), UINT64_MAX);
}
END_TEST

/* Random histories: providers come, are replaced, die; each request that was taken gets one result, never two, none is lost. */
enum { CONNS = 40, STEPS = 400, IDS = 4096 };
static u8 open_call[IDS]; /* 1: taken, no result yet */
static struct { reg_conn at; u32 ticket; } given[LIM_SVC_CALLS * 2];
static u32 n_given;

static void carry_out(void)
{
	for (u32 i = 0; i < acts.n; i++) {
		const struct reg_action *a = &acts.a[i];

		if (a->frame.type == SVC_RESULT) {
			ck_assert_uint_eq(open_call[a->frame.id], 1);
			open_call[a->frame.id] = 0;
		} else if (a->frame.type == SVC_REQUEST && n_given < ARRAY_SIZE(given)) {
			given[n_given].at = a->to;
			given[n_given++].ticket = a->frame.id;
		}
	}
}

START_TEST(every_request_gets_one_result)
{
	for (u32 seed = 1; seed <= 300; seed++) {
		u64 rng = seed * 0x9e3779b97f4a7c15ull, now = 0;
		u32 next_conn = 1, id = 0;

		setup();
		memset(open_call, 0, sizeof(open_call));
		n_given = 0;
		for (u32 step = 0; step < STEPS; step++) {
			u32 x;

			rng = rng * 6364136223846793005ull + 1442695040888963407ull;
			x = (u32)(rng >> 33);
			now += x % 300;
			acts.n = 0;
			switch (x % 8) {
			case 0:
				(void)announce(next_conn++, now);
				break;
			case 1:
				registry_gone(r, next_conn > 3 ? next_conn - x / 8 % 3 : 1, now, &acts);
				break;
			case 2:
				registry_tick(r, now, &acts);
				break;
			case 3: case 4: case 5:
				if (!call(ME + x % CONNS, ++id, now))
					open_call[id] = 1;
				break;
			default:
				if (n_given) {
					u32 g = x / 8 % n_given;

					(void)answer(given[g].at, given[g].ticket);
					given[g] = given[--n_given];
				}
			}
			carry_out();
		}
		registry_tick(r, now + LIM_SVC_WAIT_MS + LIM_SVC_DRAIN_MS, &acts);
		carry_out();
		for (u32 i = 0; i < IDS; i++)
			ck_assert_msg(!open_call[i], "seed %u: request %u has no result", seed, i);
	}
	registry_free(r);
	r = NULL;
}
END_TEST

LIB_TESTS("registry", announced_found_called_answered, a_name_has_one_owner, limits, a_dead_providers_requests_wait_for_the_next,
	  replaced_while_both_live, one_that_does_not_drain_is_dropped_and_its_request_is_not, stopped_and_nobody_left,
	  every_request_gets_one_result)
