/* SPDX-License-Identifier: GPL-2.0-or-later */
/* First byte: who sent it. The rest is a packet of the service socket: refused, or it is exactly what the encoder writes. */
#include <stdlib.h>
#include <string.h>

#include "lib/svc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 back[LIM_SVC_FRAME];
	struct svc_frame f;
	size_t n;

	if (!size)
		return 0;
	(void)svc_id(data + 1, size - 1);
	if (svc_decode(&f, data[0], data + 1, size - 1))
		return 0;
	if (svc_encode(&f, back, sizeof(back), &n) || n != size - 1 || memcmp(back, data + 1, n))
		abort();
	return 0;
}
