// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Load, attach, pin; or find the pins of an earlier dsid. Invariant: either every hook of KERN_PROG_TABLE
 * that this kernel can have is attached and pinned and DSI_STATE_ATTACHED is set, or none is.
 */
#include "kernel/kern_impl.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "build/kernel/dsi.skel.h"

const struct kern_prog_info kern_progs[KP_COUNT] = {
#define X(id, fn, hold, when) { #fn, HOLD_##hold, WHEN_##when },
	KERN_PROG_TABLE(X)
#undef X
};
const char *const kern_maps[KM_COUNT] = {
#define X(id, name) name,
	KERN_MAP_TABLE(X)
#undef X
};

/* --- small things --------------------------------------------------------------------------------- */

u64 kern_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
}

void kern_settle(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0); /* synchronize_rcu() */
}

static void pin_path(const struct kern *k, const char *kind, const char *name, char *dst, size_t cap)
{
	snprintf(dst, cap, "%s/%s/%s", k->pin_dir, kind, name[0] == '.' ? "state" : name);
}

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level, (void)fmt, (void)ap;
	return 0;
}

/* The kernel adds " (deleted)" once an upgrade has put another file in our place; the name is still ours. */
static void learn_self(struct kern *k)
{
	static const char gone[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", k->self, sizeof(k->self) - 1);
	size_t len = n < 0 ? 0 : (size_t)n, tail = sizeof(gone) - 1;

	k->self[len] = '\0';
	if (len > tail && !strcmp(k->self + len - tail, gone))
		k->self[len - tail] = '\0';
}

static struct kern *kern_new(const struct kern_options *o)
{
	struct kern *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	learn_self(k);
	snprintf(k->pin_dir, sizeof(k->pin_dir), "%s", o && o->pin_dir ? o->pin_dir : KERN_PIN_DIR);
	k->cgroup_fd = -1;
	for (u32 i = 0; i < KM_COUNT; i++)
		k->maps[i] = -1;
	for (u32 i = 0; i < KP_COUNT; i++)
		k->progs[i] = k->armed[i] = -1;
	return k;
}

static bool wanted(const struct kern *k, enum kern_prog i)
{
	switch (kern_progs[i].when) {
	case WHEN_SETATTR_PLAIN:
		return !k->probe.setattr_idmap;
	case WHEN_SETATTR_IDMAP:
		return k->probe.setattr_idmap;
	case WHEN_SOCK_DESTROY:
		return k->probe.sock_destroy;
	case WHEN_NO_SOCK_DESTROY:
		return !k->probe.sock_destroy;
	case WHEN_ALWAYS:
		break;
	}
	return true;
}

static int map_state(struct kern *k, struct err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	k->state_bytes = (sizeof(struct dsi_state) + page - 1) / page * page;
	k->state = mmap(NULL, k->state_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, k->maps[KM_STATE], 0);
	if (k->state == MAP_FAILED) {
		k->state = NULL;
		return err_errno(e, -DSI_EIO, "map the kernel state page");
	}
	return 0;
}

/* --- fresh load ----------------------------------------------------------------------------------- */

struct attach_job {
	int prog, target, type, link, error;
	bool started;
	pthread_t thread;
};

static void *attach_one(void *arg)
{
	struct attach_job *j = arg;

	if (j->type == BPF_LSM_MAC)
		j->link = bpf_raw_tracepoint_open(NULL, j->prog);
	else
		j->link = bpf_link_create(j->prog, j->target, (enum bpf_attach_type)j->type, NULL);
	j->error = j->link < 0 ? errno : 0;
	return NULL;
}

/* All at once: each first use of a hook waits for tasks to pass through the kernel, and those waits overlap. */
static void attach_start(struct kern *k, struct attach_job *jobs)
{
	for (u32 i = 0; i < KP_COUNT; i++) {
		struct attach_job *j = &jobs[i];
		enum kern_hold hold = kern_progs[i].hold;

		j->link = -1;
		if (k->progs[i] < 0 || (hold != HOLD_LSM && hold != HOLD_CGROUP))
			continue;
		j->prog = k->progs[i];
		j->target = k->cgroup_fd;
		j->type = hold == HOLD_LSM ? BPF_LSM_MAC : i == KP_SYSCTL ? BPF_CGROUP_SYSCTL : BPF_CGROUP_SOCK_OPS;
		j->started = !pthread_create(&j->thread, NULL, attach_one, j);
		if (!j->started)
			attach_one(j);
	}
}

static int attach_all(struct kern *k, struct attach_job *jobs, struct err *e)
{
	int r = 0;

	attach_start(k, jobs);
	for (u32 i = 0; i < KP_COUNT; i++) {
		if (jobs[i].started)
			pthread_join(jobs[i].thread, NULL);
		if (!r && jobs[i].error)
			r = err_set(e, -DSI_EKERNEL, "attach %s: %s", kern_progs[i].name, strerror(jobs[i].error));
	}
	return r;
}

static int pin(struct kern *k, const char *kind, const char *name, int fd, struct err *e)
{
	char path[256];

	pin_path(k, kind, name, path, sizeof(path));
	if (bpf_obj_pin(fd, path))
		return err_errno(e, -DSI_EIO, "pin %s", path);
	return 0;
}

static int pin_all(struct kern *k, const struct attach_job *jobs, struct err *e)
{
	const char *const kinds[] = { "", "/links", "/progs", "/maps" };
	char path[256];
	int r = 0;

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "%s%s", k->pin_dir, kinds[i]);
		if (mkdir(path, 0700) && errno != EEXIST)
			return err_errno(e, -DSI_EIO, "make %s", path);
	}
	for (u32 i = 0; i < KP_COUNT && !r; i++) {
		if (k->progs[i] >= 0)
			r = pin(k, "progs", kern_progs[i].name, k->progs[i], e);
		if (!r && jobs[i].link >= 0)
			r = pin(k, "links", kern_progs[i].name, jobs[i].link, e);
	}
	for (u32 i = KM_COUNT; i-- > 0 && !r;) /* the state page last: without it nothing is adopted */
		r = pin(k, "maps", kern_maps[i], k->maps[i], e);
	return r;
}

static int take_fds(struct kern *k, struct bpf_object *obj, struct err *e)
{
	for (u32 i = 0; i < KM_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(obj, kern_maps[i]);

		k->maps[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (k->maps[i] < 0)
			return err_set(e, -DSI_EIO, "map %s is missing from the BPF object", kern_maps[i]);
	}
	for (u32 i = 0; i < KP_COUNT; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(obj, kern_progs[i].name);

		if (!wanted(k, i))
			continue;
		k->progs[i] = p ? fcntl(bpf_program__fd(p), F_DUPFD_CLOEXEC, 3) : -1;
		if (k->progs[i] < 0)
			return err_set(e, -DSI_EIO, "program %s is missing from the BPF object", kern_progs[i].name);
	}
	return 0;
}

static int load_object(struct kern *k, struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "dsi");
	struct bpf_object *obj;
	const void *elf;
	size_t size;
	int r;

	elf = dsi__elf_bytes(&size);
	if (!getenv("DSI_BPF_VERBOSE")) /* for people who change the programs: libbpf's own words on stderr */
		libbpf_set_print(silent);
	obj = bpf_object__open_mem(elf, size, &opts);
	if (!obj)
		return err_errno(e, -DSI_EKERNEL, "read the BPF object");
	for (u32 i = 0; i < KP_COUNT; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(obj, kern_progs[i].name);

		if (p && !wanted(k, i))
			bpf_program__set_autoload(p, false);
	}
	r = bpf_object__load(obj);
	if (r)
		r = err_set(e, -DSI_EKERNEL, "the kernel refuses our BPF programs: %s", strerror(-r));
	else
		r = take_fds(k, obj, e);
	bpf_object__close(obj);
	return r;
}

static int state_init(struct kern *k, struct err *e)
{
	struct dsi_state *s = k->state;

	s->abi = DSI_ABI_VERSION;
	s->magic = DSI_STATE_MAGIC;
	s->size = sizeof(*s);
	s->mode = DSI_MODE_OFF;
	s->rate = DSI_EVENTS_PER_SECOND;
	s->ovl_inuse = k->probe.ovl_inuse;
	s->loaded_at = kern_now_us() * 1000;
	if (getrandom(s->own_key, sizeof(s->own_key), 0) != (ssize_t)sizeof(s->own_key))
		return err_errno(e, -DSI_EIO, "random key");
	return 0;
}

int kern_guard_id(struct kern *k, u32 kind, int fd, struct err *e)
{
	union {
		struct bpf_map_info map;
		struct bpf_prog_info prog;
	} info = { 0 };
	u32 len = kind == 1 ? sizeof(info.map) : sizeof(info.prog), one = 1;
	u64 key;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return err_errno(e, -DSI_EIO, "ask for an id");
	key = (u64)kind << 32 | (kind == 1 ? info.map.id : info.prog.id);
	if (bpf_map_update_elem(k->maps[KM_GUARDED], &key, &one, BPF_ANY))
		return err_errno(e, -DSI_EIO, "guard an object");
	return 0;
}

void kern_unguard_id(struct kern *k, u32 map_id)
{
	u64 key = 1ull << 32 | map_id;

	bpf_map_delete_elem(k->maps[KM_GUARDED], &key);
}

/* What the guard is to guard: our ids, the directory of our pins and the mount it is on. */
static int guard_learn(struct kern *k, struct err *e)
{
	int fd = open(k->pin_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), r;
	struct dsi_scan_fd where;

	if (fd < 0)
		return err_errno(e, -DSI_EIO, "open %s", k->pin_dir);
	r = kern_name_fd(k, fd, &where, e);
	close(fd);
	for (u32 i = 0; i < KM_COUNT && !r; i++)
		r = kern_guard_id(k, 1, k->maps[i], e);
	for (u32 i = 0; i < KP_COUNT && !r; i++)
		r = k->progs[i] < 0 ? 0 : kern_guard_id(k, 2, k->progs[i], e);
	if (r)
		return r;
	k->state->guard_dev = where.dev;
	k->state->guard_ino = where.ino;
	k->state->guard_mnt = where.mnt;
	return 0;
}

static int load_fresh(struct kern *k, struct err *e)
{
	struct attach_job jobs[KP_COUNT] = { 0 };
	int r = load_object(k, e);

	if (!r)
		r = map_state(k, e);
	if (!r)
		r = state_init(k, e);
	if (r)
		return r;
	r = attach_all(k, jobs, e);
	if (!r)
		r = pin_all(k, jobs, e);
	if (!r)
		r = guard_learn(k, e);
	if (!r)
		__atomic_fetch_or(&k->state->flags, DSI_STATE_ATTACHED, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < KP_COUNT; i++)
		if (jobs[i].link >= 0)
			close(jobs[i].link);
	if (r)
		kern_detach_all_at(k->pin_dir, NULL);
	return r;
}

/* --- adoption ------------------------------------------------------------------------------------- */

static int get_pin(const struct kern *k, const char *kind, const char *name)
{
	char path[256];

	pin_path(k, kind, name, path, sizeof(path));
	return bpf_obj_get(path);
}

/* *ret_found: there is something that says it is a DSI of our ABI, completely attached. */
static int adopt(struct kern *k, bool *ret_found, struct err *e)
{
	*ret_found = false;
	k->maps[KM_STATE] = get_pin(k, "maps", kern_maps[KM_STATE]);
	if (k->maps[KM_STATE] < 0)
		return errno == ENOENT ? 0 : err_errno(e, -DSI_EIO, "open the pinned state in %s", k->pin_dir);
	int r = map_state(k, e);
	if (r)
		return r;
	if (k->state->magic != DSI_STATE_MAGIC || k->state->abi != DSI_ABI_VERSION || k->state->size != sizeof(struct dsi_state))
		return err_set(e, -DSI_EVERSION, "%s holds DSI of ABI %u, this program speaks %u: stop enforcement with the old "
			       "program, or reboot", k->pin_dir, k->state->abi, DSI_ABI_VERSION);
	if (!(k->state->flags & DSI_STATE_ATTACHED))
		return 0;
	for (u32 i = 0; i < KM_COUNT; i++) {
		if (i != KM_STATE)
			k->maps[i] = get_pin(k, "maps", kern_maps[i]);
		if (k->maps[i] < 0)
			return err_errno(e, -DSI_EIO, "open pinned map %s", kern_maps[i]);
	}
	for (u32 i = 0; i < KP_COUNT; i++) {
		if (!wanted(k, i))
			continue;
		k->progs[i] = get_pin(k, "progs", kern_progs[i].name);
		if (k->progs[i] < 0)
			return err_errno(e, -DSI_EIO, "open pinned program %s", kern_progs[i].name);
		if (kern_progs[i].hold == HOLD_ARM || kern_progs[i].hold == HOLD_ARM_CGROUP)
			k->armed[i] = get_pin(k, "links", kern_progs[i].name);
	}
	k->offenders = k->state->revalidate != DSI_REVALIDATE_OFF; /* sweep_tick() will tell */
	*ret_found = true;
	return 0;
}

/* Half-made pins of a loader that died before it was done: it never enforced. */
static void forget_half(struct kern *k)
{
	if (k->state)
		munmap(k->state, k->state_bytes);
	k->state = NULL;
	if (k->maps[KM_STATE] >= 0)
		close(k->maps[KM_STATE]);
	k->maps[KM_STATE] = -1;
	kern_detach_all_at(k->pin_dir, NULL);
}

int kern_open(struct kern **ret, const struct kern_options *o, struct err *e)
{
	struct kern *k = kern_new(o);
	const char *cgroup;
	int r;

	if (!k)
		return err_set(e, -DSI_ENOMEM, "kernel handle");
	kern_probe(&k->probe, NULL);
	cgroup = o && o->cgroup ? o->cgroup : k->probe.cgroup_path;
	r = adopt(k, &k->adopted, e);
	if (!r && !k->adopted && o && o->adopt_only)
		r = err_set(e, -DSI_ENOENT, "no DSI is loaded (nothing in %s)", k->pin_dir);
	if (!r) {
		k->cgroup_fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (k->cgroup_fd < 0)
			r = err_errno(e, -DSI_EKERNEL, "open cgroup %s", cgroup);
	}
	if (!r && !k->adopted) {
		forget_half(k);
		r = k->probe.can_enforce ? load_fresh(k, e) : err_set(e, -DSI_EKERNEL, "%s", k->probe.missing);
	}
	if (r) {
		kern_close(k);
		return r;
	}
	*ret = k;
	return 0;
}

bool kern_adopted(const struct kern *k)
{
	return k->adopted;
}

const struct dsi_state *kern_state(const struct kern *k)
{
	return k->state;
}

void kern_close(struct kern *k)
{
	if (!k)
		return;
	mapset_abort(k->under_way);
	if (k->state)
		munmap(k->state, k->state_bytes);
	for (u32 i = 0; i < KM_COUNT; i++)
		if (k->maps[i] >= 0)
			close(k->maps[i]);
	for (u32 i = 0; i < KP_COUNT; i++) {
		if (k->progs[i] >= 0)
			close(k->progs[i]);
		if (k->armed[i] >= 0)
			close(k->armed[i]);
	}
	for (u32 i = 0; i < k->n_held; i++)
		close(k->held[i]);
	for (u32 i = 0; i < k->n_missing; i++)
		free(k->missing[i].path);
	free(k->held);
	free(k->missing);
	if (k->cgroup_fd >= 0)
		close(k->cgroup_fd);
	free(k);
}

/* --- the end -------------------------------------------------------------------------------------- */

static int unpin_dir(const char *path, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *x;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_errno(e, -DSI_EIO, "open %s", path);
	while ((x = readdir(d)))
		if (x->d_name[0] != '.' && unlinkat(dirfd(d), x->d_name, 0) && !r)
			r = err_errno(e, -DSI_EIO, "remove %s/%s", path, x->d_name);
	closedir(d);
	if (rmdir(path) && !r)
		r = err_errno(e, -DSI_EIO, "remove %s", path);
	return r;
}

int kern_detach_all_at(const char *pin_dir, struct err *e)
{
	const char *const kinds[] = { "links", "progs", "maps" };
	char path[256];
	int r = 0, x;

	if (!pin_dir)
		pin_dir = KERN_PIN_DIR;
	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "%s/%s", pin_dir, kinds[i]);
		x = unpin_dir(path, r ? NULL : e);
		r = r ? r : x;
	}
	if (rmdir(pin_dir) && errno != ENOENT && !r)
		r = err_errno(e, -DSI_EIO, "remove %s", pin_dir);
	return r;
}

int kern_detach_all(struct kern *k, struct err *e)
{
	char dir[sizeof(k->pin_dir)];

	k->state->mode = DSI_MODE_OFF;
	k->state->guard = DSI_GUARD_OFF;
	snprintf(dir, sizeof(dir), "%s", k->pin_dir);
	kern_close(k);
	return kern_detach_all_at(dir, e);
}

/* --- attach on demand ----------------------------------------------------------------------------- */

int kern_arm(struct kern *k, enum kern_prog i, struct err *e)
{
	struct attach_job j = { .prog = k->progs[i], .target = k->cgroup_fd, .type = BPF_LSM_MAC };
	int r;

	if (k->armed[i] >= 0 || k->progs[i] < 0)
		return 0;
	if (kern_progs[i].hold == HOLD_ARM_CGROUP) {
		struct bpf_prog_info info = { 0 };
		u32 len = sizeof(info);

		/* ingress or egress: the expected attach type is not told back, the name is ours */
		if (bpf_obj_get_info_by_fd(j.prog, &info, &len))
			return err_errno(e, -DSI_EIO, "ask about %s", kern_progs[i].name);
		j.type = strstr(kern_progs[i].name, "_in") ? BPF_CGROUP_INET_INGRESS : BPF_CGROUP_INET_EGRESS;
	}
	attach_one(&j);
	if (j.error)
		return err_set(e, -DSI_EIO, "attach %s: %s", kern_progs[i].name, strerror(j.error));
	r = pin(k, "links", kern_progs[i].name, j.link, e);
	if (r) {
		close(j.link);
		return r;
	}
	k->armed[i] = j.link;
	return 0;
}

int kern_disarm(struct kern *k, enum kern_prog i, struct err *e)
{
	char path[256];

	if (k->armed[i] < 0)
		return 0;
	pin_path(k, "links", kern_progs[i].name, path, sizeof(path));
	if (unlink(path) && errno != ENOENT)
		return err_errno(e, -DSI_EIO, "remove %s", path);
	close(k->armed[i]);
	k->armed[i] = -1;
	return 0;
}

/* --- iterators ------------------------------------------------------------------------------------ */

static int drain(int fd, size_t size, kern_record_fn fn, void *ctx, struct err *e)
{
	char buf[16384];
	size_t have = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, buf + have, sizeof(buf) - have);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_errno(e, -DSI_EIO, "read iterator");
		if (!n)
			return have && fn ? err_set(e, -DSI_EIO, "iterator: torn record") : 0;
		have += (size_t)n;
		size_t used = 0;
		for (; fn && have - used >= size; used += size)
			fn(ctx, buf + used);
		if (!fn)
			used = have;
		memmove(buf, buf + used, have - used);
		have -= used;
	}
}

int kern_iterate(struct kern *k, enum kern_prog prog, u32 pid, size_t size, kern_record_fn fn, void *ctx, struct err *e)
{
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int link, fd, r;

	if (pid) {
		info.task.pid = pid;
		opts.iter_info = &info;
		opts.iter_info_len = sizeof(info);
	}
	link = bpf_link_create(k->progs[prog], 0, BPF_TRACE_ITER, &opts);
	if (link < 0)
		return err_errno(e, errno == ESRCH ? -DSI_ENOENT : -DSI_EIO, "start iterator %s", kern_progs[prog].name);
	fd = bpf_iter_create(link);
	r = fd < 0 ? err_errno(e, -DSI_EIO, "open iterator %s", kern_progs[prog].name) : drain(fd, size, fn, ctx, e);
	if (fd >= 0)
		close(fd);
	close(link);
	return r;
}

int kern_scan_set(struct kern *k, const struct dsi_scan *scan, struct err *e)
{
	u32 zero = 0;

	if (bpf_map_update_elem(k->maps[KM_SCAN], &zero, scan, BPF_ANY))
		return err_errno(e, -DSI_EIO, "set up an iterator");
	return 0;
}
