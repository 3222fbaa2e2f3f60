/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/difftext.h"

#include "cli/render.h"
#include "policies/compiler/diff.h"

enum { DIFF_ARENA = 512 << 20 };

struct lines {
	FILE *f;
	u32 max, n;
};

static void one_line(void *arg, char sign, const char *line)
{
	struct lines *l = arg;

	if (l->max && l->n++ >= l->max)
		return;
	fprintf(l->f, "%c ", sign);
	render_escaped(l->f, line);
	fputc('\n', l->f);
}

int difftext_print(FILE *f, const struct image *old, const struct image *now, u32 max, struct err *e)
{
	struct lines l = { .f = f, .max = max };
	struct arena a;
	int n;

	arena_init(&a, DIFF_ARENA);
	n = policy_diff(old, now, &a, one_line, &l);
	arena_fini(&a);
	if (n < 0)
		return err_set(e, n, "cannot compare the policies: %s", err_text(n));
	if (max && (u32)n > max)
		fprintf(f, "... and %u more differences (dsi-admin policy diff shows all)\n", (u32)n - max);
	if (n == 0)
		fprintf(f, "no difference in what is allowed\n");
	return 0;
}
