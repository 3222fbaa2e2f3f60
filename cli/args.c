/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/args.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int args_u64(const char *s, u64 max, u64 *ret, struct err *e)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end || errno || v > max)
		return err_set(e, -DSI_EUSAGE, "\"%s\" is not a number from 0 to %llu", s, (unsigned long long)max);
	*ret = v;
	return 0;
}

int args_duration(const char *s, u64 *ret_seconds, struct err *e)
{
	static const struct {
		char suffix;
		u64 seconds;
	} unit[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	u64 v = 0, factor = 0;
	size_t digits = strspn(s, "0123456789");

	if (digits && digits < 10) {
		v = strtoull(s, NULL, 10);
		if (!s[digits])
			factor = 1;
		for (size_t i = 0; i < ARRAY_SIZE(unit); i++)
			if (s[digits] == unit[i].suffix && !s[digits + 1])
				factor = unit[i].seconds;
	}
	if (!factor || !v || v > 366ull * 86400 / factor)
		return err_set(e, -DSI_EUSAGE, "\"%s\" is not a duration such as 90s, 5m, 1h or 7d (at most a year)", s);
	*ret_seconds = v * factor;
	return 0;
}

int args_name(const char *what, const char *s, struct err *e)
{
	size_t n = strlen(s);

	if (n == 0 || n >= LIM_NAME)
		return err_set(e, -DSI_EUSAGE, "%s \"%.80s\": 1 to %d characters", what, s, LIM_NAME - 1);
	for (size_t i = 0; i < n; i++)
		if (!(isalnum((unsigned char)s[i]) || (i && strchr("-_.", s[i]))) || (unsigned char)s[i] >= 128)
			return err_set(e, -DSI_EUSAGE,
				       "%s \"%s\": letters, digits, and after the first character - _ . only", what, s);
	return 0;
}

/* Splits into host and port; false when the form is wrong. */
static bool split(const char *s, char *host, size_t cap, const char **ret_port)
{
	const char *begin = s, *end, *colon;

	if (*s == '[') {
		begin = s + 1;
		end = strchr(s, ']');
		colon = end ? end + 1 : NULL;
	} else {
		end = colon = strchr(s, ':');
	}
	if (!colon || *colon != ':' || end == begin || (size_t)(end - begin) >= cap)
		return false;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = 0;
	*ret_port = colon + 1;
	return *s == '[' || !strchr(colon + 1, ':');
}

int args_host_port(const char *s, struct err *e)
{
	char host[LIM_PATH];
	const char *port;
	u64 n;

	if (strlen(s) < LIM_PATH && split(s, host, sizeof(host), &port) && !args_u64(port, 65535, &n, NULL) && n &&
	    strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%") == strlen(host))
		return 0;
	return err_set(e, -DSI_EUSAGE, "\"%s\" is not HOST:PORT (IPv6 as [ADDRESS]:PORT)", s);
}

int args_ip(const char *s, u8 ret[16], size_t *ret_len, struct err *e)
{
	if (inet_pton(AF_INET, s, ret) == 1)
		*ret_len = 4;
	else if (inet_pton(AF_INET6, s, ret) == 1)
		*ret_len = 16;
	else
		return err_set(e, -DSI_EUSAGE, "\"%s\" is not a numeric IPv4 or IPv6 address", s);
	return 0;
}

bool args_host_ip(const char *host_port, u8 ret[16], size_t *ret_len)
{
	char host[LIM_PATH];
	const char *port;

	return split(host_port, host, sizeof(host), &port) && args_ip(host, ret, ret_len, NULL) == 0;
}

/* Length of the valid UTF-8 sequence at s, 0 when there is none. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = *s < 0x80 ? 1 : (*s & 0xe0) == 0xc0 ? 2 : (*s & 0xf0) == 0xe0 ? 3 : (*s & 0xf8) == 0xf0 ? 4 : 0;
	u32 v = n > 1 ? *s & (0x7fu >> n) : *s;
	static const u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3f);
	}
	return v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : n;
}

int args_text(const char *what, const char *s, size_t cap, struct err *e)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	if (strlen(s) >= cap)
		return err_set(e, -DSI_EUSAGE, "%s is longer than %zu bytes", what, cap - 1);
	for (; *p; p += n) {
		n = utf8_len(p);
		if (n == 0 || *p < 0x20 || *p == 0x7f)
			return err_set(e, -DSI_EUSAGE, "%s holds a control character or is not UTF-8", what);
	}
	return 0;
}
