/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for secrets: locked, between two guard pages, in no core dump, empty in forked children, wiped when
 * freed. Opaque, so that it cannot be copied or printed by accident; secret_bytes() is where to look at in review.
 */
#ifndef DSI_LIB_SECRET_H
#define DSI_LIB_SECRET_H

#include "lib/compiler.h"

struct secret;

struct secret *secret_new(size_t n); /* zeroed; NULL when it cannot be had or locked */
struct secret *secret_free(struct secret *s); /* NULL-safe; wipes; returns NULL */
void secret_free_all(void);          /* on the way to abort or exec */
u8 *secret_bytes(struct secret *s);
size_t secret_size(const struct secret *s);

#endif
