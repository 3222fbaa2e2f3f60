/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drafts. What is reliable (facts of Debian's packages): programs and their units, configuration below /etc/NAME, state and
 * log directories below /var, families of sockets; ports only as far as `listen` and `port` lines go; peers not at all.
 * Must never copy text of its input into the draft but names and paths that were checked, nor give a right without saying
 * why. Invariant: the draft with policies/base compiles.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policies/compiler/image_format.h"
#include "policies/compiler/infer.h"
#include "policies/compiler/vocab.h"

enum { DOMAINS = 4, CLAIMS = 32, PORTS = 32, WORD = IMAGE_PATH_MAX + 1, REASON = IMAGE_PATH_MAX + 120, NAME_ROOM = 12 };

enum claim_kind { CLAIM_CONFIG, CLAIM_CONTENT, CLAIM_STATE, CLAIM_LOG, CLAIM_CACHE, CLAIM_KINDS };

static const struct {
	const char *suffix, *rights, *why;
} kinds[CLAIM_KINDS] = {
	[CLAIM_CONFIG] = { "config", "read", "it reads its configuration" },
	[CLAIM_CONTENT] = { "content", "read", "it gives out what lies there" },
	[CLAIM_STATE] = { "state", "read write create delete setattr", "it keeps its state" },
	[CLAIM_LOG] = { "log", "read write create delete setattr", "it writes its logs, and opens them again when they are rotated" },
	[CLAIM_CACHE] = { "cache", "read write create delete setattr", "it keeps a cache" },
};

/* Where whose directories lie. parts: how many parts of the path make one. owned: the last part has to look like ours. */
static const struct {
	const char *below;
	u32 parts;
	enum claim_kind kind;
	bool owned;
} places[] = {
	{ "/etc/", 2, CLAIM_CONFIG, true },     { "/var/lib/", 3, CLAIM_STATE, true },   { "/var/spool/", 3, CLAIM_STATE, true },
	{ "/var/log/", 3, CLAIM_LOG, true },    { "/var/cache/", 3, CLAIM_CACHE, true }, { "/var/www/", 2, CLAIM_CONTENT, false },
	{ "/srv/", 2, CLAIM_CONTENT, false },
};

/* Names that policies/base has, besides the reserved ones. */
static const char *const base_names[] = {
	"rootfs", "system", "boot", "etc", "shadow", "secrets", "null_devices", "devices", "terminals", "proc", "sys", "tmp", "run",
	"run_systemd", "var", "srv", "log", "home", "root_home", "base_read", "dsi_admin", "operator_keys", "cluster_config",
};

/* Directories of /etc that many packages put files into. */
static const char *const shared_etc[] = {
	"default", "init.d", "logrotate.d", "cron.d", "cron.daily", "cron.hourly", "cron.weekly", "cron.monthly", "ufw", "apt",
	"systemd", "pam.d", "ssl", "ssh", "sudoers.d", "profile.d", "apparmor.d", "security", "sysctl.d", "modprobe.d", "init",
	"network", "udev", "rsyslog.d", "tmpfiles.d", "dsi", "corosync", "pacemaker", "pki", "sysconfig", "bash_completion.d",
};

/* What policies/base has rules for already. */
static const char *const base_dirs[] = { "dsi", "corosync", "pacemaker" };
static const char *const base_programs[] = { "/usr/sbin/dsid", "/usr/sbin/dsi-ss", "/usr/sbin/dsi-admin" };

struct claim {
	char path[WORD], reason[REASON];
	enum claim_kind kind;
	u32 service;
};

struct dom {
	char name[IMAGE_NAME_MAX + 1], program[WORD], file[WORD], reason[REASON];
	u32 service;
};

struct port {
	u16 number;
	bool local; /* on the loopback only */
	char reason[REASON];
};

/* What the units of a service say. */
struct habits {
	char run[REASON], notify[REASON], own_view[REASON], families[REASON];
	bool family_unix, family_inet, family_inet6, family_netlink;
};

struct draft {
	const struct infer_service *s; /* under way */
	u32 service;
	infer_real_fn *real;
	void *ctx;
	struct wbuf *out;
	struct dom doms[INFER_SERVICES * DOMAINS];
	u32 n_doms, first_dom; /* those of the service from first_dom on */
	struct claim claims[INFER_SERVICES * CLAIMS];
	u32 n_claims;
	struct port ports[PORTS];
	u32 n_ports;
	bool local_bind;
	struct habits habits;
};

/* --- texts ------------------------------------------------------------------------------------------- */

struct line {
	const char *s;
	size_t n;
	u32 number; /* from 1 */
};

static bool next_line(const struct infer_text *t, struct line *l)
{
	const char *from = l->s ? l->s + l->n + 1 : t->s, *end = t->s + t->n, *nl;

	if (from >= end)
		return false;
	nl = memchr(from, '\n', (size_t)(end - from));
	*l = (struct line){ from, (size_t)((nl ? nl : end) - from), l->number + 1 };
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line from *at on, without quotes and `;`; false at its end, or at a comment. Overlong: cut. */
static bool next_word(const struct line *l, size_t *at, char ret[WORD])
{
	size_t n = 0;

	while (*at < l->n && (is_space(l->s[*at]) || l->s[*at] == '"' || l->s[*at] == '\'' || l->s[*at] == ';'))
		++*at;
	if (*at == l->n || l->s[*at] == '#')
		return false;
	while (*at < l->n && !is_space(l->s[*at]) && !strchr("\"';", l->s[*at])) {
		if (!l->s[*at])
			return false;
		if (n < WORD - 1)
			ret[n++] = l->s[*at];
		++*at;
	}
	ret[n] = '\0';
	return n > 0;
}

/* "Key=": what is behind it, as a line of its own. */
static bool unit_value(const struct line *l, const char *key, struct line *ret)
{
	size_t n = strlen(key);

	if (l->n <= n || memcmp(l->s, key, n) || l->s[n] != '=')
		return false;
	*ret = (struct line){ l->s + n + 1, l->n - n - 1, l->number };
	return true;
}

/* A path that may stand in a policy: also /var/run is /run, and there is no slash at the end. */
static bool clean_path(char *p)
{
	size_t n;

	if (!strncmp(p, "/var/run/", 9))
		memmove(p, p + 4, strlen(p + 4) + 1);
	n = strlen(p);
	while (n > 1 && p[n - 1] == '/')
		p[--n] = '\0';
	return !image_path_invalid(p, n) && !strchr(p, '"') && !strpbrk(p, "*?$%\\[]()|<>~");
}

static void reason(char ret[REASON], const char *fmt, ...) DSI_PRINTF(2, 3);

static void reason(char ret[REASON], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(ret, REASON, fmt, ap);
	va_end(ap);
}

static bool in(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, list[i]))
			return true;
	return false;
}

static bool listed(const struct draft *d, const char *path)
{
	for (u32 i = 0; i < d->s->n_lists; i++) {
		struct line l = { NULL, 0, 0 };

		while (next_line(&d->s->lists[i], &l))
			if (l.n == strlen(path) && !memcmp(l.s, path, l.n))
				return true;
	}
	return false;
}

/* --- programs ---------------------------------------------------------------------------------------- */

/* Is the name taken, by the language, the base policy, or another program? */
static bool name_taken(const struct draft *d, const char *name)
{
	const char *tail = strrchr(name, '_');

	if (vocab_reserved(name) || in(name, base_names, ARRAY_SIZE(base_names)))
		return true;
	for (u32 i = 0; tail && i < CLAIM_KINDS; i++)
		if (!strcmp(tail + 1, kinds[i].suffix)) /* what a type of another may be called */
			return true;
	for (u32 i = 0; i < d->n_doms; i++)
		if (!strcmp(d->doms[i].name, name))
			return true;
	return false;
}

static bool name_of(const struct draft *d, const char *program, char ret[IMAGE_NAME_MAX + 1])
{
	const char *base = strrchr(program, '/') + 1;
	size_t n = strlen(base);

	/* room for _content, _2 and a phase */
	if (n > IMAGE_NAME_MAX - 2 * NAME_ROOM || !image_name_valid(base, n) || base[0] == '-' || base[0] == '.')
		return false;
	(void)snprintf(ret, IMAGE_NAME_MAX + 1, "%s", base);
	for (u32 i = 2; name_taken(d, ret); i++) {
		if (i > 9)
			return false;
		(void)snprintf(ret, IMAGE_NAME_MAX + 1, "%s_%u", base, i);
	}
	return true;
}

/* A number alone is no name. */
static bool is_number(const char *s)
{
	return strspn(s, "0123456789-") == strlen(s);
}

static void add_program(struct draft *d, const struct infer_text *unit, char *program)
{
	struct dom *x;
	const char *file;

	while (*program && strchr("@-:+!|", *program))
		memmove(program, program + 1, strlen(program));
	if (!clean_path(program) || in(program, base_programs, ARRAY_SIZE(base_programs)) || !listed(d, program) ||
	    d->n_doms - d->first_dom == DOMAINS)
		return;
	file = d->real(d->ctx, program);
	for (u32 i = 0; i < d->n_doms; i++)
		if (!strcmp(d->doms[i].program, program) || (file && !strcmp(d->doms[i].file, file)))
			return;
	x = &d->doms[d->n_doms];
	memset(x, 0, sizeof(*x));
	if (!file || strlen(file) >= WORD || is_number(strrchr(program, '/') + 1) || !name_of(d, program, x->name))
		return;
	(void)snprintf(x->program, sizeof(x->program), "%s", program);
	(void)snprintf(x->file, sizeof(x->file), "%s", file);
	if (!clean_path(x->file))
		return;
	reason(x->reason, "ExecStart of %s", unit->name);
	x->service = d->service;
	d->n_doms++;
}

/* --- directories ------------------------------------------------------------------------------------- */

/* "redis" is redis-server's, "nginx" is nginx's. */
static bool looks_like_ours(const struct draft *d, const char *part)
{
	size_t n = strlen(part);

	for (u32 i = d->first_dom; i < d->n_doms; i++)
		if (!strncmp(d->doms[i].name, part, MIN(n, strlen(d->doms[i].name))))
			return true;
	return n && !strncmp(d->s->package, part, MIN(n, strlen(d->s->package)));
}

/* Cut to as many parts as make a directory of one service; false: has fewer. */
static bool cut(char *path, u32 parts)
{
	u32 n = 0;

	for (char *p = path; *p; p++)
		if (*p == '/' && n++ == parts) {
			*p = '\0';
			return true;
		}
	return n >= parts;
}

static void claim(struct draft *d, const char *path, const char *fmt, ...) DSI_PRINTF(3, 4);

static void claim(struct draft *d, const char *path, const char *fmt, ...)
{
	char p[WORD];
	struct claim *c;
	va_list ap;
	size_t i;

	(void)snprintf(p, sizeof(p), "%s", path);
	if (!clean_path(p))
		return;
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!strncmp(p, places[i].below, strlen(places[i].below)))
			break;
	if (i == ARRAY_SIZE(places) || !cut(p, places[i].parts))
		return;
	if (in(strrchr(p, '/') + 1, base_dirs, ARRAY_SIZE(base_dirs)))
		return;
	if (places[i].owned && !looks_like_ours(d, strrchr(p, '/') + 1))
		return;
	if (places[i].kind == CLAIM_CONFIG && in(strrchr(p, '/') + 1, shared_etc, ARRAY_SIZE(shared_etc)))
		return;
	for (u32 k = 0; k < d->n_claims; k++)
		if (!strcmp(d->claims[k].path, p))
			return;
	if (d->n_claims == ARRAY_SIZE(d->claims))
		return;
	c = &d->claims[d->n_claims++];
	memset(c, 0, sizeof(*c));
	memcpy(c->path, p, sizeof(p));
	c->kind = places[i].kind;
	c->service = d->service;
	va_start(ap, fmt);
	(void)vsnprintf(c->reason, sizeof(c->reason), fmt, ap);
	va_end(ap);
}

/* A directory of /etc is ours when we have something in it; a file of /etc itself is read as `etc`. */
static void read_lists(struct draft *d)
{
	for (u32 i = 0; i < d->s->n_lists; i++) {
		const struct infer_text *t = &d->s->lists[i];
		struct line l = { NULL, 0, 0 };
		char path[WORD];

		while (next_line(t, &l)) {
			if (!l.n || l.n >= WORD || l.s[0] != '/' || memchr(l.s, '\0', l.n))
				continue;
			memcpy(path, l.s, l.n);
			path[l.n] = '\0';
			if (!strncmp(path, "/etc/", 5) && !strchr(path + 5, '/'))
				continue;
			claim(d, path, "of package %s", t->name);
		}
	}
}

/* --- units ------------------------------------------------------------------------------------------- */

static void unit_directories(struct draft *d, const struct infer_text *u, const struct line *l)
{
	static const struct {
		const char *key, *below;
	} keys[] = { { "StateDirectory", "/var/lib/" }, { "LogsDirectory", "/var/log/" }, { "CacheDirectory", "/var/cache/" },
		     { "ReadWritePaths", "" }, { "ReadWriteDirectories", "" } };
	char word[WORD], path[WORD + 16];
	struct line v;
	size_t at;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!unit_value(l, keys[i].key, &v))
			continue;
		for (at = 0; next_word(&v, &at, word);) {
			(void)snprintf(path, sizeof(path), "%s%s", keys[i].below, word + strspn(word, "-+"));
			if (strlen(path) < WORD)
				claim(d, path, "%s= in %s:%u", keys[i].key, u->name, l->number);
		}
	}
}

static void unit_families(struct draft *d, const struct infer_text *u, const struct line *l)
{
	struct habits *h = &d->habits;
	char word[WORD];
	struct line v;
	size_t at = 0;

	if (!unit_value(l, "RestrictAddressFamilies", &v) || (v.n && v.s[0] == '~'))
		return;
	while (next_word(&v, &at, word)) {
		h->family_unix |= !strcmp(word, "AF_UNIX");
		h->family_inet |= !strcmp(word, "AF_INET");
		h->family_inet6 |= !strcmp(word, "AF_INET6");
		h->family_netlink |= !strcmp(word, "AF_NETLINK");
	}
	if (h->family_unix || h->family_inet || h->family_inet6 || h->family_netlink)
		reason(h->families, "RestrictAddressFamilies= in %s:%u", u->name, l->number);
}

static bool value_is(const struct line *l, const char *key, const char *value)
{
	struct line v;

	return unit_value(l, key, &v) && v.n >= strlen(value) && !memcmp(v.s, value, strlen(value));
}

static void unit_habits(struct draft *d, const struct infer_text *u, const struct line *l)
{
	struct habits *h = &d->habits;
	struct line v;

	if (unit_value(l, "RuntimeDirectory", &v))
		reason(h->run, "RuntimeDirectory= in %s:%u; it comes and goes with the service, so it has no type of its own",
		       u->name, l->number);
	else if (!h->run[0] && (value_is(l, "PIDFile", "/run/") || value_is(l, "PIDFile", "/var/run/")))
		reason(h->run, "PIDFile= in %s:%u", u->name, l->number);
	if (value_is(l, "Type", "notify"))
		reason(h->notify, "Type=notify in %s:%u", u->name, l->number);
	if (value_is(l, "PrivateDevices", "true") || value_is(l, "PrivateDevices", "yes") || value_is(l, "PrivateTmp", "true") ||
	    value_is(l, "PrivateTmp", "yes") || value_is(l, "ProtectProc", "invisible"))
		reason(h->own_view, "%.*s in %s:%u: file systems of its own, below no labelled path",
		       (int)((const char *)memchr(l->s, '=', l->n) - l->s), l->s, u->name, l->number);
}

static void read_units(struct draft *d)
{
	char word[WORD];
	struct line v;
	size_t at;

	for (u32 i = 0; i < d->s->n_units; i++) {
		struct line l = { NULL, 0, 0 };

		while (next_line(&d->s->units[i], &l)) {
			at = 0;
			if (unit_value(&l, "ExecStart", &v) && next_word(&v, &at, word))
				add_program(d, &d->s->units[i], word);
		}
	}
	for (u32 i = 0; i < d->s->n_units; i++) {
		struct line l = { NULL, 0, 0 };

		while (next_line(&d->s->units[i], &l)) {
			unit_directories(d, &d->s->units[i], &l);
			unit_families(d, &d->s->units[i], &l);
			unit_habits(d, &d->s->units[i], &l);
		}
	}
}

/* --- configuration ----------------------------------------------------------------------------------- */

static bool is_word(const char *word, const char *lower)
{
	size_t i;

	for (i = 0; lower[i]; i++)
		if ((word[i] | 0x20) != lower[i])
			return false;
	return !word[i];
}

static bool is_loopback(const char *address)
{
	return !strncmp(address, "127.", 4) || !strncmp(address, "-127.", 5) || !strncmp(address, "[::1]", 5) ||
	       !strcmp(address, "::1") || !strcmp(address, "-::1") || !strncmp(address, "localhost", 9);
}

/* "80", "[::]:80", "*:80", "127.0.0.1:80": its port; 0: none. */
static u16 port_of(const char *word)
{
	const char *colon = strrchr(word, ':'), *digits = colon ? colon + 1 : word;
	unsigned long v = strtoul(digits, NULL, 10);

	return *digits && strspn(digits, "0123456789") == strlen(digits) && v <= UINT16_MAX ? (u16)v : 0;
}

static void add_port(struct draft *d, const struct infer_text *t, const struct line *l, const char *word)
{
	u16 number = port_of(word);
	bool local = is_loopback(word);

	if (!number)
		return;
	for (u32 i = 0; i < d->n_ports; i++)
		if (d->ports[i].number == number) {
			d->ports[i].local &= local;
			return;
		}
	if (d->n_ports == PORTS)
		return;
	d->ports[d->n_ports] = (struct port){ .number = number, .local = local };
	reason(d->ports[d->n_ports++].reason, "%s:%u", t->name, l->number);
}

static void conf_line(struct draft *d, const struct infer_text *t, const struct line *l)
{
	char word[WORD], first[WORD];
	bool all_local = true, any = false;
	size_t at = 0;

	if (!next_word(l, &at, first))
		return;
	while (next_word(l, &at, word)) {
		if (word[0] == '/')
			claim(d, word, "named in %s:%u", t->name, l->number);
		if (!any && (is_word(first, "listen") || is_word(first, "port")))
			add_port(d, t, l, word);
		all_local &= is_loopback(word);
		any = true;
		if (word[0] == '/' && !strncmp(word, "/run/", 5) && !d->habits.run[0] && clean_path(word))
			reason(d->habits.run, "%s, named in %s:%u", word, t->name, l->number);
	}
	if (is_word(first, "bind") && any)
		d->local_bind = all_local;
}

/* /etc/default/x is about starting it, /etc/logrotate.d/x about its logs: only what lies in a directory of its own. */
static bool conf_is_shared(const char *path)
{
	char part[WORD];

	if (strncmp(path, "/etc/", 5) || !strchr(path + 5, '/'))
		return true;
	(void)snprintf(part, sizeof(part), "%.*s", (int)strcspn(path + 5, "/"), path + 5);
	return in(part, shared_etc, ARRAY_SIZE(shared_etc));
}

static void read_confs(struct draft *d)
{
	for (u32 i = 0; i < d->s->n_confs; i++) {
		struct line l = { NULL, 0, 0 };

		if (conf_is_shared(d->s->confs[i].name))
			continue;

		while (next_line(&d->s->confs[i], &l))
			conf_line(d, &d->s->confs[i], &l);
	}
}

/* --- writing ----------------------------------------------------------------------------------------- */

static void say(struct draft *d, const char *fmt, ...) DSI_PRINTF(2, 3);

static void say(struct draft *d, const char *fmt, ...)
{
	char buf[3 * WORD];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	wbuf_bytes(d->out, buf, (size_t)MIN(n, (int)sizeof(buf) - 1));
}

static void say_path(struct draft *d, const char *path)
{
	const char *quote = strpbrk(path, " ;,{}#") ? "\"" : "";

	say(d, "%s%s%s", quote, path, quote);
}

/* The service's domains as a subject. */
static void say_subject(struct draft *d)
{
	bool several = d->n_doms - d->first_dom > 1;

	say(d, "allow %s", several ? "{ " : "");
	for (u32 i = d->first_dom; i < d->n_doms; i++)
		say(d, "%s%s", d->doms[i].name, several ? " " : "");
	say(d, "%s", several ? "}" : "");
}

static void rule(struct draft *d, const char *why, const char *what)
{
	say(d, "# %s\n", why);
	say_subject(d);
	say(d, " %s;\n", what);
}

static void write_domains(struct draft *d)
{
	for (u32 i = d->first_dom; i < d->n_doms; i++) {
		struct dom *x = &d->doms[i];

		say(d, "# %s", x->reason);
		if (strcmp(x->program, x->file))
			say(d, "; %s is a link, and `exec` names files", x->program);
		say(d, "\ndomain %s {\n\texec ", x->name);
		say_path(d, x->file);
		say(d, ";\n\tfrom default;\n}\n\n");
	}
}

static void write_claims(struct draft *d)
{
	const char *owner = d->doms[d->first_dom].name;
	char what[200];

	for (u32 kind = 0; kind < CLAIM_KINDS; kind++) {
		bool any = false;

		for (u32 i = 0; i < d->n_claims; i++) {
			if (d->claims[i].service != d->service || d->claims[i].kind != (enum claim_kind)kind)
				continue;
			say(d, "# %s\nfiles %s_%s { ", d->claims[i].reason, owner, kinds[kind].suffix);
			say_path(d, d->claims[i].path);
			say(d, "; }\n");
			any = true;
		}
		if (!any)
			continue;
		(void)snprintf(what, sizeof(what), "%s_%s:file { %s }", owner, kinds[kind].suffix, kinds[kind].rights);
		rule(d, kinds[kind].why, what);
		say(d, "\n");
	}
}

static void write_files(struct draft *d)
{
	rule(d, "every program: the loader, libraries, locale, users, hosts", "base_read:file { read }");
	rule(d, "shared libraries and modules", "system:file { map }");
	rule(d, "/dev/null", "null_devices:file { write }");
	if (d->habits.run[0])
		rule(d, d->habits.run, "run:file { read write create delete setattr }");
	if (d->habits.own_view[0])
		rule(d, d->habits.own_view, "unlabeled:file { read }");
	rule(d, "its workers and helpers, and a reload from its unit", "self:process { signal }");
	say(d, "\n");
}

static void write_sockets(struct draft *d)
{
	const struct habits *h = &d->habits;
	char what[200] = "socket { ";
	const char *sep = "";
	size_t n = strlen(what);
	const struct {
		bool on;
		const char *text;
	} all[] = { { h->family_unix, "unix stream, unix dgram" },    { h->family_inet, "inet stream, inet dgram" },
		    { h->family_inet6, "inet6 stream, inet6 dgram" }, { h->family_netlink, "netlink raw" } };

	if (!h->families[0]) {
		rule(d, "no unit says which: clients, names of hosts and users, syslog",
		     "socket { inet stream, inet6 stream, inet dgram, inet6 dgram, unix stream, unix dgram, netlink raw }");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!all[i].on)
			continue;
		n += (size_t)snprintf(what + n, sizeof(what) - n, "%s%s", sep, all[i].text);
		sep = ", ";
	}
	if (h->notify[0] && !h->family_unix)
		n += (size_t)snprintf(what + n, sizeof(what) - n, ", unix dgram");
	(void)snprintf(what + n, sizeof(what) - n, " }");
	rule(d, h->families, what);
}

static void write_ports(struct draft *d)
{
	char what[200];

	for (u32 i = 0; i < d->n_ports; i++) {
		const struct port *p = &d->ports[i];

		(void)snprintf(what, sizeof(what), "self:tcp { bind listen } port %u", p->number);
		rule(d, p->reason, what);
		for (u32 k = d->first_dom; k < d->n_doms; k++) {
			if (p->local || d->local_bind)
				say(d, "# it listens on the loopback only: `default` needs no rule there, name who else may come to %s\n",
				    d->doms[k].name);
			else
				say(d, "# who may come: everybody, as without DSI; say who should\n"
				       "allow { outside default@* } %s@*:tcp { connect } port %u;\n", d->doms[k].name, p->number);
		}
	}
	if (!d->n_ports)
		say(d, "# No `listen` or `port` line in its configuration: if it listens, say where and for whom.\n");
	say(d, "# Nothing says whom it connects to: allow NAME@* PEER@*:tcp { connect } port N; or NAME outside:tcp.\n");
}

static int draft_service(struct draft *d, const struct infer_service *s, struct err *e)
{
	d->s = s;
	d->first_dom = d->n_doms;
	d->n_ports = 0;
	d->local_bind = false;
	memset(&d->habits, 0, sizeof(d->habits));
	read_units(d);
	if (d->n_doms == d->first_dom)
		return err_set(e, -DSI_ENOENT, "%s: no service unit of it, or of another package of its source, starts a program of "
			       "theirs that is not drafted already", s->package);
	read_lists(d);
	read_confs(d);
	say(d, "\n# ---- %s: package%s", s->package, s->n_lists == 1 ? "" : "s");
	for (u32 i = 0; i < s->n_lists; i++)
		say(d, "%s %s", i ? "," : "", s->lists[i].name);
	say(d, " ----\n\n");
	write_domains(d);
	write_claims(d);
	write_files(d);
	write_sockets(d);
	write_ports(d);
	return 0;
}

int infer_draft(const struct infer_service *s, u32 n, bool enforcing, infer_real_fn *real, void *ctx, struct wbuf *out,
		struct err *e)
{
	struct draft *d = calloc(1, sizeof(*d));
	int rc = 0;

	if (!d)
		return err_set(e, -DSI_ENOMEM, "out of memory");
	d->real = real;
	d->ctx = ctx;
	d->out = out;
	if (n > INFER_SERVICES)
		rc = err_set(e, -DSI_ELIMIT, "at most %d packages at once", INFER_SERVICES);
	say(d, "# A draft by `dsi-admin policy infer`, to be read, and given together with the base policy. Above each statement\n"
	       "# stands why it is there.%s\n\npolicy \"inferred\" {\n\tmode %s;\n}\n",
	    enforcing ? "" : " Refusals are recorded and let through until it says `enforcing`.", enforcing ? "enforcing" : "permissive");
	for (d->service = 0; !rc && d->service < n; d->service++)
		rc = draft_service(d, &s[d->service], e);
	free(d);
	if (!rc && !wbuf_ok(out))
		rc = err_set(e, -DSI_ENOMEM, "out of memory");
	return rc;
}
