/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "lib/crypto.h"

/* One line, byte by byte, so that nothing of the next line is taken. */
static int read_line(int fd, char ret[PASSPHRASE_MAX])
{
	size_t n = 0;
	char ch;
	ssize_t r;

	while ((r = read(fd, &ch, 1)) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -DSI_EIO;
		if (ch == '\n')
			break;
		if (n == PASSPHRASE_MAX - 1 || !ch)
			return -DSI_ELIMIT;
		ret[n++] = ch;
	}
	ret[n] = 0;
	return n ? 0 : -DSI_ETRUNC;
}

static int ask_tty(int tty, const char *prompt, char ret[PASSPHRASE_MAX])
{
	struct termios old, quiet;
	int r;

	if (tcgetattr(tty, &old) < 0)
		return -DSI_EIO;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (write(tty, prompt, strlen(prompt)) < 0 || tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
		return -DSI_EIO;
	r = read_line(tty, ret);
	tcsetattr(tty, TCSAFLUSH, &old);
	if (write(tty, "\n", 1) < 0)
		r = -DSI_EIO;
	return r;
}

static int from_tty(const char *prompt, bool twice, char ret[PASSPHRASE_MAX], struct err *e)
{
	char again[PASSPHRASE_MAX];
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY), r;

	if (tty < 0)
		return err_set(e, -DSI_EAUTH, "a passphrase is needed and there is no terminal: give --passphrase-fd N");
	r = ask_tty(tty, prompt, ret);
	if (r == 0 && twice) {
		r = ask_tty(tty, "Once more: ", again);
		if (r == 0 && strcmp(ret, again))
			r = -DSI_EINVAL;
		crypto_wipe(again, sizeof(again));
	}
	close(tty);
	if (r == -DSI_EINVAL)
		return err_set(e, r, "the two passphrases differ");
	return r < 0 ? err_set(e, -DSI_EAUTH, "no passphrase was given") : 0;
}

int passphrase_ask(int fd, const char *prompt, bool twice, char ret[PASSPHRASE_MAX], struct err *e)
{
	int r;

	memset(ret, 0, PASSPHRASE_MAX);
	if (fd < 0)
		r = from_tty(prompt, twice, ret, e);
	else if ((r = read_line(fd, ret)) < 0)
		err_set(e, r = -DSI_EAUTH, "no passphrase on descriptor %d (one line each)", fd);
	if (r < 0)
		crypto_wipe(ret, PASSPHRASE_MAX);
	return r;
}
