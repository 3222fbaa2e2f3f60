/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Voters change and verdicts fall, by the ring and by the second path. Included by order_test.c. */

/* "The voter set changes one node at a time, committed in the old and the new set" */
static void voters_change(void)
{
	struct cluster *c = start(5, 1, 1);
	u64 index;

	for (u32 i = 2; i <= 5; i++) {
		index = order_one(c, ENTRY_VOTER_ADD, i, false);
		CHECK(cluster_propose(c, 1, ENTRY_VOTER_REMOVE, 1, false, NULL) == -DSI_EAGAIN, "two changes at a time");
		CHECK(cluster_until(c, is_committed, index, 1000 * MS), "voter %u not added", i);
	}
	CHECK(proc_status(c, 1, ROLE_MANAGER).voters == 5, "not five voters");
	index = order_one(c, ENTRY_VOTER_REMOVE, 1, false);
	CHECK(cluster_until(c, is_committed, index, 1000 * MS), "not removed");
	/* The new set of four needs three: two are not enough. */
	split(c, 1 | 2 | 4);
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL), "two of four voters are enough");
	sim_heal(cluster_sim(c));
	CHECK(cluster_until(c, is_active, 1, 3 * opening_ns(c)), "not active");
	commit_one(c);
	cluster_free(c);
}

/* "Two voters: changes need both" and an uncommitted change needs both sets, also to open a view. */
static void change_needs_both_sets(void)
{
	struct cluster *c = start(4, 2, 1);
	u64 index, before;

	split(c, 1 | 4); /* voter 1 with node 3, away from voter 2 */
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_VOTER_ADD, 3, false, &index), "one of two voters changes the set");
	sim_heal(cluster_sim(c));
	CHECK(cluster_until(c, is_active, 1, 3 * opening_ns(c)), "not active");
	index = order_one(c, ENTRY_VOTER_ADD, 3, false);
	for (u32 i = 1; i <= 3; i++) /* delivered, on no disk acknowledged yet */
		cluster_fsync(c, i, 5 * MS);
	cluster_run(c, MS);
	split(c, 1 | 4); /* 1 and 3: a majority of {1,2,3}, not of {1,2} */
	before = proc_commit(c, 1);
	cluster_run(c, 3 * opening_ns(c));
	CHECK(proc_commit(c, 1) == before, "committed by the new set alone");
	sim_heal(cluster_sim(c));
	cluster_run(c, 3 * opening_ns(c));
	commit_one(c);
	cluster_free(c);
}

/* "A verdict on a voter is also the entry that removes it: from its index on, its acknowledgements count for
 * nothing; majority of the old set, the target not counted, and of the new." */
static void verdict_on_voter(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index;

	cluster_fsync(c, 2, 300 * MS); /* slow: without it only 1 and the target could agree */
	index = order_one(c, ENTRY_VERDICT, 3, false);
	cluster_run(c, 50 * MS);
	CHECK(proc_commit(c, 1) < index, "the target's acknowledgement was counted");
	CHECK(c->proc[0][1]->disk.suspended >> 3 & 1, "not suspended at delivery");
	cluster_calm(c);
	CHECK(cluster_until(c, is_committed, index, 3000 * MS), "verdict never final");
	CHECK(proc_status(c, 1, ROLE_MANAGER).voters == 2, "target still votes");
	commit_one(c);
	cluster_crash(c, 2);
	cluster_run(c, 2 * opening_ns(c));
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL), "the revoked voter helps a majority");
	cluster_free(c);
}

/* "A verdict on a server's node acts as a deposition, is ordered by the next server"; and a deposition takes the
 * active server out at delivery, without any membership change. */
static void deposed_at_delivery(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 t = sim_now(cluster_sim(c));

	order_one(c, ENTRY_DEPOSE, 1, false); /* it orders its own end, once */
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "deposed server still leads");
	CHECK(sim_now(cluster_sim(c)) - t < 50 * MS, "took %llu ms", (unsigned long long)(sim_now(cluster_sim(c)) - t) / MS);
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL) == -DSI_EROLE, "deposed server orders");
	commit_one(c);
	cluster_free(c);
}

/* The second path of a deposition: one manager is told over the direct leg, the active server withholds it. Its STATE
 * tells the others, and the next server leads, without any membership change. */
static void deposed_by_the_second_path(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 t;

	commit_one(c);
	t = sim_now(cluster_sim(c));
	cluster_urgent(c, 3, ENTRY_DEPOSE, 1);
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "deposed server still leads");
	CHECK(sim_now(cluster_sim(c)) - t < 50 * MS, "took %llu ms", (unsigned long long)(sim_now(cluster_sim(c)) - t) / MS);
	CHECK(cluster_propose(c, 1, ENTRY_POLICY, 0, false, NULL) == -DSI_EROLE, "deposed server orders");
	commit_one(c);
	cluster_free(c);
}

/* The same on the node of the active server: a verdict that it withholds. */
static void verdict_on_the_server_by_the_second_path(void)
{
	struct cluster *c = start(3, 3, 2);
	u64 index;

	cluster_urgent(c, 2, ENTRY_VERDICT, 1);
	cluster_urgent(c, 3, ENTRY_VERDICT, 1);
	CHECK(cluster_until(c, is_active, 2, 500 * MS), "the server under verdict still leads");
	index = order_one(c, ENTRY_VERDICT, 1, false);
	CHECK(cluster_until(c, is_committed, index, 500 * MS), "not final");
	cluster_free(c);
}

/* A member alone, its view not open, suspends at once; when it is back, everybody does, and the verdict becomes final. */
static void minority_suspends(void)
{
	struct cluster *c = start(5, 5, 2);
	u64 index;

	split(c, 1u << 3);
	cluster_run(c, 2 * opening_ns(c));
	CHECK(!proc_status(c, 4, ROLE_MANAGER).live, "a minority of one is live");
	cluster_urgent(c, 4, ENTRY_VERDICT, 5);
	CHECK(nid_dead(c->proc[0][4], 5), "not suspended where it was told");
	commit_one_at(c, 1);
	CHECK(!nid_dead(c->proc[0][1], 5), "the others cannot know yet");
	sim_heal(cluster_sim(c));
	cluster_run(c, 2 * opening_ns(c));
	for (u32 i = 1; i <= 4; i++)
		CHECK(nid_dead(c->proc[0][i], 5), "manager %u was not told by STATE", i);
	index = order_one(c, ENTRY_VERDICT, 5, false);
	CHECK(cluster_until(c, is_committed, index, 500 * MS), "not final");
	cluster_free(c);
}

/* A verdict that was delivered and not committed is carried by STATE.urgent to those who never saw it. */
static void urgent_reaches_the_others(void)
{
	struct cluster *c = start(5, 5, 2);

	c->proc[0][3]->disk.suspended |= 1 << 5; /* delivered here in a view that died */
	cluster_kill(c, 1, ROLE_SERVER);
	cluster_run(c, 200 * MS);
	for (u32 i = 1; i <= 4; i++)
		CHECK(c->proc[0][i]->disk.suspended >> 5 & 1, "manager %u does not know of the verdict", i);
	commit_one(c);
	cluster_free(c);
}

/* GOALS: message rounds counted: suspension 1 (the entry), final 2 (entry, acknowledgements). */
static void verdict_rounds(void)
{
	struct cluster *c = start(5, 5, 2);
	u32 entries = cluster_messages(c, MSG_ENTRY), acks = cluster_messages(c, MSG_ACK);
	u64 index = order_one(c, ENTRY_VERDICT, 5, false);

	CHECK(cluster_until(c, is_committed, index, 500 * MS), "verdict not final");
	CHECK(cluster_messages(c, MSG_ENTRY) - entries == 1, "more than one entry message");
	CHECK(cluster_messages(c, MSG_ACK) - acks <= 4, "more than one acknowledgement each");
	cluster_free(c);
}
