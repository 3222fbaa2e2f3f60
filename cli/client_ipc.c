/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real transport: libqb IPC by lib/ipc. */
#include "cli/client.h"
#include "lib/ipc.h"

int client_transport_ipc(void *ctx, const char *service, const char *request, size_t n, int timeout_ms,
			 char **ret_reply, size_t *ret_len, struct err *e)
{
	int r = ipc_call(service, request, n, timeout_ms, ret_reply, ret_len, e);

	(void)ctx;
	if (r == -DSI_ENOTCONN)
		return err_set(e, r, "cannot reach %s on this machine; is it running? systemctl status %s", service, service);
	return r;
}
