/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * u32 size of an image, the image, any bytes as a delta on it: refused, or bytes within the limit. Threat: a member
 * sends a delta that makes who applies it read, write or run on outside of both.
 */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/delta.h"
#include "policies/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 4 << 20 };

static u8 *exact(const u8 *p, size_t n)
{
	u8 *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	memcpy(copy, p, n);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wbuf out, again;
	u8 *old, *delta;
	size_t n;

	if (size < 4)
		return 0;
	n = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
	if (n > size - 4)
		return 0;
	old = exact(data + 4, n);
	delta = exact(data + 4 + n, size - 4 - n);
	wbuf_init(&out, LIMIT);
	wbuf_init(&again, LIMIT);
	if (!delta_apply(old, n, delta, size - 4 - n, &out, NULL)) {
		if (out.len > LIMIT)
			abort();
		/* what is an image after all goes over by a delta of our own too */
		if (!delta_make(old, n, out.data, out.len, &again, NULL)) {
			struct wbuf back;

			wbuf_init(&back, LIMIT);
			if (delta_apply(old, n, again.data, again.len, &back, NULL) || back.len != out.len ||
			    memcmp(back.data, out.data, out.len))
				abort();
			wbuf_fini(&back);
		}
	}
	wbuf_fini(&again);
	wbuf_fini(&out);
	free(delta);
	free(old);
	return 0;
}
