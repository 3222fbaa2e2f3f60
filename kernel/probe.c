// SPDX-License-Identifier: GPL-2.0-or-later
/* Looks at what the kernel says about itself. Never loads or attaches anything. */
#include "kernel/probe.h"

#include <bpf/btf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { BPFFS = (int)0xcafe4a11, CGROUP2 = 0x63677270, FIRST_GOOD = 6 << 16 | 1 << 8 };

static bool read_text(const char *path, char *dst, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, dst, cap - 1);

	if (fd >= 0)
		close(fd);
	dst[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
	char copy[4096], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *w = strtok_r(copy, separators, &save); w; w = strtok_r(NULL, separators, &save))
		if (!strcmp(w, word))
			return true;
	return false;
}

static bool is_fs(const char *path, long magic)
{
	struct statfs s;

	return !statfs(path, &s) && (s.f_type & 0xffffffff) == (magic & 0xffffffff);
}

static void DSI_PRINTF(2, 3) lacks(struct kern_probe *p, const char *fmt, ...)
{
	size_t n = strlen(p->missing);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->missing + n, sizeof(p->missing) - n, fmt, ap);
	va_end(ap);
}

static enum kern_lockdown probe_lockdown(void)
{
	char text[128];

	read_text("/sys/kernel/security/lockdown", text, sizeof(text));
	if (strstr(text, "[confidentiality]"))
		return KERN_LOCKDOWN_CONFIDENTIALITY;
	return strstr(text, "[integrity]") ? KERN_LOCKDOWN_INTEGRITY : KERN_LOCKDOWN_NONE;
}

/* A macro up to 6.18, so its value goes by version; an enumerator, found by name, later. */
static u32 ovl_inuse(const struct btf *btf, u32 version)
{
	int id = btf__find_by_name_kind(btf, "inode_state_flags_enum", BTF_KIND_ENUM);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (u32)id) : NULL;

	for (u32 i = 0; t && i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_enum(t)[i].name_off), "I_OVL_INUSE"))
			return (u32)btf_enum(t)[i].val;
	return version >= (6 << 16 | 12 << 8) ? 1 << 13 : 1 << 14;
}

static void probe_btf(struct kern_probe *p)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *t;
	int id;

	if (!btf)
		return;
	p->btf = true;
	p->sock_destroy = btf__find_by_name_kind(btf, "bpf_sock_destroy", BTF_KIND_FUNC) > 0;
	id = btf__find_by_name_kind(btf, "bpf_lsm_inode_setattr", BTF_KIND_FUNC);
	t = id > 0 ? btf__type_by_id(btf, btf__type_by_id(btf, (u32)id)->type) : NULL;
	p->ovl_inuse = ovl_inuse(btf, p->version);
	p->setattr_idmap = t && btf_vlen(t) == 3;
	btf__free(btf);
}

static bool probe_preempt_full(const char *version)
{
	char text[128];

	if (strstr(version, "PREEMPT_RT"))
		return true;
	if (read_text("/sys/kernel/debug/sched/preempt", text, sizeof(text)))
		return strstr(text, "(full)");
	if (read_text("/proc/cmdline", text, sizeof(text)) && has_word(text, "preempt=full", " \n"))
		return true;
	/* PREEMPT_DYNAMIC starts as configured (Debian: voluntary); plain PREEMPT is full */
	return strstr(version, "PREEMPT ") && !strstr(version, "PREEMPT_DYNAMIC");
}

static void judge(struct kern_probe *p)
{
	if (p->version < FIRST_GOOD)
		lacks(p, "kernel %s is older than 6.1: boot a newer one\n", p->release);
	if (!p->btf)
		lacks(p, "no BTF (/sys/kernel/btf/vmlinux): needs a kernel with CONFIG_DEBUG_INFO_BTF=y\n");
	if (!p->lsms[0])
		lacks(p, "cannot read /sys/kernel/security/lsm: mount securityfs there (or not root)\n");
	else if (!p->lsm_bpf)
		lacks(p, "BPF LSM is not active: add the boot parameter  lsm=%s,bpf\n", p->lsms);
	if (p->lockdown == KERN_LOCKDOWN_CONFIDENTIALITY)
		lacks(p, "lockdown=confidentiality forbids BPF LSM: boot with  lockdown=integrity  or without\n");
	if (!p->bpffs)
		lacks(p, "no bpffs: mount -t bpf bpf /sys/fs/bpf\n");
	if (!p->cgroup2)
		lacks(p, "no cgroup v2: boot with  systemd.unified_cgroup_hierarchy=1  or mount -t cgroup2 none /sys/fs/cgroup\n");
	if (p->preempt_full && p->version < (6 << 16 | 2 << 8))
		lacks(p, "kernel %s runs with full preemption, where task labels can be unreadable: boot with  preempt=voluntary\n",
		      p->release);
	if (p->ftrace_off)
		lacks(p, "kernel.ftrace_enabled=0 switches every BPF LSM program off: sysctl kernel.ftrace_enabled=1\n");
	if (p->boot_off)
		lacks(p, "switched off by the boot parameter dsi=off\n");
}

int kern_probe(struct kern_probe *p, struct err *e)
{
	char text[4096];
	struct utsname u;
	u32 a = 0, b = 0, c = 0;

	memset(p, 0, sizeof(*p));
	uname(&u);
	snprintf(p->release, sizeof(p->release), "%s", u.release);
	if (sscanf(u.release, "%u.%u.%u", &a, &b, &c) >= 2)
		p->version = a << 16 | MIN(b, 255u) << 8 | MIN(c, 255u);
	read_text("/sys/kernel/security/lsm", p->lsms, sizeof(p->lsms));
	p->lsms[strcspn(p->lsms, "\n")] = '\0';
	p->lsm_bpf = has_word(p->lsms, "bpf", ",");
	p->lockdown = probe_lockdown();
	p->bpffs = is_fs("/sys/fs/bpf", BPFFS);
	snprintf(p->cgroup_path, sizeof(p->cgroup_path), "%s",
		 is_fs("/sys/fs/cgroup/unified", CGROUP2) ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup");
	p->cgroup2 = is_fs(p->cgroup_path, CGROUP2);
	p->preempt_full = probe_preempt_full(u.version);
	if (read_text("/proc/sys/kernel/ftrace_enabled", text, sizeof(text)))
		p->ftrace_off = text[0] == '0';
	if (read_text("/proc/cmdline", text, sizeof(text))) {
		p->boot_off = has_word(text, "dsi=off", " \n");
		p->boot_permissive = has_word(text, "dsi=permissive", " \n");
	}
	probe_btf(p);
	judge(p);
	p->can_enforce = !p->missing[0];
	return p->can_enforce ? 0 : err_set(e, -DSI_EKERNEL, "%s", p->missing);
}
