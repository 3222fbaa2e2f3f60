/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets, source side and local side: which kinds a context may make, where it may bind, listen,
 * connect. Only TCP sockets carry a label; one without a label belongs to the default context.
 */
#ifndef DSI_KERNEL_HOOK_NET_BPF_H
#define DSI_KERNEL_HOOK_NET_BPF_H

#include "kernel/peer.bpf.h"

/* What a class name stands for: tcp is TCP, not MPTCP (whose subflows would be the kernel's), SCTP, ... */
static __always_inline bool protocol_nameable(int family, int type, int protocol)
{
	if (family != AF_INET_ && family != AF_INET6_)
		return true;
	if (type == SOCK_STREAM_)
		return !protocol || protocol == IPPROTO_TCP_;
	if (type == SOCK_DGRAM_)
		return !protocol || protocol == IPPROTO_UDP_;
	return true;
}

SEC("lsm/socket_create")
int BPF_PROG(dsi_socket_create, int family, int type, int protocol, int kern)
{
	struct subject s;
	struct ask a;

	if (kern || !subject_confined(&s))
		return 0;
	ask_init(&a, &s.policy, s.sid, DSI_CLASS_SOCKET);
	a.key.tsid = s.sid;
	a.key.qual = DSI_SOCKET_QUAL(family, type);
	a.perm = DSI_PERM_SOCKET_CREATE;
	if (denied(&a))
		return opaque(-EACCES);
	if (!protocol_nameable(family, type, protocol) && !(dsi_policy_flags(&s.policy, s.sid) & DSI_CTX_UNCONFINED) &&
	    denied_because(&a, NULL, DSI_REASON_PROTOCOL))
		return opaque(-EACCES);
	return 0;
}

static __always_inline bool is_tcp(const struct sock *sk)
{
	u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET_ || family == AF_INET6_) && sk->sk_type == SOCK_STREAM_;
}

SEC("lsm/socket_post_create")
int BPF_PROG(dsi_socket_post_create, struct socket *sock, int family, int type, int protocol, int kern)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct dsi_sock_label *l;
	struct sock *sk = sock->sk;
	u32 sid;

	if (kern || !sk || !t->bpf_storage || !is_tcp(sk) || !READ_ONCE(state.active))
		return 0;
	sid = task_sid(t);
	if (sid == DSI_SID_DEFAULT)
		return 0;
	l = bpf_sk_storage_get(&sock_labels, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!l)
		return opaque(-ENOMEM);
	l->sid = sid;
	return 0;
}

/* False: not an address of IPv4 or IPv6. */
static __noinline int sockaddr_get(struct sockaddr *address, struct dsi_addr *ret, u16 *ret_port)
{
	u8 b[28] = {};

	if (bpf_probe_read_kernel(b, sizeof(b), address))
		return 0;
	*ret_port = (u16)(b[2] << 8 | b[3]);
	if (*(u16 *)b == AF_INET_) {
		addr_set4(ret, *(u32 *)&b[4]);
		return 1;
	}
	__builtin_memcpy(ret, &b[8], 16);
	return *(u16 *)b == AF_INET6_;
}

static __always_inline bool port_denied(struct subject *s, u16 port, u32 perm)
{
	struct ask a;

	ask_init(&a, &s->policy, s->sid, DSI_CLASS_TCP);
	a.key.tsid = s->sid;
	a.key.qual = policy_pclass(&s->policy, port);
	a.perm = perm;
	return denied(&a);
}

SEC("lsm/socket_bind")
int BPF_PROG(dsi_socket_bind, struct socket *sock, struct sockaddr *address, int addrlen)
{
	struct sock *sk = sock->sk;
	struct dsi_addr addr;
	struct subject s;
	u16 port;

	if (!sk || !is_tcp(sk) || !subject_confined(&s) || !sockaddr_get(address, &addr, &port))
		return 0;
	if (port_denied(&s, port, DSI_PERM_TCP_BIND))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/socket_listen")
int BPF_PROG(dsi_socket_listen, struct socket *sock, int backlog)
{
	struct sock *sk = sock->sk;
	struct subject s;

	if (!sk || !is_tcp(sk) || !subject_confined(&s))
		return 0;
	if (port_denied(&s, sk->__sk_common.skc_num, DSI_PERM_TCP_LISTEN))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(dsi_socket_connect, struct socket *sock, struct sockaddr *address, int addrlen)
{
	struct sock *sk = sock->sk;
	struct dsi_conn_key tuple = {};
	struct subject s;
	struct peer peer;
	struct ask a;

	if (!sk || !is_tcp(sk) || !subject_get(&s) || !sockaddr_get(address, &tuple.daddr, &tuple.dport))
		return 0;
	peer_get(&tuple.daddr, &peer);
	ask_init(&a, &s.policy, s.sid, DSI_CLASS_TCP);
	a.key.tsid = DSI_SID_ANY;
	a.key.nclass = peer_nclass(&peer, &s.policy);
	a.key.qual = policy_pclass(&s.policy, tuple.dport);
	a.perm = DSI_PERM_TCP_CONNECT;
	if (peer_cut_off(&peer) && !port_exempt(IPPROTO_TCP_, tuple.dport, DSI_EXEMPT_REVOKED) &&
	    denied_because(&a, &tuple, peer_reason(&peer)))
		return opaque(-EACCES);
	if (judge(&a, &tuple))
		return opaque(-EACCES);
	return 0;
}

#endif
