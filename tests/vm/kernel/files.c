// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading, and what the policy says of files: labels, moves, names that come later, overlays. */
static void test_load(void)
{
	struct actor before = START(APPX, "sleep");
	struct mapset_report rep;
	struct kern_status st;
	struct mapset_missing miss;
	struct err e = { 0 };
	u32 sid = 0;
	int r = kern_open(&k, NULL, &e);

	check(!r, "load and attach %s", e.text);
	if (r) {
		printf("RESULT %d %d 0\n", passed, failed);
		exit(1);
	}
	check(DO(APPX, "read", "/srv/secret/f") == 0, "no policy, no refusal");
	set_base(&base, 1);
	check(!kern_mode_set(k, DSI_MODE_ENFORCING, &e), "enforcing mode %s", e.text);
	check(!set_load(k, &base, &rep), "policy 1 in force");
	printf("# arm %llu us, swap %llu us, sweep %llu us, total %llu us\n", (unsigned long long)rep.arm_us,
	       (unsigned long long)rep.swap_us, (unsigned long long)rep.sweep_us, (unsigned long long)rep.total_us);
	check(rep.missing == 1 && mapset_missing(k, 0, &miss) && !strcmp(miss.path, "/nowhere/at/all") && miss.error == ENOENT,
	      "a missing path is told, not fatal (%u)", rep.missing);
	check(rep.tasks_labelled == 1 && !kern_task_sid(k, (u32)before.pid, &sid, &e) && sid == APP,
	      "a program that ran before has its context (%u labelled, sid %u)", rep.tasks_labelled, sid);
	stop(&before);
	kern_status(k, &st, &e);
	check(st.attached && st.policy_version == 1 && st.generation == 1 && st.digest[0] == 0xd5, "status tells it");
	reader_start(k);
}

static void test_labels(void)
{
	struct actor a = START(APPX, "fork");
	char line[32] = "";
	struct err e = { 0 };
	u32 sid = 0, from = events->n;
	ssize_t n = read(a.out, line, sizeof(line) - 1);

	check(n > 0 && !kern_task_sid(k, (u32)atoi(line), &sid, &e) && sid == APP, "a child inherits (sid %u)", sid);
	kill(atoi(line), SIGKILL);
	finish(&a);
	a = START("/srv/bin/plain", "sleep");
	kern_task_sid(k, (u32)a.pid, &sid, &e);
	check(sid == DSI_SID_DEFAULT, "a program without entry stays default (sid %u)", sid);
	stop(&a);
	check(DO(APPX, "exec", SRVX, "do", "true") == 0, "app enters srv by its right");
	check(DO(APPX, "exec", WEBX, "do", "true") == EACCES, "app enters web without a right: refused");
	check(event_wait(from, DSI_REASON_NO_RULE, APP, WEB) != NULL, "event of the refused transition");
	check(DO("/srv/bin/plain", "traced", APPX) == EACCES, "a traced process cannot enter a context");
	check(event_wait(from, DSI_REASON_UNSAFE_EXEC, DSI_SID_DEFAULT, APP) != NULL, "event of the unsafe exec");
	run("cp /srv/bin/app /srv/bin/app.new && mv /srv/bin/app.new /srv/bin/app");
	a = START(APPX, "sleep");
	kern_task_sid(k, (u32)a.pid, &sid, &e);
	check(sid == APP, "an entry survives an upgrade by rename (sid %u)", sid);
	stop(&a);
	kern_task_sid(k, 2, &sid, &e);
	check(sid == DSI_SID_KERNEL, "kernel threads are kernel (sid %u)", sid);
}

static void test_files(void)
{
	u32 from = events->n;
	const struct dsi_event *ev;
	char path[128];

	check(DO(APPX, "read", "/srv/data/f") == 0, "app reads data");
	check(DO(APPX, "read", "/srv/data/sub/f") == 0, "app reads below data");
	check(DO(APPX, "write", "/srv/data/f") == EACCES, "app may not write data");
	check(DO(APPX, "trunc", "/srv/data/f") == EACCES, "app may not truncate data");
	check(DO(APPX, "truncate", "/srv/data/f") == EACCES, "app may not truncate(2) data");
	check(DO(APPX, "chmod", "/srv/data/f") == EACCES, "app may not chmod data");
	check(DO(APPX, "read", "/srv/secret/f") == EACCES, "app may not read secret");
	ev = event_wait(from, DSI_REASON_NO_RULE, APP, SECRET);
	if (ev)
		event_path(ev, path, sizeof(path));
	check(ev && ev->cls == DSI_CLASS_FILE && ev->missing == DSI_PERM_FILE_READ && ev->flags & DSI_EVENT_ENFORCED &&
	      !strcmp(path, "/secret/f") && !strncmp(ev->comm, "app", 3) && ev->pid && ev->policy_version == 1,
	      "event names subject, target, file (%s)", ev ? path : "none");
	check(DO(WEBX, "read", "/srv/data/f") == EACCES, "web may not read data");
	check(DO(APPX, "read", "/srv/data/f") == 0, "app still may, also after web's refusal");
	check(DO(APPX, "read", "/srv/plain/f") == EACCES, "unlabelled file needs a rule too");
	check(DO("/srv/bin/plain", "read", "/srv/secret/f") == 0, "the unconfined default reads secret");
	check(DO(APPX, "creat", "/srv/secret/new") == EACCES, "app may not make one in secret");
	check(DO(APPX, "mkdir", "/srv/secret/d") == EACCES && DO(APPX, "symlink", "x", "/srv/secret/l") == EACCES,
	      "nor a directory or a link");
	check(DO(APPX, "unlink", "/srv/data/f") == EACCES, "app may not remove from data");
	check(DO(APPX, "map", "/srv/data/f") == EACCES, "app may not map data executable");
	check(DO(APPX, "protect", "/srv/data/f") == EACCES, "nor make a mapping executable");
	run("cp /srv/bin/plain /srv/data/prog");
	check(DO(APPX, "exec", "/srv/data/prog", "do", "true") == EACCES, "app may not execute data");
	check(DO(APPX, "exec", "/srv/bin/plain", "do", "true") == 0, "app executes a program, stays app");
}

/* The decision as the kernel's program answers it, against the records that were loaded. */
static void test_ask(void)
{
	struct err e = { 0 };
	int wrong = 0, n = 0;

	for (u32 i = 0; i < base.n_rules; i++) {
		const struct dsi_rec_rule *r = &base.rules[i];

		for (u32 perm = 1; perm < 128; perm <<= 1, n++) {
			struct dsi_query q = { .key = r->key, .perm = perm };
			bool local = r->key.ssid == DSI_SID_DEFAULT && r->key.nclass == DSI_NCLASS_LOCAL;

			wrong += kern_ask(k, &q, &e) || q.allow != (local || r->value.allow & perm);
			q.key.tsid ^= 0x1000;
			wrong += kern_ask(k, &q, &e) || q.allow != local;
		}
	}
	check(!wrong, "%d questions answered by the kernel's decide() %s", n * 2, e.text);
}

static void test_moves(void)
{
	const char *P = "/srv/bin/plain";
	u32 from = events->n;

	check(DO(P, "rename", "/srv/secret/f", "/srv/data/stolen") == EXDEV, "a move across labels by root: EXDEV");
	check(event_wait(from, DSI_REASON_RELABEL, DSI_SID_DEFAULT, SECRET) != NULL, "and an event");
	check(DO(P, "link", "/srv/secret/f", "/srv/data/stolen") == EXDEV, "a link across labels: EXDEV");
	check(DO(P, "rename", "/srv/data/sub", "/srv/plain/sub") == EXDEV, "a directory out of its label: EXDEV");
	check(DO(P, "rename", "/srv/data", "/srv/data9") == EBUSY, "a labelled root does not move");
	check(DO(P, "rename", "/srv/data/f", "/srv/data/g") == 0 && DO(P, "rename", "/srv/data/g", "/srv/data/f") == 0,
	      "within one label moves are free");
	run("mv /srv/secret/f /srv/data/copied");
	check(DO(APPX, "read", "/srv/data/copied") == 0, "mv copies, and the copy has its place's label");
	run("rm -f /srv/data/copied; echo secret >/srv/secret/f");
	run("mount --bind /srv/secret /srv/plain");
	check(DO(APPX, "read", "/srv/plain/f") == EACCES, "a bind mount keeps the label");
	run("umount /srv/plain");
}

static void test_names(void)
{
	struct set with = base;
	struct mapset_report rep;
	struct actor a;

	run("mkdir -p /srv/etc && echo 1 >/srv/etc/shadow && echo 1 >/srv/etc/passwd && mkdir -p /srv/lower /srv/upper /srv/work /srv/ov "
	    "/srv/lower/www && echo page >/srv/lower/www/page && mount -t overlay ov -o lowerdir=/srv/lower,upperdir=/srv/upper,workdir=/srv/work "
	    "/srv/ov");
	label(&with, "/srv/etc", DATA2);
	label(&with, "/srv/etc/shadow", SECRET);
	label(&with, "/srv/etc/nshadow", SECRET);
	label(&with, "/srv/ov/www", DATA2);
	file_rule(&with, APP, DATA2, DSI_PERM_FILE_READ | DSI_PERM_FILE_WRITE | DSI_PERM_FILE_CREATE | DSI_PERM_FILE_DELETE | DSI_PERM_FILE_SETATTR);
	with.version = ++base.version;
	check(!set_load(k, &with, &rep), "policy with a labelled file and an overlay");
	check(DO(APPX, "read", "/srv/etc/passwd") == 0 && DO(APPX, "read", "/srv/etc/shadow") == EACCES, "a file may have its own label");
	run("echo 2 >/srv/etc/shadow+ && cat /srv/etc/shadow+ >/dev/null");
	check(DO(APPX, "read", "/srv/etc/shadow+") == 0, "a new file beside it does not");
	check(DO("/srv/bin/plain", "rename", "/srv/etc/shadow+", "/srv/etc/shadow") == 0, "passwd(1) renames it into place");
	check(DO(APPX, "read", "/srv/etc/shadow") == EACCES, "and the name has its label still");
	run("echo 3 >/srv/etc/nshadow");
	check(DO(APPX, "read", "/srv/etc/nshadow") == EACCES, "a name has its label also when the file comes later");
	check(DO("/srv/bin/plain", "rename", "/srv/etc/nshadow", "/srv/etc/shadow") == 0 && DO(APPX, "read", "/srv/etc/shadow") == EACCES,
	      "it, too, is renamed into place");
	check(DO(APPX, "rename", "/srv/etc/passwd", "/srv/etc/shadow") == EACCES && DO(APPX, "rename", "/srv/etc/shadow", "/srv/etc/x") == EACCES,
	      "not by a context that may write one of the two types only");
	check(DO("/srv/bin/plain", "rename", "/srv/etc/shadow", "/srv/etc/shadow-") == 0 && DO(APPX, "read", "/srv/etc/shadow-") == 0,
	      "renamed away by root it is an ordinary file");
	check(DO(APPX, "read", "/srv/ov/www/page") == 0, "overlay: read through the lower layer");
	check(DO(APPX, "write", "/srv/ov/www/page") == 0, "overlay: write, copied up");
	check(DO(APPX, "creat", "/srv/ov/www/new") == 0 && DO(APPX, "chmod", "/srv/ov/www/new") == 0 &&
	      DO(APPX, "rename", "/srv/ov/www/new", "/srv/ov/www/newer") == 0 && DO(APPX, "unlink", "/srv/ov/www/newer") == 0 &&
	      DO(APPX, "mkdir", "/srv/ov/www/d") == 0, "overlay: make, change, move, remove");
	check(DO(APPX, "unlink", "/srv/ov/www/page") == 0, "overlay: whiteout");
	check(DO(APPX, "creat", "/srv/upper/www/x") == EACCES, "the upper layer itself is another place");
	check(DO(WEBX, "creat", "/srv/ov/www/x") == EACCES, "and others may not");
	a = START(APPX, "spin", "/srv/etc/passwd", "200");
	check(!finish(&a), "reads go on");
	base.version++;
	check(!set_load(k, &base, &rep), "back");
	run("umount /srv/ov");
}
