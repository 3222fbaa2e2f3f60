/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of another member's corosync.conf is taken over. Core.
 *
 * Must never: take a key that names a file, a program or a host to call; drop a section of our own.
 */
#include <stdlib.h>
#include <string.h>

#include "gcs/ring_plan.h"
#include "gcs/ring_text.h"

/* What of a peer's text may decide about this machine: who is on the ring, how it is encrypted and timed. Nothing
 * that names a file, a program or a host to call: its sender is a member, not root here. */
static const struct {
	const char *path[2];
	const char *const keys[48];
} shared_table[] = {
	{ { "totem", NULL },
	  { "version", "config_version", "cluster_name", "transport", "ip_version", "link_mode", "secauth", "crypto_cipher",
	    "crypto_hash", "crypto_model", "token", "token_warning", "token_coefficient", "token_retransmit",
	    "token_retransmits_before_loss_const", "knet_compression_threshold", "knet_compression_model",
	    "knet_compression_level", "hold", "join", "send_join", "consensus", "merge", "downcheck", "fail_recv_const",
	    "seqno_unchanged_const", "heartbeat_failures_allowed", "max_network_delay", "window_size", "max_messages",
	    "miss_count_const", "knet_pmtud_interval", "knet_mtu", "netmtu", "block_unlisted_ips",
	    "cancel_token_hold_on_retransmit" } },
	{ { "totem", "interface" },
	  { "linknumber", "mcastport", "knet_link_priority", "knet_ping_interval", "knet_ping_timeout",
	    "knet_ping_precision", "knet_pong_count", "knet_transport" } },
	{ { "quorum", NULL },
	  { "provider", "expected_votes", "two_node", "wait_for_all", "last_man_standing", "last_man_standing_window",
	    "auto_tie_breaker", "auto_tie_breaker_node", "allow_downscale" } },
	{ { "nodelist", NULL }, { NULL } },
	{ { "nodelist", "node" },
	  { "nodeid", "name", "quorum_votes", "ring0_addr", "ring1_addr", "ring2_addr", "ring3_addr", "ring4_addr",
	    "ring5_addr", "ring6_addr", "ring7_addr" } },
};

static const char *const *shared_keys(const struct ring_reader *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared_table); i++)
		if (r->depth && r->depth <= 2 && ring_text_in(r, shared_table[i].path[0], shared_table[i].path[1]))
			return shared_table[i].keys;
	return NULL;
}

static bool shared_key(const struct ring_reader *r)
{
	const char *const *k = shared_keys(r);

	for (; k && *k; k++)
		if (!strcmp(*k, r->line.key))
			return true;
	return false;
}

static bool shared_section(const char *top)
{
	return !strcmp(top, "totem") || !strcmp(top, "quorum") || !strcmp(top, "nodelist");
}

/* The part that members share, comments and blank lines left out. */
static int put_shared(const char *name, const char *text, size_t n, struct wbuf *w, struct err *e)
{
	struct ring_reader r = { .name = name, .text = text, .n = n, .e = e };
	u32 skip = 0; /* depth of a section that is left out */
	int rc;

	while ((rc = ring_text_next(&r)) > 0) {
		bool mine;

		if (r.line.kind == LINE_OTHER)
			continue;
		if (r.line.kind == LINE_OPEN && !skip && !shared_keys(&r))
			skip = r.depth;
		mine = !skip && (r.line.kind != LINE_KEY || shared_key(&r));
		if (r.line.kind == LINE_CLOSE && skip && r.depth < skip) {
			skip = 0;
			continue;
		}
		if (!mine)
			continue;
		wbuf_bytes(w, r.line.p, r.line.n);
		ring_text_put(w, "\n");
	}
	return rc;
}

/* The other sections, as they stand. */
static int put_own(const char *name, const char *text, size_t n, struct wbuf *w, struct err *e)
{
	struct ring_reader r = { .name = name, .text = text, .n = n, .e = e };
	bool shared = false;
	int rc;

	while ((rc = ring_text_next(&r)) > 0) {
		bool top_open = r.line.kind == LINE_OPEN && r.depth == 1,
		     top_close = r.line.kind == LINE_CLOSE && !r.depth;

		if (top_open)
			shared = shared_section(r.path[0]);
		if (!shared) {
			wbuf_bytes(w, r.line.p, r.line.n);
			ring_text_put(w, "\n");
		}
		if (top_close)
			shared = false;
	}
	return rc;
}

/* Do both say the same about what members share? Order counts: both came from one text by the same changes. */
static int same_shared(const char *name, const char *a, size_t na, const char *b, size_t nb, bool *ret, struct err *e)
{
	struct wbuf x, y;
	int rc;

	wbuf_init(&x, RING_CONF_MAX);
	wbuf_init(&y, RING_CONF_MAX);
	rc = put_shared(name, a, na, &x, e);
	if (!rc)
		rc = put_shared(name, b, nb, &y, e);
	if (!rc && (!wbuf_ok(&x) || !wbuf_ok(&y)))
		rc = err_set(e, -DSI_ENOMEM, "%s: out of memory", name);
	*ret = !rc && x.len == y.len && !memcmp(x.data, y.data, x.len);
	wbuf_fini(&x);
	wbuf_fini(&y);
	return rc;
}

static const char taken_header[] = "# totem, quorum and nodelist as the cluster has them, taken by DSI\n";

int ring_plan_take(const char *name, const char *text, size_t n, const char *peer, size_t peer_n, bool *ret_same,
		   struct wbuf *w, struct err *e)
{
	struct ring_conf *c = malloc(sizeof(*c));
	int rc = c ? ring_plan_read(c, "the member's corosync.conf", peer, peer_n, e) :
		     err_set(e, -DSI_ENOMEM, "%s: out of memory", name);
	size_t start = w->len;

	*ret_same = false;
	if (!rc)
		rc = ring_plan_crypto(c, "the member's corosync.conf", e);
	if (!rc && c->device)
		rc = err_set(e, -DSI_ENOTSAFE,
			     "%s: the ring has a quorum device: set this node up by hand, from a member's file", name);
	if (!rc && text)
		rc = same_shared(name, text, n, peer, peer_n, ret_same, e);
	if (!rc && !*ret_same) {
		ring_text_put(w, taken_header);
		rc = put_shared("the member's corosync.conf", peer, peer_n, w, e);
		if (!rc && text &&
		    !(n >= sizeof(taken_header) - 1 && !memcmp(text, taken_header, sizeof(taken_header) - 1)))
			rc = put_own(name, text, n, w, e);
		else if (!rc && text)
			rc = put_own(name, text + sizeof(taken_header) - 1, n - (sizeof(taken_header) - 1), w, e);
		if (!rc && !wbuf_ok(w))
			rc = err_set(e, -DSI_ENOMEM, "%s: out of memory", name);
		if (!rc)
			rc = ring_plan_read(c, name, (const char *)w->data + start, w->len - start, e);
	}
	free(c);
	return rc;
}
