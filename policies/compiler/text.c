/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bounded text. Invariant: always terminated, never longer than the caller's buffer. */
#include <stdarg.h>
#include <stdio.h>

#include "policies/compiler/text.h"

void text_init(struct text *t, char *dst, size_t cap)
{
	assert(cap);
	*t = (struct text){ .s = dst, .cap = cap };
	dst[0] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len = MIN(t->len + (size_t)n, t->cap - 1);
}

void text_nodes(struct text *t, const struct image *img, const u8 *classes)
{
	const char *sep = "";
	bool all = true;

	for (u32 c = DSI_NCLASS_MEMBER; classes && c < img->nclass_end; c++)
		all &= image_classes_has(classes, c);
	if (all) {
		text_add(t, "any member");
		return;
	}
	for (u32 i = 0; i < image_count(img, IMAGE_NODES); i++) {
		struct image_node n = image_node(img, i);

		if (!image_classes_has(classes, n.nclass))
			continue;
		text_add(t, "%s%s", sep, n.name);
		sep = ", ";
	}
	if (image_classes_has(classes, DSI_NCLASS_MEMBER))
		text_add(t, "%smembers of no group", sep);
}

void text_nclass(struct text *t, const struct image *img, u32 nclass)
{
	u8 classes[IMAGE_CLASSES_LEN] = { 0 };

	if (nclass == DSI_NCLASS_LOCAL) {
		text_add(t, "the same node");
	} else if (nclass == DSI_NCLASS_OUTSIDE) {
		text_add(t, "outside");
	} else if (nclass >= img->nclass_end) {
		text_add(t, "node class %u", nclass);
	} else {
		classes[nclass / 8] |= (u8)(1 << nclass % 8);
		if (nclass == DSI_NCLASS_MEMBER)
			text_add(t, "members of no group");
		else
			text_nodes(t, img, classes);
	}
}

void text_pclass(struct text *t, const struct image *img, u32 pclass)
{
	const char *sep = "";

	if (pclass == DSI_PCLASS_OTHER) {
		text_add(t, "%s", img->pclass_end > 1 ? "that no rule names" : "any");
		return;
	}
	for (u32 i = 0; i < image_count(img, IMAGE_PORTS); i++) {
		struct image_ports p = image_ports(img, i);

		if (p.pclass != pclass)
			continue;
		text_add(t, p.first == p.last ? "%s%u" : "%s%u-%u", sep, p.first, p.last);
		sep = ", ";
	}
}

const char *text_sid(const struct image *img, u32 sid)
{
	const char *name = image_sid_name(img, sid);

	return name ? name : "?";
}
