/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a policy image: refused, or every row, look-up, decision and text works. */
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/diff.h"
#include "policies/compiler/mustallow.h"
#include "policies/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char cases[] = "default exec /usr/sbin/sshd\ndefault listen 22\ndsi accept * member default\n";

static void line(void *arg, char sign, const char *text)
{
	*(size_t *)arg += strlen(text) + (sign == '+');
}

static int loaded(void *arg, const struct dsi_rule_key *key, const struct dsi_rule_value *value)
{
	const struct image *img = arg;
	char text[256];

	if (image_decide(img, "n1", key, value->allow, NULL) != IMAGE_ALLOWED)
		abort();
	image_key_text(img, key, value->allow, text, sizeof(text));
	return 0;
}

static void rows(const struct image *img)
{
	size_t sum = strlen(img->name) + image_base_digest(img)[31];

	for (u32 i = 0; i < image_count(img, IMAGE_CONTEXTS); i++)
		sum += strlen(image_context(img, i).name);
	for (u32 i = 0; i < image_count(img, IMAGE_RETIRED); i++)
		sum += strlen(image_retired(img, i).name);
	for (u32 i = 0; i < image_count(img, IMAGE_PATHS); i++)
		if (image_type_of_path(img, image_path(img, i).path) != image_path(img, i).sid)
			abort();
	for (u32 i = 0; i < image_count(img, IMAGE_EXECS); i++)
		if (image_exec_of(img, image_exec(img, i).from, image_exec(img, i).path) != image_exec(img, i).to)
			abort();
	for (u32 i = 0; i < image_count(img, IMAGE_NODES); i++)
		if (image_nclass_of(img, image_node(img, i).name) != image_node(img, i).nclass)
			abort();
	for (u32 i = 0; i < image_count(img, IMAGE_PORTS); i++)
		if (image_pclass_of(img, image_ports(img, i).last) != image_ports(img, i).pclass)
			abort();
	for (u32 i = 0; i < image_count(img, IMAGE_FILES); i++)
		sum += strlen(image_file(img, i));
	if (!sum)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *exact = malloc(size ? size : 1);
	struct arena arena;
	struct image img;
	struct err e;
	size_t n = 0;

	if (!exact)
		abort();
	memcpy(exact, data, size);
	if (!image_open(&img, exact, size, &e)) {
		struct dsi_rule_key key = { 64, 65, 0, 0, 1 };
		char text[1024];

		rows(&img);
		(void)image_rules_for(&img, "n1", loaded, &img);
		(void)image_explain(&img, "n1", &key, 1, text, sizeof(text));
		if (mustallow_check(&img, "list", cases, sizeof(cases) - 1, NULL, NULL, &e) > 0)
			__builtin_trap();
		arena_init(&arena, 256 << 20);
		(void)policy_image_text(&img, &arena, line, &n);
		arena_fini(&arena);
	}
	free(exact);
	return 0;
}
