/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dsid: arguments, then monitor, or (`-x ROLE`) channel, engine, key service, ring helper. Nothing else lives here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dsid/engine.h"
#include "dsid/monitor.h"
#include "dsid/ring_helper.h"
#include "gcs/channel.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "lib/privsep.h"
#include "lib/sandbox.h"

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

/* fds: 3 the key file, 4 the engine's end */
static int role_keys(const struct dsid_conf *conf)
{
	int fds[] = { PRIVSEP_FD + 1 };

	(void)conf;
	keyservice_run(PRIVSEP_FD, KEYFILE_NODE, fds, 1);
}

/* fds: 3 link to the engine */
static int role_channel(const struct dsid_conf *conf)
{
	struct err e = { 0 };

	(void)conf;
	start_log("dsid: channel", 3);
	if (sandbox_enter(SANDBOX_CHANNEL, &e))
		return fail(&e);
	channel_run(PRIVSEP_FD);
}

/* fds: 3 monitor, 4 key service, 5 channel, 6 service manager */
static int role_engine(const struct dsid_conf *conf)
{
	struct err e = { 0 };

	start_log("dsid: engine", conf->log_level);
	notify_use(PRIVSEP_FD + 3);
	if (sandbox_enter(SANDBOX_ENGINE, &e))
		return fail(&e);
	return engine_run(conf, PRIVSEP_FD, PRIVSEP_FD + 1, PRIVSEP_FD + 2);
}

/* fds: 3 the monitor's end */
static int role_ring(const struct dsid_conf *conf)
{
	struct err e = { 0 };

	if (sandbox_enter(SANDBOX_RING, &e))
		return fail(&e);
	return ring_helper_run(conf, PRIVSEP_FD);
}

static const struct {
	const char *name;
	int (*run)(const struct dsid_conf *conf);
	bool configured;
} role_table[] = {
	{ "keys", role_keys, false },
	{ "channel", role_channel, false },
	{ "engine", role_engine, true },
	{ "ring", role_ring, true },
};

static int become(const char *role)
{
	struct dsid_conf conf = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(role_table); i++) {
		if (strcmp(role_table[i].name, role))
			continue;
		if (role_table[i].configured && dsid_conf_load(&conf, "", &e))
			return fail(&e);
		return role_table[i].run(&conf);
	}
	return err_exit(-DSI_EUSAGE);
}

int main(int argc, char **argv)
{
	const char *role = privsep_role(argc, argv);
	struct dsid_conf conf;
	struct err e = { 0 };

	sandbox_early();
	if (role)
		return become(role);
	privsep_drop_inherited();
	if (argc > 1) {
		bool version = !strcmp(argv[1], "--version"), help = !strcmp(argv[1], "--help");

		fprintf(version || help ? stdout : stderr, version ? "dsid %s\n" : "usage: dsid [--version | --help]   (man dsid)\n",
			DSI_VERSION);
		return version || help ? 0 : err_exit(-DSI_EUSAGE);
	}
	notify_use(notify_open());
	start_log("dsid", 3);
	if (dsid_conf_load(&conf, "", &e))
		return fail(&e);
	if (geteuid()) {
		fprintf(stderr, "dsid: must be started by root; it drops what it does not need\n");
		return err_exit(-DSI_EPERM);
	}
	return monitor_run(&conf);
}
