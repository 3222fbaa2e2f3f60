/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An operator key file as anybody may hand it over. Bit 0 of the first byte: also put a right hash on it, so that
 * what lies behind the hash is reached.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/opkey.h"

int LLVMFuzzerTestOneInput(const u8 *p, size_t n);
int LLVMFuzzerTestOneInput(const u8 *p, size_t n)
{
	struct opkey k;
	u8 copy[OPKEY_MAX_FILE + 8];

	if (n < 1 || n > sizeof(copy))
		return 0;
	memcpy(copy, p + 1, n - 1);
	if ((p[0] & 1) && n - 1 > CRYPTO_HASH && crypto_sha256(copy, n - 1 - CRYPTO_HASH, copy + n - 1 - CRYPTO_HASH) < 0)
		return 0;
	if (opkey_decode(&k, copy, n - 1, NULL) == 0 && !k.sealed)
		(void)opkey_unseal(&k, copy, n - 1, NULL, NULL);
	opkey_wipe(&k);
	return 0;
}
