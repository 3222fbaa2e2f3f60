/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Image -> records -> monitor. All records of an installation are made first (bounded by the image), then
 * sent in frames; the monitor sees nothing but fixed-size records and their counts.
 *
 * Must never: touch the kernel itself; leave a begun policy set behind (abort on any error).
 */
#include "dsid/acs/install.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/image.h"

struct batch { /* all records of one kind */
	u8 *data;
	u32 n, cap;
	size_t size;
};

struct job {
	struct job *next;
	u64 version;
	u8 digest[CRYPTO_HASH];
	u32 flags;
	int code; /* found before anything was sent */
	char text[256];
	struct batch batch[DSI_REC_COUNT];
	u32 kind, sent; /* cursor */
	bool begun, committed, abort_waits;
};

struct install {
	struct enforce *x;
	char own[LIM_NAME];
	install_fn *fn;
	void *ctx;
	struct job *first;
};

/* --- records ------------------------------------------------------------------------------------------ */

static const size_t record_size[] = {
#define X(name, n, type, max) [DSI_REC_##name] = sizeof(struct type),
	DSI_REC_TABLE(X)
#undef X
};

static void *batch_add(struct job *j, enum dsi_rec_kind kind)
{
	struct batch *b = &j->batch[kind];

	b->size = record_size[kind];
	if (b->n == b->cap) {
		u32 cap = b->cap ? 2 * b->cap : 64;
		u8 *data = realloc(b->data, cap * b->size);

		if (!data) {
			j->code = -DSI_ENOMEM;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return memset(b->data + b->n++ * b->size, 0, b->size);
}

static int add_rule(void *arg, const struct dsi_rule_key *key, const struct dsi_rule_value *value)
{
	struct dsi_rec_rule *r = batch_add(arg, DSI_REC_RULE);

	if (!r)
		return -DSI_ENOMEM;
	r->key = *key;
	r->value = *value;
	return 0;
}

static void add_contexts(struct job *j, const struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_CONTEXTS); i++) {
		struct image_context c = image_context(img, i);
		struct dsi_rec_context *r = batch_add(j, DSI_REC_CONTEXT);

		if (r)
			*r = (struct dsi_rec_context){ .sid = c.sid, .flags = c.flags };
	}
}

static void add_ports(struct job *j, const struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_PORTS); i++) {
		struct image_ports p = image_ports(img, i);
		struct dsi_rec_ports *r = batch_add(j, DSI_REC_PORTS);

		if (r)
			*r = (struct dsi_rec_ports){ .first = p.first, .last = p.last, .pclass = p.pclass };
	}
}

static void add_paths(struct job *j, const struct image *img)
{
	for (u32 i = 0; i < image_count(img, IMAGE_PATHS); i++) {
		struct image_path p = image_path(img, i);
		struct dsi_rec_label *r = batch_add(j, DSI_REC_LABEL);

		if (r) {
			r->sid = p.sid;
			snprintf(r->path, sizeof(r->path), "%s", p.path);
		}
	}
	for (u32 i = 0; i < image_count(img, IMAGE_EXECS); i++) {
		struct image_exec p = image_exec(img, i);
		struct dsi_rec_exec *r = batch_add(j, DSI_REC_EXEC);

		if (r) {
			r->from = p.from;
			r->to = p.to;
			snprintf(r->path, sizeof(r->path), "%s", p.path);
		}
	}
}

static void add_nodes(struct job *j, const struct image *img, const struct state *s)
{
	for (u32 i = 0; i < s->n_node; i++) {
		struct dsi_rec_nclass *r = batch_add(j, DSI_REC_NCLASS);

		if (r)
			*r = (struct dsi_rec_nclass){ .nid = s->node[i].nid, .nclass = image_nclass_of(img, s->node[i].name) };
	}
}

static void job_fill(struct job *j, const char *own, const u8 *bytes, size_t len, const struct state *s)
{
	struct err e = { 0 };
	struct image img;

	j->code = image_open(&img, bytes, len, &e);
	if (j->code) {
		snprintf(j->text, sizeof(j->text), "policy %llu: %.200s", (unsigned long long)j->version, e.text);
		return;
	}
	j->flags = img.flags;
	image_rules_for(&img, own, add_rule, j);
	add_contexts(j, &img);
	add_ports(j, &img);
	add_paths(j, &img);
	add_nodes(j, &img, s);
	if (j->code)
		snprintf(j->text, sizeof(j->text), "policy %llu: out of memory", (unsigned long long)j->version);
}

static void job_free(struct job *j)
{
	for (u32 k = 0; k < DSI_REC_COUNT; k++)
		free(j->batch[k].data);
	free(j);
}

/* --- sending ------------------------------------------------------------------------------------------ */

static void advance(struct install *i);

static void job_end(struct install *i, int code, const struct monop_committed *done, const char *text)
{
	struct job *j = i->first;

	i->first = j->next;
	i->fn(i->ctx, code, j->version, done, text);
	job_free(j);
	advance(i);
}

static void on_aborted(void *ctx, int code, const char *text, const void *p, size_t n)
{
	struct install *i = ctx;

	(void)code, (void)text, (void)p, (void)n;
	job_end(i, i->first->code, NULL, i->first->text);
}

/* Answers come in order: when the abort is answered, so is every record sent before it. */
static void on_put(void *ctx, int code, const char *text, const void *p, size_t n)
{
	struct install *i = ctx;
	struct job *j = i->first;

	(void)p, (void)n;
	if (!code || j->code || j->committed)
		return; /* the commit's answer carries the error */
	j->code = code;
	snprintf(j->text, sizeof(j->text), "%s", text);
	if (enforce_call(i->x, MONOP_POLICY_ABORT, NULL, 0, on_aborted, i))
		j->abort_waits = true;
}

static void on_committed(void *ctx, int code, const char *text, const void *p, size_t n)
{
	struct monop_committed done = { 0 };
	struct install *i = ctx;
	char line[400];

	if (!code && n == sizeof(done))
		memcpy(&done, p, sizeof(done));
	done.missing_path[sizeof(done.missing_path) - 1] = '\0';
	snprintf(line, sizeof(line), "%s", text);
	if (!code && done.missing)
		snprintf(line, sizeof(line), "%u paths not there yet, first %s", done.missing, done.missing_path);
	job_end(i, code, code ? NULL : &done, line);
}

static int send_begin(struct install *i, struct job *j)
{
	struct monop_begin b = { .policy_version = j->version, .policy_flags = j->flags };
	int rc;

	memcpy(b.digest, j->digest, sizeof(b.digest));
	for (u32 k = 1; k < DSI_REC_COUNT; k++)
		b.counts[k] = j->batch[k].n;
	rc = enforce_call(i->x, MONOP_POLICY_BEGIN, &b, sizeof(b), on_put, i);
	if (!rc) {
		j->begun = true;
		j->kind = 1;
	}
	return rc;
}

static int send_records(struct install *i, struct job *j)
{
	static u8 frame[MONOP_PAYLOAD];

	while (j->kind < DSI_REC_COUNT) {
		struct batch *b = &j->batch[j->kind];
		u32 room = (u32)((sizeof(frame) - MONOP_PUT_HEAD) / (b->size ? b->size : 1));
		u32 n = MIN(b->n - j->sent, room), kind = j->kind;
		int rc;

		if (!n) {
			j->kind++;
			j->sent = 0;
			continue;
		}
		memcpy(frame, &kind, 4);
		memcpy(frame + 4, &n, 4);
		memcpy(frame + MONOP_PUT_HEAD, b->data + j->sent * b->size, n * b->size);
		rc = enforce_call(i->x, MONOP_POLICY_PUT, frame, MONOP_PUT_HEAD + n * b->size, on_put, i);
		if (rc)
			return rc;
		j->sent += n;
	}
	return 0;
}

static void advance(struct install *i)
{
	struct job *j = i->first;
	int rc = 0;

	if (!j || j->committed)
		return;
	if (j->code && !j->begun) {
		job_end(i, j->code, NULL, j->text);
		return;
	}
	if (j->code) {
		if (j->abort_waits)
			j->abort_waits = enforce_call(i->x, MONOP_POLICY_ABORT, NULL, 0, on_aborted, i);
		return;
	}
	if (!j->begun)
		rc = send_begin(i, j);
	if (!rc)
		rc = send_records(i, j);
	if (!rc)
		rc = enforce_call(i->x, MONOP_POLICY_COMMIT, NULL, 0, on_committed, i);
	if (!rc)
		j->committed = true;
	else if (rc != -DSI_EAGAIN)
		job_end(i, rc, NULL, err_text(rc));
}

struct install *install_new(struct enforce *x, const char *own_node, install_fn *fn, void *ctx)
{
	struct install *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->x = x;
	i->fn = fn;
	i->ctx = ctx;
	snprintf(i->own, sizeof(i->own), "%s", own_node);
	return i;
}

void install_free(struct install *i)
{
	while (i && i->first) {
		struct job *j = i->first;

		i->first = j->next;
		job_free(j);
	}
	free(i);
}

void install_policy(struct install *i, u64 version, const u8 digest[CRYPTO_HASH], u8 *image, size_t len,
		    const struct state *nodes)
{
	struct job *j = calloc(1, sizeof(*j)), **at = &i->first;

	if (!j) {
		free(image);
		i->fn(i->ctx, -DSI_ENOMEM, version, NULL, "out of memory");
		return;
	}
	j->version = version;
	memcpy(j->digest, digest, CRYPTO_HASH);
	job_fill(j, i->own, image, len, nodes);
	free(image);
	while (*at)
		at = &(*at)->next;
	*at = j;
	if (i->first == j)
		advance(i);
}

void install_drained(struct install *i)
{
	advance(i);
}

bool install_busy(const struct install *i)
{
	return i->first;
}
