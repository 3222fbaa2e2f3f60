// SPDX-License-Identifier: GPL-2.0-or-later
/* Sockets and connections on this node. */
static void test_sockets(void)
{
	u32 from = events->n;

	check(DO(APPX, "socket", "2", "1") == 0, "app makes a TCP socket");
	check(DO(APPX, "socket", "2", "2") == EACCES, "app may not make a UDP socket");
	check(DO(APPX, "socket", "17", "3", "768") == EACCES, "nor a packet socket");
	check(DO(APPX, "socket", "2", "1", "262") == EACCES, "nor MPTCP by the name of TCP");
	check(event_wait(from, DSI_REASON_PROTOCOL, APP, APP) != NULL, "event says protocol");
	check(DO("/srv/bin/plain", "socket", "17", "3", "768") == 0, "the unconfined may");
	check(DO(APPX, "listen", "127.0.0.1", "8080") == EACCES, "app may not bind");
	check(DO(SRVX, "listen", "127.0.0.1", "9999") == EACCES, "srv may not bind another port");
}

static int node(u32 nid, enum dsi_node_state state, const char *a, const char *b, const u8 *key, u32 keygen, const u8 *previous,
		struct sweep_report *sweep)
{
	struct node_info n = { .nid = nid, .state = state, .keygen = keygen, .has_key = key, .has_previous = previous };
	struct err e = { 0 };
	int r;

	if (a)
		node_addr_parse(a, &n.addrs[n.n_addrs++]);
	if (b)
		node_addr_parse(b, &n.addrs[n.n_addrs++]);
	if (key)
		memcpy(n.key, key, 16);
	if (previous)
		memcpy(n.previous, previous, 16);
	r = node_set(k, &n, sweep, &e);
	if (r)
		printf("# node_set: %s\n", e.text);
	return r;
}

static struct actor server;

static void test_loopback(void)
{
	const char *hosts[] = { "127.0.0.1", "::1", "10.9.0.1", "fd09::1" };
	struct kern_status st;
	struct err e = { 0 };
	u32 from;
	double t;
	char c;
	int r;

	check(!node_own_set(k, 1, &e) && !node(1, DSI_NODE_MEMBER, "10.9.0.1", "fd09::1", NULL, 0, NULL, NULL), "own node 1");
	server = START(SRVX, "serve", "8080", "0.0.0.0", "::");
	check(read(server.out, &c, 1) == 1, "srv listens");
	for (u32 i = 0; i < ARRAY_SIZE(hosts); i++) {
		r = DO(APPX, "connect", hosts[i], "8080");
		check(r == 0, "app -> srv over %s (%s)", hosts[i], strerror(r));
	}
	for (u32 i = 0; i < ARRAY_SIZE(hosts); i++) {
		from = events->n;
		t = now_ms();
		r = DO(WEBX, "connect", hosts[i], "8080");
		t = now_ms() - t;
		check(r == ECONNREFUSED, "web -> srv over %s: connection refused (%s, %.0f ms)", hosts[i], strerror(r), t);
		check(event_wait(from, DSI_REASON_NO_RULE, WEB, SRV) != NULL, "event: web, srv, accept");
	}
	check(DO("/srv/bin/plain", "connect", "127.0.0.1", "8080") == 0, "the unconfined default, locally: allowed");
	from = events->n;
	check(DO(WEBX, "connect", "127.0.0.1", "8081") == EACCES, "web may not connect to another port");
	check(event_wait(from, DSI_REASON_NO_RULE, WEB, DSI_SID_ANY) != NULL, "event: web, any, connect");
	kern_status(k, &st, &e);
	check(st.stats[DSI_STAT_SYN_SENT] && st.stats[DSI_STAT_SYN_OK] && !st.stats[DSI_STAT_SYN_SENT_FAILED],
	      "labels written %llu, verified %llu, refused %llu", (unsigned long long)st.stats[DSI_STAT_SYN_SENT],
	      (unsigned long long)st.stats[DSI_STAT_SYN_OK], (unsigned long long)st.stats[DSI_STAT_SYN_REFUSED]);
}
