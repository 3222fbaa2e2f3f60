/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Adapter: scrypt of OpenSSL, for passphrases only. The one place of dsi-admin that includes it. */
#include <openssl/evp.h>
#include <string.h>

#include "cli/opkey.h"

int kdf_scrypt(const char *passphrase, const u8 *salt, size_t salt_len, u32 log2n, u32 r, u32 p, u8 ret[CRYPTO_KEY])
{
	const u64 max = 300ull << 20;

	if (EVP_PBE_scrypt(passphrase, strlen(passphrase), salt, salt_len, 1ull << log2n, r, p, max, ret, CRYPTO_KEY) == 1)
		return 0;
	return -DSI_ECRYPTO;
}
