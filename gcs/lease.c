/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leases: see lease.h. Invariant: proven never exceeds the time of the last event that proved anything. */
#include <string.h>

#include "gcs/lease.h"

static const u64 TOKEN_DEFAULT = 1000000000ull, CONSENSUS_DEFAULT = 1200000000ull;

u64 lease_gate_ns(u64 token, u64 consensus)
{
	if (!token)
		token = TOKEN_DEFAULT;
	return token + (consensus ? consensus : token / 5 * 6);
}

u64 lease_trust_ns(u64 token, u64 consensus, u64 heartbeat, u64 open_wait)
{
	u64 detection = token ? lease_gate_ns(token, consensus) : TOKEN_DEFAULT + CONSENSUS_DEFAULT;

	return 2 * detection + 2 * heartbeat + 2 * open_wait;
}

u64 lease_beat_ns(u64 gate, u64 wanted)
{
	return MIN(wanted, gate / 3);
}

void lease_begin(struct lease *l, u64 now, u64 gate, u64 trust)
{
	l->gate = gate;
	l->trust = trust;
	l->proven = now;
	memset(l->sent, 0, sizeof(l->sent));
}

void lease_end(struct lease *l)
{
	l->proven = 0;
	memset(l->sent, 0, sizeof(l->sent));
}

u64 lease_sent(struct lease *l, u64 now)
{
	u64 n = l->next++;

	l->sent[n % LEASE_SENT] = now;
	return n;
}

void lease_returned(struct lease *l, u64 n)
{
	u64 *sent = &l->sent[n % LEASE_SENT];

	if (n >= l->next || n + LEASE_SENT < l->next || !*sent)
		return;
	if (l->proven)
		l->proven = MAX(l->proven, *sent);
	*sent = 0;
}

bool lease_holds(const struct lease *l, u64 now)
{
	return l->proven && now < l->proven + l->gate;
}

u64 lease_until(const struct lease *l)
{
	return l->proven ? l->proven + l->gate : 0;
}

u64 lease_trust_until(const struct lease *l)
{
	return l->proven ? l->proven + l->trust : 0;
}
