// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fills a policy set beside the one in force and swaps with one store. Invariants: the slot in force is
 * never written; a slot is filled again only after every hook that could still read it has returned
 * (kern_settle() at the end of commit); records are checked here and nowhere trusted.
 */
#include "kernel/mapset.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/kern_impl.h"

enum set_map { SET_RULES, SET_CONTEXTS, SET_NCLASSES, SET_PORTS, SET_LABELS, SET_EXECS, SET_COUNT };

static const struct {
	enum kern_map outer;
	u32 type, key, value, flags, kind;
} set_maps[SET_COUNT] = {
	[SET_RULES] = { KM_RULES, BPF_MAP_TYPE_HASH, sizeof(struct dsi_rule_key), sizeof(struct dsi_rule_value),
			BPF_F_NO_PREALLOC, DSI_REC_RULE },
	[SET_CONTEXTS] = { KM_CONTEXTS, BPF_MAP_TYPE_HASH, 4, 4, BPF_F_NO_PREALLOC, DSI_REC_CONTEXT },
	[SET_NCLASSES] = { KM_NCLASSES, BPF_MAP_TYPE_HASH, 4, 4, BPF_F_NO_PREALLOC, DSI_REC_NCLASS },
	[SET_PORTS] = { KM_PORTS, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct dsi_ports), 0, DSI_REC_PORTS },
	[SET_LABELS] = { KM_LABELS, BPF_MAP_TYPE_HASH, sizeof(struct dsi_inode_key), 4, BPF_F_NO_PREALLOC, DSI_REC_LABEL },
	[SET_EXECS] = { KM_EXECS, BPF_MAP_TYPE_HASH, sizeof(struct dsi_name_key), 4, BPF_F_NO_PREALLOC, DSI_REC_EXEC },
};

static const struct {
	size_t size;
	u32 max;
} records[DSI_REC_COUNT] = {
#define X(name, number, type, limit) [number] = { sizeof(struct type), limit },
	DSI_REC_TABLE(X)
#undef X
};

/* A path that waits for its inode's name. */
struct pending {
	u32 kind, sid, from;
	int fd;    /* O_PATH: the labelled directory, or the directory of the file (also of one that is not there yet) */
	int error; /* errno; 0: resolved */
	char *path;
	char name[DSI_NAME_LEN]; /* of a file in that directory; "": the directory itself */
	struct dsi_inode_key where;
};

struct mapset {
	struct kern *k;
	struct mapset_head head;
	u32 got[DSI_REC_COUNT];
	int maps[SET_COUNT];
	struct dsi_ports *ports;
	struct pending *pending;
	u32 n_pending, cap_pending;
	u32 default_flags, n_labels, n_execs, n_names;
	struct dsi_rule_key last_rule; /* keys rise strictly: how a duplicate is told */
	bool resolved, armed, installed;
	bool keeps_dsi; /* gives this program the context dsi */
	u64 arm_us;
};

/* --- paths ---------------------------------------------------------------------------------------- */

static bool is_file(const char *path)
{
	struct stat s;

	return !stat(path, &s) && !S_ISDIR(s.st_mode);
}

/* Nothing is there: its name is known all the same, so that what is made under it (/etc/shadow+, a program that is
 * being replaced) has its type or enters its context from the first moment. It stays missing: a directory has to be
 * labelled as such when it comes. */
static void pending_expect(struct pending *p)
{
	char dir[DSI_PATH_LEN], real[PATH_MAX], *slash;

	snprintf(dir, sizeof(dir), "%s", p->path);
	slash = strrchr(dir, '/');
	if (!slash[1] || strlen(slash + 1) >= sizeof(p->name))
		return;
	strcpy(p->name, slash + 1);
	slash[slash == dir] = '\0';
	p->fd = realpath(dir, real) ? open(real, O_PATH | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY) : -1;
}

/* Open what must be named: the root itself, or the directory that holds the executable. */
static void pending_open(struct pending *p)
{
	char real[PATH_MAX];

	p->fd = -1;
	p->error = 0;
	memset(p->name, 0, sizeof(p->name));
	if (!realpath(p->path, real)) {
		p->error = errno;
		if (p->error == ENOENT)
			pending_expect(p);
		return;
	}
	if (p->kind == DSI_REC_EXEC || is_file(real)) {
		char *slash = strrchr(real, '/');

		if (strlen(slash + 1) >= sizeof(p->name) || !slash[1]) {
			p->error = ENAMETOOLONG;
			return;
		}
		strcpy(p->name, slash + 1);
		slash[slash == real] = '\0';
	}
	p->fd = open(real, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	p->error = p->fd < 0 ? errno : 0;
}

struct naming {
	struct dsi_inode_key *by_fd;
	u32 n;
};

static void on_fd(void *ctx, const void *record)
{
	const struct dsi_scan_fd *f = record;
	struct naming *n = ctx;

	if (f->fd < n->n) {
		n->by_fd[f->fd].ino = f->ino;
		n->by_fd[f->fd].dev = f->dev;
	}
}

/* Ask the kernel how it names what we opened: one iteration over our own descriptors for all of them. */
static int name_all(struct kern *k, struct pending *v, u32 n, struct err *e)
{
	struct dsi_scan scan = { .tgid = (u32)getpid() };
	struct naming naming = { .n = 0 };
	int r;

	for (u32 i = 0; i < n; i++)
		if (v[i].fd >= 0 && (u32)v[i].fd >= naming.n)
			naming.n = (u32)v[i].fd + 1;
	if (!naming.n)
		return 0;
	naming.by_fd = calloc(naming.n, sizeof(*naming.by_fd));
	if (!naming.by_fd)
		return err_set(e, -DSI_ENOMEM, "names of %u inodes", n);
	r = kern_scan_set(k, &scan, e);
	if (!r)
		r = kern_iterate(k, KP_SCAN_FDS, scan.tgid, sizeof(struct dsi_scan_fd), on_fd, &naming, e);
	for (u32 i = 0; i < n && !r; i++) {
		if (v[i].fd < 0)
			continue;
		v[i].where = naming.by_fd[v[i].fd];
		if (!v[i].where.ino)
			v[i].error = EIO;
	}
	free(naming.by_fd);
	return r;
}

static void on_one(void *ctx, const void *record)
{
	const struct dsi_scan_fd *f = record;
	struct dsi_scan_fd *want = ctx;

	if (f->fd == want->fd)
		*want = *f;
}

int kern_name_fd(struct kern *k, int fd, struct dsi_scan_fd *ret, struct err *e)
{
	struct dsi_scan scan = { .tgid = (u32)getpid() };
	int r = kern_scan_set(k, &scan, e);

	*ret = (struct dsi_scan_fd){ .fd = (u32)fd };
	if (!r)
		r = kern_iterate(k, KP_SCAN_FDS, scan.tgid, sizeof(*ret), on_one, ret, e);
	return r ? r : ret->ino ? 0 : err_set(e, -DSI_EIO, "the kernel does not show descriptor %d", fd);
}

static int pending_put(const struct pending *p, int labels, int execs)
{
	struct dsi_name_key x;

	if (!p->name[0])
		return bpf_map_update_elem(labels, &p->where, &p->sid, BPF_NOEXIST) ? errno : 0;
	memset(&x, 0, sizeof(x));
	x.dir_ino = p->where.ino;
	x.dir_dev = p->where.dev;
	x.from = p->from;
	memcpy(x.name, p->name, sizeof(x.name));
	return bpf_map_update_elem(execs, &x, &p->sid, BPF_NOEXIST) ? errno : 0;
}

static int mapset_resolve(struct mapset *m, struct err *e)
{
	int r;

	if (m->resolved)
		return 0;
	for (u32 i = 0; i < m->n_pending; i++)
		pending_open(&m->pending[i]);
	r = name_all(m->k, m->pending, m->n_pending, e);
	for (u32 i = 0; i < m->n_pending && !r; i++) {
		struct pending *p = &m->pending[i];
		bool expected = p->error == ENOENT && p->fd >= 0;
		int put = p->error && !expected ? p->error : pending_put(p, m->maps[SET_LABELS], m->maps[SET_EXECS]);

		if (!put)
			++*(p->kind == DSI_REC_EXEC ? &m->n_execs : p->name[0] ? &m->n_names : &m->n_labels);
		if (!expected) /* EEXIST: two paths of one file or directory (merged /usr); the first one counts */
			p->error = put == EEXIST ? 0 : put;
		if (p->fd >= 0 && p->error && !expected) {
			close(p->fd);
			p->fd = -1;
		}
	}
	m->resolved = !r;
	if (!r)
		m->keeps_dsi = kern_exec_entry(m->k, m, m->k->self, DSI_SID_DEFAULT) == DSI_SID_DSI;
	return r;
}

/* --- begin, put ----------------------------------------------------------------------------------- */

size_t mapset_record_size(u32 kind)
{
	return kind < DSI_REC_COUNT ? records[kind].size : 0;
}

static void mapset_free(struct mapset *m)
{
	if (!m)
		return;
	m->k->under_way = NULL;
	for (u32 i = 0; i < SET_COUNT; i++) {
		struct bpf_map_info info = { 0 };
		u32 len = sizeof(info);

		if (m->maps[i] < 0)
			continue;
		if (!m->installed && !bpf_obj_get_info_by_fd(m->maps[i], &info, &len))
			kern_unguard_id(m->k, info.id);
		close(m->maps[i]);
	}
	for (u32 i = 0; i < m->n_pending; i++) {
		if (m->pending[i].fd >= 0)
			close(m->pending[i].fd);
		free(m->pending[i].path);
	}
	free(m->pending);
	free(m->ports);
	free(m);
}

static int make_maps(struct mapset *m, struct err *e)
{
	for (u32 i = 0; i < SET_COUNT; i++) {
		LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = set_maps[i].flags);
		u32 n = i == SET_PORTS ? 1 : MAX(m->head.counts[set_maps[i].kind], 1u);

		if (i == SET_EXECS) /* files that are labelled by name lie there too; twice: as expected, as found behind a link */
			n = 2 * (n + m->head.counts[DSI_REC_LABEL]);

		/* missing paths may be found later, nodes may join later */
		if (i == SET_NCLASSES)
			n = DSI_NODES_MAX;
		m->maps[i] = bpf_map_create((enum bpf_map_type)set_maps[i].type, kern_maps[set_maps[i].outer],
					    set_maps[i].key, set_maps[i].value, n, &opts);
		if (m->maps[i] < 0)
			return err_errno(e, -DSI_EIO, "make map %s of %u", kern_maps[set_maps[i].outer], n);
		if (kern_guard_id(m->k, 1, m->maps[i], e))
			return -DSI_EIO;
	}
	return 0;
}

int mapset_begin(struct kern *k, const struct mapset_head *head, struct mapset **ret, struct err *e)
{
	struct mapset *m;
	int r;

	if (k->under_way)
		return err_set(e, -DSI_EAGAIN, "a policy is being loaded already");
	if (!head->policy_version)
		return err_set(e, -DSI_EINVAL, "policy version 0");
	for (u32 i = 1; i < DSI_REC_COUNT; i++)
		if (head->counts[i] > records[i].max)
			return err_set(e, -DSI_ELIMIT, "%u records of kind %u, at most %u", head->counts[i], i, records[i].max);
	m = calloc(1, sizeof(*m));
	if (!m)
		return err_set(e, -DSI_ENOMEM, "policy set");
	m->k = k;
	m->head = *head;
	for (u32 i = 0; i < SET_COUNT; i++)
		m->maps[i] = -1;
	m->cap_pending = head->counts[DSI_REC_LABEL] + head->counts[DSI_REC_EXEC];
	m->pending = calloc(m->cap_pending + 1, sizeof(*m->pending));
	m->ports = calloc(1, sizeof(*m->ports));
	r = m->pending && m->ports ? make_maps(m, e) : err_set(e, -DSI_ENOMEM, "policy set");
	if (r) {
		mapset_free(m);
		return r;
	}
	k->under_way = m;
	*ret = m;
	return 0;
}

/* As policies/image.h orders them. */
static int key_order(const struct dsi_rule_key *a, const struct dsi_rule_key *b)
{
	const u32 x[] = { a->ssid, a->tsid, a->nclass, a->qual, a->cls };
	const u32 y[] = { b->ssid, b->tsid, b->nclass, b->qual, b->cls };

	for (size_t i = 0; i < ARRAY_SIZE(x); i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static int put_rules(struct mapset *m, const struct dsi_rec_rule *v, u32 n, struct err *e)
{
	struct dsi_rule_key *keys;
	struct dsi_rule_value *values;
	u32 done = n;
	int r = 0;

	for (u32 i = 0; i < n; i++) {
		const struct dsi_rule_key *before = i ? &v[i - 1].key : &m->last_rule;

		if (!v[i].key.cls || v[i].key.cls >= DSI_CLASS_COUNT || v[i].key.nclass > DSI_NCLASS_MAX || !v[i].value.allow ||
		    v[i].key.ssid == DSI_SID_NONE || v[i].key.tsid == DSI_SID_NONE)
			return err_set(e, -DSI_EINVAL, "rule record out of range");
		if (key_order(before, &v[i].key) >= 0)
			return err_set(e, -DSI_EEXIST, "rule keys must rise: %u -> %u", v[i].key.ssid, v[i].key.tsid);
	}
	keys = calloc(n, sizeof(*keys));
	values = calloc(n, sizeof(*values));
	for (u32 i = 0; keys && values && i < n; i++) {
		keys[i] = v[i].key;
		values[i] = v[i].value;
	}
	if (!keys || !values)
		r = err_set(e, -DSI_ENOMEM, "%u rules", n);
	else if (bpf_map_update_batch(m->maps[SET_RULES], keys, values, &done, NULL))
		r = err_errno(e, -DSI_EIO, "rule %u", done);
	else
		m->last_rule = keys[n - 1];
	free(keys);
	free(values);
	return r;
}

static int put_pair(int map, u32 key, u32 value, const char *what, struct err *e)
{
	if (bpf_map_update_elem(map, &key, &value, BPF_NOEXIST))
		return err_errno(e, errno == EEXIST ? -DSI_EEXIST : -DSI_EIO, "%s %u", what, key);
	return 0;
}

static int put_contexts(struct mapset *m, const struct dsi_rec_context *v, u32 n, struct err *e)
{
	int r = 0;

	for (u32 i = 0; i < n && !r; i++) {
		if (v[i].sid == DSI_SID_NONE || v[i].flags & ~(u32)(DSI_CTX_UNCONFINED | DSI_CTX_PERMISSIVE))
			return err_set(e, -DSI_EINVAL, "context record out of range");
		if (v[i].sid == DSI_SID_DEFAULT)
			m->default_flags = v[i].flags;
		r = put_pair(m->maps[SET_CONTEXTS], v[i].sid, v[i].flags, "context", e);
	}
	return r;
}

static int put_nclasses(struct mapset *m, const struct dsi_rec_nclass *v, u32 n, struct err *e)
{
	int r = 0;

	for (u32 i = 0; i < n && !r; i++) {
		if (!v[i].nid || v[i].nid > DSI_NID_MAX || v[i].nclass < DSI_NCLASS_MEMBER || v[i].nclass > DSI_NCLASS_MAX)
			return err_set(e, -DSI_EINVAL, "node class record out of range");
		r = put_pair(m->maps[SET_NCLASSES], v[i].nid, v[i].nclass, "node class of", e);
	}
	return r;
}

static int put_ports(struct mapset *m, const struct dsi_rec_ports *v, u32 n, struct err *e)
{
	for (u32 i = 0; i < n; i++) {
		if (v[i].first > v[i].last || !v[i].pclass || v[i].pclass > DSI_PCLASS_MAX)
			return err_set(e, -DSI_EINVAL, "port record out of range");
		for (u32 p = v[i].first; p <= v[i].last; p++) {
			if (m->ports->pclass[p])
				return err_set(e, -DSI_EEXIST, "port %u has a class already", p);
			m->ports->pclass[p] = (u16)v[i].pclass;
		}
	}
	return 0;
}

static int put_path(struct mapset *m, u32 kind, u32 from, u32 sid, const char *path, struct err *e)
{
	struct pending *p = &m->pending[m->n_pending];

	if (sid == DSI_SID_NONE || path[0] != '/' || strnlen(path, DSI_PATH_LEN) == DSI_PATH_LEN)
		return err_set(e, -DSI_EINVAL, "path record out of range");
	p->kind = kind;
	p->from = from;
	p->sid = sid;
	p->fd = -1;
	p->path = strdup(path);
	if (!p->path)
		return err_set(e, -DSI_ENOMEM, "path");
	m->n_pending++;
	return 0;
}

int mapset_put(struct mapset *m, u32 kind, const void *recs, u32 n, struct err *e)
{
	const struct dsi_rec_label *labels = recs;
	const struct dsi_rec_exec *execs = recs;
	int r = 0;

	if (!kind || kind >= DSI_REC_COUNT)
		return err_set(e, -DSI_EINVAL, "record kind %u", kind);
	if (m->installed || m->resolved)
		return err_set(e, -DSI_EINVAL, "the policy set is closed");
	if (n > m->head.counts[kind] - m->got[kind])
		return err_set(e, -DSI_ELIMIT, "more records of kind %u than announced (%u)", kind, m->head.counts[kind]);
	switch (n ? kind : 0) {
	case DSI_REC_RULE:
		r = put_rules(m, recs, n, e);
		break;
	case DSI_REC_CONTEXT:
		r = put_contexts(m, recs, n, e);
		break;
	case DSI_REC_PORTS:
		r = put_ports(m, recs, n, e);
		break;
	case DSI_REC_NCLASS:
		r = put_nclasses(m, recs, n, e);
		break;
	case DSI_REC_LABEL:
		for (u32 i = 0; i < n && !r; i++)
			r = put_path(m, kind, 0, labels[i].sid, labels[i].path, e);
		break;
	case DSI_REC_EXEC:
		for (u32 i = 0; i < n && !r; i++)
			r = execs[i].from ? put_path(m, kind, execs[i].from, execs[i].to, execs[i].path, e)
					  : err_set(e, -DSI_EINVAL, "exec record from SID 0");
		break;
	}
	if (!r)
		m->got[kind] += n;
	return r;
}

/* --- prepare, commit ------------------------------------------------------------------------------ */

static int mapset_install(struct mapset *m, u32 slot, struct err *e)
{
	struct dsi_slot *s = &m->k->state->slots[slot];
	u32 zero = 0;

	if (bpf_map_update_elem(m->maps[SET_PORTS], &zero, m->ports, BPF_ANY))
		return err_errno(e, -DSI_EIO, "fill ports");
	for (u32 i = 0; i < SET_COUNT; i++) {
		int outer = m->k->maps[set_maps[i].outer];
		u32 old;

		if (!bpf_map_lookup_elem(outer, &slot, &old))
			kern_unguard_id(m->k, old);
		if (bpf_map_update_elem(outer, &slot, &m->maps[i], BPF_ANY))
			return err_errno(e, -DSI_EIO, "install %s", kern_maps[set_maps[i].outer]);
	}
	memset(s, 0, sizeof(*s));
	s->policy_version = m->head.policy_version;
	s->policy_flags = m->head.policy_flags;
	s->default_flags = m->default_flags;
	s->n_labels = m->n_labels;
	s->n_execs = m->n_execs;
	s->n_names = m->n_names;
	memcpy(s->digest, m->head.digest, sizeof(s->digest));
	m->installed = true;
	return 0;
}

int mapset_prepare(struct mapset *m, struct err *e)
{
	u32 next = m->k->state->active + 1;
	int r;

	for (u32 i = 1; i < DSI_REC_COUNT; i++)
		if (m->got[i] != m->head.counts[i])
			return err_set(e, -DSI_EINVAL, "%u of %u records of kind %u arrived", m->got[i], m->head.counts[i], i);
	r = mapset_resolve(m, e);
	if (!r && !m->installed) {
		/* the slot to be filled is the one that armed programs compare with */
		if (m->k->state->revalidate) {
			__atomic_store_n(&m->k->state->revalidate, DSI_REVALIDATE_STOPPED, __ATOMIC_SEQ_CST);
			kern_settle();
		}
		r = mapset_install(m, next % DSI_SLOTS, e);
	}
	if (!r && !m->armed && m->k->state->active) {
		u64 t = kern_now_us();

		r = sweep_arm(m->k, e);
		m->arm_us = kern_now_us() - t;
		m->armed = !r;
	}
	return r;
}

static void count_changed(void *ctx, const void *record)
{
	const struct dsi_scan_task *t = record;

	*(u32 *)ctx += t->changed;
}

/* Programs that run already get the context their exec would have given them; so do their sockets. */
static int label_running(struct kern *k, u32 gen, u32 *ret_changed, struct err *e)
{
	struct dsi_scan scan = { .op = DSI_SCAN_EXECS, .gen = gen };
	u32 changed = 0;
	int r = kern_scan_set(k, &scan, e);

	if (!r)
		r = kern_iterate(k, KP_SCAN_TASKS, 0, sizeof(struct dsi_scan_task), count_changed, &changed, e);
	if (!r && changed)
		r = kern_iterate(k, KP_SCAN_SOCKS, 0, 1, NULL, NULL, e);
	*ret_changed += changed;
	return r;
}

static int slot_map(struct kern *k, enum set_map which, u32 slot, struct err *e)
{
	u32 id;
	int fd = bpf_map_lookup_elem(k->maps[set_maps[which].outer], &slot, &id) ? -1 : bpf_map_get_fd_by_id(id);

	if (fd < 0)
		err_errno(e, -DSI_EIO, "open %s in force", kern_maps[set_maps[which].outer]);
	return fd;
}

/* --- leaving a context -------------------------------------------------------------------------------- */

/* Who is in a context that the new policy ends. */
struct leaving {
	struct mapset *m;
	int now; /* contexts in force, or -1 */
	struct { u32 pid, sid; } *v;
	u32 n, cap;
	bool guard, lost; /* the guard was on; no memory for one of them */
};

/*
 * The new policy would refuse everything to a context that it does not know. That is right for the confined (their
 * domain was taken away), not for who needed no rule at all: DSI itself, and dsi-admin that waits for its own push.
 */
static bool must_leave(const struct leaving *l, u32 sid)
{
	u32 flags = 0, any;

	if (sid == DSI_SID_DSI)
		return !l->m->keeps_dsi;
	if (sid < DSI_SID_FIRST || l->now < 0 || bpf_map_lookup_elem(l->now, &sid, &flags) || !(flags & DSI_CTX_UNCONFINED))
		return false;
	return bpf_map_lookup_elem(l->m->maps[SET_CONTEXTS], &sid, &any);
}

static void on_leaving(void *ctx, const void *record)
{
	const struct dsi_scan_task *t = record;
	struct leaving *l = ctx;

	if (t->pid != t->tgid || !must_leave(l, t->sid))
		return;
	if (l->n == l->cap) {
		u32 cap = l->cap ? 2 * l->cap : 16;
		void *v = realloc(l->v, cap * sizeof(*l->v));

		l->lost |= !v;
		if (!v)
			return;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n].pid = t->tgid;
	l->v[l->n++].sid = t->sid;
}

static int contexts_leave(struct leaving *l, struct err *e)
{
	struct dsi_scan scan = { .op = DSI_SCAN_TELL };
	struct kern *k = l->m->k;
	int r;

	l->now = k->state->active ? slot_map(k, SET_CONTEXTS, k->state->active % DSI_SLOTS, NULL) : -1;
	r = kern_scan_set(k, &scan, e);
	if (!r)
		r = kern_iterate(k, KP_SCAN_TASKS, 0, sizeof(struct dsi_scan_task), on_leaving, l, e);
	if (l->now >= 0)
		close(l->now);
	if (!r && l->lost)
		r = err_set(e, -DSI_ENOMEM, "list of processes whose context ends");
	if (r)
		return r;
	l->guard = !l->m->keeps_dsi && k->state->guard == DSI_GUARD_ON;
	if (l->guard) { /* before they leave: it would refuse them what is their own */
		__atomic_store_n(&k->state->guard, DSI_GUARD_OFF, __ATOMIC_SEQ_CST);
		kern_settle();
	}
	for (u32 i = 0; i < l->n; i++)
		(void)kern_label_task(k, l->v[i].pid, DSI_SID_DEFAULT, NULL); /* a process that is gone needs no label */
	return 0;
}

/* The old policy stays after all. */
static void contexts_return(struct leaving *l)
{
	for (u32 i = 0; i < l->n; i++)
		(void)kern_label_task(l->m->k, l->v[i].pid, l->v[i].sid, NULL);
	if (l->guard)
		__atomic_store_n(&l->m->k->state->guard, DSI_GUARD_ON, __ATOMIC_SEQ_CST);
}

/* The handle keeps what did not resolve, and descriptors that keep labelled roots' inodes in memory. */
static void keep_paths(struct mapset *m)
{
	struct kern *k = m->k;
	u32 missing = 0, held = 0;

	for (u32 i = 0; i < k->n_held; i++)
		close(k->held[i]);
	for (u32 i = 0; i < k->n_missing; i++)
		free(k->missing[i].path);
	free(k->held);
	free(k->missing);
	k->held = calloc(m->n_pending + 1, sizeof(*k->held));
	k->missing = calloc(m->n_pending + 1, sizeof(*k->missing));
	for (u32 i = 0; i < m->n_pending; i++) {
		struct pending *p = &m->pending[i];

		if (p->fd >= 0 && k->held) {
			k->held[held++] = p->fd;
			p->fd = -1;
		}
		if (p->error && k->missing) {
			k->missing[missing++] = (struct kern_missing){ p->kind, p->sid, p->from, p->error, p->path };
			p->path = NULL;
		}
	}
	k->n_held = held;
	k->n_missing = missing;
}

int mapset_commit(struct mapset *m, struct mapset_report *ret, struct err *e)
{
	u64 start = kern_now_us(), t;
	struct leaving leaving = { .m = m };
	struct kern *k = m->k;
	u32 next = k->state->active + 1;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = mapset_prepare(m, e);
	if (!r)
		r = contexts_leave(&leaving, e);
	if (!r)
		r = label_running(k, next, &ret->tasks_labelled, e);
	if (r)
		contexts_return(&leaving);
	free(leaving.v);
	if (r) {
		mapset_abort(m);
		return r;
	}
	ret->guard_lost = leaving.guard;
	t = kern_now_us();
	__atomic_store_n(&k->state->active, next, __ATOMIC_SEQ_CST);
	if (m->armed)
		__atomic_store_n(&k->state->revalidate, DSI_REVALIDATE_LOST, __ATOMIC_SEQ_CST);
	kern_settle();
	ret->swap_us = kern_now_us() - t;
	/* In force. What follows can fail without undoing it; the caller sees the error and the generation. */
	ret->generation = next;
	ret->arm_us = m->arm_us;
	k->n_rules = m->head.counts[DSI_REC_RULE];
	keep_paths(m);
	ret->missing = k->n_missing;
	r = label_running(k, next, &ret->tasks_labelled, e);
	if (!r && m->armed)
		r = sweep_run(k, &ret->sweep, e);
	ret->sweep_us = ret->sweep.us;
	ret->total_us = kern_now_us() - start;
	mapset_free(m);
	return r;
}

void mapset_abort(struct mapset *m)
{
	struct kern *k = m ? m->k : NULL;
	bool armed = m && m->armed;

	mapset_free(m);
	if (armed)
		sweep_disarm(k);
}

/* --- missing paths -------------------------------------------------------------------------------- */

bool mapset_missing(const struct kern *k, u32 i, struct mapset_missing *ret)
{
	if (i >= k->n_missing)
		return false;
	*ret = (struct mapset_missing){ k->missing[i].path, k->missing[i].kind, k->missing[i].error };
	return true;
}

u32 kern_exec_entry(struct kern *k, const struct mapset *m, const char *path, u32 from)
{
	struct pending p = { .kind = DSI_REC_EXEC, .path = (char *)path };
	struct dsi_name_key key = { .from = from };
	struct dsi_scan_fd where;
	u32 sid = 0;
	int map;

	if (!m && !k->state->active)
		return 0;
	pending_open(&p);
	if (p.fd < 0 || kern_name_fd(k, p.fd, &where, NULL)) {
		if (p.fd >= 0)
			close(p.fd);
		return 0;
	}
	close(p.fd);
	key.dir_ino = where.ino;
	key.dir_dev = where.dev;
	memcpy(key.name, p.name, sizeof(key.name));
	map = m ? m->maps[SET_EXECS] : slot_map(k, SET_EXECS, k->state->active % DSI_SLOTS, NULL);
	if (map < 0 || bpf_map_lookup_elem(map, &key, &sid))
		sid = 0;
	if (!m && map >= 0)
		close(map);
	return sid;
}

static void hold(struct kern *k, struct pending *p)
{
	int *held = realloc(k->held, (k->n_held + 1) * sizeof(*held));

	if (!held)
		return;
	k->held = held;
	k->held[k->n_held++] = p->fd;
	p->fd = -1;
}

/* Found roots go straight into the set in force; a generation two higher (the same slot) voids what
 * inodes remember. */
int kern_labels_retry(struct kern *k, u32 *ret_fixed, struct err *e)
{
	u32 slot = k->state->active % DSI_SLOTS, n = k->n_missing, left = 0, fixed = 0, changed = 0;
	struct dsi_slot *s = &k->state->slots[slot];
	struct pending *v;
	int labels, execs, r;

	*ret_fixed = 0;
	if (!n || !k->state->active || k->under_way)
		return 0;
	v = calloc(n, sizeof(*v));
	if (!v)
		return err_set(e, -DSI_ENOMEM, "%u paths", n);
	for (u32 i = 0; i < n; i++) {
		v[i] = (struct pending){ .kind = k->missing[i].kind, .sid = k->missing[i].sid, .from = k->missing[i].from,
					 .path = k->missing[i].path };
		pending_open(&v[i]);
	}
	labels = slot_map(k, SET_LABELS, slot, e);
	execs = labels < 0 ? -1 : slot_map(k, SET_EXECS, slot, e);
	r = execs < 0 ? -DSI_EIO : name_all(k, v, n, e);
	for (u32 i = 0; i < n && !r; i++) {
		bool expected = v[i].error == ENOENT && v[i].fd >= 0;
		int put = v[i].error && !expected ? v[i].error : pending_put(&v[i], labels, execs);

		if (!put) {
			++*(v[i].kind == DSI_REC_EXEC ? &s->n_execs : v[i].name[0] ? &s->n_names : &s->n_labels);
			hold(k, &v[i]);
		}
		if (!expected)
			v[i].error = put == EEXIST ? 0 : put; /* EEXIST: its name was expected */
		if (v[i].error) {
			k->missing[left] = k->missing[i];
			k->missing[left++].error = v[i].error;
			continue;
		}
		free(v[i].path);
		fixed++;
	}
	if (!r)
		k->n_missing = left;
	for (u32 i = 0; i < n; i++)
		if (v[i].fd >= 0)
			close(v[i].fd);
	if (labels >= 0)
		close(labels);
	if (execs >= 0)
		close(execs);
	free(v);
	if (!r && fixed) {
		__atomic_store_n(&k->state->active, k->state->active + DSI_SLOTS, __ATOMIC_SEQ_CST);
		kern_settle();
		r = label_running(k, k->state->active, &changed, e);
	}
	*ret_fixed = fixed;
	return r;
}
