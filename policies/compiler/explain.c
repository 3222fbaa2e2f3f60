/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One decision as a person reads it: the key in names, the rule's place in the source, or the nearest
 * rules that did not match and why. Must agree with image_decide(): it asks it.
 */
#include <string.h>

#include "policies/compiler/text.h"
#include "policies/compiler/vocab.h"
#include "policies/image.h"

enum { NEAR_SHOWN = 4 };

static void key_text(struct text *t, const struct image *img, const struct dsi_rule_key *key, u32 perm)
{
	char perms[128], sock[40];

	text_add(t, "%s -> ", text_sid(img, key->ssid));
	if (key->cls == DSI_CLASS_SOCKET) {
		vocab_socket_text(key->qual, sock, sizeof(sock));
		text_add(t, "socket %s", sock);
		return;
	}
	image_perms_text(key->cls, perm, perms, sizeof(perms));
	text_add(t, "%s: %s %s", key->ssid == key->tsid ? "self" : text_sid(img, key->tsid),
		 image_class_name(key->cls) ? image_class_name(key->cls) : "?", perms);
	if (key->cls != DSI_CLASS_TCP)
		return;
	text_add(t, " port ");
	text_pclass(t, img, key->qual);
	if (perm & (DSI_PERM_TCP_CONNECT | DSI_PERM_TCP_ACCEPT)) {
		text_add(t, key->tsid == DSI_SID_ANY ? " to " : " from ");
		text_nclass(t, img, key->nclass);
	}
}

void image_key_text(const struct image *img, const struct dsi_rule_key *key, u32 perm, char *dst, size_t cap)
{
	struct text t;

	text_init(&t, dst, cap);
	key_text(&t, img, key, perm);
}

/* How far a rule is from the question: 0 is nearest; UINT32_MAX: not near at all. */
static u32 rule_distance(const struct image_rule *r, const struct dsi_rule_key *key, u32 perm, u32 own_class)
{
	u32 d = 0;

	if (r->key.cls != key->cls || r->key.ssid != key->ssid)
		return UINT32_MAX;
	if (r->key.tsid != key->tsid && key->cls != DSI_CLASS_TCP)
		return UINT32_MAX;
	if (r->key.tsid != key->tsid)
		d += 4;
	if (!(r->allow & perm))
		d += key->cls == DSI_CLASS_TCP ? 8 : 2; /* other side of a connection: hardly near */
	if (r->key.qual != key->qual)
		d += 1;
	if (r->key.nclass != key->nclass)
		d += 2;
	if (r->where && !image_classes_has(r->where, own_class))
		d += 1;
	return d < 8 ? d : UINT32_MAX;
}

static void near_text(struct text *t, const struct image *img, const struct image_rule *r,
		      const struct dsi_rule_key *key, u32 perm, u32 own_class)
{
	text_add(t, "\n  %s:%u allows ", r->file, r->line);
	key_text(t, img, &r->key, r->allow);
	if (r->where && !image_classes_has(r->where, own_class)) {
		text_add(t, ", only on ");
		text_nodes(t, img, r->where);
	} else if (r->key.tsid == key->tsid && r->key.qual == key->qual && r->key.nclass == key->nclass) {
		if (!(r->allow & perm))
			text_add(t, ", not the permission asked for");
	}
}

/* The nearest rules, best first, each source line once. */
static void candidates(struct text *t, const struct image *img, const struct dsi_rule_key *key, u32 perm, u32 own_class)
{
	struct {
		u32 rule, distance;
	} best[NEAR_SHOWN];
	u32 n = 0, i, k;

	for (i = 0; i < image_count(img, IMAGE_RULES); i++) {
		struct image_rule r = image_rule(img, i), other;
		u32 d = rule_distance(&r, key, perm, own_class);

		for (k = 0; k < n; k++) {
			other = image_rule(img, best[k].rule);
			if (other.line == r.line && other.file == r.file)
				break;
		}
		if (d == UINT32_MAX || (k < n && best[k].distance <= d) || (k == n && n == NEAR_SHOWN && best[n - 1].distance <= d))
			continue;
		if (k == n && n < NEAR_SHOWN)
			n++;
		for (k = MIN(k, n - 1); k && best[k - 1].distance > d; k--)
			best[k] = best[k - 1];
		best[k].rule = i;
		best[k].distance = d;
	}
	if (!n && key->cls != DSI_CLASS_TCP && key->cls != DSI_CLASS_SOCKET)
		text_add(t, "; no rule lets `%s` do anything to %s `%s`", text_sid(img, key->ssid),
			 key->cls == DSI_CLASS_FILE ? "files of type" : "process", text_sid(img, key->tsid));
	if (n)
		text_add(t, "; nearest:");
	for (i = 0; i < n; i++) {
		struct image_rule r = image_rule(img, best[i].rule);

		near_text(t, img, &r, key, perm, own_class);
	}
}

/* Each rule that grants a part of perm on this node. */
static void granting(struct text *t, const struct image *img, const char *own, const struct dsi_rule_key *key, u32 perm)
{
	u32 last = DSI_RULE_NONE;
	const char *sep = "";

	for (u32 bit = 1; bit && bit <= perm; bit <<= 1) {
		struct image_why why;

		if (!(perm & bit) || image_decide(img, own, key, bit, &why) != IMAGE_ALLOWED || why.rule == last)
			continue;
		last = why.rule;
		text_add(t, "%s%s:%u", sep, image_rule(img, why.rule).file, image_rule(img, why.rule).line);
		sep = ", ";
	}
}

enum image_verdict image_explain(const struct image *img, const char *own, const struct dsi_rule_key *key, u32 perm,
				 char *dst, size_t cap)
{
	enum image_verdict v = image_decide(img, own, key, perm, NULL);
	struct image_context c;
	struct text t;

	text_init(&t, dst, cap);
	switch (v) {
	case IMAGE_ALLOWED:
		text_add(&t, "allowed by ");
		granting(&t, img, own, key, perm);
		break;
	case IMAGE_UNCONFINED:
		text_add(&t, "allowed: `%s` is unconfined", text_sid(img, key->ssid));
		if (image_context_of(img, key->ssid, &c) && c.file)
			text_add(&t, " (%s:%u)", c.file, c.line);
		break;
	case IMAGE_PERMISSIVE:
		text_add(&t, "no rule, but %s permissive: recorded, not refused",
			 img->flags & DSI_POLICY_PERMISSIVE ? "the policy is" : "the subject is");
		break;
	case IMAGE_REFUSED:
		text_add(&t, "no rule: default deny");
		candidates(&t, img, key, perm, image_nclass_of(img, own));
		break;
	}
	return v;
}
