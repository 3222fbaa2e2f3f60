/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The provider's side. A manager that closes after DRAIN has the last answer: that is an end, not a loss.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libdsi/impl.h"

int dsi_announce(struct dsi *d, const char *name, const char *version, uint32_t api, uint32_t caps)
{
	struct svc_frame f = { .type = SVC_ANNOUNCE, .api = api, .caps = caps };

	if (!name || !svc_name_ok(name) || !version || strlen(version) >= sizeof(f.version) || !api)
		return -EINVAL;
	memcpy(f.name, name, strlen(name) + 1);
	memcpy(f.version, version, strlen(version) + 1);
	return dsi_ask(d, &f, SVC_ANNOUNCED, NULL);
}

int dsi_next(struct dsi *d, int timeout_ms, struct dsi_request *ret)
{
	struct packet *k;
	int rc = dsi_wait(d, SVC_REQUEST, timeout_ms, &k);

	if (rc == -ECONNRESET && d->drain)
		return -ESHUTDOWN;
	if (rc <= 0)
		return rc;
	free(d->request);
	d->request = k;
	*ret = (struct dsi_request){ .id = k->f.id,
				     .caller = { .pid = k->f.task.pid, .uid = k->f.task.uid, .start = k->f.task.start,
						 .node = k->f.task.nid, .context = k->f.task.sid },
				     .data = k->f.data, .len = k->f.len };
	return 1;
}

int dsi_answer(struct dsi *d, uint32_t id, int error, const void *data, size_t len)
{
	int rc = dsi_send(d, &(struct svc_frame){ .type = SVC_ANSWER, .id = id, .code = dsi_code(error), .data = data, .len = len });

	/* Its time to drain was over: what it had went to another provider. */
	return rc == -ECONNRESET && d->drain ? -ESHUTDOWN : rc;
}

int dsi_draining(const struct dsi *d)
{
	return d->drain;
}

int dsi_serve(struct dsi *d, dsi_serve_fn *fn, void *ctx)
{
	for (;;) {
		struct dsi_request rq;
		const void *data = NULL;
		size_t len = 0;
		int rc = dsi_next(d, -1, &rq), error;

		if (rc < 0)
			return rc == -ESHUTDOWN ? 0 : rc;
		error = fn(ctx, &rq, &data, &len);
		rc = dsi_answer(d, rq.id, error, data, len);
		if (rc == -EMSGSIZE || rc == -EINVAL) /* fn's mistake: its caller must not wait */
			rc = dsi_answer(d, rq.id, EIO, NULL, 0);
		if (rc)
			return rc == -ESHUTDOWN ? 0 : rc;
	}
}
