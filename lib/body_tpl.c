/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bodies as tpl images. The only file that includes tpl.h.
 *
 * tpl trusts its input: it exits the program on what it calls fatal, reads past an image whose flags byte
 * was changed, and takes array counts as signed. So no foreign byte reaches it before guard() has walked
 * the whole image with a cursor of our own and found it to be exactly one that we could have written.
 * All memory tpl asks for comes from a bounded arena of this call, so that the jump out of its fatal hook
 * leaks nothing and a hostile image cannot make it grow.
 *
 * Must never: call tpl_gather, TPL_FD or TPL_FILE; let tpl print; leave a pointer into tpl's memory in a
 * result. Invariant: body_decode() succeeds exactly on images that body_encode() makes, and then encoding
 * the result gives the same bytes.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <tpl.h>

#include "lib/body.h"
#include "lib/err.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tpl writes native order; ours is little-endian");

enum {
	HEAD = 8,                /* "tpl", flags, u32 length */
	FLAGS = 2,               /* little-endian, strings as length + 1; nothing else is accepted */
	FORMAT_MAX = 1 + 4 * BODY_FIELDS + 1,
	ARGS = 1 + BODY_FIELDS,
};

/* --- hooks: memory from an arena of this thread's call, a jump instead of exit(-1) ------------------- */

struct scope {
	struct arena arena;
	jmp_buf out;
};
static __thread struct scope *scope;

static void *hook_malloc(size_t n)
{
	return scope ? arena_alloc(&scope->arena, n ? n : 1) : NULL;
}

static void *hook_realloc(void *p, size_t n)
{
	return NULL; /* only for '#' formats, which we do not use */
}

static void hook_free(void *p)
{
}

static int hook_oops(const char *fmt, ...)
{
	return 0;
}

static DSI_NORETURN void hook_fatal(const char *fmt, ...)
{
	if (!scope)
		abort();
	longjmp(scope->out, 1);
}

extern tpl_hook_t tpl_hook;
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static void hooks_install(void)
{
	tpl_hook = (tpl_hook_t){ hook_oops, hook_malloc, hook_realloc, hook_free, hook_fatal, 1 };
}

/* Run fn with tpl's memory and failures confined to this call. */
static int confined(int (*fn)(void *job), void *job, size_t memory)
{
	struct scope s;
	volatile int rc = -DSI_ENOMEM;

	pthread_once(&hooks_once, hooks_install);
	arena_init(&s.arena, memory);
	scope = &s;
	if (!setjmp(s.out))
		rc = fn(job);
	scope = NULL;
	arena_fini(&s.arena);
	return rc;
}

/* --- schema to tpl format ------------------------------------------------------------------------- */

enum shape { SHAPE_U32, SHAPE_U64, SHAPE_BIN, SHAPE_STR, SHAPE_LIST };
static const struct kind {
	enum shape shape;
	const char *format;
	size_t size; /* of the member; fixed length of SHAPE_BIN, capacity of SHAPE_STR */
} kinds[] = {
	[BODY_u32] = { SHAPE_U32, "u", 4 },
	[BODY_u64] = { SHAPE_U64, "U", 8 },
	[BODY_key] = { SHAPE_BIN, "B", 32 },
	[BODY_hash] = { SHAPE_BIN, "B", 32 },
	[BODY_sig] = { SHAPE_BIN, "B", 64 },
	[BODY_id16] = { SHAPE_BIN, "B", 16 },
	[BODY_str] = { SHAPE_STR, "s", LIM_NAME },
	[BODY_text] = { SHAPE_STR, "s", LIM_PATH },
	[BODY_blob] = { SHAPE_BIN, "B", 0 },
	[BODY_blobs] = { SHAPE_LIST, "A(B)", 0 },
};

static void format_of(const struct body_schema *s, char ret[FORMAT_MAX])
{
	size_t n = 1;

	ret[0] = 's';
	for (u32 i = 0; i < s->n_fields; i++) {
		const char *f = kinds[s->fields[i].kind].format;

		memcpy(ret + n, f, strlen(f));
		n += strlen(f);
	}
	ret[n] = 0;
}

/* One variable per field that tpl packs from and unpacks into. */
union slot {
	u32 u32;
	u64 u64;
	char *str;
	tpl_bin bin;
};

static tpl_node *map(const struct body_schema *s, char *name, char **name_slot, union slot *v)
{
	char format[FORMAT_MAX];
	void *a[ARGS] = { NULL };

	format_of(s, format);
	*name_slot = name;
	a[0] = name_slot;
	for (u32 i = 0; i < s->n_fields; i++)
		a[i + 1] = &v[i];
	_Static_assert(ARGS == 32, "as many as are passed here");
	return tpl_map(format, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13],
		       a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26], a[27],
		       a[28], a[29], a[30], a[31]);
}

/* --- encoding ------------------------------------------------------------------------------------- */

struct encode_job {
	const struct body_schema *s;
	const u8 *st;
	struct wbuf *w;
};

static bool blob_ok(const struct blob *b)
{
	return b->n <= LIM_DIRECT_FRAME && (b->p || !b->n);
}

static tpl_bin bin_of(const struct blob *b)
{
	return (tpl_bin){ (void *)(uintptr_t)b->p, (uint32_t)b->n };
}

/* Copies a field into its slot; -DSI_EINVAL when the struct does not hold what the schema says. */
static int slot_fill(const struct body_field *f, const u8 *member, union slot *v)
{
	const struct kind *k = &kinds[f->kind];

	if (f->kind == BODY_blob) {
		const struct blob *b = (const void *)member;

		if (!blob_ok(b))
			return -DSI_EINVAL;
		v->bin = bin_of(b);
		return 0;
	}
	switch (k->shape) {
	case SHAPE_U32:
		memcpy(&v->u32, member, 4);
		return 0;
	case SHAPE_U64:
		memcpy(&v->u64, member, 8);
		return 0;
	case SHAPE_BIN:
		v->bin = (tpl_bin){ (void *)(uintptr_t)member, (uint32_t)k->size };
		return 0;
	case SHAPE_STR:
		v->str = (char *)(uintptr_t)member;
		return memchr(member, 0, k->size) ? 0 : -DSI_EINVAL;
	case SHAPE_LIST:
		break; /* packed item by item */
	}
	return 0;
}

static int list_pack(tpl_node *tn, int list, const struct blobs *b, union slot *v)
{
	if (b->n > BODY_ITEMS || (b->n && !b->v))
		return -DSI_EINVAL;
	for (u32 i = 0; i < b->n; i++) {
		if (!blob_ok(&b->v[i]))
			return -DSI_EINVAL;
		v->bin = bin_of(&b->v[i]);
		if (tpl_pack(tn, list) < 0)
			return -DSI_ENOMEM;
	}
	return 0;
}

static int encode(void *job)
{
	struct encode_job *j = job;
	union slot v[BODY_FIELDS] = { 0 };
	char *name;
	tpl_node *tn = map(j->s, (char *)(uintptr_t)j->s->name, &name, v);
	int list = 0;
	size_t size;
	u8 *room;

	if (!tn)
		return -DSI_EINVAL;
	for (u32 i = 0; i < j->s->n_fields; i++) {
		const struct body_field *f = &j->s->fields[i];
		int rc = slot_fill(f, j->st + f->offset, &v[i]);

		if (!rc && f->kind == BODY_blobs)
			rc = list_pack(tn, ++list, (const void *)(j->st + f->offset), &v[i]);
		if (rc)
			return rc;
	}
	if (tpl_pack(tn, 0) < 0 || tpl_dump(tn, TPL_GETSIZE, &size) < 0)
		return -DSI_ENOMEM;
	if (size > LIM_DIRECT_FRAME)
		return -DSI_ELIMIT;
	room = wbuf_reserve(j->w, size);
	if (!room)
		return -DSI_ELIMIT;
	return tpl_dump(tn, TPL_MEM | TPL_PREALLOCD, room, size) < 0 ? -DSI_ENOMEM : 0;
}

/* tpl's nodes and copies of everything: a few times the struct's variable parts, and then some. */
enum { ENCODE_MEMORY = 8 * LIM_DIRECT_FRAME };

int body_encode(const struct body_schema *s, const void *st, struct wbuf *w)
{
	struct encode_job j = { s, st, w };

	return confined(encode, &j, ENCODE_MEMORY);
}

/* --- decoding: the guard -------------------------------------------------------------------------- */

static int guard_bin(struct rbuf *r, size_t fixed)
{
	u32 n = rbuf_u32(r);

	if (fixed && rbuf_ok(r) && n != fixed)
		return -DSI_EPARSE;
	return rbuf_bytes(r, n) || !n ? 0 : -DSI_ETRUNC;
}

static int guard_str(struct rbuf *r, size_t cap)
{
	u32 n = rbuf_u32(r); /* strlen + 1; 0 would be NULL */
	const u8 *p;

	if (!rbuf_ok(r))
		return -DSI_ETRUNC;
	if (!n || n > cap)
		return -DSI_EPARSE;
	p = rbuf_bytes(r, n - 1);
	if (!p && n > 1)
		return -DSI_ETRUNC;
	return n > 1 && memchr(p, 0, n - 1) ? -DSI_EPARSE : 0;
}

static int guard_list(struct rbuf *r)
{
	u32 n = rbuf_u32(r);

	if (rbuf_ok(r) && n > BODY_ITEMS)
		return -DSI_ELIMIT;
	for (u32 i = 0; i < n && rbuf_ok(r); i++) {
		int rc = guard_bin(r, 0);

		if (rc)
			return rc;
	}
	return rbuf_ok(r) ? 0 : -DSI_ETRUNC;
}

static int guard_field(struct rbuf *r, const struct kind *k)
{
	switch (k->shape) {
	case SHAPE_U32:
		rbuf_u32(r);
		break;
	case SHAPE_U64:
		rbuf_u64(r);
		break;
	case SHAPE_BIN:
		return guard_bin(r, k->size);
	case SHAPE_STR:
		return guard_str(r, k->size);
	case SHAPE_LIST:
		return guard_list(r);
	}
	return rbuf_ok(r) ? 0 : -DSI_ETRUNC;
}

static int guard_head(struct rbuf *r, const struct body_schema *s, size_t n)
{
	char format[FORMAT_MAX];
	const u8 *p = rbuf_bytes(r, 4);
	u32 inner = rbuf_u32(r), name;
	size_t len;

	if (!rbuf_ok(r))
		return -DSI_ETRUNC;
	if (memcmp(p, "tpl", 3) || p[3] != FLAGS || inner != n)
		return -DSI_EPARSE;
	format_of(s, format);
	len = strlen(format) + 1;
	p = rbuf_bytes(r, len);
	if (!p || memcmp(p, format, len))
		return -DSI_EPARSE;
	name = rbuf_u32(r);
	len = strlen(s->name);
	p = rbuf_ok(r) && name == len + 1 ? rbuf_bytes(r, len) : NULL;
	return p && !memcmp(p, s->name, len) ? 0 : -DSI_EPARSE;
}

static int guard(const struct body_schema *s, const u8 *p, size_t n)
{
	struct rbuf r;
	int rc;

	if (n < HEAD)
		return -DSI_ETRUNC;
	if (n > LIM_DIRECT_FRAME)
		return -DSI_ELIMIT;
	rbuf_init(&r, p, n);
	rc = guard_head(&r, s, n);
	for (u32 i = 0; !rc && i < s->n_fields; i++)
		rc = guard_field(&r, &kinds[s->fields[i].kind]);
	return rc ? rc : rbuf_end(&r) ? -DSI_EPARSE : 0;
}

/* --- decoding: what passed ------------------------------------------------------------------------ */

struct decode_job {
	const struct body_schema *s;
	const u8 *p;
	size_t n;
	u8 *st;
	struct arena *arena;
};

static int blob_take(struct arena *a, const tpl_bin *bin, struct blob *ret)
{
	u8 *p = arena_alloc(a, bin->sz ? bin->sz : 1);

	if (!p)
		return -DSI_ENOMEM;
	if (bin->sz)
		memcpy(p, bin->addr, bin->sz);
	*ret = (struct blob){ p, bin->sz };
	return 0;
}

static int list_take(tpl_node *tn, int list, union slot *v, struct arena *a, struct blobs *ret)
{
	int n = tpl_Alen(tn, list);

	if (n < 0 || n > BODY_ITEMS)
		return -DSI_ELIMIT;
	ret->v = n ? arena_array(a, (size_t)n, sizeof(*ret->v)) : NULL;
	if (n && !ret->v)
		return -DSI_ENOMEM;
	for (int i = 0; i < n; i++) {
		if (tpl_unpack(tn, list) <= 0)
			return -DSI_EPARSE;
		if (blob_take(a, &v->bin, &ret->v[i]))
			return -DSI_ENOMEM;
	}
	ret->n = (u32)n;
	return 0;
}

static int slot_take(const struct body_field *f, const union slot *v, u8 *member, struct arena *a)
{
	const struct kind *k = &kinds[f->kind];

	if (f->kind == BODY_blob)
		return blob_take(a, &v->bin, (void *)member);
	switch (k->shape) {
	case SHAPE_U32:
		memcpy(member, &v->u32, 4);
		return 0;
	case SHAPE_U64:
		memcpy(member, &v->u64, 8);
		return 0;
	case SHAPE_BIN:
		if (v->bin.sz != k->size)
			return -DSI_EPARSE;
		memcpy(member, v->bin.addr, k->size);
		return 0;
	case SHAPE_STR:
		if (!v->str || strlen(v->str) >= k->size)
			return -DSI_EPARSE;
		strcpy((char *)member, v->str);
		return 0;
	case SHAPE_LIST:
		break;
	}
	return 0;
}

static int decode(void *job)
{
	struct decode_job *j = job;
	union slot v[BODY_FIELDS] = { 0 };
	char *name;
	tpl_node *tn = map(j->s, NULL, &name, v);
	int list = 0;

	if (!tn || tpl_load(tn, TPL_MEM, j->p, j->n) || tpl_unpack(tn, 0) <= 0)
		return -DSI_EPARSE;
	for (u32 i = 0; i < j->s->n_fields; i++) {
		const struct body_field *f = &j->s->fields[i];
		u8 *member = j->st + f->offset;
		int rc = f->kind == BODY_blobs ? list_take(tn, ++list, &v[i], j->arena, (void *)member) :
						 slot_take(f, &v[i], member, j->arena);
		if (rc)
			return rc;
	}
	return 0;
}

enum { DECODE_BASE = 64 << 10 };

int body_decode(const struct body_schema *s, const u8 *p, size_t n, void *ret, struct arena *a)
{
	struct decode_job j = { s, p, n, ret, a };
	int rc;

	memset(ret, 0, s->size);
	rc = guard(s, p, n);
	if (!rc) /* an item of a list costs tpl far less than 256 bytes beside its own */
		rc = confined(decode, &j, DECODE_BASE + 4 * n + (size_t)BODY_ITEMS * 256);
	if (rc)
		memset(ret, 0, s->size);
	return rc;
}
