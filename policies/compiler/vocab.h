/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of the vocabulary: classes, permissions, reserved SIDs, socket families and types, as tables
 * for the parser, the printer and explain. Pure; every answer points to static memory.
 */
#ifndef DSI_POLICIES_COMPILER_VOCAB_H
#define DSI_POLICIES_COMPILER_VOCAB_H

#include "lib/compiler.h"
#include "policies/vocabulary.h"

/* What a reserved name may stand for in the language. */
enum vocab_use {
	VOCAB_DOMAIN = 1 << 0, /* may be declared with `domain`, is a context */
	VOCAB_TYPE = 1 << 1,   /* may be a file type */
	VOCAB_REMOTE = 1 << 2, /* only a subject of accepted connections */
	VOCAB_TARGET = 1 << 3, /* only a target of connect */
	VOCAB_SELF = 1 << 4,   /* stands for the subject */
	VOCAB_NEVER = 1 << 5,  /* cannot be written */
};

struct vocab_name {
	const char *name;
	u32 number;
	u32 use; /* enum vocab_use; reserved SIDs only */
};

const struct vocab_name *vocab_reserved(const char *name); /* NULL: not a reserved name */
const char *vocab_reserved_name(u32 sid);                  /* NULL: not reserved */

u32 vocab_class(const char *name);             /* 0: unknown */
u32 vocab_perm(u32 cls, const char *name);     /* bit, 0: unknown */
const char *vocab_perm_at(u32 cls, u32 index); /* index-th permission's name, for suggestions; NULL at the end */
const char *vocab_class_at(u32 index);

int vocab_family(const char *name); /* -1: unknown */
int vocab_socktype(const char *name);
const char *vocab_family_at(u32 index);
const char *vocab_socktype_at(u32 index);
/* "inet stream"; numbers where no name is known. Always NUL-terminates. */
void vocab_socket_text(u16 qual, char *dst, size_t cap);

#endif
