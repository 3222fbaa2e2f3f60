/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams to the service manager. One descriptor per process is this file's only state. */
#include "lib/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int notify_fd = -1;

int notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (!n || n >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, path, n);
	if (a.sun_path[0] == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void notify_use(int fd)
{
	notify_fd = fd;
}

int notify_fd_get(void)
{
	return notify_fd;
}

static void tell(const char *text)
{
	if (notify_fd >= 0 && send(notify_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* the service manager is gone: nobody to tell */
}

void notify_ready(void)
{
	tell("READY=1");
}

void notify_stopping(void)
{
	tell("STOPPING=1");
}

void notify_status(const char *text)
{
	char line[256];

	snprintf(line, sizeof(line), "STATUS=%s", text);
	tell(line);
}

void notify_watchdog(void)
{
	tell("WATCHDOG=1");
}
