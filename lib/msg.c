/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The message catalogue's tables, made from the one list in msg.h. No logic; nothing to get wrong twice. */
#include "lib/msg.h"

#undef BODY_DECLARE
#define BODY_DECLARE(tag, FIELDS) BODY_DEFINE(tag, FIELDS)
BODY_DECLARE_ALL

static const struct msg_info infos[] = {
#define MSG(name, n, ch, who, how, tag) { n, CH_##ch, who, how, #name, &schema_##tag },
	MSG_TABLE(MSG)
#undef MSG
};

const struct msg_info *msg_info(u16 type)
{
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
		if (infos[i].type == type)
			return &infos[i];
	}
	return NULL;
}
