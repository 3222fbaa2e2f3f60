// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections from elsewhere: raw SYNs with true and forged labels, hosts that are no members, suspended ones. */
static int ns2 = -1;
static const u8 key3[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const u8 key3_old[16] = { 9, 9, 9 };

static void in_ns2(void)
{
	if (setns(ns2, CLONE_NEWNET))
		perror("setns");
}

static int DO_NS2(const char *host, const char *port)
{
	pid_t p = fork();
	int s;

	if (!p) {
		in_ns2();
		execl("/srv/bin/plain", "plain", "do", "connect", host, port, NULL);
		_exit(99);
	}
	waitpid(p, &s, 0);
	return WEXITSTATUS(s);
}

static void make_ns2(void)
{
	int p[2];
	pid_t child;
	char path[64], c;

	if (pipe(p))
		abort();
	child = fork();
	if (!child) {
		unshare(CLONE_NEWNET);
		if (write(p[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	if (read(p[0], &c, 1) != 1)
		abort();
	snprintf(path, sizeof(path), "/proc/%d/ns/net", child);
	ns2 = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/bin/ip link set v2 netns %d", child);
	run(path);
	child = fork();
	if (!child) {
		in_ns2();
		run("/bin/ip link set lo up; /bin/ip link set v2 up; /bin/ip addr add 10.9.0.2/24 dev v2; /bin/ip addr add 10.9.0.3/24 dev v2; "
		    "/bin/ip addr add fd09::2/64 dev v2 nodad; /bin/ip addr add fd09::3/64 dev v2 nodad");
		_exit(0);
	}
	waitpid(child, NULL, 0);
	/* ns2 drops what comes for .77 in silence; only our packet socket sees it */
	run("/bin/ip neigh replace 10.9.0.77 lladdr 02:00:00:00:00:02 dev v1 nud permanent");
}

struct craft {
	u16 sport;
	u32 isn, sid, nid;
	u8 keygen;
	const u8 *key;
	bool stripped, spoil, ack_after;
};

static u64 le64(const u8 *p)
{
	u64 v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static u32 fold(const u8 *b, size_t n, u32 sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (u32)b[i] << 8 | b[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void tcp_send(int raw, const struct dsi_addr *s, const struct dsi_addr *d, u16 sport, u16 dport, u32 seq, u32 ack, u8 flags,
		     const u8 *options, size_t n_options)
{
	u8 b[120] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, IPPROTO_TCP }, *t = b + 20;
	struct sockaddr_in to = { .sin_family = AF_INET };
	size_t len = 20 + n_options;
	u32 sum;

	b[3] = (u8)(20 + len);
	memcpy(b + 12, s->a + 12, 4);
	memcpy(b + 16, d->a + 12, 4);
	memcpy(&to.sin_addr, d->a + 12, 4);
	t[0] = (u8)(sport >> 8), t[1] = (u8)sport, t[2] = (u8)(dport >> 8), t[3] = (u8)dport;
	for (int i = 0; i < 4; i++)
		t[4 + i] = (u8)(seq >> (24 - 8 * i)), t[8 + i] = (u8)(ack >> (24 - 8 * i));
	t[12] = (u8)(len / 4 << 4);
	t[13] = flags;
	t[14] = 0xff;
	memcpy(t + 20, options, n_options);
	sum = ~fold(t, len, fold(b + 12, 8, (u32)(IPPROTO_TCP + len)));
	t[16] = (u8)(sum >> 8), t[17] = (u8)sum;
	if (sendto(raw, b, 20 + len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		perror("# raw send");
}

/* Send a SYN as 10.9.0.77; answer: TCP flags of the reply (0x12 SYN|ACK, 0x14 RST|ACK), 0 silence. */
static int syn(const struct craft *c)
{
	int p[2], s = 0;
	pid_t child;

	if (pipe(p))
		abort();
	child = fork();
	if (!child) {
		struct dsi_syn d = { .sport = c->sport, .dport = PORT, .isn = c->isn, .sid = c->sid,
				     .nid_word = DSI_NID_WORD(c->nid, c->keygen) };
		u64 key[2] = { c->key ? le64(c->key) : 0, c->key ? le64(c->key + 8) : 0 };
		u8 options[24] = { 2, 4, 5, 0xb4 }, in[2048];
		struct timeval tv = { 1, 500000 };
		double end = now_ms() + 1500;
		int raw, packets, got = 0;

		in_ns2();
		raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
		packets = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
		setsockopt(packets, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		node_addr_parse("10.9.0.77", &d.saddr);
		node_addr_parse("10.9.0.1", &d.daddr);
		dsi_syn_option(&d, dsi_syn_mac(key, &d), options + 4);
		if (c->spoil)
			options[23] ^= 1;
		tcp_send(raw, &d.saddr, &d.daddr, c->sport, PORT, c->isn, 0, 2, options, c->stripped ? 4 : 24);
		while (now_ms() < end && !got) {
			ssize_t n = recv(packets, in, sizeof(in), 0);
			u8 *t = in + 20;

			if (n >= 40 && in[9] == IPPROTO_TCP && (t[2] << 8 | t[3]) == c->sport && !memcmp(in + 12, d.daddr.a + 12, 4))
				got = t[13];
		}
		if (got == 0x12 && c->ack_after) {
			u8 *t = in + 20;
			u32 seq = (u32)t[4] << 24 | (u32)t[5] << 16 | (u32)t[6] << 8 | t[7];

			tcp_send(raw, &d.saddr, &d.daddr, c->sport, PORT, c->isn + 1, seq + 1, 0x10, NULL, 0);
			usleep(100000);
			tcp_send(raw, &d.saddr, &d.daddr, c->sport, PORT, c->isn + 1, seq + 1, 0x14, NULL, 0);
			usleep(100000);
		}
		_exit(got);
	}
	waitpid(child, &s, 0);
	close(p[0]);
	close(p[1]);
	return WEXITSTATUS(s);
}

static void test_remote(void)
{
	struct craft good = { .sport = 40001, .isn = 1000, .sid = APP, .nid = 3, .keygen = 5, .key = key3 }, c;
	u32 from = events->n;
	const struct dsi_event *ev;
	double t;
	int r;

	make_ns2();
	check(!node(2, DSI_NODE_MEMBER, "10.9.0.2", "fd09::2", key3, 1, NULL, NULL), "node 2 by address");
	check(!node(3, DSI_NODE_MEMBER, "10.9.0.77", NULL, key3, 5, key3_old, NULL), "node 3 by address, with keys");
	lease_set(k, lease_now() + 3600000000000ull);

	t = now_ms();
	r = DO_NS2("10.9.0.1", "8080");
	check(r == ECONNREFUSED, "a member's address, another node's label: refused (%s, %.0f ms)", strerror(r), now_ms() - t);
	check(event_wait(from, DSI_REASON_SYN_WRONG_NODE, 0, SRV) != NULL, "event: wrong node");
	r = DO_NS2("fd09::1", "8080");
	check(r == ECONNREFUSED, "the same over IPv6 (%s)", strerror(r));

	check(syn(&good) == 0x12, "a true label of node 3: accepted");
	c = good, c.sport = 40002, c.stripped = true;
	from = events->n;
	check(syn(&c) == 0x14, "label stripped: refused at once");
	ev = event_wait(from, DSI_REASON_SYN_UNLABELLED, 0, SRV);
	check(ev && ev->snid == 3 && ev->flags & DSI_EVENT_TUPLE && ev->sport == 40002 && ev->dport == PORT && ev->isn == 1000,
	      "event: node 3, tuple, sequence");
	c = good, c.sport = 40003, c.spoil = true;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_BAD_MAC, 0, SRV), "MAC off by a bit: refused");
	c = good, c.sport = 40004, c.key = key3_old;
	check(syn(&c) == 0x14, "right generation, other key: refused");
	c = good, c.sport = 40005, c.key = key3_old, c.keygen = 4;
	check(syn(&c) == 0x12, "previous key generation: accepted");
	c.sport = 40006, c.keygen = 3;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_STALE_KEY, 0, SRV), "older generation: refused");
	c = good, c.sport = 40007, c.nid = 2;
	check(syn(&c) == 0x14, "another node's number: refused");
	c = good, c.sport = 40008, c.sid = DSI_SID_OUTSIDE;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_BAD_SID, 0, SRV), "an impossible context: refused");
	c = good, c.sport = 40009, c.sid = DSI_SID_DEFAULT;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_NO_RULE, DSI_SID_DEFAULT, SRV), "node 3's root shell: no rule, refused");
	c = good, c.sport = 40010, c.ack_after = true;
	check(syn(&c) == 0x12, "accepted and established");
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_REPLAYED, APP, SRV), "the same SYN again: replay, refused");
	c.isn++;
	check(syn(&c) == 0x12, "a new connection from the same port: accepted");

	lease_set(k, lease_now());
	c = good, c.sport = 40020;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_NO_RULE, DSI_SID_STALE, SRV), "lease over: stale, refused");
	lease_set(k, lease_now() + 3600000000000ull);
	c.sport = 40021;
	check(syn(&c) == 0x12, "lease renewed: accepted");
	check(DO(APPX, "connect", "127.0.0.1", "8080") == 0, "(local needs no lease)");
}

static void test_outside(void)
{
	struct actor open = START(SRVX, "serve", "8081", "0.0.0.0");
	u32 from = events->n;
	char c;
	int r;

	if (read(open.out, &c, 1) != 1)
		printf("# no server\n");
	/* from now on 10.9.0.2 is nobody's */
	node(2, DSI_NODE_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	r = DO_NS2("10.9.0.1", "8080");
	check(r == ECONNREFUSED && event_wait(from, DSI_REASON_NO_RULE, DSI_SID_OUTSIDE, SRV),
	      "a host that is no member, no rule: refused (%s)", strerror(r));
	r = DO_NS2("10.9.0.1", "8081");
	check(r == 0, "the same with a rule for outside: accepted (%s)", strerror(r));
	stop(&open);
}

/* A member is suspended while it is connected. Its true label and everything else from there is refused. */
static void test_suspended(void)
{
	struct craft good = { .sport = 40101, .isn = 7000, .sid = APP, .nid = 3, .keygen = 5, .key = key3 };
	struct actor talk;
	struct sweep_report rep;
	struct kern_status st;
	struct err e = { 0 };
	u32 from = events->n;
	struct sockaddr_storage to;
	socklen_t n = address(&to, "10.9.0.2", 9);
	int udp = socket(AF_INET, SOCK_DGRAM, 0), opened;
	u64 before;
	pid_t p;
	int s;

	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) == 1, "UDP to an address before");
	/* an established connection with that address: outside at first, then the address becomes node 2's */
	struct actor open = START(SRVX, "serve", "8081", "0.0.0.0");
	char c;

	if (read(open.out, &c, 1) != 1)
		printf("# no server\n");
	int in[2], out[2];
	if (pipe(in) || pipe(out))
		abort();
	p = fork();
	if (!p) {
		in_ns2();
		dup2(in[0], 0), dup2(out[1], 1);
		for (int i = 3; i < 64; i++)
			close(i);
		execl("/srv/bin/plain", "plain", "do", "retalk", "10.9.0.1", "8081", NULL);
		_exit(99);
	}
	talk = (struct actor){ p, in[1], out[0] };
	close(in[0]), close(out[1]);
	check(ask(&talk) == '.', "a connection from there works");
	check(!node(2, DSI_NODE_MEMBER, "10.9.0.2", NULL, key3, 1, NULL, NULL) && ask(&talk) == '.', "the address is a member's now");
	check(!node(2, DSI_NODE_SUSPENDED, "10.9.0.2", NULL, key3, 1, NULL, &rep), "suspended");
	printf("# sweep %llu us, %u of %u destroyed\n", (unsigned long long)rep.us, rep.sockets_destroyed, rep.sockets_seen);
	check(rep.sockets_destroyed == 1 && ask(&talk) == '!', "its live connection is cut");
	kern_status(k, &st, &e);
	before = st.stats[DSI_STAT_QUARANTINE_DROPS];
	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) < 0 && errno == EPERM, "UDP to it is refused");
	s = DO_NS2("10.9.0.1", "8081");
	check(s == ECONNREFUSED && event_wait(from, DSI_REASON_SUSPENDED, DSI_SID_OUTSIDE, SRV), "a new connection from it hears it at once (%s)",
	      strerror(s));
	kern_status(k, &st, &e);
	check(st.stats[DSI_STAT_QUARANTINE_DROPS] > before, "and is counted");
	check(!kern_exempt_set(k, (struct dsi_exempt[]){ { PORT_EXEMPT, IPPROTO_UDP, DSI_EXEMPT_REVOKED } }, 1, &e), "ring port exempt");
	((struct sockaddr_in *)&to)->sin_port = htons(PORT_EXEMPT);
	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) == 1, "the ring's port stays open");
	check(syn(&good) == 0x12, "another member is not disturbed");
	node(3, DSI_NODE_REVOKED, "10.9.0.77", NULL, key3, 5, NULL, NULL);
	good.sport++;
	opened = syn(&good);
	check(opened == 0x14 && event_wait(from, DSI_REASON_REVOKED, DSI_SID_OUTSIDE, SRV), "revoked: a true label is refused (%x)", opened);
	node(2, DSI_NODE_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	check(!node(3, DSI_NODE_MEMBER, "10.9.0.77", NULL, key3, 5, key3_old, NULL) && !kern_state(k)->quarantined, "back to before");
	((struct sockaddr_in *)&to)->sin_port = htons(9);
	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) == 1, "packets pass again");
	stop(&open);
	stop(&talk);
	close(udp);
}
