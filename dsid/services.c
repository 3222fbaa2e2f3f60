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

#include "dsid/acs/access.h"
#include "dsid/builtin.h"
#include "dsid/engine.h"
#include "kernel/ring.h"
#include "policies/image.h"

struct services {
	struct engine *g;
	struct service *shell;
	struct builtins *builtins;
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
		   enum dsi_reason reason, const char *text)
{
	struct body_denial d = { .ssid = t->sid, .tsid = type, .cls = DSI_CLASS_SERVICE, .perms = perm, .reason = reason,
				 .enforced = true, .version = s->image_version, .pid = t->pid, .count = 1 };

	snprintf(d.comm, sizeof(d.comm), "%s", comm);
	snprintf(d.reason_text, sizeof(d.reason_text), "%s", text);
	snprintf(d.detail, sizeof(d.detail), "service %s, uid %u", name, t->uid);
	denials_put(s->g->denials, &d);
}

/* `service =` of dsid.conf; none: any. */
static bool predefined(const struct dsid_conf *conf, const char *name)
{
	size_t len = strlen(name);
	const char *p = conf->services;

	if (!*p)
		return true;
	for (; *p; p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\n");

		if (n == len && !memcmp(p, name, n))
			return true;
		p += n;
	}
	return false;
}

static int may(void *ctx, const struct svc_task *t, const char *comm, const char *name, u32 perm)
{
	struct services *s = ctx;
	const struct image *img = image_now(s);
	u32 type = img ? image_type_of_service(img, name) : DSI_SID_UNLABELED;
	struct dsi_rule_key key = { t->sid, type, DSI_NCLASS_LOCAL, 0, DSI_CLASS_SERVICE };
	enum image_verdict v = img && t->sid ? image_decide(img, s->g->conf.node, &key, perm, NULL) : IMAGE_UNCONFINED;

	/* DSI's own names take a rule, from root too: who asks for dsi.access means us. */
	bool root = !t->uid && strncmp(name, "dsi.", 4);

	if (perm == DSI_PERM_SERVICE_ANNOUNCE && !predefined(&s->g->conf, name)) {
		record(s, t, comm, name, perm, type, DSI_REASON_UNCONFINED, "not among the services that dsid.conf lists");
		return -DSI_EPERM;
	}
	if (v == IMAGE_ALLOWED || (v != IMAGE_REFUSED && (perm == DSI_PERM_SERVICE_USE || root)))
		return 0;
	record(s, t, comm, name, perm, type, v == IMAGE_REFUSED ? DSI_REASON_NO_RULE :
	       t->sid		  ? DSI_REASON_UNCONFINED :
				    DSI_REASON_NO_LABEL,
	       v == IMAGE_REFUSED ? event_reason_text(DSI_REASON_NO_RULE) : "no rule lets it announce this, and it is not root or the name is DSI's");
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

unsigned services_connections(const struct services *s)
{
	return service_connections(s->shell);
}

static const char *state_of(const struct reg_row *r, const struct builtin_row *b)
{
	if (r->draining)
		return "draining";
	return b && b->health ? "degraded" : "serving";
}

static const struct builtin_row *builtin_named(const struct services *s, const char *name, struct builtin_row *row)
{
	for (u32 i = 0; builtins_row(s->builtins, i, row); i++)
		if (!strcmp(row->name, name))
			return row;
	return NULL;
}

static json_t *row_json(const char *name, const char *version, const char *kind, const char *state, const struct reg_row *r,
			const struct builtin_row *b)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:i, s:s}", "name", name, "version", version,
			 "kind", kind, "state", state, "api", (int)r->api, "caps", (int)r->caps, "pid", (int)r->pid, "uid",
			 (int)r->who.uid, "context", (int)r->who.sid, "waiting", (int)r->calls, "answered", (json_int_t)r->answered,
			 "restarts", b ? (int)b->restarts : 0, "why", b && b->why[0] ? b->why : "");
}

json_t *services_rows(const struct services *s)
{
	struct reg_row rows[LIM_SERVICES];
	u32 n = registry_rows(service_registry(s->shell), rows);
	struct builtin_row b;
	json_t *list = json_array();

	for (u32 i = 0; i < n; i++) {
		const struct builtin_row *own = builtin_named(s, rows[i].name, &b);

		json_array_append_new(list, row_json(rows[i].name, rows[i].version, own ? "builtin" : "provider",
						     state_of(&rows[i], own), &rows[i], own));
	}
	for (u32 i = 0; builtins_row(s->builtins, i, &b); i++) /* those that nobody provides at the moment */
		if (!b.conn)
			json_array_append_new(list, row_json(b.name, DSI_VERSION, "builtin", b.stopped ? "stopped" : "failed",
							     &(struct reg_row){ 0 }, &b));
	return list;
}

int services_do(struct services *s, enum services_do what, const char *name, const char **ret_text)
{
	int rc = what == SERVICES_RESTART ? builtins_restart(s->builtins, name) :
		 what == SERVICES_REPLACE ? builtins_replace(s->builtins, name) :
					    builtins_stop(s->builtins, name);

	*ret_text = "";
	if (rc != -DSI_ENOENT) {
		if (rc)
			*ret_text = rc == -DSI_EAGAIN ? "earlier instances still answer what they have" : err_text(rc);
		return rc;
	}
	if (what == SERVICES_REPLACE) {
		struct svc_frame found;

		rc = registry_look(service_registry(s->shell), name, &found);
		*ret_text = rc ? "no such service" : "a program of its own provides it: start the new one, it takes over when it announces";
		return rc ? rc : -DSI_EUSAGE;
	}
	rc = service_stop(s->shell, name);
	*ret_text = rc			     ? "no such service" :
		    what == SERVICES_RESTART ? "told to end; who started it starts it again" :
					       "told to end";
	return rc;
}

static void changed(void *ctx)
{
	struct services *s = ctx;

	discovery_changed(s->g->discovery);
}

u32 services_registered(const struct services *s, struct reg_row ret[LIM_SERVICES])
{
	return registry_rows(service_registry(s->shell), ret);
}

static const struct service_env env = { .nid = nid, .who = who, .may = may, .changed = changed };

struct services *services_new(struct engine *g, int listener)
{
	struct services *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->g = g;
	s->shell = service_new(g->loop, listener, &env, s);
	s->builtins = s->shell ? builtins_new(g->loop, s->shell, g) : NULL;
	if (s->builtins && !builtins_add(s->builtins, &access_service))
		return s;
	services_free(s);
	return NULL;
}

void services_free(struct services *s)
{
	if (!s)
		return;
	builtins_free(s->builtins);
	service_free(s->shell);
	free(s->image_bytes);
	free(s);
}
