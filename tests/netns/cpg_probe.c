/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One member of a group on a real corosync, whole: channel process, proxy, session. For 20-cpg.sh.
 *
 *   cpg_probe NID INCARNATION [INTERVAL-MS [sandbox]]
 *
 * Keys are made from the NID, so that every probe knows every other's. Sends a numbered HEARTBEAT each
 * interval; with "sandbox" its channel is confined as in service. SIGUSR1: 3000 more as fast as they are taken, SIGUSR2: ends. Says, a line each:
 *
 *   CHANNEL pid              at start
 *   VIEW nodeid.seq quorate expected total token-ms members...
 *   QUORUM ...               same
 *   MSG nid number           delivered and verified (HELLO: number is "hello")
 *   REFUSED reason nid count
 *   DOWN why
 *   TICK sent refused-sends  every second: the loop is not stuck
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gcs/channel.h"
#include "gcs/channel_proxy.h"
#include "gcs/session.h"
#include "lib/loop.h"
#include "lib/sandbox.h"

enum { NIDS = 16, FLOOD = 3000 };

static struct probe {
	struct loop *loop;
	struct session *s;
	struct loop_timer *beat, *tick;
	u64 interval, number, flood, sent, unsent;
	u8 pub[NIDS + 1][CRYPTO_PUB];
} P;

static void seed_of(u32 nid, u8 ret[CRYPTO_SEED])
{
	char text[32];

	snprintf(text, sizeof(text), "cpg probe %u", nid);
	if (crypto_sha256(text, strlen(text), ret) != 0)
		exit(3);
}

/* In place of the key service. */
int keys_sign(struct keys *k, enum sign_purpose purpose, const void *p, size_t n, u8 ret[CRYPTO_SIG])
{
	u8 seed[CRYPTO_SEED];

	seed_of((u32)k->fd, seed);
	return crypto_sign(seed, purpose, p, n, ret);
}

static bool on_binding(void *ctx, u32 nid, enum msg_role role, u8 ret_pub[CRYPTO_PUB], bool *ret_dead)
{
	if (nid > NIDS || role != ROLE_MANAGER)
		return false;
	memcpy(ret_pub, P.pub[nid], CRYPTO_PUB);
	return true;
}

static void on_message(void *ctx, const struct session_sender *from, const struct msg_info *info, const void *body,
		       const u8 *raw, size_t raw_len)
{
	if (info->type == MSG_HELLO)
		printf("MSG %u hello\n", from->nid);
	else if (info->type == MSG_HEARTBEAT)
		printf("MSG %u %" PRIu64 "\n", from->nid, ((const struct body_heartbeat *)body)->n);
}

static void say_view(const char *what, const struct gcs_view *v)
{
	printf("%s %u.%" PRIu64 " %s %u %u %" PRIu64, what, v->ring.nodeid, v->ring.seq, v->quorate ? "quorate" : "inquorate",
	       v->expected, v->total, v->token_ns / 1000000);
	for (u32 i = 0; i < v->n; i++)
		printf(" %u", v->members[i].nodeid);
	printf("\n");
}

static void on_view(void *ctx, const struct gcs_view *v)
{
	say_view("VIEW", v);
}

static void on_quorum(void *ctx, const struct gcs_view *v)
{
	say_view("QUORUM", v);
}

static void on_down(void *ctx, const char *why)
{
	printf("DOWN %s\n", why);
}

static void on_refused(void *ctx, enum session_refusal why, u32 nid, u32 nodeid, u64 count)
{
	printf("REFUSED %s %u %" PRIu64 "\n", session_refusal_name(why), nid, count);
}

static const struct session_ops ops = {
	.binding = on_binding, .message = on_message, .view = on_view,
	.quorum = on_quorum,   .down = on_down,	      .refused = on_refused,
};

static bool send_one(void)
{
	struct body_heartbeat h = { .n = P.number + 1 };

	if (session_send(P.s, MSG_HEARTBEAT, GCS_NORMAL, &h) != 0) {
		P.unsent++;
		return false;
	}
	P.number++;
	P.sent++;
	return true;
}

static void on_beat(void *ctx)
{
	if (P.flood > 0) {
		for (int i = 0; i < 64 && P.flood > 0 && send_one(); i++)
			P.flood--;
		loop_timer_set(P.beat, 1000000);
		return;
	}
	send_one();
	loop_timer_set(P.beat, P.interval);
}

static void on_tick(void *ctx)
{
	printf("TICK %" PRIu64 " %" PRIu64 "\n", P.sent, P.unsent);
	loop_timer_set(P.tick, 1000000000);
}

static void on_flood(void *ctx)
{
	P.flood += FLOOD;
	loop_timer_set(P.beat, 1);
}

static void on_end(void *ctx)
{
	loop_stop(P.loop, 0);
}

static int channel_start(bool sandbox)
{
	struct err e = { 0 };
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0)
		exit(3);
	pid = fork();
	if (pid == 0) {
		close(sv[0]);
		if (sandbox && sandbox_enter(SANDBOX_CHANNEL, &e) != 0) {
			printf("SANDBOX %s\n", e.text);
			_exit(3);
		}
		channel_run(sv[1]);
	}
	close(sv[1]);
	printf("CHANNEL %d\n", (int)pid);
	return sv[0];
}

int main(int argc, char **argv)
{
	struct session_config cfg = { .cluster = { 0xdc }, .generation = 1, .role = ROLE_MANAGER };
	struct keys keys = { 0 };
	struct gcs_backend *b;
	struct err e = { 0 };
	int fd;

	if (argc < 3)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	fd = channel_start(argc > 4); /* first: it inherits nothing */
	cfg.nid = (u32)atoi(argv[1]);
	cfg.incarnation = strtoull(argv[2], NULL, 0);
	P.interval = (argc > 3 ? strtoull(argv[3], NULL, 0) : 50) * 1000000;
	cfg.keys = &keys;
	keys.fd = (int)cfg.nid;
	for (u32 nid = 0; nid <= NIDS; nid++) {
		u8 seed[CRYPTO_SEED];

		seed_of(nid, seed);
		if (crypto_sign_pub(seed, P.pub[nid]) != 0)
			return 3;
	}
	P.loop = loop_new();
	if (!P.loop || session_new(&P.s, &cfg, &ops, &P, &e) != 0 ||
	    channel_proxy_new(&b, P.loop, fd, &session_events, P.s) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 3;
	}
	session_attach(P.s, b);
	P.beat = loop_timer_new(P.loop, on_beat, NULL);
	P.tick = loop_timer_new(P.loop, on_tick, NULL);
	loop_timer_set(P.beat, P.interval);
	loop_timer_set(P.tick, 1000000000);
	loop_signal(P.loop, SIGUSR1, on_flood, NULL);
	loop_signal(P.loop, SIGUSR2, on_end, NULL);
	loop_run(P.loop);
	b->free(b);
	session_free(P.s);
	loop_timer_free(P.beat);
	loop_timer_free(P.tick);
	loop_free(P.loop);
	return 0;
}
