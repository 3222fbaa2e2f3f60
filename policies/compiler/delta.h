/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The difference between two policy images, small where little changed: one more rule in a policy of 100,000 costs a few
 * hundred bytes. Core: bytes in, bytes out; both signatures are what gcs/replica.h asks of its `delta` port.
 *
 * A delta needs no trust: whoever applies one compares the SHA-256 of what came out with the digest that was signed.
 *
 * All integers little-endian; "v" is LEB128 of at most 32 bits, "z" the same zigzagged.
 *	head     magic "DSPD", u16 version (1), u16 zero, u32 size of the new image, u32 h, h bytes: its header
 *	lines    v n, n x { v old file, v old line, z shift }: from that line on, lines of that file moved by shift
 *	         (until the file's next row); rows ascend by file and line
 *	sections in DELTA_ORDER (delta.c), each { v k, k rows, v n, z from } until the section has the rows its header says:
 *	         k rows as they are, then n rows of the old section from row (end of the last copy) + from, *translated*
 *	strings  are rows of their own length; k is the number of bytes then, n the number of strings
 * Translated: offsets of strings, numbers of files, node classes, port classes, places and line numbers are those that
 * the new image has for what the old one meant. Both ends work that out from the two images alone.
 */
#ifndef DSI_POLICIES_COMPILER_DELTA_H
#define DSI_POLICIES_COMPILER_DELTA_H

#include "lib/buf.h"
#include "lib/err.h"

/* From old to now; out gets the delta (its limit bounds it). 0; a code of image_open() with the reason in *e;
 * -DSI_ENOMEM; -DSI_ELIMIT when out is too small for it. */
int delta_make(const u8 *old, size_t old_n, const u8 *now, size_t now_n, struct wbuf *out, struct err *e) DSI_MUST_CHECK;

/* Untrusted delta on an image that is ours. out gets at most what its limit allows, whatever the delta says. 0: whole, and
 * to be hashed; -DSI_EVERSION, -DSI_EPARSE, -DSI_ETRUNC, -DSI_ETRAIL, -DSI_ELIMIT, -DSI_ENOMEM, or a code of image_open(). */
int delta_apply(const u8 *old, size_t old_n, const u8 *delta, size_t n, struct wbuf *out, struct err *e) DSI_MUST_CHECK;

#endif
