/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as an envelope: refused, or what was read writes the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "gcs/session.h"
#include "lib/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *exact = malloc(size ? size : 1);
	static const u8 seed[CRYPTO_SEED] = { 1 };
	u8 pub[CRYPTO_PUB];
	struct envelope v;
	struct wbuf w;

	if (!exact || crypto_sign_pub(seed, pub) != 0)
		abort();
	if (size)
		memcpy(exact, data, size);
	if (envelope_parse(&v, exact, size) == 0) {
		wbuf_init(&w, LIM_RING_MSG);
		envelope_encode(&v, &w);
		if (!wbuf_ok(&w) || w.len + CRYPTO_SIG != size || memcmp(w.data, exact, w.len) != 0)
			abort();
		wbuf_fini(&w);
		(void)envelope_prio(&v);
	}
	if (envelope_verify(exact, size, pub) == 0)
		abort(); /* nobody has that key */
	free(exact);
	return 0;
}
