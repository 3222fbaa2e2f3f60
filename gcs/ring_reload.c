/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync's reload: what corosync-cfgtool -R asks, without starting a program. Blocking; only where nobody waits (the
 * ring helper, dsi-admin).
 */
#include <corosync/cfg.h>
#include <corosync/corotypes.h>

#include "gcs/ring_files.h"

int ring_reload(struct err *e)
{
	corosync_cfg_callbacks_t none = { 0 };
	corosync_cfg_handle_t h;
	cs_error_t rc = corosync_cfg_initialize(&h, &none);

	if (rc != CS_OK)
		return err_set(e, rc == CS_ERR_TRY_AGAIN ? -DSI_EAGAIN : -DSI_ENOTCONN,
			       "corosync does not run here (%d)", rc);
	rc = corosync_cfg_reload_config(h);
	corosync_cfg_finalize(h);
	if (rc == CS_ERR_TRY_AGAIN)
		return err_set(e, -DSI_EAGAIN, "corosync is busy");
	return rc == CS_OK ? 0
			   : err_set(e, -DSI_EFAIL, "corosync refused to reload its files (%d): its log says why", rc);
}
