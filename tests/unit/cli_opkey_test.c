/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operator key files: every truncation and every flipped bit is refused; the passphrase matters. */
#include "cli/opkey.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/cli_fixture.h"

static size_t make(struct opkey *k, const char *pass, u8 *ret)
{
	struct wbuf w;
	struct err e = { 0 };

	wbuf_fixed(&w, ret, OPKEY_MAX_FILE);
	ck_assert_int_eq(opkey_generate(k, OPKEY_OPERATOR, "admin", &e), 0);
	ck_assert_int_eq(opkey_encode(k, pass, &w, &e), 0);
	return w.len;
}

START_TEST(round_trip)
{
	struct opkey k, got;
	u8 file[OPKEY_MAX_FILE], sig[CRYPTO_SIG];
	struct err e = { 0 };
	const char *pass = _i ? "correct horse" : NULL;
	size_t n = make(&k, pass, file);

	ck_assert_int_eq(opkey_decode(&got, file, n, &e), 0);
	ck_assert(got.sealed == (pass != NULL));
	ck_assert_mem_eq(got.pub, k.pub, CRYPTO_PUB);
	ck_assert_int_eq(opkey_unseal(&got, file, n, pass, &e), 0);
	ck_assert_mem_eq(got.seed, k.seed, CRYPTO_SEED);
	ck_assert_str_eq(got.name, "admin");
	ck_assert_int_eq(opkey_sign(&got, SIGN_STATEMENT, "x", 1, sig), 0);
	ck_assert_int_eq(crypto_verify(k.pub, SIGN_STATEMENT, "x", 1, sig), 0);
	ck_assert_int_ne(crypto_verify(k.pub, SIGN_ROOT, "x", 1, sig), 0);
	if (pass)
		ck_assert_ptr_null(memmem(file, n, k.seed, CRYPTO_SEED));
}
END_TEST

START_TEST(wrong_passphrase)
{
	static const u8 zero[CRYPTO_SEED];
	struct opkey k, got;
	u8 file[OPKEY_MAX_FILE];
	struct err e = { 0 };
	size_t n = make(&k, "correct horse", file);

	ck_assert_int_eq(opkey_unseal(&got, file, n, "correct hors", &e), -DSI_EAUTH);
	ck_assert_mem_eq(got.seed, zero, sizeof(zero));
	ck_assert_int_eq(opkey_unseal(&got, file, n, NULL, &e), -DSI_EAUTH);
}
END_TEST

START_TEST(damage)
{
	struct opkey k, got;
	u8 file[OPKEY_MAX_FILE], copy[OPKEY_MAX_FILE + 1];
	struct err e = { 0 };
	size_t n = make(&k, _i ? "pass" : NULL, file);

	for (size_t i = 0; i < n; i++) {
		ck_assert_int_lt(opkey_decode(&got, file, i, &e), 0);
		memcpy(copy, file, n);
		copy[i] ^= 0x40;
		ck_assert_int_lt(opkey_decode(&got, copy, n, &e), 0);
	}
	memcpy(copy, file, n);
	copy[n] = 0;
	ck_assert_int_lt(opkey_decode(&got, copy, n + 1, &e), 0);
}
END_TEST

/* With a right hash the content is still checked: a file may be made by somebody else. */
static void rehash(u8 *file, size_t n)
{
	ck_assert_int_eq(crypto_sha256(file, n - CRYPTO_HASH, file + n - CRYPTO_HASH), 0);
}

START_TEST(hostile_files)
{
	struct opkey k, got;
	u8 file[OPKEY_MAX_FILE];
	struct err e = { 0 };
	size_t n = make(&k, "pass", file), kdf = 8 + 2 + 5 + CRYPTO_PUB;

	file[kdf] = 40; /* N = 2^40: memory of a cluster */
	rehash(file, n);
	ck_assert_int_eq(opkey_decode(&got, file, n, &e), -DSI_ELIMIT);
	n = make(&k, NULL, file);
	file[8 + 2 + 5] ^= 1; /* another public key than the seed's */
	rehash(file, n);
	ck_assert_int_eq(opkey_unseal(&got, file, n, NULL, &e), -DSI_EPARSE);
	n = make(&k, NULL, file);
	file[10] = '/';
	rehash(file, n);
	ck_assert_int_eq(opkey_decode(&got, file, n, &e), -DSI_EPARSE);
	n = make(&k, NULL, file);
	file[4] = 2;
	rehash(file, n);
	ck_assert_int_eq(opkey_decode(&got, file, n, &e), -DSI_EVERSION);
}
END_TEST

START_TEST(command_makes_and_shows)
{
	struct fake f = { 0 };
	char dir[64], path[128], fd[16];
	struct stat st;
	int p[2];

	temp_make(dir);
	snprintf(path, sizeof(path), "%s/etc/dsi/operators/eve.key", dir);
	ck_assert_int_eq(RUN(&f, "operator", "new", "eve", "--root", dir, "--no-passphrase"), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0400);
	ck_assert_int_eq(RUN(&f, "operator", "new", "eve", "--root", dir, "--no-passphrase"), 108);
	ck_assert_int_eq(RUN(&f, "operator", "show", path), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "operator eve"));
	ck_assert_ptr_nonnull(strstr(f.out, "none"));
	snprintf(path, sizeof(path), "%s/sealed.key", dir);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(write(p[1], "secret words\n", 13), 13);
	snprintf(fd, sizeof(fd), "%d", p[0]);
	ck_assert_int_eq(RUN(&f, "operator", "new", "eve", "--out", path, "--passphrase-fd", fd), 0);
	ck_assert_int_eq(RUN(&f, "operator", "show", path, "--output-as=json"), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "\"protected\": true"));
	ck_assert_int_eq(RUN(&f, "operator", "new", "eve", "--out", "/nowhere/x", "--no-passphrase", "--passphrase-fd", fd), 64);
	close(p[0]);
	close(p[1]);
	temp_remove(dir);
	fake_fini(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli_opkey");
	TCase *t = tcase_create("opkey");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, round_trip, 0, 2);
	tcase_add_test(t, wrong_passphrase);
	tcase_add_loop_test(t, damage, 0, 2);
	tcase_add_test(t, hostile_files);
	tcase_add_test(t, command_makes_and_shows);
	suite_add_tcase(s, t);
	return check_main(s);
}
