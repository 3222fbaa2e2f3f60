/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First byte: which message body. Any bytes: refused, or decoded to what encodes to the very same bytes.
 * tpl must not exit, read past the end, or grow.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct body_schema *const schemas[] = {
#define MSG(name, n, ch, roles, flags, tag) &schema_##tag,
	MSG_TABLE(MSG)
#undef MSG
	&schema_denial,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct body_schema *s;
	struct arena a;
	struct wbuf w;
	void *st;

	if (!size)
		return 0;
	s = schemas[data[0] % ARRAY_SIZE(schemas)];
	st = calloc(1, s->size);
	arena_init(&a, 4 << 20);
	wbuf_init(&w, LIM_DIRECT_FRAME);
	if (st && !body_decode(s, data + 1, size - 1, st, &a)) {
		if (body_encode(s, st, &w) || w.len != size - 1 || memcmp(w.data, data + 1, w.len))
			abort();
	}
	wbuf_fini(&w);
	arena_fini(&a);
	free(st);
	return 0;
}
