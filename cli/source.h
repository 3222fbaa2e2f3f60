/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy as given on the command line: files, directories (their *.dsp), "-", or one compiled image. Loads, compiles against a base, shows what the compiler found. No daemon, no root.
 */
#ifndef DSI_CLI_SOURCE_H
#define DSI_CLI_SOURCE_H

#include "cli/cli.h"
#include "lib/arena.h"
#include "policies/compiler/compile.h"
#include "policies/compiler/diag.h"

struct source {
	struct arena arena;
	struct policy *policy;   /* NULL: it was given as an image */
	struct diag_list diags;
	u8 *stdin_text;
	struct wbuf bytes;       /* of the image */
	struct image image;      /* open once compiled */
};

void source_init(struct source *s);
void source_fini(struct source *s);
/* Reads and parses. What the compiler finds is kept in diags; -DSI_EPARSE only comes from source_compile(). */
int source_load(struct source *s, const char *const *paths, int n, struct err *e);
/* Check, compile, open. base: bytes of the image whose SIDs are kept, NULL none. For an image given as such:
 * nothing is compiled, base is ignored. */
int source_compile(struct source *s, const u8 *base, size_t base_len, struct err *e);
/* Warnings and errors as the compiler writes them, to f. */
void source_show_diags(struct source *s, FILE *f);
/* [{severity, file, line, column, text}] */
json_t *source_diags(const struct source *s);
void source_digest(const struct source *s, char ret_hex[65]);

/* An image file into memory and open. *ret_bytes is malloc'ed and must outlive *ret. */
int source_open_image(const char *path, u8 **ret_bytes, size_t *ret_len, struct image *ret, struct err *e);

#endif
