/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How control texts cross libqb: private to lib/ipc.c and lib/ipc_client.c. The client speaks, the server
 * answers, strictly in turn: PART (more follow) -> empty ack; PART (last) -> first part of the answer;
 * NEXT -> the answer's next part, until `last`.
 */
#ifndef DSI_LIB_IPC_WIRE_H
#define DSI_LIB_IPC_WIRE_H

#include <qb/qbipc_common.h>

#include "lib/limits.h"

enum { IPC_PART = 1, IPC_NEXT = 2 };
enum { IPC_PIECE = 48 << 10, IPC_BUFFER = IPC_PIECE + 1024 };

struct ipc_part {
	struct qb_ipc_request_header h;
	u32 last, n;
};
struct ipc_reply {
	struct qb_ipc_response_header h;
	u32 last, n;
};
_Static_assert(sizeof(struct ipc_reply) + IPC_PIECE <= IPC_BUFFER, "a piece fits a message");

#endif
