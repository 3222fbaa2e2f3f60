/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passphrases come from the terminal or from a descriptor (--passphrase-fd N, one line each time it is
 * asked), never from the command line or the environment.
 */
#ifndef DSI_CLI_PASSPHRASE_H
#define DSI_CLI_PASSPHRASE_H

#include "lib/err.h"

enum { PASSPHRASE_MAX = 1024 };

/* fd < 0: ask on /dev/tty. twice: ask again and compare (new passphrases; terminal only). */
int passphrase_ask(int fd, const char *prompt, bool twice, char ret[PASSPHRASE_MAX], struct err *e);

#endif
