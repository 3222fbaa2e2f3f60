/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files: open, map executable, make, remove, move, change. Reads and writes on what is open are judged
 * only while something changed (reval.bpf.h). Moves, links and removals that would give an inode another
 * label are refused for everyone, also the unconfined: that is what makes cached labels true. -EXDEV is
 * the answer to which mv copies, so the copy gets the label of its new place.
 */
#ifndef DSI_KERNEL_HOOK_FILE_BPF_H
#define DSI_KERNEL_HOOK_FILE_BPF_H

#include "kernel/guard.bpf.h"

static __always_inline u32 open_perms(const struct file *f)
{
	u32 mode = f->f_mode, flags = f->f_flags, perm = 0;

	if (flags & FMODE_EXEC)
		return 0; /* judged as execute and map */
	if (mode & FMODE_READ)
		perm |= DSI_PERM_FILE_READ;
	if (mode & FMODE_WRITE || flags & (O_TRUNC_ | O_APPEND_))
		perm |= DSI_PERM_FILE_WRITE;
	return perm;
}

SEC("lsm/file_open")
int BPF_PROG(dsi_file_open, struct file *file)
{
	struct subject s;
	u32 perm;

	if (guard_on() && file->f_mode & FMODE_WRITE && !overlay_file(file) && guard_denies(file->f_path.dentry, DSI_PERM_FILE_WRITE))
		return opaque(-EPERM);
	if (!subject_confined(&s))
		return 0;
	perm = open_perms(file);
	if (perm && !overlay_file(file) && file_denied(&s, file->f_inode, file->f_path.dentry, perm, 0))
		return opaque(-EACCES);
	return 0;
}

/* Own program text needs no right to map: execute or transition was asked for it. */
static __always_inline bool own_text(const struct file *file)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct mm_struct *mm = t->mm;
	struct file *exe;

	if (!mm)
		return false;
	exe = mm->exe_file;
	return exe && exe->f_inode == file->f_inode;
}

SEC("lsm/mmap_file")
int BPF_PROG(dsi_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)
{
	struct subject s;

	if (!file || !(prot & PROT_EXEC_) || !subject_confined(&s) || own_text(file))
		return 0;
	if (file_denied(&s, file->f_inode, file->f_path.dentry, DSI_PERM_FILE_MAP, 0))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(dsi_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
	struct file *file = vma->vm_file;
	struct subject s;

	if (!file || !(prot & PROT_EXEC_) || vma->vm_flags & VM_EXEC_ || !subject_confined(&s) || own_text(file))
		return 0;
	if (file_denied(&s, file->f_inode, file->f_path.dentry, DSI_PERM_FILE_MAP, 0))
		return opaque(-EACCES);
	return 0;
}

/* The confined need the right on the directory's type and, where a name has its own, on that. */
static __noinline int entry_denied(struct subject *s, struct inode *dir, struct dentry *dentry, u32 perm)
{
	struct ask a;

	if (file_denied(s, dir, dentry->d_parent, perm, 0))
		return 1;
	ask_init(&a, &s->policy, s->sid, DSI_CLASS_FILE);
	a.key.tsid = named_type(dentry, &s->policy);
	a.perm = perm;
	a.dentry = dentry;
	return a.key.tsid && denied(&a);
}

/* Something is made in `dir`, which is dentry's parent. */
static __noinline int create_denied(struct inode *dir, struct dentry *dentry)
{
	struct subject s;

	if (guard_denies(dentry, DSI_PERM_FILE_CREATE))
		return 1;
	if (!subject_confined(&s) || overlay_inside(dentry->d_parent))
		return 0;
	return entry_denied(&s, dir, dentry, DSI_PERM_FILE_CREATE);
}

#define CREATE_HOOK(hook, name, ...)                                                                  \
	SEC("lsm/" #hook)                                                                             \
	int BPF_PROG(name, struct inode *dir, struct dentry *dentry, ##__VA_ARGS__)                   \
	{                                                                                             \
		if (create_denied(dir, dentry))                                                       \
			return opaque(-EACCES);                                                       \
		return 0;                                                                             \
	}

CREATE_HOOK(inode_create, dsi_create, u16 mode)
CREATE_HOOK(inode_mkdir, dsi_mkdir, u16 mode)
CREATE_HOOK(inode_mknod, dsi_mknod, u16 mode, u32 dev)
CREATE_HOOK(inode_symlink, dsi_symlink, const char *target)

/* What an unconfined task does here is judged only for labels: NONE, EXDEV or EBUSY. */
enum move { MOVE_OK, MOVE_RELABEL, MOVE_ROOT };

static __always_inline bool move_denied(struct policy *p, u32 ssid, struct dentry *d, u32 why)
{
	struct ask a;

	ask_init(&a, p, ssid, DSI_CLASS_FILE);
	a.perm = DSI_PERM_FILE_CREATE;
	a.dentry = d;
	a.key.tsid = walk(d, p);
	return denied_because(&a, NULL, why);
}

static __noinline int remove_verdict(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = dentry->d_inode;
	struct subject s;

	if (guard_denies(dentry, DSI_PERM_FILE_DELETE))
		return EACCES;
	if (!subject_get(&s) || !policy_slot(&s.policy)->n_labels || !inode)
		return 0;
	if (overlay_inside(dentry))
		return 0;
	if (is_label_root(inode, &s.policy) && move_denied(&s.policy, s.sid, dentry, DSI_REASON_LABEL_ROOT))
		return EBUSY;
	if (!subject_confined(&s))
		return 0;
	return entry_denied(&s, dir, dentry, DSI_PERM_FILE_DELETE) ? EACCES : 0;
}

#define VERDICT(v)                                                                                    \
	do {                                                                                          \
		int v_ = (v);                                                                         \
		if (v_ == EBUSY)                                                                      \
			return opaque(-EBUSY);                                                        \
		if (v_ == EXDEV)                                                                      \
			return opaque(-EXDEV);                                                        \
		if (v_)                                                                               \
			return opaque(-EACCES);                                                       \
		return 0;                                                                             \
	} while (0)

SEC("lsm/inode_unlink")
int BPF_PROG(dsi_unlink, struct inode *dir, struct dentry *dentry)
{
	VERDICT(remove_verdict(dir, dentry));
}

SEC("lsm/inode_rmdir")
int BPF_PROG(dsi_rmdir, struct inode *dir, struct dentry *dentry)
{
	VERDICT(remove_verdict(dir, dentry));
}

SEC("lsm/inode_link")
int BPF_PROG(dsi_link, struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct subject s;

	if (guard_denies(old, DSI_PERM_FILE_SETATTR) || guard_denies(dentry, DSI_PERM_FILE_CREATE))
		return opaque(-EPERM);
	if (!subject_get(&s) || overlay_inside(dentry->d_parent))
		return 0;
	if (walk(old, &s.policy) != walk(dentry, &s.policy) &&
	    move_denied(&s.policy, s.sid, old, DSI_REASON_RELABEL))
		return opaque(-EXDEV);
	if (!subject_confined(&s))
		return 0;
	if (entry_denied(&s, dir, dentry, DSI_PERM_FILE_CREATE))
		return opaque(-EACCES);
	return 0;
}

/* From now on the label of this inode depends on which name it is met by: never remember it again. */
static __always_inline bool uncache(struct inode *inode)
{
	struct dsi_inode_label *c = bpf_inode_storage_get(&inode_labels, inode, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (c)
		WRITE_ONCE(c->uncached, 1);
	return c;
}

/* `old` moves to where `dentry` is; `dentry`, if it exists, is replaced. */
static __noinline int rename_labels(struct subject *s, struct dentry *old, struct dentry *dentry)
{
	struct inode *moved = old->d_inode, *replaced = dentry->d_inode;

	if (!moved || !policy_slot(&s->policy)->n_labels)
		return 0;
	if (is_label_root(moved, &s->policy) || (replaced && is_label_root(replaced, &s->policy)))
		return move_denied(&s->policy, s->sid, old, DSI_REASON_LABEL_ROOT) ? EBUSY : 0;
	if (walk_up(old->d_parent, s->policy.slot) != walk_up(dentry->d_parent, s->policy.slot))
		return move_denied(&s->policy, s->sid, old, DSI_REASON_RELABEL) ? EXDEV : 0;
	/* /etc/shadow+ onto /etc/shadow: names with labels of their own in one directory */
	if (policy_slot(&s->policy)->n_names && walk(old, &s->policy) != walk(dentry, &s->policy) && !uncache(moved))
		return ENOMEM;
	return 0;
}

SEC("lsm/inode_rename")
int BPF_PROG(dsi_rename, struct inode *old_dir, struct dentry *old, struct inode *new_dir, struct dentry *dentry)
{
	struct subject s;
	int v;

	if (guard_denies(old, DSI_PERM_FILE_DELETE) || guard_denies(dentry, DSI_PERM_FILE_CREATE))
		return opaque(-EPERM);
	if (!subject_get(&s) || overlay_inside(old))
		return 0;
	v = rename_labels(&s, old, dentry);
	if (v == EBUSY)
		return opaque(-EBUSY);
	if (v == EXDEV)
		return opaque(-EXDEV);
	if (v)
		return opaque(-ENOMEM);
	if (!subject_confined(&s))
		return 0;
	if (entry_denied(&s, old_dir, old, DSI_PERM_FILE_DELETE))
		return opaque(-EACCES);
	if (entry_denied(&s, new_dir, dentry, DSI_PERM_FILE_CREATE | (dentry->d_inode ? DSI_PERM_FILE_DELETE : 0)))
		return opaque(-EACCES);
	return 0;
}

static __noinline int attr_denied(struct dentry *dentry, u32 perm)
{
	struct inode *inode = dentry->d_inode;
	struct subject s;

	if (guard_denies(dentry, perm))
		return 1;
	if (!inode || !subject_confined(&s) || overlay_inside(dentry))
		return 0;
	return file_denied(&s, inode, dentry, perm, 0);
}

/* A size is content; what the kernel does by itself (ATTR_FORCE: dropping set-uid at a write) is nobody's act. */
static __always_inline int setattr_denied(struct dentry *dentry, u32 valid)
{
	if (valid & ATTR_SIZE)
		return attr_denied(dentry, DSI_PERM_FILE_WRITE);
	if (valid & ATTR_FORCE)
		return 0;
	return attr_denied(dentry, DSI_PERM_FILE_SETATTR);
}

/* Two shapes of one hook; the loader takes the one that this kernel's BTF has. */
SEC("lsm/inode_setattr")
int BPF_PROG(dsi_setattr, struct dentry *dentry, struct iattr *attr)
{
	if (setattr_denied(dentry, attr->ia_valid))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/inode_setattr")
int BPF_PROG(dsi_setattr_idmap, void *idmap, struct dentry *dentry, struct iattr *attr)
{
	if (setattr_denied(dentry, attr->ia_valid))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/inode_setxattr")
int BPF_PROG(dsi_setxattr, void *idmap, struct dentry *dentry)
{
	if (attr_denied(dentry, DSI_PERM_FILE_SETATTR))
		return opaque(-EACCES);
	return 0;
}

SEC("lsm/inode_removexattr")
int BPF_PROG(dsi_removexattr, void *idmap, struct dentry *dentry)
{
	if (attr_denied(dentry, DSI_PERM_FILE_SETATTR))
		return opaque(-EACCES);
	return 0;
}

#endif
