/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of libdsi share: the connection, frames out and in. client.c owns it. Not installed. */
#ifndef DSI_LIBDSI_IMPL_H
#define DSI_LIBDSI_IMPL_H

#include "lib/svc.h"
#include "libdsi/dsi.h"

struct packet { /* one that came; data of the frame points behind it */
	struct packet *next;
	struct svc_frame f;
	size_t len;
	u8 bytes[];
};

enum { DSI_WATCHES = LIM_SVC_WATCHES_EACH };

struct dsi {
	int fd;
	u32 last_id;
	struct svc_task me;
	bool drain;
	struct packet *waiting, **waiting_end; /* REQUEST, CHANGED that came while we waited for something else */
	struct packet *request;                /* the one that dsi_next() gave last */
	struct {
		u32 id;
		char name[LIM_NAME];
	} watch[DSI_WATCHES];
	u32 n_watch;
};

/* Sends; sets f->id (unless it is an answer). 0 or negative errno. */
int dsi_send(struct dsi *d, struct svc_frame *f);
/* A request and its reply of type `reply`, whose code comes back as errno. *ret is malloc'ed; may be NULL. */
int dsi_ask(struct dsi *d, struct svc_frame *f, u16 reply, struct packet **ret);
/* The next packet of one of the types that come by themselves. 1, 0 at the time-out, negative errno. */
int dsi_wait(struct dsi *d, u16 type, int timeout_ms, struct packet **ret);
int dsi_errno(u32 code); /* DSI_E* of a frame -> negative errno */
u32 dsi_code(int error); /* positive errno -> DSI_E* */

#endif
