/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of the service protocol from one table: what a type carries is a column of it, so both ways agree by making. */
#include "lib/svc.h"

#include <string.h>

#include "lib/buf.h"

static const struct type {
	u16 number;
	u8 from, fields;
	const char *name;
} types[] = {
#define X(name, number, from, fields) { number, from, fields, #name },
	SVC_TABLE(X)
#undef X
};

static const struct type *type_of(u16 number)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].number == number)
			return &types[i];
	return NULL;
}

const char *svc_type_name(u16 number)
{
	const struct type *t = type_of(number);

	return t ? t->name : NULL;
}

bool svc_name_ok(const char *name)
{
	size_t n = strnlen(name, LIM_NAME);

	return n && n < LIM_NAME && name[0] >= 'a' && name[0] <= 'z' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n;
}

/* Goes to terminals and logs: nothing there that steers one. */
static bool text_ok(const char *s)
{
	size_t n = strnlen(s, SVC_TEXT);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n < SVC_TEXT;
}

static bool fields_ok(const struct svc_frame *f, unsigned has)
{
	return (!(has & SVC_F_NAME) || svc_name_ok(f->name)) && (!(has & SVC_F_VERSION) || text_ok(f->version)) &&
	       (!(has & SVC_F_CODE) || f->code < DSI_ERR_COUNT) &&
	       /* who is not found has no API; all others have */
	       (!(has & SVC_F_API) || f->api || ((has & SVC_F_CODE) && f->code));
}

int svc_encode(const struct svc_frame *f, u8 *buf, size_t cap, size_t *ret_len)
{
	const struct type *t = type_of(f->type);
	struct wbuf w;

	if (!t || !fields_ok(f, t->fields))
		return -DSI_EINVAL;
	if (f->len > LIM_SVC_FRAME)
		return -DSI_ELIMIT;
	wbuf_fixed(&w, buf, MIN(cap, (size_t)LIM_SVC_FRAME));
	wbuf_u16(&w, SVC_VERSION);
	wbuf_u16(&w, f->type);
	wbuf_u32(&w, f->id);
	if (t->fields & SVC_F_NAME)
		wbuf_str(&w, f->name);
	if (t->fields & SVC_F_VERSION)
		wbuf_str(&w, f->version);
	if (t->fields & SVC_F_API)
		wbuf_u32(&w, f->api);
	if (t->fields & SVC_F_CAPS)
		wbuf_u32(&w, f->caps);
	if (t->fields & SVC_F_CODE)
		wbuf_u32(&w, f->code);
	if (t->fields & SVC_F_TASK) {
		wbuf_u32(&w, f->task.pid);
		wbuf_u64(&w, f->task.start);
		wbuf_u32(&w, f->task.uid);
		wbuf_u32(&w, f->task.nid);
		wbuf_u32(&w, f->task.sid);
	}
	if (t->fields & SVC_F_DATA)
		wbuf_blob(&w, f->data, f->len);
	if (!wbuf_ok(&w))
		return -DSI_ELIMIT;
	*ret_len = w.len;
	return 0;
}

u32 svc_id(const void *p, size_t n)
{
	struct rbuf r;

	rbuf_init(&r, p, n);
	(void)rbuf_u32(&r); /* version and type */
	u32 id = rbuf_u32(&r);

	return rbuf_ok(&r) ? id : 0;
}

int svc_decode(struct svc_frame *ret, unsigned from, const void *p, size_t n)
{
	struct svc_frame f = { 0 };
	const struct type *t;
	struct rbuf r;
	bool text = true;
	int rc;

	if (n > LIM_SVC_FRAME)
		return -DSI_ELIMIT;
	if (n < SVC_HEAD)
		return -DSI_ETRUNC;
	rbuf_init(&r, p, n);
	if (rbuf_u16(&r) != SVC_VERSION)
		return -DSI_EVERSION;
	f.type = rbuf_u16(&r);
	f.id = rbuf_u32(&r);
	t = type_of(f.type);
	if (!t)
		return -DSI_EPARSE;
	if (!(t->from & from))
		return -DSI_EROLE;
	if (t->fields & SVC_F_NAME)
		text = rbuf_str(&r, f.name, sizeof(f.name));
	if (t->fields & SVC_F_VERSION)
		text = rbuf_str(&r, f.version, sizeof(f.version)) && text;
	if (!text)
		return -DSI_EPARSE;
	if (t->fields & SVC_F_API)
		f.api = rbuf_u32(&r);
	if (t->fields & SVC_F_CAPS)
		f.caps = rbuf_u32(&r);
	if (t->fields & SVC_F_CODE)
		f.code = rbuf_u32(&r);
	if (t->fields & SVC_F_TASK) {
		f.task.pid = rbuf_u32(&r);
		f.task.start = rbuf_u64(&r);
		f.task.uid = rbuf_u32(&r);
		f.task.nid = rbuf_u32(&r);
		f.task.sid = rbuf_u32(&r);
	}
	if (t->fields & SVC_F_DATA)
		f.data = rbuf_blob(&r, LIM_SVC_FRAME, &f.len);
	rc = rbuf_end(&r);
	if (rc)
		return rc;
	if (!fields_ok(&f, t->fields))
		return -DSI_EPARSE;
	*ret = f;
	return 0;
}
