/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a certificate's name: refused, or written back to the same bytes, with its host where a constraint and
 * a URL parser both find it: between "//" and the next '/', and nothing in it that either could split at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/spiffe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *exact = malloc(size ? size : 1), text[SPIFFE_MAX], host[2 * LIM_NAME + 8];
	struct err e = { 0 };
	struct spiffe s;

	if (!exact)
		abort();
	memcpy(exact, data, size);
	if (spiffe_parse(&s, exact, size, &e)) {
		if (!e.text[0])
			abort();
	} else {
		size_t n;

		if (spiffe_text(&s, text) || strlen(text) != size || memcmp(text, exact, size))
			abort();
		n = strcspn(text + 9, "/");
		snprintf(host, sizeof(host), "%s.%s.dsi", s.node, s.cluster);
		if (n != strlen(host) || memcmp(text + 9, host, n) || strpbrk(text, "@%?#[]\\ ") || strchr(text + 9, ':'))
			abort();
	}
	free(exact);
	return 0;
}
