/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The durable log: what it says done is on disk after a restart, and what failed left nothing behind. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gcs/log.h"
#include "tests/unit/lib_check.h"

static char dir[64];
static struct loop *loop;
static struct {
	u32 done, failed;
	int code;
	u64 last;
	bool order_ok;
} seen;

static void on_done(void *ctx, u64 value, int code)
{
	(void)ctx;
	if (code) {
		seen.failed++;
		seen.code = code;
		seen.order_ok &= true;
	} else {
		seen.done++;
		seen.order_ok &= !seen.failed; /* nothing succeeds behind a failure */
		seen.last = value;
	}
}

static void on_drain(void *ctx, u64 value, int code)
{
	(void)ctx, (void)value, (void)code;
	loop_stop(loop, 0);
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/dsi-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	memset(&seen, 0, sizeof(seen));
	seen.order_ok = true;
}

static void teardown(void)
{
	char cmd[128];

	loop_free(loop);
	umount2(dir, MNT_DETACH);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct log *open_log(struct log_boot *boot)
{
	struct log *g = NULL;
	struct err e = { 0 };

	ck_assert_msg(!log_open(&g, loop, dir, boot, &e), "%s", e.text);
	return g;
}

static void drain(struct log *g)
{
	ck_assert_int_eq(log_drain(g, on_drain, NULL), 0);
	loop_run(loop);
}

struct chain {
	u64 term, index;
	u8 hash[CRYPTO_HASH];
};

static void make(struct chain *c, u64 term, size_t body, u8 *ret, size_t *ret_len)
{
	static u8 zero[LIM_ENTRY_BODY];
	struct entry e = { .type = term == c->term && c->index ? ENTRY_NOP : ENTRY_TERM, .term = term, .index = c->index + 1,
			   .body = zero, .body_len = body };
	u8 sig[CRYPTO_SIG] = { 0 };
	struct wbuf w;

	memcpy(e.prev, c->hash, sizeof(e.prev));
	wbuf_fixed(&w, ret, ENTRY_MAX);
	ck_assert_int_eq(entry_encode(&e, &w), 0);
	wbuf_bytes(&w, sig, sizeof(sig));
	*ret_len = w.len;
	c->term = term;
	c->index = e.index;
	memcpy(c->hash, e.hash, sizeof(c->hash));
}

static int append(struct log *g, struct chain *c, u64 term, size_t body)
{
	static u8 buf[ENTRY_MAX];
	size_t n;

	make(c, term, body, buf, &n);
	return log_append(g, c->index, buf, n, on_done, NULL);
}

START_TEST(empty_log_says_so_and_incarnation_rises_at_every_open)
{
	struct log_boot b;

	for (u64 i = 1; i <= 3; i++) {
		struct log *g = open_log(&b);

		ck_assert(b.empty && b.incarnation == i && !b.promised && !b.tail_index);
		ck_assert_ptr_null(log_entry(g, 1, &(size_t){ 0 }));
		log_close(g);
	}
}
END_TEST

START_TEST(what_completed_survives_and_chains)
{
	struct chain c = { 0 };
	struct log_boot b;
	struct log *g = open_log(&b);
	size_t n;

	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(append(g, &c, 1 + i / 40, 200), 0);
	ck_assert_int_eq(log_promise(g, 7, on_done, NULL), 0);
	ck_assert_ptr_nonnull(log_entry(g, 100, &n)); /* queued is readable */
	ck_assert(!log_drained(g));
	log_commit_hint(g, 90);
	drain(g);
	ck_assert_int_eq(seen.done, 101);
	ck_assert(log_drained(g));
	log_close(g);
	g = open_log(&b);
	ck_assert_uint_eq(b.tail_index, 100);
	ck_assert_uint_eq(b.tail_term, 3);
	ck_assert_uint_eq(b.promised, 7);
	ck_assert_uint_eq(b.commit, 90);
	ck_assert_mem_eq(b.tail_hash, c.hash, CRYPTO_HASH);
	for (u64 i = 1; i <= 100; i++) {
		struct entry e;
		const u8 *p = log_entry(g, i, &n);

		ck_assert(p && !entry_decode(&e, p, n) && e.index == i);
	}
	ck_assert_ptr_null(log_entry(g, 101, &n));
	log_close(g);
}
END_TEST

static void decode_at(struct log *g, u64 index, struct entry *e)
{
	size_t n;
	const u8 *p = log_entry(g, index, &n);

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(entry_decode(e, p, n), 0);
}

START_TEST(append_truncates_from_its_index_also_what_is_under_way)
{
	struct chain c = { 0 }, fork;
	struct log_boot b;
	struct log *g = open_log(&b);
	struct entry e;
	size_t n;

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(append(g, &c, 1, 10), 0);
	drain(g);
	fork = c;
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(append(g, &c, 1, 20), 0);
	ck_assert_int_eq(append(g, &fork, 2, 30), 0); /* index 6 again */
	ck_assert_uint_eq(log_tail(g), 6);
	ck_assert_ptr_null(log_entry(g, 7, &n));
	decode_at(g, 6, &e);
	ck_assert_uint_eq(e.term, 2);
	drain(g);
	decode_at(g, 6, &e);
	ck_assert_uint_eq(e.term, 2);
	ck_assert_int_eq(log_append(g, 6, NULL, 0, on_done, NULL), 0);
	ck_assert_uint_eq(log_tail(g), 5);
	drain(g);
	ck_assert_int_eq(log_append(g, 7, (const u8 *)"x", 1, NULL, NULL), -DSI_EINVAL);
	log_close(g);
	g = open_log(&b);
	ck_assert_uint_eq(b.tail_index, 5);
	log_close(g);
}
END_TEST

/* Committed by nature: its place must be known before anything is believed about commits. */
START_TEST(the_last_reform_is_told)
{
	static u8 buf[ENTRY_MAX];
	struct entry e = { .type = ENTRY_REFORM, .term = 1, .index = 3, .generation = 2 };
	u8 sig[CRYPTO_SIG] = { 0 };
	struct chain c = { 0 };
	struct log_boot boot;
	struct log *g = open_log(&boot);
	struct wbuf w;

	ck_assert_uint_eq(boot.reform, 0);
	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	memcpy(e.prev, c.hash, sizeof(e.prev));
	wbuf_fixed(&w, buf, sizeof(buf));
	ck_assert_int_eq(entry_encode(&e, &w), 0);
	wbuf_bytes(&w, sig, sizeof(sig));
	ck_assert_int_eq(log_append(g, 3, buf, w.len, NULL, NULL), 0);
	drain(g);
	log_close(g);
	g = open_log(&boot);
	ck_assert_uint_eq(boot.reform, 3);
	ck_assert_uint_eq(boot.generation, 2);
	log_close(g);
}
END_TEST

START_TEST(a_damaged_chain_is_refused_by_name)
{
	struct chain c = { 0 };
	struct log_boot b;
	struct log *g = open_log(&b);
	struct err e = { 0 };
	char cmd[256];

	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(append(g, &c, 1, 10), 0);
	drain(g);
	log_close(g);
	snprintf(cmd, sizeof(cmd), "command -v sqlite3 >/dev/null || exit 3; sqlite3 %s/log.db 'DELETE FROM entry WHERE idx = 3'", dir);
	int rc = system(cmd);

	if (WEXITSTATUS(rc) == 3)
		return;
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(log_open(&g, loop, dir, &b, &e), -DSI_EDIVERGED);
	ck_assert_ptr_nonnull(strstr(e.text, "entry 4"));
}
END_TEST

START_TEST(one_process_at_a_time)
{
	struct log_boot b;
	struct log *g = open_log(&b), *h = NULL;
	struct err e = { 0 };

	ck_assert_int_eq(log_open(&h, loop, dir, &b, &e), -DSI_EEXIST);
	log_close(g);
}
END_TEST

/* The disk stops taking bytes: everything from there on fails, nothing of it is there afterwards, and what
 * had completed is. Then it takes bytes again and the log goes on. */
static void fill(bool space)
{
	struct chain c = { 0 };
	struct entry last;
	struct rlimit old, lim;
	struct log_boot b;
	struct log *g = open_log(&b);

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 300 << 10;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(append(g, &c, 1, 100), 0);
	drain(g);
	if (!space)
		setrlimit(RLIMIT_FSIZE, &lim);
	for (int i = 0; i < 200 && !seen.failed; i++) {
		for (int k = 0; k < 3; k++)
			ck_assert_int_eq(append(g, &c, 1, 40 << 10), 0);
		ck_assert_int_eq(log_promise(g, 1000 + (u64)i, NULL, NULL), 0);
		drain(g);
	}
	ck_assert_msg(seen.failed, "nothing failed");
	ck_assert_int_eq(seen.code, space ? -DSI_ENOSPC : -DSI_EIO);
	ck_assert(seen.order_ok);
	ck_assert_uint_eq(log_tail(g), seen.last);
	setrlimit(RLIMIT_FSIZE, &old);
	if (space) {
		char path[128];

		snprintf(path, sizeof(path), "%s/ballast", dir);
		unlink(path);
	}
	seen.failed = seen.done = 0;
	decode_at(g, log_tail(g), &last);
	c = (struct chain){ .term = last.term, .index = last.index };
	memcpy(c.hash, last.hash, sizeof(c.hash));
	ck_assert_int_eq(append(g, &c, 2, 10), 0);
	drain(g);
	ck_assert_uint_eq(seen.done, 1);
	log_close(g);
	g = open_log(&b);
	ck_assert_uint_eq(b.tail_index, c.index);
	ck_assert_mem_eq(b.tail_hash, c.hash, CRYPTO_HASH);
	log_close(g);
}

START_TEST(write_error_leaves_nothing_half_done)
{
	fill(false);
}
END_TEST

START_TEST(full_disk_leaves_nothing_half_done)
{
	char path[128];
	static const u8 zero[5 << 20];
	int fd;

	if (mount("none", dir, "tmpfs", 0, "size=8m")) {
		printf("SKIP: full_disk_leaves_nothing_half_done: needs to mount a tmpfs: %s\n", strerror(errno));
		return;
	}
	snprintf(path, sizeof(path), "%s/ballast", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, zero, sizeof(zero)), sizeof(zero));
	close(fd);
	fill(true);
}
END_TEST

START_TEST(killed_at_any_time_the_log_is_a_prefix)
{
	for (int round = 0; round < 6; round++) {
		int fd[2];
		u64 told = 0, v;
		struct log_boot b;
		pid_t pid;

		ck_assert_int_eq(pipe(fd), 0);
		pid = fork();
		if (!pid) {
			struct loop *l = loop_new();
			struct log *g = NULL;
			struct chain c = { 0 };
			static u8 buf[ENTRY_MAX];
			size_t n;

			loop = l;
			if (log_open(&g, l, dir, &b, NULL))
				_exit(1);
			c.index = b.tail_index;
			c.term = b.tail_term;
			memcpy(c.hash, b.tail_hash, sizeof(c.hash));
			for (;;) {
				for (int i = 0; i < 3; i++) {
					make(&c, 1, 300, buf, &n);
					log_append(g, c.index, buf, n, on_done, NULL);
				}
				drain(g);
				if (write(fd[1], &seen.last, sizeof(seen.last)) < 0)
					_exit(1);
			}
		}
		close(fd[1]);
		while (told < (u64)(round + 1) * 30 && read(fd[0], &v, sizeof(v)) == sizeof(v))
			told = v;
		usleep((unsigned)(round * 700));
		kill(pid, SIGKILL);
		while (read(fd[0], &v, sizeof(v)) == sizeof(v))
			told = v;
		close(fd[0]);
		waitpid(pid, NULL, 0);
		struct log *g = open_log(&b);

		ck_assert_uint_ge(b.tail_index, told);
		log_close(g);
	}
}
END_TEST

/* --- a base ------------------------------------------------------------------------------------------------ */

static const u8 state_image[5000] = { 9, 9, 9 };

/* The entry at a place that the log does not lead to. */
static void stranger(struct chain *c, u64 index, u8 *buf, size_t *n)
{
	*c = (struct chain){ .term = 3, .index = index - 1, .hash = { 1, 2, 3 } };
	make(c, 3, 50, buf, n);
}

static int jump(struct log *g, struct chain *c, u64 index, const u64 *keep, u32 n_keep)
{
	static u8 buf[ENTRY_MAX];
	u8 digest[CRYPTO_HASH];
	size_t n;

	stranger(c, index, buf, &n);
	crypto_sha256(state_image, sizeof(state_image), digest);
	return log_jump(g, index, buf, n, digest, state_image, sizeof(state_image), keep, n_keep, on_done, NULL);
}

static int sqlite_do(const char *text)
{
	char path[128];
	sqlite3 *db = NULL;
	int rc;

	snprintf(path, sizeof(path), "%s/log.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	sqlite3_close(db);
	return rc;
}

static int format_on_disk(void)
{
	char path[128];
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int v;

	snprintf(path, sizeof(path), "%s/log.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static void is_jumped(struct log *g, u64 at, u64 tail)
{
	u8 digest[CRYPTO_HASH], want[CRYPTO_HASH], *p;
	struct err e = { 0 };
	struct entry en;
	size_t n;

	ck_assert_uint_eq(log_base(g, digest), at);
	crypto_sha256(state_image, sizeof(state_image), want);
	ck_assert_mem_eq(digest, want, CRYPTO_HASH);
	decode_at(g, 1, &en);
	for (u64 i = 2; i < at; i++)
		ck_assert(!log_entry(g, i, &n) && log_gap(g, i));
	for (u64 i = at; i <= tail; i++)
		decode_at(g, i, &en);
	ck_assert(!log_gap(g, 1) && !log_gap(g, at) && !log_entry(g, tail + 1, &n));
	ck_assert(log_next(g, 1) == 1 && log_next(g, 2) == at && log_next(g, at) == at && !log_next(g, tail + 1));
	if (!log_drained(g))
		return; /* the image is on its way to disk */
	ck_assert_int_eq(blob_get(g, digest, &p, &n, &e), 0);
	free(p);
}

START_TEST(a_log_with_a_base)
{
	struct chain c = { 0 };
	struct log_boot b;
	struct log *g = open_log(&b);
	u64 index;
	size_t n;

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(log_proof_put(g, 5, 0, (const u8 *)"x", 1), 0);
	drain(g);
	ck_assert_int_eq(format_on_disk(), 1); /* an older program can go on with it */
	ck_assert_int_eq(append(g, &c, 1, 10), 0); /* under way when it jumps */
	ck_assert_int_eq(jump(g, &c, 11, NULL, 0), -DSI_EINVAL); /* never over what is there */
	ck_assert_int_eq(jump(g, &c, 100, NULL, 0), 0);
	ck_assert_uint_eq(log_tail(g), 100);
	is_jumped(g, 100, 100); /* at once, as for entries */
	ck_assert_int_eq(append(g, &c, 3, 10), 0);
	drain(g);
	is_jumped(g, 100, 101);
	ck_assert(!seen.failed);
	ck_assert_ptr_null(log_proof(g, 1, &index, &n));
	ck_assert_int_eq(log_append(g, 100, NULL, 0, NULL, NULL), -DSI_EINVAL);
	ck_assert_int_eq(log_append(g, 50, NULL, 0, NULL, NULL), -DSI_EINVAL);
	log_close(g);
	ck_assert_int_eq(format_on_disk(), 2); /* an older program knows 1: "format 2, this program knows 1" */
	g = open_log(&b);
	ck_assert(b.base == 100 && b.tail_index == 101 && b.commit == 100 && !b.empty && b.tail_term == 3);
	is_jumped(g, 100, 101);
	ck_assert_int_eq(log_append(g, 101, NULL, 0, NULL, NULL), 0); /* a reform on the base itself */
	drain(g);
	ck_assert_int_eq(jump(g, &c, 300, NULL, 0), 0); /* and again */
	drain(g);
	log_close(g);
	g = open_log(&b);
	ck_assert(b.base == 300 && b.tail_index == 300);
	is_jumped(g, 300, 300);
	log_close(g);
}
END_TEST

/* A later image takes the place of the one before, also on disk. */
START_TEST(an_image_that_nothing_names_goes)
{
	static const u8 other[100] = { 1 };
	static u8 buf[ENTRY_MAX];
	u8 first[CRYPTO_HASH], second[CRYPTO_HASH];
	struct chain c = { 0 };
	struct log_boot b;
	struct log *g = open_log(&b);
	size_t n;

	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(jump(g, &c, 100, NULL, 0), 0);
	drain(g);
	log_base(g, first);
	crypto_sha256(other, sizeof(other), second);
	stranger(&c, 200, buf, &n);
	ck_assert_int_eq(log_jump(g, 200, buf, n, second, other, sizeof(other), NULL, 0, on_done, NULL), 0);
	drain(g);
	ck_assert(blob_present(g, second) && !blob_present(g, first));
	log_close(g);
}
END_TEST

START_TEST(reforms_stay_in_the_gap)
{
	static u8 buf[ENTRY_MAX];
	struct entry e = { .type = ENTRY_REFORM, .term = 1, .index = 3, .generation = 2 };
	u8 sig[CRYPTO_SIG] = { 0 };
	struct chain c = { 0 };
	struct log_boot b;
	struct log *g = open_log(&b);
	struct wbuf w;
	const u64 keep = 3;
	size_t n;

	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	memcpy(e.prev, c.hash, sizeof(e.prev));
	wbuf_fixed(&w, buf, sizeof(buf));
	ck_assert_int_eq(entry_encode(&e, &w), 0);
	wbuf_bytes(&w, sig, sizeof(sig));
	ck_assert_int_eq(log_append(g, 3, buf, w.len, NULL, NULL), 0);
	ck_assert_int_eq(jump(g, &c, 100, &keep, 1), 0);
	ck_assert(!log_entry(g, 2, &n));
	drain(g);
	log_close(g);
	g = open_log(&b);
	ck_assert(b.base == 100 && b.reform == 3);
	decode_at(g, 3, &e);
	ck_assert_int_eq(e.type, ENTRY_REFORM);
	ck_assert(log_next(g, 2) == 3 && log_next(g, 4) == 100);
	log_close(g);
	/* an entry that is none of root's has no place there */
	ck_assert_int_eq(sqlite_do("UPDATE entry SET idx = 4 WHERE idx = 3"), SQLITE_OK);
	struct err err = { 0 };

	ck_assert_int_eq(log_open(&g, loop, dir, &b, &err), -DSI_EDIVERGED);
}
END_TEST

static const struct {
	const char *text, *says;
} base_damage[] = {
	{ "DELETE FROM kv WHERE key = 'base'", "entry 100" },       /* a gap without a base */
	{ "DELETE FROM entry WHERE idx = 100", "entry 101" },       /* a base without its entry */
	{ "DELETE FROM entry WHERE idx >= 100", "entry at its base" },
	{ "DELETE FROM entry WHERE idx = 1", "entry 100" },         /* without GENESIS */
	{ "UPDATE kv SET value = x'64' WHERE key = 'base'", "base is damaged" },
	{ "PRAGMA user_version = 3", "format 3" },
};

START_TEST(a_damaged_base_is_refused)
{
	struct chain c = { 0 };
	struct log_boot b;
	struct log *g = open_log(&b);
	struct err e = { 0 };

	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(jump(g, &c, 100, NULL, 0), 0);
	ck_assert_int_eq(append(g, &c, 3, 10), 0);
	drain(g);
	log_close(g);
	ck_assert_int_eq(sqlite_do(base_damage[_i].text), SQLITE_OK);
	ck_assert_int_lt(log_open(&g, loop, dir, &b, &e), 0);
	ck_assert_msg(strstr(e.text, base_damage[_i].says), "%s", e.text);
}
END_TEST

/* No room, for the image or for the transaction: the log of before is there, and a jump later works. */
START_TEST(a_jump_that_fails_leaves_the_old_log)
{
	static const u8 big[100000] = { 1 };
	static u8 buf[ENTRY_MAX];
	struct chain c = { 0 }, other;
	struct rlimit old, lim;
	u8 digest[CRYPTO_HASH];
	size_t n;
	int rc;
	struct log_boot b;
	struct log *g = open_log(&b);
	struct entry e;

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(append(g, &c, 1, 10), 0);
	drain(g);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 32 << 10; /* the image, or the transaction, whose file is longer already */
	crypto_sha256(big, sizeof(big), digest);
	stranger(&other, 100, buf, &n);
	setrlimit(RLIMIT_FSIZE, &lim);
	rc = _i ? jump(g, &other, 100, NULL, 0)
		: log_jump(g, 100, buf, n, digest, big, sizeof(big), NULL, 0, on_done, NULL);
	drain(g);
	setrlimit(RLIMIT_FSIZE, &old);
	ck_assert(!rc && seen.failed == 1);
	ck_assert(!log_base(g, NULL) && log_tail(g) == 10);
	for (u64 i = 1; i <= 10; i++)
		decode_at(g, i, &e);
	log_close(g);
	g = open_log(&b);
	ck_assert(!b.base && b.tail_index == 10);
	ck_assert_int_eq(format_on_disk(), 1);
	ck_assert_int_eq(append(g, &c, 1, 10), 0);
	ck_assert_int_eq(jump(g, &other, 100, NULL, 0), 0);
	drain(g);
	is_jumped(g, 100, 100);
	log_close(g);
}
END_TEST

/* Killed at any instant: the log of before, or the one behind the jump, whole. */
START_TEST(killed_in_a_jump)
{
	u32 before = 0, after = 0;

	for (u32 round = 0; round < 40; round++) {
		struct log_boot b;
		struct chain c = { 0 };
		struct log *g;
		struct entry e;
		pid_t pid;
		int fd[2];
		char go;

		g = open_log(&b);
		ck_assert(b.empty);
		for (int i = 0; i < 20; i++)
			ck_assert_int_eq(append(g, &c, 1, 2000), 0);
		drain(g);
		log_close(g);
		ck_assert_int_eq(pipe(fd), 0);
		pid = fork();
		if (!pid) {
			loop = loop_new();
			if (log_open(&g, loop, dir, &b, NULL) || write(fd[1], "g", 1) != 1 || jump(g, &c, 100, NULL, 0))
				_exit(1);
			drain(g);
			if (write(fd[1], "d", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		close(fd[1]);
		ck_assert_int_eq(read(fd[0], &go, 1), 1);
		usleep(round * 200);
		if (round == 39) /* seen done at least once */
			ck_assert_int_eq(read(fd[0], &go, 1), 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		bool done = round == 39 || read(fd[0], &go, 1) == 1;

		close(fd[0]);
		g = open_log(&b);
		ck_assert(b.base ? b.base == 100 && b.tail_index == 100 : b.tail_index == 20 && !done);
		if (b.base)
			is_jumped(g, 100, 100);
		for (u64 i = 1; !b.base && i <= 20; i++)
			decode_at(g, i, &e);
		before += !b.base;
		after += !!b.base;
		log_close(g);
		char cmd[128];

		snprintf(cmd, sizeof(cmd), "rm -rf %s/*", dir);
		ck_assert_int_eq(system(cmd), 0);
	}
	ck_assert_uint_gt(after, 0);
	printf("killed_in_a_jump: %u before, %u after\n", before, after);
}
END_TEST

START_TEST(blobs_are_whole_or_absent)
{
	struct log_boot b;
	struct log *g = open_log(&b);
	static u8 data[300000];
	u8 digest[CRYPTO_HASH], wrong[CRYPTO_HASH] = { 1 }, *p;
	char hex[65], path[256];
	struct err e = { 0 };
	size_t n;

	memset(data, 7, sizeof(data));
	crypto_sha256(data, sizeof(data), digest);
	ck_assert(!blob_present(g, digest));
	ck_assert_int_eq(blob_put(g, digest, data, sizeof(data), on_done, NULL), 0);
	ck_assert_int_eq(blob_put(g, wrong, data, sizeof(data), on_done, NULL), 0);
	drain(g);
	ck_assert_uint_eq(seen.done, 1);
	ck_assert_uint_eq(seen.failed, 1); /* bytes that are not what they are called */
	ck_assert(blob_present(g, digest) && !blob_present(g, wrong));
	ck_assert_int_eq(blob_get(g, digest, &p, &n, &e), 0);
	ck_assert_uint_eq(n, sizeof(data));
	ck_assert_mem_eq(p, data, n);
	free(p);
	ck_assert_int_eq(blob_get(g, wrong, &p, &n, &e), -DSI_ENOENT);
	crypto_hex(digest, sizeof(digest), hex);
	snprintf(path, sizeof(path), "%s/blobs/%s", dir, hex);
	ck_assert_int_eq(truncate(path, 1000), 0);
	ck_assert_int_eq(blob_get(g, digest, &p, &n, &e), -DSI_EIO);
	log_close(g);
}
END_TEST

START_TEST(meta_is_seen_at_once_and_after_restart)
{
	struct log_boot b;
	struct log *g = open_log(&b);
	char v[8];
	size_t n;

	ck_assert_int_eq(log_meta_get(g, "stale", v, sizeof(v), &n), -DSI_ENOENT);
	ck_assert_int_eq(log_meta_set(g, "stale", "yes", 3), 0);
	ck_assert_int_eq(log_meta_get(g, "stale", v, sizeof(v), &n), 0);
	ck_assert_int_eq(log_meta_set(g, "stale", "no", 2), 0);
	log_close(g);
	g = open_log(&b);
	ck_assert_int_eq(log_meta_get(g, "stale", v, sizeof(v), &n), 0);
	ck_assert(n == 2 && !memcmp(v, "no", 2));
	ck_assert_int_eq(log_meta_get(g, "stale", v, 1, &n), -DSI_ELIMIT);
	log_close(g);
}
END_TEST

START_TEST(proofs_by_what_they_prove)
{
	u8 p[3000] = { 1 };
	struct log_boot b;
	struct log *g = open_log(&b);
	u64 index = 0;
	size_t n;

	ck_assert_ptr_null(log_proof(g, 0, &index, &n));
	ck_assert_ptr_null(log_proof_last(g, &index, &n));
	ck_assert_int_eq(log_proof_put(g, 0, 0, p, 10), -DSI_ELIMIT);
	ck_assert_int_eq(log_proof_put(g, 5, 0, p, 0), -DSI_ELIMIT);
	ck_assert_int_eq(log_proof_put(g, 5, 0, p, sizeof(p)), 0);
	ck_assert_int_eq(log_proof_put(g, 9, 0, p, 10), 0);
	ck_assert_int_eq(log_proof_put(g, 12, 9, p, 20), 0); /* instead of it */
	ck_assert_int_eq(log_proof_put(g, 12, 12, p, 30), 0);
	log_close(g);
	g = open_log(&b);
	ck_assert(log_proof(g, 0, &index, &n) && index == 5 && n == sizeof(p));
	ck_assert(log_proof(g, 5, &index, &n) && index == 5);
	ck_assert(log_proof(g, 6, &index, &n) && index == 12 && n == 30);
	ck_assert(log_proof_last(g, &index, &n) && index == 12);
	ck_assert_ptr_null(log_proof(g, 13, &index, &n));
	ck_assert_ptr_null(log_proof(g, UINT64_MAX, &index, &n));
	log_close(g);
}
END_TEST

/* A log written before there were proofs: format 1 too, without that table. */
START_TEST(a_log_from_before_proofs_opens)
{
	char path[80];
	struct log_boot b;
	struct chain c = { 0 };
	struct log *g = open_log(&b);
	sqlite3 *db;
	u64 index;
	size_t n;

	append(g, &c, 1, 10);
	drain(g);
	log_close(g);
	snprintf(path, sizeof(path), "%s/log.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "DROP TABLE proof", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	g = open_log(&b);
	ck_assert_uint_eq(b.tail_index, 1);
	ck_assert_ptr_null(log_proof_last(g, &index, &n));
	log_close(g);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gcs_log");
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_log_with_a_base);
	tcase_add_test(t, an_image_that_nothing_names_goes);
	tcase_add_test(t, reforms_stay_in_the_gap);
	tcase_add_loop_test(t, a_damaged_base_is_refused, 0, (int)(sizeof(base_damage) / sizeof(base_damage[0])));
	tcase_add_loop_test(t, a_jump_that_fails_leaves_the_old_log, 0, 2);
	tcase_add_test(t, killed_in_a_jump);
	tcase_add_test(t, empty_log_says_so_and_incarnation_rises_at_every_open);
	tcase_add_test(t, what_completed_survives_and_chains);
	tcase_add_test(t, append_truncates_from_its_index_also_what_is_under_way);
	tcase_add_test(t, the_last_reform_is_told);
	tcase_add_test(t, a_damaged_chain_is_refused_by_name);
	tcase_add_test(t, one_process_at_a_time);
	tcase_add_test(t, write_error_leaves_nothing_half_done);
	tcase_add_test(t, full_disk_leaves_nothing_half_done);
	tcase_add_test(t, killed_at_any_time_the_log_is_a_prefix);
	tcase_add_test(t, blobs_are_whole_or_absent);
	tcase_add_test(t, proofs_by_what_they_prove);
	tcase_add_test(t, a_log_from_before_proofs_opens);
	tcase_add_test(t, meta_is_seen_at_once_and_after_restart);
	suite_add_tcase(s, t);
	return check_main(s);
}
