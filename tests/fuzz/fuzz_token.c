/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * First byte 0: the rest as a token's text. 1: the rest as a token's bytes, under a right sum. Else: as a request to
 * enrol and as corosync.conf. What parses prints to the same.
 */
#include <stdio.h>

#include "gcs/ring_plan.h"
#include "gcs/token.h"
#include "tests/fuzz/gcs_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text(const char *p, size_t n)
{
	struct token t;
	struct err e = { 0 };
	char *back;

	if (token_parse(&t, p, n, &e)) {
		must(e.text[0]);
		return;
	}
	back = token_text(&t);
	must(back && strlen(back) <= n && !memcmp(back, p, strlen(back)));
	must(token_check(&t, fuzz_state(), 0, &e) <= 0);
	free(back);
	token_wipe(&t);
}

static void bytes(const u8 *p, size_t n)
{
	u8 b[4096], sum[CRYPTO_HASH];
	char line[TOKEN_TEXT_MAX], *code;

	if (n > sizeof(b) - 8)
		return;
	memcpy(b, p, n);
	must(!crypto_sha256(p, n, sum));
	memcpy(b + n, sum, 8);
	code = crypto_base64(b, n + 8);
	must(code);
	snprintf(line, sizeof(line), TOKEN_PREFIX "%s", code);
	text(line, strlen(line));
	free(code);
}

static void others(const u8 *p, size_t n)
{
	static const u8 exporter[CRYPTO_HASH];
	static struct ring_conf conf;
	struct wbuf w;
	struct err e;

	must(state_check_enrol(fuzz_state(), p, n, exporter, fuzz_now, &e) < 0);
	wbuf_init(&w, RING_CONF_MAX);
	if (!ring_plan_read(&conf, "f", (const char *)p, n, &e) && conf.n_node > 1)
		must(ring_plan_drop("f", (const char *)p, n, conf.node[0].name[0] ? conf.node[0].name : conf.node[0].addr[0], 0,
				    &w, &e) != -DSI_EFAIL);
	wbuf_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] > 1)
		others(data + 1, size - 1);
	else if (data[0])
		bytes(data + 1, size - 1);
	else
		text((const char *)data + 1, size - 1);
	return 0;
}
