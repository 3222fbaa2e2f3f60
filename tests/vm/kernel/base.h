// SPDX-License-Identifier: GPL-2.0-or-later
/* What all parts of kernel_vm.c share: numbers of contexts and ports, and checks. The parts are included as source. */
#ifndef DSI_TESTS_VM_KERNEL_BASE_H
#define DSI_TESTS_VM_KERNEL_BASE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/mapset.h"
#include "kernel/nodes.h"
#include "kernel/ring.h"
#include "kernel/sweep.h"
#include "kernel/synmac.h"

enum { APP = 64, WEB = 65, SRV = 66, DATA = 80, SECRET = 81, BIN = 82, ETC = 83, DATA2 = 84 };
enum { PORT = 8080, PORT_OPEN = 8081, PORT_EXEMPT = 5405, PC_WEB = 1, PC_OPEN = 2 };

static int passed, failed;
static char self[256];

static void check(bool ok, const char *fmt, ...) DSI_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf(ok ? "ok " : "not ok ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	ok ? passed++ : failed++;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void run(const char *command)
{
	if (system(command))
		printf("# failed: %s\n", command);
}

#endif
