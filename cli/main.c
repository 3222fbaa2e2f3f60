/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dsi-admin. No core dumps, no tracer: operator keys pass through this process. */
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cli/cli.h"

int main(int argc, char **argv)
{
	static struct cli c;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
#ifndef __SANITIZE_ADDRESS__ /* the leak checker is a tracer */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	umask(022);
	cli_init(&c, stdout, stderr);
	return cli_run(&c, argc, argv);
}
