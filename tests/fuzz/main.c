/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replays a fuzz target without libFuzzer: every file of its corpus, and MUTATIONS changed copies of each from
 * a fixed seed, so that the ordinary test run also looks a little beyond. A crash prints nothing by itself: the
 * input under way is in ./build/fuzz-last (or $FUZZ_LAST), to be added to the corpus.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 20, MUTATIONS = 200 };
static uint64_t rng = 88172645463325252ull;
static unsigned long runs;

static uint64_t next(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static void remember(const uint8_t *p, size_t n)
{
	const char *path = getenv("FUZZ_LAST");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (!f)
		return;
	fwrite(p, 1, n, f);
	fclose(f);
}

static void one(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1); /* exact, so that a sanitizer sees one byte too far */

	if (!copy)
		abort();
	if (n)
		memcpy(copy, p, n);
	remember(copy, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	runs++;
}

static void mutated(const uint8_t *p, size_t n)
{
	uint8_t *m = malloc(n + 64);
	size_t len = n;

	if (!m)
		abort();
	if (n)
		memcpy(m, p, n);
	for (uint64_t k = next() % 4 + 1; k; k--) {
		size_t at = len ? next() % len : 0;

		switch (next() % 5) {
		case 0: /* a bit */
			if (len)
				m[at] ^= (uint8_t)(1u << next() % 8);
			break;
		case 1: /* a byte, often an edge */
			if (len)
				m[at] = (uint8_t[]){ 0, 0xff, 0x7f, 0x80, (uint8_t)next() }[next() % 5];
			break;
		case 2: /* shorter */
			len = at;
			break;
		case 3: /* longer */
			if (len < n + 60)
				m[len++] = (uint8_t)next();
			break;
		case 4: /* a word */
			if (len >= 4 && at + 4 <= len)
				memcpy(m + at, &(uint32_t){ (uint32_t)(next() >> (next() % 33)) }, 4);
			break;
		}
	}
	one(m, len);
	free(m);
}

static void file(const char *path)
{
	uint8_t *p = malloc(INPUT_MAX);
	FILE *f = fopen(path, "r");
	size_t n;
	int mutations = MUTATIONS;

	if (!p || !f) {
		perror(path);
		exit(1);
	}
	n = fread(p, 1, INPUT_MAX, f);
	fclose(f);
	one(p, n);
	if (n > 1 << 16)
		mutations /= 10;
	while (mutations--)
		mutated(p, n);
	free(p);
}

static void path_or_dir(const char *path)
{
	struct stat st;
	struct dirent **names;
	int n;

	if (stat(path, &st)) {
		fprintf(stderr, "%s: no corpus yet\n", path);
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		file(path);
		return;
	}
	n = scandir(path, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char full[4096];

		snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			path_or_dir(full);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int main(int argc, char **argv)
{
	one((const uint8_t *)"", 0);
	for (int i = 0; i < MUTATIONS; i++)
		mutated((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		path_or_dir(argv[i]);
	printf("%lu inputs\n", runs);
	return 0;
}
