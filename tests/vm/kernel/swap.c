// SPDX-License-Identifier: GPL-2.0-or-later
/* A new policy under what is open: connections, files, mappings; permissive and back. */
static void test_swap(void)
{
	struct actor a[2];
	struct set other;
	struct mapset_report rep;
	u64 worst = 0;
	int r[2];

	other = base;
	for (u32 i = 0; i < other.n_labels; i++)
		if (other.labels[i].sid == DATA)
			other.labels[i].sid = DATA2;
	for (u32 i = 0; i < other.n_rules; i++)
		if (other.rules[i].key.tsid == DATA)
			other.rules[i].key.tsid = DATA2;
	a[0] = START(APPX, "spin", "/srv/data/f", "6000");
	a[1] = START(APPX, "spin", "/srv/data/sub/f", "6000");
	for (int i = 0; i < 10; i++) {
		struct set *s = i % 2 ? &base : &other;

		s->version = 100 + (u64)i;
		if (set_load(k, s, &rep))
			check(false, "load %d", i);
		worst = MAX(worst, rep.total_us);
	}
	r[0] = finish(&a[0]);
	r[1] = finish(&a[1]);
	check(!r[0] && !r[1], "10 swaps under load, no decision by a mix of two policies (%d %d), commit at most %llu us", r[0], r[1],
	      (unsigned long long)worst);
	base.version = 110;
	check(!set_load(k, &base, &rep), "back to the first");
}

/* A right is taken away while a file and a connection that depended on it are in use. */
static void test_preempt(void)
{
	struct actor file = START(APPX, "reread", "/srv/data/f"), talk = START(APPX, "retalk", "127.0.0.1", "8080");
	struct actor other = START(SRVX, "reread", "/etc/f"), v6 = START(APPX, "retalk", "::1", "8080");
	struct mapset_report rep;
	struct set less = base;
	double t;
	char f, c;

	check(ask(&file) == '.' && ask(&talk) == '.' && ask(&v6) == '.' && ask(&other) == '.', "before: all work");
	for (u32 i = 0; i < less.n_rules; i++) {
		struct dsi_rec_rule *r = &less.rules[i];

		if (r->key.ssid == APP && r->key.tsid == DATA)
			r->value.allow = DSI_PERM_FILE_CREATE;
		if (r->key.ssid == APP && r->key.tsid == SRV && r->key.cls == DSI_CLASS_TCP)
			r->key.tsid = WEB;
	}
	less.version = base.version + 1;
	t = now_ms();
	check(!set_load(k, &less, &rep), "policy without these rights");
	f = ask(&file), c = ask(&talk);
	t = now_ms() - t;
	check(f == '!', "the open file stops (%c)", f);
	check(c == '!', "the connection stops (%c)", c);
	check(ask(&v6) == '!', "over IPv6 too");
	check(ask(&other) == '.', "who kept its right is not disturbed");
	printf("# arm %llu us, swap %llu us, sweep %llu us; %u of %u sockets, %u of %u files; %.0f ms till both actors said so\n",
	       (unsigned long long)rep.arm_us, (unsigned long long)rep.swap_us, (unsigned long long)rep.sweep_us,
	       rep.sweep.sockets_destroyed, rep.sweep.sockets_seen, rep.sweep.files_stopped, rep.sweep.files_seen, t);
	check(rep.sweep.sockets_destroyed >= 2 && rep.sweep.files_stopped == 1 && sweep_pending(k), "and the report says it");
	base.version += 2;
	check(!set_load(k, &base, &rep) && ask(&file) == '.', "right given back: the file works again");
	check(!sweep_pending(k) && !kern_state(k)->revalidate, "and nothing is armed any more");
	finish(&file), finish(&talk), finish(&v6), finish(&other);
}

static void test_retry(void)
{
	struct err e = { 0 };
	u32 fixed = 0;

	run("mkdir -p /nowhere/at/all && echo x >/nowhere/at/all/f");
	check(DO(WEBX, "read", "/nowhere/at/all/f") == EACCES, "made later: unlabelled");
	check(!kern_labels_retry(k, &fixed, &e) && fixed == 1, "retry finds it %s", e.text);
	u32 from = events->n;
	check(DO(APPX, "read", "/nowhere/at/all/f") == EACCES && event_wait(from, DSI_REASON_NO_RULE, APP, SECRET), "and it has its label");
}

static void test_permissive(void)
{
	struct err e = { 0 };
	u32 from = events->n;
	const struct dsi_event *ev;

	kern_mode_set(k, DSI_MODE_PERMISSIVE, &e);
	check(DO(APPX, "read", "/srv/secret/f") == 0, "permissive: let through");
	ev = event_wait(from, DSI_REASON_NO_RULE, APP, SECRET);
	check(ev && !(ev->flags & DSI_EVENT_ENFORCED), "and recorded as such");
	kern_mode_set(k, DSI_MODE_ENFORCING, &e);
	check(DO(APPX, "read", "/srv/secret/f") == EACCES, "enforcing again");
}
