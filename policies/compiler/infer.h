/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy drafted from what the packages of a service say: their lists of files, unit files, configuration. Core: texts
 * in, a .dsp out, with the reason above each statement. It is to be given with policies/base, and to be read by a person:
 * nothing says whom a service may talk to, and a port may be set where nobody looked.
 *
 * Texts are what is installed, so nothing in them is believed beyond its form: a path that may not stand in a policy is
 * left out, and whatever they hold, the draft compiles.
 */
#ifndef DSI_POLICIES_COMPILER_INFER_H
#define DSI_POLICIES_COMPILER_INFER_H

#include "lib/buf.h"
#include "lib/err.h"

struct infer_text {
	const char *name; /* lists: of the package; else its path, as image_path_invalid() likes it */
	const char *s;
	size_t n;
};

/* What was asked for, and all packages of its source. */
struct infer_service {
	const char *package;
	const struct infer_text *lists, *units, *confs; /* files, one a line; service units; configuration files */
	u32 n_lists, n_units, n_confs;
};

/* The file behind links; the path itself when it is none; NULL: not there. Valid until the next call. */
typedef const char *infer_real_fn(void *ctx, const char *path);

enum { INFER_SERVICES = 16 };

/* 0; -DSI_ENOENT: a package starts no service (e names it); -DSI_ELIMIT: more than INFER_SERVICES; -DSI_ENOMEM. */
int infer_draft(const struct infer_service *s, u32 n, bool enforcing, infer_real_fn *real, void *ctx, struct wbuf *out,
		struct err *e) DSI_MUST_CHECK;

#endif
