/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Key files and the key service with its client; what a service may sign is its kind's. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/keyservice.h"
#include "lib/link.h"
#include "tests/unit/lib_check.h"

static char path[64];
static struct keyfile_pub pub;
static struct err e;
static struct keys keys;
static int service;

static void make_key(enum keyfile_kind kind)
{
	snprintf(path, sizeof(path), "/tmp/dsi-key-%d", (int)getpid());
	unlink(path);
	ck_assert_msg(!keyfile_create(path, kind, &pub, &e), "%s", e.text);
}

/* The service drops to _dsikey when root: become nobody first, the users may not exist here. */
static void start(enum keyfile_kind kind)
{
	int sv[2];

	make_key(kind);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	service = fork();
	if (!service) {
		int key = open(path, O_RDONLY);

		close(sv[0]);
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(9);
		keyservice_run(key, kind, &sv[1], 1);
	}
	close(sv[1]);
	ck_assert_msg(!keys_open(&keys, sv[0], &e), "%s", e.text);
}

static void stop(void)
{
	int status;

	close(keys.fd);
	waitpid(service, &status, 0);
#ifndef __SANITIZE_ADDRESS__ /* whose leak check at the end is outside the filter */
	ck_assert_int_eq(status, 0); /* the last client left: it ends */
#endif
	unlink(path);
}

START_TEST(key_file)
{
	struct keyfile_pub again;
	struct stat st;
	u8 sig[CRYPTO_SIG];
	int fd;

	make_key(KEYFILE_NODE);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0440);
	ck_assert_int_eq((int)st.st_size, KEYFILE_SIZE);
	ck_assert_int_eq(keyfile_create(path, KEYFILE_NODE, &again, &e), -DSI_EEXIST);
	ck_assert_int_eq(keyfile_read_pub(path, KEYFILE_NODE, &again, &e), 0);
	ck_assert_mem_eq(&again, &pub, sizeof(pub));
	ck_assert_int_lt(keyfile_read_pub(path, KEYFILE_SERVER, &again, &e), 0);
	ck_assert_int_eq(keyfile_sign(path, SIGN_ENROL, "x", 1, sig, &e), 0);
	ck_assert_int_eq(crypto_verify(pub.sign, SIGN_ENROL, "x", 1, sig), 0);
	/* every damaged byte is noticed */
	fd = open(path, O_RDWR);
	if (fd < 0) {
		chmod(path, 0640);
		fd = open(path, O_RDWR);
	}
	for (int i = 0; i < KEYFILE_SIZE; i++) {
		u8 b;

		ck_assert_int_eq((int)pread(fd, &b, 1, i), 1);
		b ^= 4;
		ck_assert_int_eq((int)pwrite(fd, &b, 1, i), 1);
		ck_assert_int_lt(keyfile_read_pub(path, KEYFILE_NODE, &again, &e), 0);
		b ^= 4;
		ck_assert_int_eq((int)pwrite(fd, &b, 1, i), 1);
	}
	ck_assert_int_eq(ftruncate(fd, KEYFILE_SIZE - 1), 0);
	ck_assert_int_lt(keyfile_read_pub(path, KEYFILE_NODE, &again, &e), 0);
	close(fd);
	unlink(path);
	ck_assert_int_eq(keyfile_read_pub(path, KEYFILE_NODE, &again, &e), -DSI_ENOENT);
}
END_TEST

static const struct {
	enum sign_purpose purpose;
	bool node, server;
} rights[] = {
	{ SIGN_ENVELOPE, true, true }, { SIGN_STATE, true, true },       { SIGN_PROMISE, true, false },
	{ SIGN_ENROL, true, false },   { SIGN_ENTRY, false, true },      { SIGN_STATEMENT, false, false },
	{ SIGN_ROOT, false, false },   { (enum sign_purpose)0, false, false }, { SIGN_PURPOSE_COUNT, false, false },
};

static void try_rights(enum keyfile_kind kind)
{
	u8 sig[CRYPTO_SIG];

	start(kind);
	ck_assert_mem_eq(&keys.pub, &pub, sizeof(pub));
	for (size_t i = 0; i < ARRAY_SIZE(rights); i++) {
		bool may = kind == KEYFILE_NODE ? rights[i].node : rights[i].server;
		int rc = keys_sign(&keys, rights[i].purpose, "bytes", 5, sig);

		ck_assert_msg((rc == 0) == may, "purpose %d: %d", rights[i].purpose, rc);
		if (!rc)
			ck_assert_int_eq(crypto_verify(pub.sign, rights[i].purpose, "bytes", 5, sig), 0);
	}
	/* raw purposes: only what looks like a TLS transcript or a certificate */
	ck_assert_int_ne(keys_sign(&keys, SIGN_TLS, "DSI1\2\5\0\0\0bytes", 14, sig), 0);
	ck_assert_int_ne(keys_sign(&keys, SIGN_CERT, "DSI1\2\5\0\0\0bytes", 14, sig), 0);
	stop();
}

START_TEST(a_node_signs_a_nodes_things)
{
	try_rights(KEYFILE_NODE);
}
END_TEST

START_TEST(a_server_signs_a_servers_things)
{
	try_rights(KEYFILE_SERVER);
}
END_TEST

START_TEST(unwrap_and_derive)
{
	u8 key[CRYPTO_KEY] = { 5 }, wrap[CRYPTO_WRAP], got[CRYPTO_KEY], dh[CRYPTO_KEY], want[48], have[48];
	u8 peer_seed[CRYPTO_SEED] = { 9 }, peer[CRYPTO_PUB];

	start(KEYFILE_NODE);
	ck_assert_int_eq(crypto_wrap(pub.kem, "info", 4, key, wrap), 0);
	ck_assert_int_eq(keys_unwrap(&keys, "info", 4, wrap, got), 0);
	ck_assert_mem_eq(got, key, sizeof(key));
	ck_assert_int_ne(keys_unwrap(&keys, "inf", 3, wrap, got), 0);
	ck_assert_int_eq(crypto_kem_pub(peer_seed, peer), 0);
	ck_assert_int_eq(keys_derive(&keys, peer, "mac", 3, have, sizeof(have)), 0);
	ck_assert_int_eq(crypto_dh(peer_seed, pub.kem, dh), 0);
	ck_assert_int_eq(crypto_hkdf(NULL, 0, dh, sizeof(dh), "mac", 3, want, sizeof(want)), 0);
	ck_assert_mem_eq(have, want, sizeof(want)); /* both ends get the same */
	ck_assert_int_ne(keys_derive(&keys, peer, "mac", 3, have, 0), 0);
	memset(peer, 0, sizeof(peer));
	ck_assert_int_ne(keys_derive(&keys, peer, "mac", 3, have, sizeof(have)), 0);
	stop();
}
END_TEST

/* Threat: the engine is taken over and sends the key service what is no request. */
START_TEST(nonsense_is_refused_and_harmless)
{
	static const u8 junk[600];
	u8 ret[256], sig[CRYPTO_SIG];
	size_t n;

	start(KEYFILE_NODE);
	for (u16 op = 0; op < 70; op++) {
		for (size_t len = 0; len < 200; len += 7) {
			u32 code;

			if (op == KEYSVC_SIGN && len > 1)
				continue; /* SIGN of purpose 0 with any bytes: refused above */
			ck_assert_int_eq(link_call(keys.fd, op, junk, len, KEYSVC_REPLY, ret, sizeof(ret), &n, 2000), 0);
			ck_assert_uint_ge(n, 4);
			memcpy(&code, ret, 4);
			ck_assert(op == KEYSVC_PUB || code != 0);
			ck_assert((op && op < KEYSVC_OPS) || (int)code == -DSI_EINVAL);
		}
	}
	ck_assert_int_eq(keys_sign(&keys, SIGN_STATE, "s", 1, sig), 0);
	stop();
}
END_TEST

LIB_TESTS("keyservice", key_file, a_node_signs_a_nodes_things, a_server_signs_a_servers_things, unwrap_and_derive,
	  nonsense_is_refused_and_harmless)
