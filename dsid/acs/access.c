/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instances of access control. Must never: free one whose installation is under way; let two install at once. */
#include "dsid/acs/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "policies/image.h"

struct access {
	struct access *next; /* older */
	struct engine *g;
	struct install *install;
	bool ended;
};

void access_reap(struct engine *g)
{
	for (struct access **p = &g->access; *p;) {
		struct access *a = *p;

		if (!a->ended || install_busy(a->install)) {
			p = &a->next;
			continue;
		}
		*p = a->next;
		install_free(a->install);
		free(a);
	}
}

void access_free(struct engine *g)
{
	while (g->access) {
		struct access *a = g->access;

		g->access = a->next;
		install_free(a->install);
		free(a);
	}
}

struct install *access_install(struct engine *g)
{
	for (const struct access *a = g->access; a; a = a->next)
		if (install_busy(a->install))
			return NULL;
	return g->access && !g->access->ended ? g->access->install : NULL;
}

void access_drained(struct engine *g)
{
	for (struct access *a = g->access; a; a = a->next)
		install_drained(a->install);
}

static int start(void *env, void **ret)
{
	struct engine *g = env;
	struct access *a = calloc(1, sizeof(*a));

	if (!a)
		return -DSI_ENOMEM;
	a->g = g;
	a->install = install_new(g->enforce, g->conf.node, engine_installed, g);
	if (!a->install) {
		free(a);
		return -DSI_ENOMEM;
	}
	a->next = g->access;
	g->access = a;
	*ret = a;
	engine_sync(g); /* what waits to be installed */
	return 0;
}

static void stop(void *instance)
{
	struct access *a = instance;

	a->ended = true; /* an installation under way comes to its end: the monitor waits for it */
	engine_sync(a->g);
}

static void answer_state(struct access *a, const struct service_call *call)
{
	static const char *const modes[] = { "off", "permissive", "enforcing" };
	struct engine *g = a->g;
	u32 mode = g->kernel.mode;
	json_t *o = json_pack("{s:I, s:s, s:b, s:I, s:s}", "policy", (json_int_t)g->policy_enforced, "mode",
			      !g->kernel.can_enforce || mode >= ARRAY_SIZE(modes) ? "not enforcing" : modes[mode], "busy",
			      install_busy(a->install), "lost", (json_int_t)denials_lost(g->denials), "why", engine_detail(g));
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	service_local_answer(call->s, call->at, call->ticket, text ? 0 : -DSI_ENOMEM, text, text ? strlen(text) : 0);
	free(text);
	json_decref(o);
}

/* "file", "read" -> numbers; false: no such. */
static bool right_named(const char *cls, const char *perm, u32 *ret_cls, u32 *ret_perm)
{
	for (u32 c = 1; c < DSI_CLASS_COUNT; c++)
		for (u32 bit = 1; image_class_name(c) && !strcmp(image_class_name(c), cls) && bit; bit <<= 1)
			if (image_perm_name(c, bit) && !strcmp(image_perm_name(c, bit), perm)) {
				*ret_cls = c;
				*ret_perm = bit;
				return true;
			}
	return false;
}

static void answer_may(struct access *a, const struct service_call *call, const char *text)
{
	char target[64], cls[32], perm[32], more[2], why[512], out[640];
	struct dsi_rule_key key = { .ssid = call->caller.sid };
	struct engine *g = a->g;
	enum image_verdict v;
	struct image img;
	u8 *bytes = NULL;
	u32 bit, class;
	int rc = 0;

	if (sscanf(text, "may %63s %31s %31s %1s", target, cls, perm, more) != 3 || !right_named(cls, perm, &class, &bit))
		rc = -DSI_EINVAL;
	else if (!key.ssid || !engine_image(g, &img, &bytes) || !image_sid_by_name(&img, target, &key.tsid))
		rc = -DSI_ENOENT;
	if (!rc) {
		key.cls = class;
		v = image_explain(&img, g->conf.node, &key, bit, why, sizeof(why));
		snprintf(out, sizeof(out), "%s: %s", v == IMAGE_REFUSED ? "no" : "yes", why);
	}
	service_local_answer(call->s, call->at, call->ticket, rc, rc ? NULL : out, rc ? 0 : strlen(out));
	free(bytes);
}

static void request(void *instance, const struct service_call *call)
{
	char text[160];

	snprintf(text, sizeof(text), "%.*s", (int)MIN(call->len, sizeof(text) - 1), (const char *)call->data);
	if (!strcmp(text, "state"))
		answer_state(instance, call);
	else if (!strncmp(text, "may ", 4))
		answer_may(instance, call, text);
	else
		service_local_answer(call->s, call->at, call->ticket, -DSI_EINVAL, NULL, 0);
}

static int health(void *instance, char *why, size_t cap)
{
	struct access *a = instance;
	struct engine *g = a->g;

	snprintf(why, cap, "%s", engine_detail(g));
	if (g->have_kernel && !g->kernel.can_enforce)
		return SERVICE_DEGRADED;
	return g->lagging ? SERVICE_DEGRADED : 0;
}

const struct service_ops access_service = {
	.name = "dsi.access", .api = 1, .start = start, .stop = stop, .request = request, .health = health,
};
