/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random histories: faults of every kind at random times under a client that never stops asking, then calm.
 * Safety is order_check's, at every step. Liveness is here: once faults stop and a majority is connected, a
 * proposal commits on every living node within LIVE_NS of virtual time. Included by order_test.c.
 *
 * Verdicts, depositions and voter changes leave a majority of undoubted voters in every set (state_check's
 * arithmetic does that for an operator); restored disks stay a minority and exclude the former, since a
 * majority that forgets is beyond what any log promises.
 */

enum { FAULTS = 40 };
static const u64 LIVE_NS = 15000 * MS;

struct churn {
	struct cluster *c;
	struct sim *s;
	u64 bad;     /* NIDs that may get a verdict */
	u32 good;    /* a server that stays */
	bool wipes;
	bool stop;
	u64 proposed;
};

static u32 any_nid(struct churn *k)
{
	return 1 + (u32)sim_below(k->s, k->c->cfg.nodes);
}

static u32 any_server(struct churn *k)
{
	return 1 + (u32)sim_below(k->s, k->c->cfg.servers);
}

static bool set_is_safe(const struct churn *k, const struct order_voters *set)
{
	u32 sure = 0;

	for (u32 i = 0; i < set->n; i++)
		sure += !(k->bad >> set->nid[i] & 1);
	return set->n && sure >= set->n / 2 + 1;
}

static void client_voters(struct churn *k, struct proc *p, u16 type)
{
	struct order_voters set;
	u32 target = any_nid(k);

	if (k->wipes)
		return;
	if (type == ENTRY_VERDICT && !(k->bad >> target & 1))
		return;
	if (type == ENTRY_DEPOSE) {
		if (target <= k->c->cfg.servers && target != k->good)
			cluster_propose(k->c, p->nid, type, target, false, NULL);
		return;
	}
	if (!set_after(p, type, target, &set) || (set.n && !set_is_safe(k, &set)))
		return;
	cluster_propose(k->c, p->nid, type, target, false, NULL);
}

static void client(void *ctx, u64 arg)
{
	static const u16 rare[] = { ENTRY_VOTER_ADD, ENTRY_VOTER_REMOVE, ENTRY_VERDICT, ENTRY_DEPOSE };
	struct churn *k = ctx;
	u32 nid = any_server(k);
	struct proc *p = k->c->proc[1][nid];

	(void)arg;
	if (k->stop)
		return;
	if (p->alive && p->active) {
		if (sim_chance(k->s, 4))
			client_voters(k, p, rare[sim_below(k->s, ARRAY_SIZE(rare))]);
		else
			k->proposed += !cluster_propose(k->c, nid, ENTRY_POLICY, 0, sim_chance(k->s, 10), NULL);
	}
	sim_at(k->s, MS + sim_below(k->s, 40 * MS), client, k, 0);
}

/* --- faults ------------------------------------------------------------------------------------------------ */

static void f_split(struct churn *k)
{
	u32 side[C_NODES];
	u32 ways = 2 + (u32)sim_below(k->s, 2);

	for (u32 i = 0; i < k->c->cfg.nodes; i++)
		side[i] = (u32)sim_below(k->s, ways);
	cluster_split(k->c, side);
}

static void f_one_way(struct churn *k)
{
	sim_link(k->s, any_nid(k) - 1, any_nid(k) - 1, false);
}

static void f_heal(struct churn *k)
{
	sim_heal(k->s);
}

static void f_crash(struct churn *k)
{
	cluster_crash(k->c, any_nid(k));
}

static void f_boot(struct churn *k)
{
	for (u32 i = 1; i <= k->c->cfg.nodes; i++)
		if (sim_chance(k->s, 60) && !k->c->proc[0][i]->alive)
			cluster_boot(k->c, i);
}

static void f_power_cycle(struct churn *k)
{
	u32 nid = any_nid(k);

	cluster_crash(k->c, nid);
	cluster_boot(k->c, nid);
}

static void f_all_crash(struct churn *k)
{
	for (u32 i = 1; i <= k->c->cfg.nodes; i++)
		cluster_crash(k->c, i);
	f_boot(k);
}

static void f_kill_server(struct churn *k)
{
	u32 nid = cluster_active(k->c) && sim_chance(k->s, 60) ? cluster_active(k->c) : any_server(k);

	cluster_kill(k->c, nid, ROLE_SERVER);
}

static void f_start_server(struct churn *k)
{
	u32 nid = any_server(k);

	if (k->c->proc[0][nid]->alive)
		cluster_start(k->c, nid, ROLE_SERVER);
}

static void f_hang_server(struct churn *k)
{
	u32 nid = cluster_active(k->c);

	if (nid)
		cluster_hang(k->c, nid, ROLE_SERVER);
}

static void f_restart_manager(struct churn *k)
{
	u32 nid = any_nid(k);

	if (!k->c->proc[0][nid]->alive)
		return;
	cluster_kill(k->c, nid, ROLE_MANAGER);
	cluster_start(k->c, nid, ROLE_MANAGER);
}

static void f_pause(struct churn *k)
{
	sim_pause(k->s, any_nid(k) - 1, true);
}

static void f_resume(struct churn *k)
{
	for (u32 i = 0; i < k->c->cfg.nodes; i++)
		sim_pause(k->s, i, false);
}

static void f_silence(struct churn *k)
{
	sim_silence(k->s, any_nid(k) - 1, sim_below(k->s, 2000 * MS));
}

static void f_replay(struct churn *k)
{
	for (int i = 0; i < 4; i++)
		sim_replay(k->s);
}

static void f_lag(struct churn *k)
{
	sim_lag(k->s, any_nid(k) - 1, 1 + (u32)sim_below(k->s, 100));
}

static void f_slow_disk(struct churn *k)
{
	cluster_fsync(k->c, any_nid(k), 1 + sim_below(k->s, 300 * MS));
}

static void f_disk_fails(struct churn *k)
{
	struct proc *p = sim_chance(k->s, 50) ? k->c->proc[0][any_nid(k)] : k->c->proc[1][any_server(k)];

	p->fail_syncs = 1 + (u32)sim_below(k->s, 5);
}

static void f_wipe(struct churn *k)
{
	u32 nid = any_nid(k), stale = 1;

	for (u32 i = 1; i <= k->c->cfg.voters; i++)
		stale += k->c->proc[0][i]->disk.stale && i != nid;
	if (!k->wipes || stale > (k->c->cfg.voters - 1) / 2)
		return;
	cluster_crash(k->c, nid);
	cluster_wipe(k->c, nid);
	if (sim_chance(k->s, 70))
		cluster_boot(k->c, nid);
}

/* One node at a time lives in another hour. */
static void f_clock(struct churn *k)
{
	u32 nid = any_nid(k);
	int64_t hour = sim_chance(k->s, 50) ? -3600000 : 3600000;

	for (u32 i = 1; i <= k->c->cfg.nodes; i++) {
		cluster_clock(k->c, i, ROLE_MANAGER, i == nid ? hour : 0);
		if (i <= k->c->cfg.servers)
			cluster_clock(k->c, i, ROLE_SERVER, i == nid ? hour : 0);
	}
}

static void f_yield(struct churn *k)
{
	cluster_yield(k->c, cluster_active(k->c));
}

static const struct {
	u32 weight;
	const char *name;
	void (*fn)(struct churn *k);
} faults[] = {
	{ 8, "split", f_split }, { 6, "one way", f_one_way }, { 12, "heal", f_heal }, { 8, "crash", f_crash },
	{ 14, "boot", f_boot }, { 5, "power cycle", f_power_cycle }, { 1, "all crash", f_all_crash },
	{ 8, "kill server", f_kill_server }, { 10, "start server", f_start_server }, { 2, "hang server", f_hang_server },
	{ 6, "restart manager", f_restart_manager }, { 4, "pause", f_pause }, { 5, "resume", f_resume },
	{ 4, "silence", f_silence }, { 6, "replay", f_replay }, { 4, "lag", f_lag }, { 3, "slow disk", f_slow_disk },
	{ 3, "disk fails", f_disk_fails }, { 4, "wipe", f_wipe },
	{ 5, "yield", f_yield }, { 3, "clock", f_clock },
};

static void fault(struct churn *k)
{
	u32 total = 0, at;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		total += faults[i].weight;
	at = (u32)sim_below(k->s, total);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		if (at >= faults[i].weight) {
			at -= faults[i].weight;
			continue;
		}
		if (cluster_trace)
			printf("%10.3f FAULT %s\n", (double)sim_now(k->s) / 1e6, faults[i].name);
		faults[i].fn(k);
		return;
	}
}

/* --- calm -------------------------------------------------------------------------------------------------- */

static void calm(struct churn *k)
{
	k->stop = true;
	cluster_calm(k->c);
	for (u32 i = 1; i <= k->c->cfg.nodes; i++) {
		if (!k->c->proc[0][i]->alive)
			cluster_boot(k->c, i);
		if (k->c->proc[1][i] && k->c->proc[1][i]->hung)
			cluster_kill(k->c, i, ROLE_SERVER);
		if (k->c->proc[1][i])
			cluster_start(k->c, i, ROLE_SERVER);
	}
	sim_heal(k->s);
	if (cluster_trace)
		printf("%10.3f CALM\n", (double)sim_now(k->s) / 1e6);
}

/* Ask whoever says it is active until it is done: requests are asked again after a change of server. */
static u64 must_commit(struct churn *k)
{
	u64 end = sim_now(k->s) + LIVE_NS, index = 0, again = 0;

	while (sim_now(k->s) < end) {
		u32 nid = cluster_active(k->c);

		if (index && cluster_committed(k->c, index) && order_check_hash(k->c->check, index))
			return index;
		if (nid && sim_now(k->s) >= again) {
			again = sim_now(k->s) + 500 * MS;
			if (cluster_propose(k->c, nid, ENTRY_POLICY, 0, false, &index))
				index = 0;
		}
		if (!sim_step(k->s))
			break;
	}
	return 0;
}

static void complain(struct churn *k, const char *text)
{
	for (u32 r = 0; r < ROLES; r++)
		for (u32 i = 1; i <= k->c->cfg.nodes; i++) {
			struct order_status st = proc_status(k->c, i, r ? ROLE_SERVER : ROLE_MANAGER);

			if (k->c->proc[r][i])
				fprintf(stderr, "  %s %u: phase %u term %llu promised %llu tail %llu commit %llu active %u live %d "
					"stale %d voters %u/%u change %llu%s%s\n", r ? "server" : "manager", i, st.phase,
					(unsigned long long)st.term, (unsigned long long)st.promised, (unsigned long long)st.tail,
					(unsigned long long)st.commit, st.active_nid, st.live, st.stale_disk, st.voters_present,
					st.voters, (unsigned long long)st.voter_change, k->c->proc[r][i]->alive ? "" : " dead",
					cluster_dead(k->c, i) ? " revoked" : "");
		}
	fail(k->c, text);
}

static void same_logs(struct churn *k, u64 index)
{
	for (u32 i = 1; i <= k->c->cfg.nodes; i++) {
		struct proc *p = k->c->proc[0][i];

		for (u64 at = 2; at <= index && !cluster_dead(k->c, i); at++) {
			const u8 *hash = order_check_hash(k->c->check, at);

			if (!hash || at > p->log.n || memcmp(p->log.v[at - 1]->e.hash, hash, CRYPTO_HASH))
				complain(k, "logs differ below the commit point");
		}
	}
}

static void churn_config(u64 seed, struct cluster_config *cfg)
{
	u64 x = seed * 0x9e3779b97f4a7c15ull;

	memset(cfg, 0, sizeof(*cfg));
	x ^= x >> 29;
	cfg->seed = seed;
	cfg->nodes = 3 + (u32)(x % 7);
	cfg->voters = 3 + (u32)((x >> 8) % (MIN(cfg->nodes, 7) - 2));
	cfg->servers = 1 + (u32)((x >> 16) % 3);
	cfg->fsync_ns = ((x >> 24) % 5 + 1) * MS;
	cfg->fsync_fail_percent = (x >> 32) % 4 == 0;
	cfg->fetch_fail_percent = (u32)((x >> 36) % 3) * 10;
	cfg->interim_percent = 30;
	cfg->drop_percent = (u32)((x >> 40) % 3) * 40;
	cfg->forge_percent = (u32)((x >> 44) % 3) * 30;
}

struct churn_total {
	u64 events, commits, terms;
};

static u64 churn_run(u64 seed, u32 n_faults, const struct cluster_config *cfg, struct churn_total *t)
{
	struct churn k = { 0 };
	u64 digest, index;

	seed_now = seed;
	scenario = "random history";
	k.c = cluster_new(cfg);
	k.s = cluster_sim(k.c);
	k.wipes = sim_chance(k.s, 30);
	k.good = any_server(&k);
	for (u32 i = 0; i < (cfg->voters - 1) / 2; i++) {
		u32 nid = any_nid(&k);

		if (nid != k.good && nid < 64 && sim_chance(k.s, 50))
			k.bad |= 1ull << nid;
	}
	sim_at(k.s, MS, client, &k, 0);
	cluster_run(k.c, 400 * MS);
	for (u32 i = 0; i < n_faults || sim_events(k.s) < 1000; i++) {
		fault(&k);
		cluster_run(k.c, sim_chance(k.s, 60) ? sim_below(k.s, 20 * MS) : sim_below(k.s, 1200 * MS));
	}
	calm(&k);
	index = must_commit(&k);
	if (!index)
		complain(&k, "a connected majority commits nothing");
	same_logs(&k, index);
	digest = cluster_digest(k.c);
	t->events += sim_events(k.s);
	t->commits += order_check_committed(k.c->check);
	t->terms += k.c->proc[0][1]->disk.promised;
	cluster_free(k.c);
	seed_now = 0;
	return digest;
}

static int churn_one(u64 seed)
{
	struct churn_total t = { 0 };
	struct cluster_config cfg;

	churn_config(seed, &cfg);
	churn_run(seed, FAULTS, &cfg, &t);
	printf("seed %llu: %u nodes, %u voters, %u servers, %llu events, %llu committed, term %llu\n", (unsigned long long)seed,
	       cfg.nodes, cfg.voters, cfg.servers, (unsigned long long)t.events, (unsigned long long)t.commits,
	       (unsigned long long)t.terms);
	return 0;
}

static void churn_big(u32 nodes, struct churn_total *t)
{
	struct cluster_config cfg = { .seed = nodes, .nodes = nodes, .voters = 15, .servers = 3, .fsync_ns = MS,
				      .interim_percent = 30, .drop_percent = 40 };

	churn_run(nodes, 6, &cfg, t);
	printf("%u nodes: %llu events\n", nodes, (unsigned long long)t->events);
}

static int churn_all(u64 n)
{
	struct churn_total t = { 0 }, big = { 0 }, twice = { 0 };
	u64 first = getenv("FIRST") ? strtoull(getenv("FIRST"), NULL, 0) : 1, least = UINT64_MAX;
	struct cluster_config cfg;
	clock_t began = clock();
	double s;

	for (u64 seed = first; seed < first + n; seed++) {
		u64 before = t.events, digest;

		churn_config(seed, &cfg);
		digest = churn_run(seed, FAULTS, &cfg, &t);
		least = MIN(least, t.events - before);
		if (seed % 500 == 1 && churn_run(seed, FAULTS, &cfg, &twice) != digest) {
			fprintf(stderr, "seed %llu does not replay\n", (unsigned long long)seed);
			return 1;
		}
	}
	s = (double)(clock() - began) / CLOCKS_PER_SEC;
	printf("%llu histories, %llu events (least %llu), %llu entries committed, %llu terms, %.1f s, %.0f events/s\n",
	       (unsigned long long)n, (unsigned long long)t.events, (unsigned long long)least, (unsigned long long)t.commits,
	       (unsigned long long)t.terms, s, (double)t.events / MAX(s, 0.001));
	if (n)
		puts("ok random histories"); /* a broken invariant would have ended the program */
	if (getenv("BIG")) {
		churn_big(64, &big);
		churn_big(128, &big);
	}
	return 0;
}
