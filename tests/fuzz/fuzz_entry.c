/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes: refused, or an entry that encodes to the very same bytes. Nothing outside is read. */
#include <stdlib.h>
#include <string.h>

#include "gcs/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct entry e, again;
	struct wbuf w;

	if (entry_decode(&e, data, size)) {
		for (size_t i = 0; i < sizeof(e); i++)
			if (((const uint8_t *)&e)[i])
				abort(); /* nothing of a refused entry is left to be used */
		return 0;
	}
	if (e.body < data || e.body + e.body_len > data + size)
		abort();
	again = e;
	wbuf_init(&w, ENTRY_MAX);
	if (entry_encode(&again, &w))
		abort();
	wbuf_bytes(&w, e.sig, sizeof(e.sig));
	if (!wbuf_ok(&w) || w.len != size || memcmp(w.data, data, size) || memcmp(again.hash, e.hash, sizeof(e.hash)))
		abort();
	wbuf_fini(&w);
	return 0;
}
