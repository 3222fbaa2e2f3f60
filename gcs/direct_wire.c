/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of the direct leg. Must never believe a length before it compared it with a limit. */
#include "gcs/direct_wire.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"

static const struct {
	u16 kind;
	enum direct_who who;
	const char *name;
} kinds[] = {
#define X(name, n, who) { n, DIRECT_WHO_##who, #name },
	DIRECT_TABLE(X)
#undef X
};

enum direct_who direct_kind_who(u16 kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].who;
	return (enum direct_who)0;
}

const char *direct_kind_name(u16 kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "?";
}

long direct_frame_get(struct direct_frame *ret, const u8 *p, size_t n, size_t limit)
{
	struct rbuf r;
	u32 len;

	memset(ret, 0, sizeof(*ret));
	if (n < 4)
		return 0;
	rbuf_init(&r, p, n);
	len = rbuf_u32(&r);
	if (len < DIRECT_HEAD - 4)
		return -DSI_EPEER;
	if (len > limit - 4)
		return -DSI_ELIMIT;
	if (n - 4 < len)
		return 0;
	ret->kind = rbuf_u16(&r);
	ret->code = rbuf_u16(&r);
	ret->id = rbuf_u32(&r);
	ret->reply = ret->kind & DIRECT_REPLY;
	ret->kind &= (u16)~DIRECT_REPLY;
	ret->p = p + DIRECT_HEAD;
	ret->n = len - (DIRECT_HEAD - 4);
	return 4 + (long)len;
}

void direct_head_put(u8 ret[DIRECT_HEAD], u16 kind, u16 code, u32 id, size_t n)
{
	struct wbuf w;

	assert(n <= LIM_DIRECT_FRAME - DIRECT_HEAD);
	wbuf_fixed(&w, ret, DIRECT_HEAD);
	wbuf_u32(&w, (u32)n + DIRECT_HEAD - 4);
	wbuf_u16(&w, kind);
	wbuf_u16(&w, code);
	wbuf_u32(&w, id);
}

/* Host and service of "host:port" or "[host]:port". */
static bool address_split(const char *text, char host[LIM_PATH], char port[8])
{
	const char *colon = strrchr(text, ':');
	const char *from = text;
	size_t n;

	if (!colon || strlen(colon + 1) == 0 || strlen(colon + 1) > 5)
		return false;
	n = (size_t)(colon - text);
	if (*text == '[') {
		if (n < 2 || text[n - 1] != ']')
			return false;
		from++;
		n -= 2;
	}
	if (n == 0 || n >= LIM_PATH || (*text != '[' && memchr(from, ':', n)))
		return false;
	memcpy(host, from, n);
	host[n] = '\0';
	snprintf(port, 8, "%s", colon + 1);
	return true;
}

int direct_address(const char *text, bool dns, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (dns ? 0 : AI_NUMERICHOST) };
	struct addrinfo *found;
	char host[LIM_PATH], port[8];
	int rc;

	if (!address_split(text, host, port))
		return err_set(e, -DSI_EINVAL, "%s: not an address: write 192.0.2.1:6530 or [2001:db8::1]:6530", text);
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0)
		return err_set(e, -DSI_EINVAL, "%s: %s", text, gai_strerror(rc));
	memcpy(ret, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
