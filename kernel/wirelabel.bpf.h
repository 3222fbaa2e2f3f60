/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The label on the wire: written on the SYN by sockops, judged by the target's kernel before accept.
 * Only SYNs are judged; a SYN from a member's address without a valid label is refused, never `outside`.
 * A connection inside this node carries its label the same way, with this node's own key.
 */
#ifndef DSI_KERNEL_WIRELABEL_BPF_H
#define DSI_KERNEL_WIRELABEL_BPF_H

#include "kernel/peer.bpf.h"

/* Not static: verified once (emit.bpf.h). */
__noinline u64 syn_mac(const struct dsi_syn *said, u64 k0, u64 k1)
{
	const u64 key[2] = { k0, k1 };

	return said ? dsi_syn_mac(key, said) : 0;
}

/* --- writing -------------------------------------------------------------------------------------- */

static __always_inline void addr_of_sockops(struct bpf_sock_ops *ctx, struct dsi_addr *local, struct dsi_addr *remote)
{
	if (ctx->family == AF_INET_) {
		addr_set4(local, ctx->local_ip4);
		addr_set4(remote, ctx->remote_ip4);
		return;
	}
	((u32 *)local->a)[0] = ctx->local_ip6[0];
	((u32 *)local->a)[1] = ctx->local_ip6[1];
	((u32 *)local->a)[2] = ctx->local_ip6[2];
	((u32 *)local->a)[3] = ctx->local_ip6[3];
	((u32 *)remote->a)[0] = ctx->remote_ip6[0];
	((u32 *)remote->a)[1] = ctx->remote_ip6[1];
	((u32 *)remote->a)[2] = ctx->remote_ip6[2];
	((u32 *)remote->a)[3] = ctx->remote_ip6[3];
}

static __always_inline bool addr_same(const struct dsi_addr *a, const struct dsi_addr *b)
{
	return dsi_be64(a->a) == dsi_be64(b->a) && dsi_be64(a->a + 8) == dsi_be64(b->a + 8);
}

/* Who is at the other end, as both ends must see it: a node talking to itself by any address is local. */
static __always_inline void peer_of_tuple(const struct dsi_addr *mine, const struct dsi_addr *theirs, struct peer *ret)
{
	peer_get(theirs, ret);
	if (!ret->local && addr_same(mine, theirs)) {
		ret->local = true;
		ret->nid = READ_ONCE(state.own_nid);
		ret->state = DSI_NODE_MEMBER;
		ret->node = NULL;
	}
}

static __noinline int syn_wants_label(struct bpf_sock_ops *ctx)
{
	struct dsi_addr local, remote;
	struct peer peer;

	addr_of_sockops(ctx, &local, &remote);
	peer_of_tuple(&local, &remote, &peer);
	return peer.local || peer.state == DSI_NODE_MEMBER;
}

static __noinline int syn_write(struct bpf_sock_ops *ctx)
{
	struct tcphdr *th = (void *)(long)ctx->skb_data;
	void *end = (void *)(long)ctx->skb_data_end;
	struct bpf_sock *sk = ctx->sk;
	struct dsi_sock_label *l;
	u64 key[2] = {};
	u8 option[DSI_OPT_LEN];
	struct dsi_syn s = {};
	struct peer peer;
	u32 keygen;

	if (!sk || (void *)(th + 1) > end)
		return -1;
	l = bpf_sk_storage_get(&sock_labels, sk, NULL, 0);
	addr_of_sockops(ctx, &s.saddr, &s.daddr);
	peer_of_tuple(&s.saddr, &s.daddr, &peer);
	if (peer.node) {
		key[0] = peer.node->key[0][0];
		key[1] = peer.node->key[0][1];
		keygen = peer.node->keygen;
	} else {
		key[0] = state.own_key[0];
		key[1] = state.own_key[1];
		keygen = state.keygen_own;
	}
	s.sport = bpf_ntohs(th->source);
	s.dport = bpf_ntohs(th->dest);
	s.isn = bpf_ntohl(th->seq);
	s.sid = l ? l->sid : DSI_SID_DEFAULT;
	s.nid_word = DSI_NID_WORD(READ_ONCE(state.own_nid), keygen);
	dsi_syn_option(&s, syn_mac(&s, key[0], key[1]), option);
	return bpf_store_hdr_opt(ctx, option, sizeof(option), 0);
}

SEC("sockops")
int dsi_sockops(struct bpf_sock_ops *ctx)
{
	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		if (READ_ONCE(state.active) && syn_wants_label(ctx))
			bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		if (ctx->skb_tcp_flags & TCP_SYN_ && !(ctx->skb_tcp_flags & TCP_ACK_) &&
		    bpf_reserve_hdr_opt(ctx, DSI_OPT_LEN, 0))
			stat(DSI_STAT_SYN_SENT_FAILED);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB:
		if (ctx->skb_tcp_flags & TCP_SYN_ && !(ctx->skb_tcp_flags & TCP_ACK_))
			stat(syn_write(ctx) ? DSI_STAT_SYN_SENT_FAILED : DSI_STAT_SYN_SENT);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		break;
	}
	return 1;
}

/* --- judging -------------------------------------------------------------------------------------- */

struct syn {
	struct dsi_conn_key tuple;
	struct dsi_syn said; /* sid, nid_word as claimed; addresses and ports as seen */
	u64 mac;
	u32 flags; /* TCP_SYN_, TCP_ACK_ */
	bool labelled;
};

/* Our option is the last one: bpf_store_hdr_opt() fills the end of the header. */
static __always_inline void option_get(struct syn *ret, const u8 *o)
{
	if (o[0] != DSI_OPT_KIND || o[1] != DSI_OPT_LEN || (o[2] << 8 | o[3]) != DSI_OPT_EXID)
		return;
	ret->said.sid = dsi_be32(o + 4);
	ret->said.nid_word = dsi_be32(o + 8);
	ret->mac = dsi_be64(o + 12);
	ret->labelled = true;
}

static __noinline int syn_parse(struct sk_buff *skb, struct syn *ret)
{
	unsigned char *head = skb->head;
	u8 ip[40], o[DSI_OPT_LEN];
	struct tcphdr th;
	u32 len;

	__builtin_memset(ret, 0, sizeof(*ret));
	if (bpf_probe_read_kernel(&th, sizeof(th), head + skb->transport_header) ||
	    bpf_probe_read_kernel(ip, sizeof(ip), head + skb->network_header))
		return -1;
	if (ip[0] >> 4 == 4) {
		addr_set4(&ret->tuple.saddr, *(u32 *)&ip[12]);
		addr_set4(&ret->tuple.daddr, *(u32 *)&ip[16]);
	} else {
		__builtin_memcpy(&ret->tuple.saddr, &ip[8], 16);
		__builtin_memcpy(&ret->tuple.daddr, &ip[24], 16);
	}
	ret->tuple.sport = bpf_ntohs(th.source);
	ret->tuple.dport = bpf_ntohs(th.dest);
	ret->flags = th.flags;
	ret->said.saddr = ret->tuple.saddr;
	ret->said.daddr = ret->tuple.daddr;
	ret->said.sport = ret->tuple.sport;
	ret->said.dport = ret->tuple.dport;
	ret->said.isn = bpf_ntohl(th.seq);
	len = (th.off >> 4) * 4;
	if (len < sizeof(th) + sizeof(o))
		return 0;
	if (bpf_probe_read_kernel(o, sizeof(o), head + skb->transport_header + len - sizeof(o)))
		return -1;
	option_get(ret, o);
	return 0;
}

/* Only what a process can be labelled. */
static __always_inline bool sid_possible(u32 sid)
{
	return sid == DSI_SID_DEFAULT || sid == DSI_SID_KERNEL || sid == DSI_SID_DSI || sid >= DSI_SID_FIRST;
}

/* DSI_REASON_RULE: the label is genuine. */
static __noinline u32 label_check(const struct syn *s, const struct peer *peer)
{
	u32 keygen, which = 0;
	u64 key[2];

	if (!s->labelled)
		return DSI_REASON_SYN_UNLABELLED;
	if (s->said.nid_word >> 8 != peer->nid)
		return DSI_REASON_SYN_WRONG_NODE;
	if (!sid_possible(s->said.sid))
		return DSI_REASON_SYN_BAD_SID;
	keygen = s->said.nid_word & 0xff;
	if (peer->local) {
		if (keygen != (state.keygen_own & 0xff))
			return DSI_REASON_SYN_STALE_KEY;
		key[0] = state.own_key[0];
		key[1] = state.own_key[1];
	} else {
		const struct dsi_node *n = peer->node;

		if (!n || !(n->key[0][0] | n->key[0][1]))
			return DSI_REASON_NO_KEY;
		if (keygen == ((n->keygen - 1) & 0xff) && n->has_previous)
			which = 1;
		else if (keygen != (n->keygen & 0xff))
			return DSI_REASON_SYN_STALE_KEY;
		key[0] = n->key[which & 1][0];
		key[1] = n->key[which & 1][1];
	}
	return syn_mac(&s->said, key[0], key[1]) == s->mac ? DSI_REASON_RULE : DSI_REASON_SYN_BAD_MAC;
}

static __always_inline bool syn_denied(struct sock *sk, struct syn *s, struct policy *p)
{
	struct dsi_sock_label *listener = bpf_sk_storage_get(&sock_labels, sk, NULL, 0);
	struct dsi_conn fresh = {}, *seen;
	struct peer peer;
	struct ask a;
	u32 why;

	peer_of_tuple(&s->tuple.daddr, &s->tuple.saddr, &peer);
	ask_init(&a, p, DSI_SID_OUTSIDE, DSI_CLASS_TCP);
	a.in_task = false;
	a.flags = DSI_EVENT_SYN;
	a.isn = s->said.isn;
	a.snid = peer.nid;
	a.perm = DSI_PERM_TCP_ACCEPT;
	a.key.tsid = listener ? listener->sid : DSI_SID_DEFAULT;
	a.key.nclass = p->gen ? peer_nclass(&peer, p) : DSI_NCLASS_MEMBER;
	a.key.qual = p->gen ? policy_pclass(p, s->tuple.dport) : 0;
	if (peer_cut_off(&peer) && !port_exempt(IPPROTO_TCP_, s->tuple.dport, DSI_EXEMPT_REVOKED))
		return denied_because(&a, &s->tuple, peer_reason(&peer));
	if (!p->gen || port_exempt(IPPROTO_TCP_, s->tuple.dport, DSI_EXEMPT_LABEL))
		return false;
	if (!peer.local && !peer.nid)
		return judge(&a, &s->tuple);
	a.key.ssid = DSI_SID_NONE;
	why = label_check(s, &peer);
	if (why != DSI_REASON_RULE)
		return denied_because(&a, &s->tuple, why);
	a.key.ssid = s->said.sid;
	seen = bpf_map_lookup_elem(&conns, &s->tuple);
	if (seen && seen->used && seen->isn == s->said.isn)
		return denied_because(&a, &s->tuple, DSI_REASON_SYN_REPLAYED);
	stat(DSI_STAT_SYN_OK);
	if (!peer.local && !lease_valid())
		a.key.ssid = DSI_SID_STALE;
	if (judge(&a, &s->tuple))
		return true;
	fresh.ssid = s->said.sid;
	fresh.snid = peer.nid;
	fresh.isn = s->said.isn;
	bpf_map_update_elem(&conns, &s->tuple, &fresh, BPF_ANY);
	return false;
}

SEC("lsm/inet_conn_request")
int BPF_PROG(dsi_conn_request, struct sock *sk, struct sk_buff *skb, struct request_sock *req)
{
	struct policy p;
	struct syn s;

	if (READ_ONCE(state.mode) == DSI_MODE_OFF)
		return 0;
	policy_get(&p);
	if (!p.gen && !READ_ONCE(state.quarantined))
		return 0;
	if (syn_parse(skb, &s))
		return opaque(-EACCES);
	/* The ACK of a SYN cookie: its SYN was judged, and the cookie proves it passed. */
	if (!(s.flags & TCP_SYN_))
		return 0;
	s.tuple.net = (u64)sk->__sk_common.skc_net.net;
	if (syn_denied(sk, &s, &p)) {
		stat(DSI_STAT_SYN_REFUSED);
		return opaque(-EACCES);
	}
	return 0;
}

/* The child socket: peer's label from the SYN that passed. */
SEC("lsm/inet_csk_clone")
int BPF_PROG(dsi_csk_clone, struct sock *newsk, const struct request_sock *req)
{
	struct dsi_conn_key k = {};
	struct dsi_sock_label *l;
	struct dsi_conn *c;

	if (!READ_ONCE(state.active))
		return 0;
	if (req->__req_common.skc_family == AF_INET_) {
		addr_set4(&k.saddr, req->__req_common.skc_daddr);
		addr_set4(&k.daddr, req->__req_common.skc_rcv_saddr);
	} else {
		bpf_probe_read_kernel(&k.saddr, 16, &req->__req_common.skc_v6_daddr);
		bpf_probe_read_kernel(&k.daddr, 16, &req->__req_common.skc_v6_rcv_saddr);
	}
	k.sport = bpf_ntohs(req->__req_common.skc_dport);
	k.dport = req->__req_common.skc_num;
	k.net = (u64)req->__req_common.skc_net.net;
	c = bpf_map_lookup_elem(&conns, &k);
	l = bpf_sk_storage_get(&sock_labels, newsk, NULL, c ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (c)
		c->used = 1;
	if (!l)
		return 0;
	if (!l->sid)
		l->sid = DSI_SID_DEFAULT;
	l->flags |= DSI_SOCK_ACCEPTED;
	l->peer_sid = c ? c->ssid : DSI_SID_NONE;
	l->peer_nid = c ? c->snid : 0;
	return 0;
}

#endif
