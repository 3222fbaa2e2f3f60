/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.conf and authkey on disk.
 *
 * Must never: leave one of the two changed and the other not; write what ring_plan refuses to read, a ring without
 * encryption, a list without this node; print a key.
 */
#include "gcs/ring_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/fsutil.h"

struct old {
	u8 *p; /* NULL: absent */
	size_t n;
	mode_t mode;
};

static void old_free(struct old *o)
{
	if (o->p)
		crypto_wipe(o->p, o->n);
	free(o->p);
	o->p = NULL;
}

/* A link or another's file is somebody's arrangement that we do not know. */
static int old_read(const char *path, size_t max, mode_t mode, struct old *o, struct err *e)
{
	struct stat st;

	*o = (struct old){ .mode = mode };
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_errno(e, -DSI_EIO, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, -DSI_EPERM, "%s: not a plain file of root's: change it by hand, on every node, then "
			       "corosync-cfgtool -R", path);
	o->mode = st.st_mode & 07777;
	return fs_read_file(path, max, &o->p, &o->n, e);
}

static int keep_previous(const char *path, const struct old *o, struct err *e)
{
	char name[LIM_PATH + 32];

	if (!o->p)
		return 0;
	snprintf(name, sizeof(name), "%s.dsi-previous", path);
	return fs_write_file(name, o->p, o->n, o->mode, e);
}

static void put_back(const char *path, const struct old *o)
{
	struct err e = { 0 };

	if (!o->p)
		unlink(path);
	else if (fs_write_file(path, o->p, o->n, o->mode, &e))
		return; /* .dsi-previous has it */
}

struct pair {
	struct old conf, key;
	const void *new_conf, *new_key; /* NULL: stays */
	size_t new_conf_len, new_key_len;
};

static int pair_write(const struct ring_files *f, const struct pair *p, struct err *e)
{
	int rc = p->new_conf ? keep_previous(f->conf, &p->conf, e) : 0;

	if (!rc && p->new_key)
		rc = keep_previous(f->key, &p->key, e);
	if (!rc && p->new_conf)
		rc = fs_write_file(f->conf, p->new_conf, p->new_conf_len, p->conf.mode, e);
	if (rc || !p->new_key)
		return rc;
	rc = fs_write_file(f->key, p->new_key, p->new_key_len, p->key.mode, e);
	if (rc && p->new_conf)
		put_back(f->conf, &p->conf);
	return rc;
}

static bool key_differs(const struct pair *p, const struct ring_job *j)
{
	return j->key_len && (!p->key.p || p->key.n != j->key_len || !crypto_equal(p->key.p, j->key, j->key_len));
}

/* The key that corosync reads must be the one we write. */
static int key_place_ok(const struct ring_files *f, const struct ring_conf *c, struct err *e)
{
	if (c->inline_key)
		return err_set(e, -DSI_ECONFIG, "%s: totem.key: put the key into a file of its own, %s", f->conf,
			       f->key);
	if (c->keyfile[0] && strcmp(c->keyfile, f->key))
		return err_set(e, -DSI_ECONFIG,
			       "%s: totem.keyfile is %s: say so in /etc/dsi/dsid.conf, \"corosync-key = %s\"", f->conf,
			       c->keyfile, c->keyfile);
	return 0;
}

static u32 nodeid_of(const struct ring_conf *c, const char *self)
{
	const struct ring_node *n = ring_plan_find(c, self);

	return n ? n->nodeid : 0;
}

static int do_read(const struct ring_files *f, struct pair *p, struct ring_conf *c, struct ring_done *ret,
		   struct err *e)
{
	int rc = ring_plan_crypto(c, f->conf, e);

	if (!rc && !p->key.p)
		rc = err_set(e, -DSI_ENOENT, "%s: no ring key here", f->key);
	if (rc)
		return rc;
	ret->before = ret->after = c->n_node;
	ret->conf = p->conf.p;
	ret->conf_len = p->conf.n;
	ret->key = p->key.p;
	ret->key_len = p->key.n;
	p->conf.p = p->key.p = NULL;
	return 0;
}

static int do_follow(const struct ring_files *f, const struct ring_job *j, struct pair *p, struct ring_done *ret,
		     struct err *e)
{
	struct ring_fit fit;
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_RING_CONF);
	rc = ring_follow(j->member, j->n_member, f->self, j->index, key_differs(p, j), f->conf, (const char *)p->conf.p,
			 p->conf.n, &fit, &w, e);
	if (!rc) {
		p->new_conf = fit.change ? w.data : NULL;
		p->new_conf_len = w.len;
		ret->before = fit.before;
		ret->after = fit.after;
		memcpy(ret->on, fit.on, sizeof(ret->on));
		ret->changed = p->new_conf || p->new_key;
		rc = pair_write(f, p, e);
	}
	wbuf_fini(&w);
	return rc;
}

static int list_has_us(const struct ring_files *f, const char *text, size_t n, struct ring_conf *c, struct err *e)
{
	int rc = ring_plan_read(c, "the member's corosync.conf", text, n, e);

	if (rc)
		return rc;
	if (!ring_plan_find(c, f->self))
		return err_set(e, -DSI_ENOENT, "the member's corosync.conf does not have %s in its node list", f->self);
	return c->n_node > 1 ? 0 : err_set(e, -DSI_ENOTSAFE, "the member's corosync.conf has nobody but %s", f->self);
}

static int do_take(const struct ring_files *f, const struct ring_job *j, struct pair *p, struct ring_conf *c,
		   struct ring_done *ret, struct err *e)
{
	struct wbuf w;
	bool same;
	int rc;

	ret->before = c->n_node;
	ret->old_nodeid = nodeid_of(c, f->self);
	rc = list_has_us(f, (const char *)j->conf, j->conf_len, c, e);
	if (rc)
		return rc;
	ret->after = c->n_node;
	ret->nodeid = nodeid_of(c, f->self);
	wbuf_init(&w, LIM_RING_CONF);
	rc = ring_plan_take(f->conf, (const char *)p->conf.p, p->conf.n, (const char *)j->conf, j->conf_len, &same, &w,
			    e);
	if (!rc) {
		p->new_conf = same ? NULL : w.data;
		p->new_conf_len = w.len;
		ret->changed = p->new_conf || p->new_key;
		rc = pair_write(f, p, e);
	}
	wbuf_fini(&w);
	return rc;
}

int ring_files_do(const struct ring_files *f, const struct ring_job *j, struct ring_done *ret, struct err *e)
{
	struct ring_conf *c = calloc(1, sizeof(*c));
	struct pair p = { 0 };
	int rc = c ? old_read(f->conf, LIM_RING_CONF, 0644, &p.conf, e) : err_set(e, -DSI_ENOMEM, "out of memory");

	memset(ret, 0, sizeof(*ret));
	if (!rc)
		rc = old_read(f->key, LIM_RING_KEY, 0400, &p.key, e);
	if (!rc && !p.conf.p && j->kind != RING_JOB_TAKE)
		rc = err_set(e, -DSI_ENOENT, "%s: no corosync here", f->conf);
	if (!rc && p.conf.p)
		rc = ring_plan_read(c, f->conf, (const char *)p.conf.p, p.conf.n, e);
	if (!rc)
		rc = key_place_ok(f, c, e);
	if (!rc && key_differs(&p, j)) {
		p.new_key = j->key;
		p.new_key_len = j->key_len;
	}
	if (!rc)
		rc = j->kind == RING_JOB_READ   ? do_read(f, &p, c, ret, e) :
		     j->kind == RING_JOB_FOLLOW ? do_follow(f, j, &p, ret, e) :
		     j->kind == RING_JOB_TAKE   ? do_take(f, j, &p, c, ret, e) :
						  err_set(e, -DSI_EINVAL, "no such job");
	old_free(&p.conf);
	old_free(&p.key);
	free(c);
	if (rc)
		ret->changed = false;
	return rc;
}

void ring_done_fini(struct ring_done *d)
{
	if (d->key)
		crypto_wipe(d->key, d->key_len);
	free(d->key);
	free(d->conf);
	d->key = d->conf = NULL;
}
