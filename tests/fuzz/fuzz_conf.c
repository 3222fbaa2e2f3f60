/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a configuration file: taken, or refused with a place. Nothing outside the members is written. */
#include <stdlib.h>
#include <string.h>

#include "lib/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct cfg {
	u64 before;
	char name[16];
	u32 port;
	u64 bytes, wait;
	bool on;
	u32 mode;
	char peers[64];
	u64 after;
};
static const char *const modes[] = { "off", "on", NULL };
#define AT(m) CONF_AT(struct cfg, m)
static const struct conf_key keys[] = {
	{ "", "name", CONF_STR, AT(name) },
	{ "", "port", CONF_U32, AT(port), .min = 1, .max = 65535, .value = "1" },
	{ "x", "bytes", CONF_U64, AT(bytes) },
	{ "x", "wait", CONF_MS, AT(wait), .max = 1000 },
	{ "", "on", CONF_BOOL, AT(on) },
	{ "", "mode", CONF_ENUM, AT(mode), .choices = modes },
	{ "", "peer", CONF_LIST, AT(peers) },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfg c = { .before = 0x55, .after = 0x55 };
	struct err e = { 0 };
	int rc = conf_parse(keys, ARRAY_SIZE(keys), "f", (const char *)data, size, &c, &e);

	if (c.before != 0x55 || c.after != 0x55 || (rc && strncmp(e.text, "f:", 2)))
		abort();
	if (!rc && (!c.port || c.port > 65535 || c.wait > 1000000000ull || c.mode > 1 || !memchr(c.name, 0, sizeof(c.name))))
		abort();
	return 0;
}
