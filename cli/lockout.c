/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/lockout.h"

#include <stdlib.h>

#include "cli/files.h"
#include "policies/compiler/mustallow.h"

enum { LIST_MAX = 1 << 20 };

static void failed_case(void *arg, const char *text)
{
	struct cli *c = arg;

	if (c->format == CLI_TEXT)
		fprintf(c->log, "must be allowed: %s\n", text);
}

static bool find_list(const struct cli *c, char ret[CLI_PATH])
{
	static const char tree[] = "policies/must-allow.list";

	if (cli_path(c, PATH_POLICIES "/must-allow.list", ret) && files_exists(ret))
		return true;
	snprintf(ret, CLI_PATH, "%s", PATH_POLICIES "/must-allow.list");
	if (files_exists(ret))
		return true;
	if (!files_exists(tree))
		return false;
	snprintf(ret, CLI_PATH, "%s", tree);
	return true;
}

int lockout_check(struct cli *c, const struct image *img, bool required, json_t *doc, struct err *e)
{
	const char *given = cli_opt(c, "must-allow");
	char path[CLI_PATH];
	u8 *text = NULL;
	size_t n = 0;
	int r;

	if (!given && !find_list(c, path)) {
		if (required)
			return err_set(e, -DSI_ENOENT, "no must-allow list (%s): give one with --must-allow FILE",
				       PATH_POLICIES "/must-allow.list");
		json_object_set_new(doc, "must_allow", json_string("not checked, no list here"));
		return 0;
	}
	r = files_read(given ? given : path, LIST_MAX, &text, &n, e);
	if (r == 0)
		r = mustallow_check(img, given ? given : path, (const char *)text, n, failed_case, c, e);
	free(text);
	if (r == 0 && doc)
		json_object_set_new(doc, "must_allow", json_string("holds"));
	return r == -DSI_ENOTSAFE ? err_wrap(e, "this policy would lock you or DSI out") : r;
}
