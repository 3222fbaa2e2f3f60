/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making key files for people: the passphrase question and the write, shared by init and operator new. */
#ifndef DSI_CLI_NEWKEY_H
#define DSI_CLI_NEWKEY_H

#include "cli/cli.h"
#include "cli/opkey.h"

struct newkey_protection {
	bool wanted;
	int fd; /* -1: the terminal */
};

/* From --no-passphrase and --passphrase-fd; without either a terminal is needed, and said so. */
int newkey_protection(const struct cli *c, struct newkey_protection *ret, struct err *e);
/* Makes the key and its file (0400, not over an existing one). *ret holds the secret: wipe it. */
int newkey_make(const char *path, enum opkey_kind kind, const char *name, const struct newkey_protection *p,
		struct opkey *ret, struct err *e);

#define NEWKEY_OPTIONS                                                                                 \
	{ "no-passphrase", NULL, "leave the key file unprotected (labs, tests)" },                    \
	{ "passphrase-fd", "N", "read passphrases from this descriptor, one line each" }

#endif
