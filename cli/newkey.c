/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/newkey.h"

#include <fcntl.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/files.h"
#include "cli/passphrase.h"

int newkey_protection(const struct cli *c, struct newkey_protection *ret, struct err *e)
{
	const char *fd = cli_opt(c, "passphrase-fd");
	bool plain = cli_flag(c, "no-passphrase");
	u64 n;
	int r, tty;

	*ret = (struct newkey_protection){ .wanted = !plain, .fd = -1 };
	if (plain && fd)
		return err_set(e, -DSI_EUSAGE, "--no-passphrase and --passphrase-fd contradict each other");
	if (fd) {
		r = args_u64(fd, 65535, &n, e);
		if (r < 0)
			return err_wrap(e, "--passphrase-fd");
		ret->fd = (int)n;
		return fcntl(ret->fd, F_GETFD) < 0 ? err_set(e, -DSI_EUSAGE, "descriptor %s is not open", fd) : 0;
	}
	if (plain)
		return 0;
	tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return err_set(e, -DSI_EUSAGE, "no terminal to ask for a passphrase: give --passphrase-fd N, or "
			       "--no-passphrase to leave the key unprotected");
	close(tty);
	return 0;
}

static int write_key(const char *path, const struct opkey *k, const char *passphrase, struct err *e)
{
	struct wbuf w;
	u8 buf[OPKEY_MAX_FILE];
	int r;

	wbuf_fixed(&w, buf, sizeof(buf));
	r = opkey_encode(k, passphrase, &w, e);
	if (r == 0)
		r = files_write(path, 0400, false, w.data, w.len, e);
	crypto_wipe(buf, sizeof(buf));
	return r;
}

int newkey_make(const char *path, enum opkey_kind kind, const char *name, const struct newkey_protection *p,
		struct opkey *ret, struct err *e)
{
	char pass[PASSPHRASE_MAX], prompt[128];
	int r = 0;

	if (files_exists(path))
		return err_set(e, -DSI_EEXIST, "%s exists already and is left alone", path);
	snprintf(prompt, sizeof(prompt), "New passphrase of the %s key \"%s\": ", kind == OPKEY_ROOT ? "root" : "operator",
		 name);
	if (p->wanted)
		r = passphrase_ask(p->fd, prompt, true, pass, e);
	if (r < 0)
		return r;
	r = opkey_generate(ret, kind, name, e);
	if (r == 0)
		r = write_key(path, ret, p->wanted ? pass : NULL, e);
	if (p->wanted)
		crypto_wipe(pass, sizeof(pass));
	if (r < 0)
		opkey_wipe(ret);
	return r;
}
