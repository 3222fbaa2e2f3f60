/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel structures we read, members we read only: CO-RE finds the rest in the running kernel's BTF.
 * No vmlinux.h: the build is the same on every machine. Constants are the kernel's, none of them in UAPI.
 */
#ifndef DSI_KERNEL_KDEFS_BPF_H
#define DSI_KERNEL_KDEFS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel/abi.h"

typedef dsi_u8 u8;
typedef dsi_u16 u16;
typedef dsi_u32 u32;
typedef dsi_u64 u64;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#define READ_ONCE(x) (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
/* Keeps clang from folding a constant into arithmetic whose range the 6.12 verifier cannot follow. */
#define opaque(x) ({ int __v = (x); asm volatile("" : "+r"(__v)); __v; })

#define MNT_NS_INTERNAL ((void *)-22) /* a stacked filesystem's private view of a layer */

enum {
	EPERM = 1,
	ENOMEM = 12,
	EACCES = 13,
	EBUSY = 16,
	EXDEV = 18,

	PF_KTHREAD = 0x00200000,
	FMODE_READ = 1,
	FMODE_WRITE = 2,
	FMODE_PATH = 0x4000,
	SB_NOUSER_BIT = 31,
	FMODE_EXEC = 0x20,       /* in f_flags of a file opened by exec */
	FMODE_NOACCOUNT = 0x20000000, /* opened by a stacked filesystem; the file above was judged */
	O_TRUNC_ = 01000,
	O_APPEND_ = 02000,
	PTRACE_MODE_ATTACH_ = 2,
	PROT_EXEC_ = 4,
	VM_READ_ = 1,
	VM_WRITE_ = 2,
	VM_SHARED_ = 8,
	VM_EXEC_ = 4,
	MAY_EXEC = 1,
	MAY_WRITE = 2,
	MAY_READ = 4,
	ATTR_SIZE = 1 << 3,
	ATTR_FORCE = 1 << 9,
	LSM_UNSAFE_SHARE = 1,
	LSM_UNSAFE_PTRACE = 2,
	LSM_UNSAFE_NO_NEW_PRIVS = 4,
	S_IFMT_ = 00170000,
	S_IFDIR_ = 0040000,
	S_IFREG_ = 0100000,
	S_IFSOCK_ = 0140000,

	AF_UNSPEC_ = 0,
	AF_INET_ = 2,
	AF_INET6_ = 10,
	SOCK_STREAM_ = 1,
	SOCK_DGRAM_ = 2,
	IPPROTO_TCP_ = 6,
	IPPROTO_UDP_ = 17,
	TCP_ESTABLISHED_ = 1,
	TCP_SYN_SENT_ = 2,
	TCP_TIME_WAIT_ = 6,
	TCP_CLOSE_ = 7,
	TCP_LISTEN_ = 10,
	TCP_NEW_SYN_RECV_ = 12,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_local_storage;

struct qstr {
	union {
		struct {
			u32 hash, len;
		};
		u64 hash_len;
	};
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
};

struct inode {
	u16 i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
	unsigned long i_state;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct bpf_map {
	u32 id;
};

struct bpf_prog_aux {
	u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	void *mnt_ns;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	u32 f_mode;
	u32 f_flags;
	struct inode *f_inode;
	struct path f_path;
};

struct iattr {
	u32 ia_valid;
};

struct cred;

struct mm_struct {
	struct file *exe_file;
};

struct vm_area_struct {
	unsigned long vm_flags;
	struct file *vm_file;
};

struct task_struct {
	u32 flags;
	int pid, tgid;
	struct mm_struct *mm;
	struct task_struct *real_parent;
	const struct cred *real_cred;
	const struct cred *cred;
	struct bpf_local_storage *bpf_storage;
};

struct linux_binprm {
	struct file *file;
	int unsafe;
	const char *filename;
	const char *interp;
};

struct net;
typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr {
	union {
		u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	volatile u8 skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_type;
	u16 sk_protocol;
};

struct socket {
	short type;
	struct sock *sk;
};

struct tcp_sock;

struct request_sock {
	struct sock_common __req_common;
};

struct sk_buff {
	unsigned char *head;
	u16 transport_header;
	u16 network_header;
};

struct sockaddr {
	u16 sa_family;
};

struct kernel_siginfo;

struct seq_file;

struct bpf_iter_meta {
	union {
		struct seq_file *seq;
		u64 seq_pad;
	};
	u64 session_id;
	u64 seq_num;
};

#define ITER_PTR(type, name)                                                                          \
	union {                                                                                       \
		type *name;                                                                           \
		u64 name##_pad;                                                                       \
	}

struct bpf_iter__task {
	ITER_PTR(struct bpf_iter_meta, meta);
	ITER_PTR(struct task_struct, task);
};

struct bpf_iter__task_file {
	ITER_PTR(struct bpf_iter_meta, meta);
	ITER_PTR(struct task_struct, task);
	u32 fd;
	ITER_PTR(struct file, file);
};

struct bpf_iter__task_vma {
	ITER_PTR(struct bpf_iter_meta, meta);
	ITER_PTR(struct task_struct, task);
	ITER_PTR(struct vm_area_struct, vma);
};

struct bpf_iter__tcp {
	ITER_PTR(struct bpf_iter_meta, meta);
	ITER_PTR(struct sock_common, sk_common);
	u32 uid;
};

#pragma clang attribute pop

struct tcphdr {
	u16 source, dest;
	u32 seq, ack_seq;
	u8 off; /* high nibble: words of header */
	u8 flags;
	u16 window, check, urg_ptr;
};
enum { TCP_FIN_ = 1, TCP_SYN_ = 2, TCP_RST_ = 4, TCP_ACK_ = 16 };

#endif
