/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose and what: the label of a task, a file, a socket. Unknown is a label (DSI_SID_NONE, refused), not
 * an exception. Facts behind the rules: task storage may answer NULL on 6.1 under full preemption, so
 * task->bpf_storage is read first; files cannot change their label within a generation, because moves
 * across labels are refused for everyone (hook_file), so the cache on the inode is sound.
 */
#ifndef DSI_KERNEL_LABEL_BPF_H
#define DSI_KERNEL_LABEL_BPF_H

#include "kernel/emit.bpf.h"

static __always_inline u32 task_sid(struct task_struct *t)
{
	struct dsi_task_label *l;

	if (!t->bpf_storage)
		return t->flags & PF_KTHREAD ? DSI_SID_KERNEL : DSI_SID_DEFAULT;
	l = bpf_task_storage_get(&task_labels, t, NULL, 0);
	if (l)
		return l->sid;
	stat(DSI_STAT_LABEL_UNKNOWN);
	return DSI_SID_NONE;
}

/* Who acts, under which policy. */
struct subject {
	struct policy policy;
	u32 sid;
};

/* False: nothing to decide (no policy, mode off). */
static __always_inline bool subject_get(struct subject *s)
{
	if (READ_ONCE(state.mode) == DSI_MODE_OFF || !policy_get(&s->policy))
		return false;
	s->sid = task_sid(bpf_get_current_task_btf());
	return true;
}

/* For what is local by nature: false also when the default context, unconfined, acts (the common case). */
static __always_inline bool subject_confined(struct subject *s)
{
	if (!subject_get(s))
		return false;
	return s->sid != DSI_SID_DEFAULT || !(policy_slot(&s->policy)->default_flags & DSI_CTX_UNCONFINED);
}

/* One step of a walk towards the filesystem's root. bpf_loop() instead of a plain loop: the verifier looks
 * at the body once, not 128 times in every state a hook can be in. */
struct climb {
	struct dentry *d;
	u32 slot;
	u32 sid; /* found, or DSI_SID_NONE while not */
};

/* Roots are directories, and on an overlay without stable numbers a file may have the number of one. */
static __always_inline bool may_be_root(const struct inode *inode)
{
	return (inode->i_mode & S_IFMT_) == S_IFDIR_;
}

static long climb_labels(u32 i, struct climb *c)
{
	void *inner = bpf_map_lookup_elem(&labels, &c->slot);
	struct dentry *d = c->d, *up = d->d_parent;
	struct inode *inode = d->d_inode;

	if (inode && inner && may_be_root(inode)) {
		struct dsi_inode_key key = { .ino = inode->i_ino, .dev = inode->i_sb->s_dev };
		u32 *sid = bpf_map_lookup_elem(inner, &key);

		if (sid) {
			c->sid = *sid;
			return 1;
		}
	}
	if (up == d) {
		c->sid = DSI_SID_UNLABELED;
		return 1;
	}
	c->d = up;
	return 0;
}

/* Nearest labelled ancestor in this filesystem; NONE when it is too deep to tell. */
static __noinline u32 walk_up(struct dentry *d, u32 slot)
{
	struct climb c = { .d = d, .slot = slot };

	if (!d)
		return DSI_SID_NONE;
	bpf_loop(DSI_WALK_MAX, climb_labels, &c, 0);
	return c.sid;
}

/* What the policy says of this very name: the SID that `from` enters by executing it, or with from = 0
 * the file's own type. 0: nothing. */
static __noinline u32 named_entry(struct dentry *d, u32 from, u32 slot)
{
	void *inner = bpf_map_lookup_elem(&execs, &slot);
	struct dsi_name_key key = { .from = from };
	struct dentry *dir;
	struct inode *inode;
	u32 *sid, len;

	if (!inner || !d)
		return 0;
	dir = d->d_parent;
	inode = dir->d_inode;
	len = d->d_name.len;
	if (!inode || !len || len >= DSI_NAME_LEN)
		return 0;
	key.dir_ino = inode->i_ino;
	key.dir_dev = inode->i_sb->s_dev;
	if (bpf_probe_read_kernel(key.name, len & (DSI_NAME_LEN - 1), d->d_name.name))
		return 0;
	sid = bpf_map_lookup_elem(inner, &key);
	return sid ? *sid : 0;
}

static __always_inline u32 named_type(struct dentry *d, const struct policy *p)
{
	return policy_slot(p)->n_names ? named_entry(d, 0, p->slot) : 0;
}

static __always_inline u32 walk(struct dentry *d, const struct policy *p)
{
	u32 sid = named_type(d, p);

	if (sid)
		return sid;
	return policy_slot(p)->n_labels ? walk_up(d, p->slot) : DSI_SID_UNLABELED;
}

/* Is this very inode a labelled root? */
static __always_inline bool is_label_root(struct inode *inode, const struct policy *p)
{
	struct dsi_inode_key key = { .ino = inode->i_ino, .dev = inode->i_sb->s_dev };
	void *inner;

	if (!policy_slot(p)->n_labels || !may_be_root(inode))
		return false;
	inner = bpf_map_lookup_elem(&labels, &p->slot);
	return inner && bpf_map_lookup_elem(inner, &key);
}

/* Label of an inode that dentry names; cached. *ret_cache may be left NULL (no memory: just slower). */
static __always_inline u32 inode_sid(struct inode *inode, struct dentry *dentry, const struct policy *p,
				     struct dsi_inode_label **ret_cache)
{
	struct dsi_inode_label *c = bpf_inode_storage_get(&inode_labels, inode, NULL, 0);
	u64 label;
	u32 sid;

	*ret_cache = c;
	if (c && !READ_ONCE(c->uncached)) {
		label = READ_ONCE(c->label);
		if (label >> 32 == p->gen)
			return (u32)label;
	}
	sid = walk(dentry, p);
	if (!c)
		c = bpf_inode_storage_get(&inode_labels, inode, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (c && sid)
		WRITE_ONCE(c->label, (u64)p->gen << 32 | sid);
	*ret_cache = c;
	return sid;
}

static __always_inline u64 decision_word(u32 ssid, u32 gen, u32 granted)
{
	return (u64)ssid << 32 | (u64)(gen & 0xffffff) << 8 | (granted & 0xff);
}

/* The last decision about this inode, when it was this subject's and grants perm. */
static __always_inline bool cached_allow(const struct dsi_inode_label *c, u32 ssid, u32 gen, u32 perm)
{
	u64 d = READ_ONCE(c->decision);

	return !READ_ONCE(c->uncached) && d >> 8 == decision_word(ssid, gen, 0) >> 8 && !(perm & ~(u32)(d & 0xff));
}

/* May the subject do perm to this file? True when it is to be refused. */
static __always_inline bool file_denied(struct subject *s, struct inode *inode, struct dentry *dentry, u32 perm, u32 flags)
{
	struct dsi_inode_label *c;
	struct ask a;
	u32 tsid;

	c = bpf_inode_storage_get(&inode_labels, inode, NULL, 0);
	if (c && cached_allow(c, s->sid, s->policy.gen, perm))
		return false;
	tsid = inode_sid(inode, dentry, &s->policy, &c);
	ask_init(&a, &s->policy, s->sid, DSI_CLASS_FILE);
	a.key.tsid = tsid;
	a.perm = perm;
	a.dentry = dentry;
	a.flags = flags;
	if (denied(&a))
		return true;
	if (c && a.answer.allow && tsid)
		WRITE_ONCE(c->decision, decision_word(s->sid, s->policy.gen, a.answer.granted));
	return false;
}

static long climb_overlay(u32 i, struct climb *c)
{
	struct dentry *d = c->d, *up = d->d_parent;
	struct inode *inode = d->d_inode;

	if (inode && inode->i_state & state.ovl_inuse) { /* upper or work directory of a mounted overlay */
		c->sid = 1;
		return 1;
	}
	if (up == d)
		return 1;
	c->d = up;
	return 0;
}

/* The same for a file: opened through a mount that no process can reach. */
static __noinline int overlay_file(struct file *f)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct mount *m;

	if (f->f_mode & FMODE_NOACCOUNT)
		return 1;
	if (t->cred == t->real_cred)
		return 0;
	m = (void *)f->f_path.mnt - bpf_core_field_offset(struct mount, mnt);
	return BPF_CORE_READ(m, mnt_ns) == MNT_NS_INTERNAL;
}

/* A stacked filesystem acting on its own upper layer with its mounter's credentials: what the process
 * asked for was judged on the inode above. Overridden credentials alone would not do (io_uring). */
static __noinline int overlay_inside(struct dentry *d)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct climb c = { .d = d };

	if (t->cred == t->real_cred || !d)
		return 0;
	bpf_loop(DSI_WALK_MAX, climb_overlay, &c, 0);
	return c.sid;
}

#endif
