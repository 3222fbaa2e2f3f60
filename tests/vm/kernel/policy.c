// SPDX-License-Identifier: GPL-2.0-or-later
/* A policy by hand: rules, labels and entries as records, loaded like dsid does. */
struct set {
	u64 version;
	u32 flags, default_flags;
	struct dsi_rec_rule rules[64];
	struct dsi_rec_label labels[16];
	struct dsi_rec_exec execs[16];
	u32 n_rules, n_labels, n_execs;
};

static void rule(struct set *s, u32 ssid, u32 tsid, u32 nclass, u32 qual, u32 cls, u32 perms)
{
	struct dsi_rec_rule *r = &s->rules[s->n_rules];

	*r = (struct dsi_rec_rule){ { ssid, tsid, (u16)nclass, (u16)qual, cls }, { perms, s->n_rules } };
	s->n_rules++;
}

static void file_rule(struct set *s, u32 ssid, u32 tsid, u32 perms)
{
	rule(s, ssid, tsid, DSI_NCLASS_LOCAL, 0, DSI_CLASS_FILE, perms);
}

static void label(struct set *s, const char *path, u32 sid)
{
	struct dsi_rec_label *r = &s->labels[s->n_labels++];

	memset(r, 0, sizeof(*r));
	r->sid = sid;
	strcpy(r->path, path);
}

static void exec_entry(struct set *s, const char *path, u32 from, u32 to)
{
	struct dsi_rec_exec *r = &s->execs[s->n_execs++];

	memset(r, 0, sizeof(*r));
	r->from = from;
	r->to = to;
	strcpy(r->path, path);
}

enum { RX = DSI_PERM_FILE_READ | DSI_PERM_FILE_EXECUTE | DSI_PERM_FILE_MAP };

static void set_base(struct set *s, u64 version)
{
	static const u32 confined[] = { APP, WEB, SRV };

	memset(s, 0, sizeof(*s));
	s->version = version;
	s->default_flags = DSI_CTX_UNCONFINED;
	label(s, "/lib", BIN);
	label(s, "/lib64", BIN);
	label(s, "/usr", BIN);
	label(s, "/bin", BIN);
	label(s, "/srv/bin", BIN);
	label(s, "/srv/data", DATA);
	label(s, "/srv/secret", SECRET);
	label(s, "/nowhere/at/all", SECRET);
	label(s, "/etc", ETC);
	exec_entry(s, "/srv/bin/app", DSI_SID_DEFAULT, APP);
	exec_entry(s, "/srv/bin/web", DSI_SID_DEFAULT, WEB);
	exec_entry(s, "/srv/bin/web", APP, WEB);
	exec_entry(s, "/srv/bin/srv", DSI_SID_DEFAULT, SRV);
	exec_entry(s, "/srv/bin/srv", APP, SRV);
	for (u32 i = 0; i < ARRAY_SIZE(confined); i++) {
		file_rule(s, confined[i], BIN, RX);
		file_rule(s, confined[i], ETC, DSI_PERM_FILE_READ);
		rule(s, confined[i], confined[i], 0, DSI_SOCKET_QUAL(AF_INET, SOCK_STREAM), DSI_CLASS_SOCKET, DSI_PERM_SOCKET_CREATE);
		rule(s, confined[i], confined[i], 0, DSI_SOCKET_QUAL(AF_INET6, SOCK_STREAM), DSI_CLASS_SOCKET, DSI_PERM_SOCKET_CREATE);
	}
	file_rule(s, APP, DATA, DSI_PERM_FILE_READ | DSI_PERM_FILE_CREATE);
	rule(s, APP, SRV, 0, 0, DSI_CLASS_PROCESS, DSI_PERM_PROCESS_TRANSITION);
	rule(s, APP, DSI_SID_ANY, 0, PC_WEB, DSI_CLASS_TCP, DSI_PERM_TCP_CONNECT);
	rule(s, APP, SRV, 0, PC_WEB, DSI_CLASS_TCP, DSI_PERM_TCP_ACCEPT);
	rule(s, WEB, DSI_SID_ANY, 0, PC_WEB, DSI_CLASS_TCP, DSI_PERM_TCP_CONNECT);
	rule(s, SRV, SRV, 0, PC_WEB, DSI_CLASS_TCP, DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN);
	rule(s, SRV, SRV, 0, PC_OPEN, DSI_CLASS_TCP, DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN);
	rule(s, DSI_SID_OUTSIDE, SRV, DSI_NCLASS_OUTSIDE, PC_OPEN, DSI_CLASS_TCP, DSI_PERM_TCP_ACCEPT);
	rule(s, APP, SRV, 7, PC_WEB, DSI_CLASS_TCP, DSI_PERM_TCP_ACCEPT);
	rule(s, DSI_SID_DEFAULT, DSI_SID_ANY, DSI_NCLASS_OUTSIDE, PC_OPEN, DSI_CLASS_TCP, DSI_PERM_TCP_CONNECT);
}

static int by_key(const void *x, const void *y)
{
	const struct dsi_rule_key *a = x, *b = y;
	const u32 v[] = { a->ssid, a->tsid, a->nclass, a->qual, a->cls }, w[] = { b->ssid, b->tsid, b->nclass, b->qual, b->cls };

	for (u32 i = 0; i < ARRAY_SIZE(v); i++)
		if (v[i] != w[i])
			return v[i] < w[i] ? -1 : 1;
	return 0;
}

static int set_load(struct kern *k, const struct set *s, struct mapset_report *ret)
{
	struct mapset_head h = { .policy_version = s->version, .policy_flags = s->flags, .digest = { 0xd5 } };
	struct dsi_rec_context ctx[] = { { DSI_SID_DEFAULT, s->default_flags }, { DSI_SID_KERNEL, DSI_CTX_UNCONFINED },
					 { DSI_SID_DSI, DSI_CTX_UNCONFINED }, { APP, 0 }, { WEB, 0 }, { SRV, 0 } };
	struct dsi_rec_ports ports[] = { { PORT, PORT, PC_WEB }, { PORT_OPEN, PORT_OPEN, PC_OPEN } };
	struct dsi_rec_nclass nc[] = { { 3, 7 } };
	struct dsi_rec_rule sorted[ARRAY_SIZE(s->rules)];
	struct err e = { 0 };
	struct mapset *m;
	int r;

	memcpy(sorted, s->rules, sizeof(sorted));
	qsort(sorted, s->n_rules, sizeof(sorted[0]), by_key);
	h.counts[DSI_REC_RULE] = s->n_rules;
	h.counts[DSI_REC_CONTEXT] = ARRAY_SIZE(ctx);
	h.counts[DSI_REC_PORTS] = ARRAY_SIZE(ports);
	h.counts[DSI_REC_NCLASS] = ARRAY_SIZE(nc);
	h.counts[DSI_REC_LABEL] = s->n_labels;
	h.counts[DSI_REC_EXEC] = s->n_execs;
	r = mapset_begin(k, &h, &m, &e);
	if (!r) {
		r = mapset_put(m, DSI_REC_RULE, sorted, s->n_rules, &e);
		if (!r)
			r = mapset_put(m, DSI_REC_CONTEXT, ctx, ARRAY_SIZE(ctx), &e);
		if (!r)
			r = mapset_put(m, DSI_REC_PORTS, ports, ARRAY_SIZE(ports), &e);
		if (!r)
			r = mapset_put(m, DSI_REC_NCLASS, nc, ARRAY_SIZE(nc), &e);
		if (!r)
			r = mapset_put(m, DSI_REC_LABEL, s->labels, s->n_labels, &e);
		if (!r)
			r = mapset_put(m, DSI_REC_EXEC, s->execs, s->n_execs, &e);
		if (r)
			mapset_abort(m);
		else
			r = mapset_commit(m, ret, &e);
	}
	if (r)
		printf("# load: %s\n", e.text);
	return r;
}
