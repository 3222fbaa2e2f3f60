/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service socket in the engine: its questions become privileged operations and decisions of the policy.
 *
 * Must never: take a program's word for anything; refuse without recording it.
 */
#include "dsid/services.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsid/engine.h"
#include "dsid/service.h"
#include "kernel/ring.h"
#include "policies/image.h"

struct services {
	struct engine *g;
	struct service *shell;
	/* the policy in force, opened: judged by for each request */
	struct image image;
	u8 *image_bytes;
	u64 image_version;
	u8 image_digest[CRYPTO_HASH];
	bool image_known;
};

/* --- who -------------------------------------------------------------------------------------------------- */

struct who_call {
	struct services *s;
	u64 token;
};

static void on_peer(void *ctx, int code, const char *text, const void *p, size_t n)
{
	struct who_call *c = ctx;
	struct monop_peer peer = { 0 };

	if (!code && n == sizeof(peer))
		memcpy(&peer, p, sizeof(peer));
	else if (!code)
		code = -DSI_EPEER;
	service_told(c->s->shell, c->token, code, &peer);
	free(c);
}

static int who(void *ctx, u32 pid, u64 token)
{
	struct services *s = ctx;
	struct who_call *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -DSI_ENOMEM;
	*c = (struct who_call){ s, token };
	rc = enforce_call(s->g->enforce, MONOP_PEER, &pid, sizeof(pid), on_peer, c);
	if (rc)
		free(c);
	return rc;
}

static u32 nid(void *ctx)
{
	struct services *s = ctx;

	return replica_nid(s->g->replica);
}

/* --- may -------------------------------------------------------------------------------------------------- */

/* The image by which the log says to judge. Opened once for each policy. */
static const struct image *image_now(struct services *s)
{
	const struct state_policy *p = &replica_state(s->g->replica)->policy;

	if (!p->version)
		return NULL;
	if (s->image_version == p->version && !memcmp(s->image_digest, p->digest, CRYPTO_HASH) && s->image_known)
		return &s->image;
	free(s->image_bytes);
	s->image_known = engine_image(s->g, &s->image, &s->image_bytes);
	s->image_version = p->version;
	memcpy(s->image_digest, p->digest, CRYPTO_HASH);
	return s->image_known ? &s->image : NULL;
}

static void record(struct services *s, const struct svc_task *t, const char *comm, const char *name, u32 perm, u32 type,
		   enum dsi_reason reason)
{
	struct body_denial d = { .ssid = t->sid, .tsid = type, .cls = DSI_CLASS_SERVICE, .perms = perm, .reason = reason,
				 .enforced = true, .version = s->image_version, .pid = t->pid, .count = 1 };

	snprintf(d.comm, sizeof(d.comm), "%s", comm);
	snprintf(d.reason_text, sizeof(d.reason_text), "%s",
		 reason == DSI_REASON_NO_RULE ? event_reason_text(reason) : "no rule lets it announce this, and it is not root");
	snprintf(d.detail, sizeof(d.detail), "service %s, uid %u", name, t->uid);
	denials_put(s->g->denials, &d);
}

static int may(void *ctx, const struct svc_task *t, const char *comm, const char *name, u32 perm)
{
	struct services *s = ctx;
	const struct image *img = image_now(s);
	u32 type = img ? image_type_of_service(img, name) : DSI_SID_UNLABELED;
	struct dsi_rule_key key = { t->sid, type, DSI_NCLASS_LOCAL, 0, DSI_CLASS_SERVICE };
	enum image_verdict v = img && t->sid ? image_decide(img, s->g->conf.node, &key, perm, NULL) : IMAGE_UNCONFINED;

	if (v == IMAGE_ALLOWED || (v != IMAGE_REFUSED && (perm == DSI_PERM_SERVICE_USE || !t->uid)))
		return 0;
	record(s, t, comm, name, perm, type, v == IMAGE_REFUSED ? DSI_REASON_NO_RULE :
	       t->sid		  ? DSI_REASON_UNCONFINED :
				    DSI_REASON_NO_LABEL);
	return -DSI_EPERM;
}

/* --- life ------------------------------------------------------------------------------------------------- */

json_t *services_refused(const struct services *s)
{
	json_t *o = json_object();

	for (u32 i = 0; i < SERVICE_REFUSED_COUNT; i++)
		json_object_set_new(o, service_refused_name(i), json_integer((json_int_t)service_refused(s->shell, i)));
	return o;
}

static const struct service_env env = { .nid = nid, .who = who, .may = may };

struct services *services_new(struct engine *g, int listener)
{
	struct services *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->g = g;
	s->shell = service_new(g->loop, listener, &env, s);
	if (s->shell)
		return s;
	free(s);
	return NULL;
}

void services_free(struct services *s)
{
	if (!s)
		return;
	service_free(s->shell);
	free(s->image_bytes);
	free(s);
}
