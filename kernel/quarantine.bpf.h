/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets from and to suspended and revoked nodes, whatever the protocol: dropped in both directions,
 * except on exempt ports. Attached only while there is such a node. SYNs pass to inet_conn_request,
 * which refuses them with an event; our RSTs pass out, so that the other side hears it at once.
 */
#ifndef DSI_KERNEL_QUARANTINE_BPF_H
#define DSI_KERNEL_QUARANTINE_BPF_H

#include "kernel/peer.bpf.h"

static __always_inline int quarantine(struct __sk_buff *skb, bool in)
{
	struct dsi_addr remote = {};
	struct peer peer;
	u8 ip[40], l4[14] = {};
	u32 off = 40;
	u16 lport, rport;
	u8 proto;

	if (bpf_skb_load_bytes_relative(skb, 0, ip, 20, BPF_HDR_START_NET))
		return 1;
	if (ip[0] >> 4 == 4) {
		addr_set4(&remote, *(u32 *)&ip[in ? 12 : 16]);
		off = (ip[0] & 15) * 4;
		proto = ip[9];
	} else {
		if (bpf_skb_load_bytes_relative(skb, 0, ip, 40, BPF_HDR_START_NET))
			return 1;
		__builtin_memcpy(&remote, &ip[in ? 8 : 24], 16);
		proto = ip[6];
	}
	peer_get(&remote, &peer);
	if (!peer_cut_off(&peer) || READ_ONCE(state.mode) != DSI_MODE_ENFORCING)
		return 1;
	if ((proto == IPPROTO_TCP_ || proto == IPPROTO_UDP_) &&
	    !bpf_skb_load_bytes_relative(skb, off, l4, proto == IPPROTO_TCP_ ? 14 : 8, BPF_HDR_START_NET)) {
		lport = in ? l4[2] << 8 | l4[3] : l4[0] << 8 | l4[1];
		rport = in ? l4[0] << 8 | l4[1] : l4[2] << 8 | l4[3];
		if (port_exempt(proto, lport, DSI_EXEMPT_REVOKED) || port_exempt(proto, rport, DSI_EXEMPT_REVOKED))
			return 1;
		if (proto == IPPROTO_TCP_ && (in ? (l4[13] & (TCP_SYN_ | TCP_ACK_)) == TCP_SYN_ : l4[13] & TCP_RST_))
			return 1;
	}
	stat(DSI_STAT_QUARANTINE_DROPS);
	return 0;
}

SEC("cgroup_skb/ingress")
int dsi_quarantine_in(struct __sk_buff *skb)
{
	return quarantine(skb, true);
}

SEC("cgroup_skb/egress")
int dsi_quarantine_out(struct __sk_buff *skb)
{
	return quarantine(skb, false);
}

#endif
