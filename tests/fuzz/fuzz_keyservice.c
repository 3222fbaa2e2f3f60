/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a request to the key service (u16 operation, payload): answered with at most REPLY_MAX bytes, and
 * never a signature for a purpose that is not the service's. The request table is taken without its process.
 */
#include <stdlib.h>

#include "lib/keyservice.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct seeds seeds = { .sign = { 1 }, .kem = { 2 }, .ca = { 3 } };
	enum keyfile_kind kind;
	u8 reply[REPLY_MAX];
	struct rbuf in;
	struct wbuf out;
	u16 op;

	rbuf_init(&in, data, size);
	kind = rbuf_u8(&in) & 1 ? KEYFILE_SERVER : KEYFILE_NODE;
	op = rbuf_u8(&in);
	wbuf_fixed(&out, reply, sizeof(reply));
	if (rbuf_ok(&in) && !serve(&seeds, kind, op, &in, &out)) {
		if (!wbuf_ok(&out))
			abort();
		if (op == KEYSVC_SIGN && (data[2] == SIGN_ROOT || data[2] == SIGN_STATEMENT))
			abort();
	}
	return 0;
}
