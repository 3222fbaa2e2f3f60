/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Known answers (RFC 8032, 7748, 5869, NIST GCM), domain separation, and every bit flip is noticed. */
#include <string.h>

#include "lib/crypto.h"
#include "lib/err.h"
#include "tests/unit/lib_check.h"

static u8 *unhex(const char *s)
{
	size_t n = strlen(s) / 2;
	u8 *b = malloc(n + 1);

	ck_assert_int_eq(crypto_unhex(s, b, n), 0);
	return b;
}

START_TEST(known_answers)
{
	u8 out[128], *a, *b;
	char hex[257];

	ck_assert_int_eq(crypto_init(), 0);
	crypto_sha256("abc", 3, out);
	ck_assert_str_eq(crypto_hex(out, 32, hex), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	/* RFC 8032 7.1 test 1: the key pair */
	a = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
	crypto_sign_pub(a, out);
	ck_assert_str_eq(crypto_hex(out, 32, hex), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	free(a);
	/* RFC 7748 6.1 */
	a = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	b = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	ck_assert_int_eq(crypto_kem_pub(a, out), 0);
	ck_assert_str_eq(crypto_hex(out, 32, hex), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	ck_assert_int_eq(crypto_dh(a, b, out), 0);
	ck_assert_str_eq(crypto_hex(out, 32, hex), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	free(a);
	free(b);
	/* RFC 5869 A.1 */
	a = unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	b = unhex("000102030405060708090a0b0cf0f1f2f3f4f5f6f7f8f9");
	ck_assert_int_eq(crypto_hkdf(b, 13, a, 22, b + 13, 10, out, 42), 0);
	ck_assert_str_eq(crypto_hex(out, 42, hex),
			 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	free(a);
	free(b);
	/* GCM, McGrew and Viega test case 14: zero key and nonce, one zero block */
	memset(hex, 0, sizeof(hex));
	ck_assert_int_eq(crypto_seal((u8 *)hex, (u8 *)hex, NULL, 0, hex, 16, out), 0);
	ck_assert_str_eq(crypto_hex(out, 32, hex), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}
END_TEST

START_TEST(sha256_in_pieces)
{
	struct crypto_sha256 *h = crypto_sha256_new();
	u8 a[32], b[32];

	crypto_sha256_add(h, "a", 1);
	crypto_sha256_add(h, "", 0);
	crypto_sha256_add(h, "bc", 2);
	ck_assert_int_eq(crypto_sha256_end(h, a), 0);
	crypto_sha256("abc", 3, b);
	ck_assert(crypto_equal(a, b, 32));
	b[31] ^= 1;
	ck_assert(!crypto_equal(a, b, 32));
	ck_assert_int_eq(crypto_sha256(NULL, 0, a), 0);
}
END_TEST

START_TEST(a_signature_serves_one_purpose)
{
	u8 seed[32], pub[32], sig[64], big[5000] = { 0 };

	ck_assert_int_eq(crypto_random(seed, 32), 0);
	ck_assert_int_eq(crypto_sign_pub(seed, pub), 0);
	for (int p = 1; p < SIGN_PURPOSE_COUNT; p++) {
		if (p == SIGN_TLS || p == SIGN_CERT)
			continue;
		ck_assert_int_eq(crypto_sign(seed, p, "hello", 5, sig), 0);
		for (int q = 1; q < SIGN_PURPOSE_COUNT; q++)
			ck_assert_int_eq(crypto_verify(pub, q, "hello", 5, sig), p == q ? 0 : -DSI_ESIG);
		ck_assert_int_eq(crypto_verify(pub, p, "hello", 4, sig), -DSI_ESIG);
	}
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, big, sizeof(big), sig), 0);
	ck_assert_int_eq(crypto_verify(pub, SIGN_ENTRY, big, sizeof(big), sig), 0);
	ck_assert_int_eq(crypto_sign(seed, SIGN_ENTRY, NULL, 0, sig), 0);
	ck_assert_int_eq(crypto_verify(pub, SIGN_ENTRY, NULL, 0, sig), 0);
	ck_assert_int_eq(crypto_sign(seed, 0, "x", 1, sig), -DSI_ECRYPTO);
	ck_assert_int_eq(crypto_sign(seed, SIGN_PURPOSE_COUNT, "x", 1, sig), -DSI_ECRYPTO);
}
END_TEST

/* What is signed raw must look like what it claims to be, or a raw signature could pass for an entry. */
START_TEST(raw_purposes_refuse_our_own_bytes)
{
	u8 seed[32] = { 1 }, sig[64], tls[100], ours[] = "DSI1\2\0\0\0\0", der[] = { 0x30, 1, 0 };

	memset(tls, ' ', 64);
	memcpy(tls + 64, "TLS 1.3, server CertificateVerify", 33);
	ck_assert_int_eq(crypto_sign(seed, SIGN_TLS, tls, 97, sig), 0);
	ck_assert_int_eq(crypto_sign(seed, SIGN_CERT, der, 3, sig), 0);
	ck_assert_int_eq(crypto_sign(seed, SIGN_TLS, ours, 9, sig), -DSI_ECRYPTO);
	ck_assert_int_eq(crypto_sign(seed, SIGN_CERT, ours, 9, sig), -DSI_ECRYPTO);
	ck_assert_int_eq(crypto_sign(seed, SIGN_CERT, tls, 97, sig), -DSI_ECRYPTO);
	ck_assert_int_eq(crypto_sign(seed, SIGN_TLS, der, 3, sig), -DSI_ECRYPTO);
}
END_TEST

START_TEST(every_flip_is_noticed)
{
	u8 key[32] = { 3 }, nonce[12] = { 4 }, sealed[5 + CRYPTO_TAG], open[5];

	ck_assert_int_eq(crypto_seal(key, nonce, "aad", 3, "hello", 5, sealed), 0);
	ck_assert_int_eq(crypto_open(key, nonce, "aad", 3, sealed, sizeof(sealed), open), 0);
	ck_assert_mem_eq(open, "hello", 5);
	for (size_t i = 0; i < sizeof(sealed) * 8; i++) {
		sealed[i / 8] ^= (u8)(1 << i % 8);
		ck_assert_int_eq(crypto_open(key, nonce, "aad", 3, sealed, sizeof(sealed), open), -DSI_ESIG);
		ck_assert_mem_eq(open, "\0\0\0\0\0", 5); /* nothing unauthenticated is left behind */
		sealed[i / 8] ^= (u8)(1 << i % 8);
	}
	ck_assert_int_eq(crypto_open(key, nonce, "aaD", 3, sealed, sizeof(sealed), open), -DSI_ESIG);
	for (size_t n = 0; n < sizeof(sealed); n++)
		ck_assert_int_eq(crypto_open(key, nonce, "aad", 3, sealed, n, open), -DSI_ESIG);
	ck_assert_int_eq(crypto_seal(key, nonce, NULL, 0, NULL, 0, sealed), 0);
	ck_assert_int_eq(crypto_open(key, nonce, NULL, 0, sealed, CRYPTO_TAG, open), 0);
}
END_TEST

START_TEST(wrap_opens_for_its_target_and_context_only)
{
	u8 a[32] = { 1 }, b[32] = { 1, 2 }, pub[32], key[32] = { 9 }, wrap[CRYPTO_WRAP], wrap2[CRYPTO_WRAP], got[32];
	u8 zero[32] = { 0 };

	ck_assert_int_eq(crypto_kem_pub(a, pub), 0);
	ck_assert_int_eq(crypto_wrap(pub, "ctx", 3, key, wrap), 0);
	ck_assert_int_eq(crypto_wrap(pub, "ctx", 3, key, wrap2), 0);
	ck_assert_mem_ne(wrap, wrap2, CRYPTO_WRAP);
	ck_assert_int_eq(crypto_unwrap(a, "ctx", 3, wrap, got), 0);
	ck_assert_mem_eq(got, key, 32);
	ck_assert_int_ne(crypto_unwrap(b, "ctx", 3, wrap, got), 0);
	ck_assert_int_ne(crypto_unwrap(a, "ctX", 3, wrap, got), 0);
	for (size_t i = 0; i < CRYPTO_WRAP; i++) {
		wrap[i] ^= 0x10;
		ck_assert_int_ne(crypto_unwrap(a, "ctx", 3, wrap, got), 0);
		wrap[i] ^= 0x10;
	}
	/* a peer key of small order would make the shared secret known to everyone */
	ck_assert_int_eq(crypto_dh(a, zero, got), -DSI_ECRYPTO);
	ck_assert_int_eq(crypto_wrap(zero, "ctx", 3, key, wrap), -DSI_ECRYPTO);
}
END_TEST

START_TEST(text_forms_are_strict)
{
	static const char *const bad[] = { "QQ", "QQ=", "QQ===", "Q===", "QR==", "QUF=", "Q Q=", "QQ==QQ==", "QQ=Q", "====", "QQ\n=" };
	char hex[9];
	u8 b[4], *p;
	size_t n;

	ck_assert_str_eq(crypto_hex("\x00\xff\x10\xab", 4, hex), "00ff10ab");
	ck_assert_int_eq(crypto_unhex("00FF10ab", b, 4), 0);
	ck_assert_mem_eq(b, "\x00\xff\x10\xab", 4);
	ck_assert_int_eq(crypto_unhex("00ff10a", b, 4), -DSI_EPARSE);
	ck_assert_int_eq(crypto_unhex("00ff10ab0", b, 4), -DSI_EPARSE);
	ck_assert_int_eq(crypto_unhex("0x", b, 1), -DSI_EPARSE);
	for (size_t len = 0; len < 50; len++) {
		u8 in[50];
		char *s;

		ck_assert_int_eq(crypto_random(in, sizeof(in)), 0);
		s = crypto_base64(in, len);
		ck_assert_int_eq(crypto_unbase64(s, strlen(s), &p, &n), 0);
		ck_assert_uint_eq(n, len);
		ck_assert_mem_eq(p, in, len);
		free(p);
		free(s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(crypto_unbase64(bad[i], strlen(bad[i]), &p, &n) == -DSI_EPARSE, "%s", bad[i]);
	crypto_wipe(b, 4);
	ck_assert_mem_eq(b, "\0\0\0\0", 4);
}
END_TEST

/* Under the neutral element an all-zero S with R = the neutral element verifies for every message in plain Ed25519. */
START_TEST(a_point_of_small_order_is_no_key)
{
	u8 pub[32] = { 1 }, sig[64] = { 1 };

	ck_assert_int_eq(crypto_verify(pub, SIGN_STATEMENT, "any", 3, sig), -DSI_ESIG);
	pub[31] = 0x80;
	ck_assert_int_eq(crypto_verify(pub, SIGN_STATEMENT, "any", 3, sig), -DSI_ESIG);
	memset(pub, 0xff, 32);
	pub[0] = 0xee;
	pub[31] = 0x7f;
	ck_assert_int_eq(crypto_verify(pub, SIGN_STATEMENT, "any", 3, sig), -DSI_ESIG);
}
END_TEST

LIB_TESTS("crypto", a_point_of_small_order_is_no_key, known_answers, sha256_in_pieces, a_signature_serves_one_purpose, raw_purposes_refuse_our_own_bytes,
	  every_flip_is_noticed, wrap_opens_for_its_target_and_context_only, text_forms_are_strict)
