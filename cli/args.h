/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strict readers of what a person types. Pure. Each error says what was expected. */
#ifndef DSI_CLI_ARGS_H
#define DSI_CLI_ARGS_H

#include "lib/err.h"
#include "lib/limits.h"

/* "90", "90s", "5m", "1h", "7d" -> seconds; at most a year. */
int args_duration(const char *s, u64 *ret_seconds, struct err *e);
int args_u64(const char *s, u64 max, u64 *ret, struct err *e);
/* A node, cluster or operator name: letters, digits, "-", "_", "."; begins with a letter or digit;
 * at most LIM_NAME - 1 bytes. what: "node name". */
int args_name(const char *what, const char *s, struct err *e);
/* "host:port", "1.2.3.4:21065", "[::1]:21065"; the port is required. */
int args_host_port(const char *s, struct err *e);
/* Numeric IPv4 or IPv6 -> 4 or 16 bytes. */
int args_ip(const char *s, u8 ret[16], size_t *ret_len, struct err *e);
/* The host part of host:port as an address, when it is numeric. */
bool args_host_ip(const char *host_port, u8 ret[16], size_t *ret_len);
/* Text that goes into a statement: valid UTF-8, no control characters, shorter than cap. */
int args_text(const char *what, const char *s, size_t cap, struct err *e);

#endif
