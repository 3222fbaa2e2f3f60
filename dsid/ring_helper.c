/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One job, one answer. Must never: take a second job, follow a path that is not in the configuration. */
#include "dsid/ring_helper.h"

#include <stdio.h>
#include <stdlib.h>

#include "gcs/ring_files.h"
#include "lib/crypto.h"
#include "lib/link.h"

static int answer(int fd, u32 id, const struct ring_answer *a)
{
	struct wbuf w;
	int rc;

	wbuf_init(&w, LIM_LINK_FRAME - 64);
	ring_answer_encode(a, &w);
	rc = wbuf_ok(&w) ? link_reply(fd, RING_FRAME_ANSWER, id, w.data, w.len) : -DSI_ENOMEM;
	if (w.data)
		crypto_wipe(w.data, w.len);
	wbuf_fini(&w);
	return rc;
}

static void fill(struct ring_answer *a, const struct ring_job *j, const struct ring_done *d)
{
	a->flags = d->changed ? RING_CHANGED : 0;
	a->before = d->before;
	a->after = d->after;
	a->conf = d->conf;
	a->conf_len = d->conf_len;
	a->key = d->key;
	a->key_len = d->key_len;
	a->n_on = j->n_member;
	for (u32 i = 0; i < j->n_member; i++)
		a->on[i] = d->on[i];
}

int ring_helper_run(const struct dsid_conf *conf, int fd)
{
	const struct ring_files files = { .conf = conf->corosync_conf, .key = conf->corosync_key, .self = conf->node };
	static struct ring_member member[RING_MEMBERS];
	static struct ring_answer a;
	static struct ring_done done;
	static u8 frame[LIM_LINK_FRAME];
	struct ring_job job;
	struct err e = { 0 };
	size_t n = 0;
	u16 type = 0;
	u32 id = 0;
	int rc = link_recv(fd, &type, &id, frame, sizeof(frame), &n);

	if (rc || type != RING_FRAME_JOB)
		return err_exit(-DSI_EPEER);
	rc = ring_job_decode(&job, member, frame, n);
	if (rc)
		err_set(&e, rc, "the job is malformed");
	else
		rc = job.kind == RING_JOB_RELOAD ? ring_reload(&e) : ring_files_do(&files, &job, &done, &e);
	a.code = rc;
	snprintf(a.text, sizeof(a.text), "%.*s", RING_TEXT - 1, rc ? e.text : "");
	if (!rc)
		fill(&a, &job, &done);
	rc = answer(fd, id, &a);
	ring_done_fini(&done);
	crypto_wipe(frame, sizeof(frame));
	return rc ? err_exit(rc) : 0;
}
