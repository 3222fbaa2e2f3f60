/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names in certificates: spiffe://NODE.CLUSTER.dsi/domain/DOMAIN[/INSTANCE]. Core.
 *
 * The node is the host, because of a URI OpenSSL's name constraints look at the host alone; and they find another host
 * than URL parsers do in `spiffe://n1.c1.dsi:x@n2.c1.dsi/p` (facts measured: X.509 name constraints). So a name is
 * taken only when it is spelled as here, byte for byte: no user, port, query, fragment, percent sign, upper-case host,
 * empty or dot part. What spiffe_parse() takes, spiffe_text() writes to the same bytes; two names are equal when their
 * bytes are.
 *
 *	NODE, CLUSTER	a-z 0-9, `-` inside; as enrolment takes them
 *	DOMAIN		letters, digits, `_` `-` `.`; as the policy language takes them, but not `.` or `..`
 *	INSTANCE	a-z 0-9, `-` inside: which start of a process
 *
 * This says what a name means, never that its bearer is that: the caller holds the node against the issuer's.
 */
#ifndef DSI_LIB_SPIFFE_H
#define DSI_LIB_SPIFFE_H

#include "lib/err.h"
#include "lib/limits.h"

struct spiffe {
	char node[LIM_NAME], cluster[LIM_NAME], domain[LIM_NAME];
	char instance[LIM_NAME]; /* "": none in the name */
};

enum { SPIFFE_MAX = 9 + 2 * LIM_NAME + 4 + 8 + 2 * LIM_NAME }; /* bytes, with the NUL: more than any name needs */

/* p need not end in NUL. 0 or -DSI_EPARSE, -DSI_ELIMIT with what is wrong in *e (may be NULL); *ret is set on 0 only. */
int spiffe_parse(struct spiffe *ret, const char *p, size_t n, struct err *e) DSI_MUST_CHECK;
/* NUL-terminated. 0, or -DSI_EINVAL: a part that no name can have; dst is "" then. */
int spiffe_text(const struct spiffe *s, char dst[SPIFFE_MAX]) DSI_MUST_CHECK;

#endif
