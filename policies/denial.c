/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A refusal in words. Pure: image and numbers in, JSON out. */
#include "policies/denial.h"

#include <stdio.h>
#include <string.h>

static json_t *sid_name(const struct image *img, u32 sid)
{
	const char *name = img ? image_sid_name(img, sid) : NULL;
	char text[32];

	if (name)
		return json_string(name);
	snprintf(text, sizeof(text), "sid %u", sid);
	return json_string(text);
}

static void key_of(const struct body_denial *d, struct dsi_rule_key *key)
{
	*key = (struct dsi_rule_key){ .ssid = d->ssid, .tsid = d->tsid, .nclass = (dsi_u16)d->nclass,
				      .qual = (dsi_u16)d->qual, .cls = d->cls };
}

json_t *denial_record(const struct image *img, const struct denial_names *names, u32 nid, u64 id,
		      const struct body_denial *d)
{
	char perms[128] = "", why[512] = "";
	const char *cls = image_class_name(d->cls), *snode = names->node;
	struct dsi_rule_key key;
	json_t *o = json_object();

	key_of(d, &key);
	image_perms_text(d->cls, d->perms, perms, sizeof(perms));
	if (img && d->cls)
		image_explain(img, names->node, &key, d->perms, why, sizeof(why));
	if (d->snid)
		snode = names->node_name(names->ctx, d->snid);
	else if (d->ssid == DSI_SID_OUTSIDE)
		snode = "outside";
	json_object_set_new(o, "id", json_integer((json_int_t)id));
	json_object_set_new(o, "wall_ms", json_integer((json_int_t)d->wall_ms));
	json_object_set_new(o, "node", json_string(names->node));
	json_object_set_new(o, "nid", json_integer(nid));
	json_object_set_new(o, "subject", sid_name(img, d->ssid));
	json_object_set_new(o, "subject_node", json_string(snode));
	json_object_set_new(o, "target", sid_name(img, d->tsid));
	json_object_set_new(o, "class", json_string(cls ? cls : ""));
	json_object_set_new(o, "perms", json_string(perms));
	json_object_set_new(o, "port", json_integer(d->port));
	json_object_set_new(o, "reason", json_string(d->reason_text));
	json_object_set_new(o, "detail", json_string(d->detail));
	json_object_set_new(o, "comm", json_string(d->comm));
	json_object_set_new(o, "pid", json_integer(d->pid));
	json_object_set_new(o, "policy", json_integer((json_int_t)d->version));
	json_object_set_new(o, "enforced", json_boolean(d->enforced));
	json_object_set_new(o, "count", json_integer(d->count));
	json_object_set_new(o, "rule", json_string(why[0] ? why : d->reason_text));
	return o;
}
