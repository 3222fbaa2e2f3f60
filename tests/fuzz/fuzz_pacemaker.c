/* SPDX-License-Identifier: GPL-2.0-or-later */
/* First byte 0: a job for the Pacemaker helper, 1: its answer, else a mark: what decodes encodes to the same. */
#include <stdlib.h>
#include <string.h>

#include "dsid/pacemaker_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pacemaker_job j;
	struct pacemaker_answer a;
	struct pacemaker_mark m;
	struct wbuf w;
	bool ok;

	if (!size)
		return 0;
	wbuf_init(&w, LIM_LINK_FRAME);
	ok = data[0] == 0 ? !pacemaker_job_decode(&j, data + 1, size - 1) : data[0] == 1 ?
	     !pacemaker_answer_decode(&a, data + 1, size - 1) && a.code != -DSI_EFAIL : !pacemaker_mark_decode(&m, data + 1, size - 1);
	if (ok && data[0] == 0)
		pacemaker_job_encode(&j, &w);
	else if (ok && data[0] == 1)
		pacemaker_answer_encode(&a, &w);
	else if (ok)
		pacemaker_mark_encode(&m, &w);
	if (ok && (!wbuf_ok(&w) || w.len != size - 1 || memcmp(w.data, data + 1, w.len)))
		abort();
	wbuf_fini(&w);
	return 0;
}
