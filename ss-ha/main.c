/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsi-ss: starts the key service and the channel, then becomes the server itself: after the start nothing
 * of it runs as root. (`-x ROLE` marks the children.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gcs/channel.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "lib/privsep.h"
#include "lib/sandbox.h"
#include "ss-ha/server.h"

/* level: index of the configuration's list, which starts at err; stderr is the journal under systemd */
static void start_log(const char *name, u32 level)
{
	log_start(name, LOG_ERR + (int)level, true);
}

static int fail(const struct err *e)
{
	log_err("%s", e->text);
	return err_exit(e->code);
}

static int become(const char *role)
{
	struct err e = { 0 };
	int fds[] = { PRIVSEP_FD + 1 };

	if (!strcmp(role, "keys"))
		keyservice_run(PRIVSEP_FD, KEYFILE_SERVER, fds, 1);
	if (strcmp(role, "channel"))
		return err_exit(-DSI_EUSAGE);
	start_log("dsi-ss: channel", 3);
	if (sandbox_enter(SANDBOX_CHANNEL, &e))
		return fail(&e);
	channel_run(PRIVSEP_FD);
}

/* Both die with us (PDEATHSIG) and we end when a link closes: no child is watched. */
static int start_children(const struct ss_conf *c, int *ret_keys, int *ret_channel, struct err *e)
{
	int keys[2], channel[2], pid, key_fd = open(c->key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;

	if (key_fd < 0)
		return err_errno(e, -DSI_EIO, "%s", c->key_file);
	rc = privsep_pair(keys, e);
	if (!rc)
		rc = privsep_pair(channel, e);
	if (!rc)
		rc = privsep_spawn("dsi-ss", &(struct privsep_child){ .role = "keys", .fds = { key_fd, keys[0] }, .n_fds = 2 },
				   &pid, e);
	if (!rc)
		rc = privsep_spawn("dsi-ss", &(struct privsep_child){ .role = "channel", .fds = { channel[0] }, .n_fds = 1 }, &pid,
				   e);
	if (rc)
		return rc;
	close(key_fd);
	close(keys[0]);
	close(channel[0]);
	*ret_keys = keys[1];
	*ret_channel = channel[1];
	return 0;
}

int main(int argc, char **argv)
{
	const char *role = privsep_role(argc, argv);
	struct ss_conf conf;
	struct err e = { 0 };
	int keys = -1, channel = -1;

	sandbox_early();
	if (role)
		return become(role);
	privsep_drop_inherited();
	if (argc > 1) {
		bool version = !strcmp(argv[1], "--version"), help = !strcmp(argv[1], "--help");

		fprintf(version || help ? stdout : stderr, version ? "dsi-ss %s\n" : "usage: dsi-ss [--version | --help]   (man dsi-ss)\n",
			DSI_VERSION);
		return version || help ? 0 : err_exit(-DSI_EUSAGE);
	}
	notify_use(notify_open());
	start_log("dsi-ss", 3);
	if (ss_conf_load(&conf, &e) || start_children(&conf, &keys, &channel, &e) || sandbox_enter(SANDBOX_SERVER, &e))
		return fail(&e);
	return server_run(&conf, keys, channel);
}
