/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readiness and watchdog datagrams to the service manager, without its library. Without $NOTIFY_SOCKET
 * every call does nothing. The socket is looked up once, by notify_open(), before the environment goes.
 */
#ifndef DSI_LIB_NOTIFY_H
#define DSI_LIB_NOTIFY_H

/* Descriptor of a connected socket, -1 when there is no service manager; hand it to notify_use(). */
int notify_open(void);
void notify_use(int fd);
int notify_fd_get(void); /* what notify_use() was given, to pass on to a child; -1 */
void notify_ready(void);
void notify_stopping(void);
void notify_status(const char *text);
void notify_watchdog(void);

#endif
