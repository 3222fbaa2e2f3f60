// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel part, enforced, in a machine of its own (kvm-one): every claim of kernel/README.md that
 * needs a kernel which enforces. Runs as root, first thing after boot; nothing else lives in the machine.
 *
 *	 main namespace            ns2
 *	 10.9.0.1 fd09::1  ------  10.9.0.2 fd09::2   node 2, by address; its kernel is ours, so what it
 *	 own NID 1          veth   10.9.0.3           sends itself is a *forged* node 2
 *	                           10.9.0.3           a host that is no member
 *	                           10.9.0.77          node 3: nobody has it; raw packets with valid labels
 *
 * Called as "actor" (argv[1] = "do") it performs one act and exits with its errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/mapset.h"
#include "kernel/nodes.h"
#include "kernel/ring.h"
#include "kernel/sweep.h"
#include "kernel/synmac.h"

enum { APP = 64, WEB = 65, SRV = 66, DATA = 80, SECRET = 81, BIN = 82, ETC = 83, DATA2 = 84 };
enum { PORT = 8080, PORT_OPEN = 8081, PORT_EXEMPT = 5405, PC_WEB = 1, PC_OPEN = 2 };

static int passed, failed;
static char self[256];

static void check(bool ok, const char *fmt, ...) DSI_PRINTF(2, 3);
static void check(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf(ok ? "ok " : "not ok ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	ok ? passed++ : failed++;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void run(const char *command)
{
	if (system(command))
		printf("# failed: %s\n", command);
}

/* --- actors --------------------------------------------------------------------------------------- */

static int do_open(const char *path, int flags)
{
	int fd = open(path, flags, 0644);
	char c;

	if (fd < 0)
		return errno;
	if ((flags & O_ACCMODE) == O_RDONLY && read(fd, &c, 1) < 0)
		return errno;
	close(fd);
	return 0;
}

static int do_map(const char *path, bool late)
{
	int fd = open(path, O_RDONLY);
	void *p;

	if (fd < 0)
		return errno;
	p = mmap(NULL, 4096, late ? PROT_READ : PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return errno;
	return late && mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : 0;
}

static socklen_t address(struct sockaddr_storage *s, const char *host, int port)
{
	struct sockaddr_in6 *v6 = (void *)s;
	struct sockaddr_in *v4 = (void *)s;

	memset(s, 0, sizeof(*s));
	if (strchr(host, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((u16)port);
		inet_pton(AF_INET6, host, &v6->sin6_addr);
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((u16)port);
	inet_pton(AF_INET, host, &v4->sin_addr);
	return sizeof(*v4);
}

static int tcp_connect(const char *host, int port, int timeout_ms)
{
	struct sockaddr_storage s;
	socklen_t n = address(&s, host, port), l = sizeof(int);
	int fd = socket(s.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), e = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&s, n) && errno != EINPROGRESS) {
		e = errno;
	} else if (poll(&p, 1, timeout_ms) != 1) {
		e = ETIMEDOUT;
	} else {
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &l);
	}
	if (!e) {
		fcntl(fd, F_SETFL, 0);
		return fd;
	}
	close(fd);
	return -e;
}

static int tcp_listen(const char *host, int port)
{
	struct sockaddr_storage s;
	socklen_t n = address(&s, host, port);
	int fd = socket(s.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (s.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&s, n) || listen(fd, 64)) {
		int e = errno;

		close(fd);
		return -e;
	}
	return fd;
}

/* Accepts and echoes for ever; one line on stdout when it listens. */
static int do_serve(char **hosts, int n, int port)
{
	struct pollfd p[128];
	int used = 0, listeners;

	for (int i = 0; i < n; i++) {
		int fd = tcp_listen(hosts[i], port);

		if (fd < 0)
			return -fd;
		p[used++] = (struct pollfd){ fd, POLLIN, 0 };
	}
	listeners = used;
	printf("up\n");
	fflush(stdout);
	for (;;) {
		poll(p, (nfds_t)used, -1);
		for (int i = 0; i < used; i++) {
			char c[64];
			ssize_t got;

			if (!p[i].revents)
				continue;
			if (i < listeners) {
				int fd = accept(p[i].fd, NULL, NULL);

				if (fd >= 0 && used < 128)
					p[used++] = (struct pollfd){ fd, POLLIN, 0 };
				continue;
			}
			got = read(p[i].fd, c, sizeof(c));
			if (got <= 0 || write(p[i].fd, c, (size_t)got) < 0) {
				close(p[i].fd);
				p[i--] = p[--used];
			}
		}
	}
}

/* Reads one file again and again, one byte of verdict per try: '.' read, or '!' refused; ends at EOF of stdin. */
static int do_reread(const char *path)
{
	int fd = open(path, O_RDONLY);
	char c;

	if (fd < 0)
		return errno;
	while (read(0, &c, 1) == 1) {
		char verdict = pread(fd, &c, 1, 0) < 0 ? '!' : '.';

		if (write(1, &verdict, 1) != 1)
			break;
	}
	return 0;
}

/* The same over a connection: '.' echoed, '!' broken. */
static int do_retalk(const char *host, int port)
{
	int fd = tcp_connect(host, port, 5000);
	char c;

	if (fd < 0)
		return -fd;
	while (read(0, &c, 1) == 1) {
		struct timeval t = { 2, 0 };
		char verdict = '.';

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
			verdict = '!';
		if (write(1, &verdict, 1) != 1)
			break;
	}
	return 0;
}

static int do_spin(const char *path, int ms)
{
	double end = now_ms() + ms;
	int n = 0;

	while (now_ms() < end) {
		int fd = open(path, O_RDONLY);

		if (fd < 0) {
			printf("refused after %d opens\n", n);
			return errno;
		}
		close(fd);
		n++;
	}
	printf("# %d opens\n", n);
	return 0;
}

static int open_maps(void)
{
	union bpf_attr attr = { 0 };
	int n = 0;

	while (!syscall(SYS_bpf, BPF_MAP_GET_NEXT_ID, &attr, sizeof(attr))) {
		union bpf_attr get = { .map_id = attr.next_id };

		n += syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &get, sizeof(get)) >= 0;
		attr.start_id = attr.next_id;
	}
	return n;
}

static int act(int argc, char **argv)
{
	const char *what = argv[0], *a = argc > 1 ? argv[1] : "", *b = argc > 2 ? argv[2] : "0";

	if (!strcmp(what, "read"))
		return do_open(a, O_RDONLY);
	if (!strcmp(what, "write"))
		return do_open(a, O_WRONLY);
	if (!strcmp(what, "trunc"))
		return do_open(a, O_WRONLY | O_TRUNC);
	if (!strcmp(what, "creat"))
		return do_open(a, O_WRONLY | O_CREAT | O_EXCL);
	if (!strcmp(what, "map"))
		return do_map(a, false);
	if (!strcmp(what, "protect"))
		return do_map(a, true);
	if (!strcmp(what, "unlink"))
		return unlink(a) ? errno : 0;
	if (!strcmp(what, "mkdir"))
		return mkdir(a, 0755) ? errno : 0;
	if (!strcmp(what, "rename"))
		return rename(a, b) ? errno : 0;
	if (!strcmp(what, "link"))
		return link(a, b) ? errno : 0;
	if (!strcmp(what, "symlink"))
		return symlink(a, b) ? errno : 0;
	if (!strcmp(what, "chmod"))
		return chmod(a, 0600) ? errno : 0;
	if (!strcmp(what, "truncate"))
		return truncate(a, 0) ? errno : 0;
	if (!strcmp(what, "kill"))
		return kill(atoi(a), SIGCONT) ? errno : 0;
	if (!strcmp(what, "socket"))
		return socket(atoi(argv[1]), atoi(argv[2]), argc > 3 ? atoi(argv[3]) : 0) < 0 ? errno : 0;
	if (!strcmp(what, "connect")) {
		int fd = tcp_connect(a, atoi(b), 5000);
		return fd < 0 ? -fd : 0;
	}
	if (!strcmp(what, "listen")) {
		int fd = tcp_listen(a, atoi(b));
		return fd < 0 ? -fd : 0;
	}
	if (!strcmp(what, "serve"))
		return do_serve(argv + 2, argc - 2, atoi(a));
	if (!strcmp(what, "reread"))
		return do_reread(a);
	if (!strcmp(what, "retalk"))
		return do_retalk(a, atoi(b));
	if (!strcmp(what, "spin"))
		return do_spin(a, atoi(b));
	if (!strcmp(what, "sleep"))
		return pause() ? 0 : 0;
	if (!strcmp(what, "fork")) { /* a child of ours sleeps; its pid on stdout */
		pid_t p = fork();

		if (!p)
			return pause() ? 0 : 0;
		printf("%d\n", p);
		return 0;
	}
	if (!strcmp(what, "attach"))
		return ptrace(PTRACE_SEIZE, atoi(a), 0, 0) ? errno : 0;
	if (!strcmp(what, "pinned")) {
		union bpf_attr attr = { .pathname = (u64)(uintptr_t)a };
		return syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr)) < 0 ? errno : 0;
	}
	if (!strcmp(what, "mapids")) /* how many maps can be opened by number */
		return open_maps();
	if (!strcmp(what, "umount"))
		return umount2(a, MNT_DETACH) ? errno : 0;
	if (!strcmp(what, "remount"))
		return mount(NULL, a, NULL, MS_REMOUNT | MS_NOSUID, NULL) ? errno : 0;
	if (!strcmp(what, "put")) {
		int fd = open(a, O_WRONLY);
		return fd < 0 || write(fd, b, strlen(b)) < 0 ? errno : 0;
	}
	if (!strcmp(what, "adopt")) {
		struct kern *other;
		struct err e = { 0 };
		int r = kern_open(&other, &(struct kern_options){ .adopt_only = true }, &e);

		if (r)
			fprintf(stderr, "# %s\n", e.text);
		return r ? 1 : !kern_adopted(other);
	}
	if (!strcmp(what, "exec")) {
		execv(a, argv + 1);
		return errno;
	}
	if (!strcmp(what, "traced")) { /* exec while traced */
		pid_t p = fork();
		int s;

		if (!p) {
			ptrace(PTRACE_TRACEME, 0, 0, 0);
			execl(a, a, "do", "true", NULL);
			_exit(errno);
		}
		waitpid(p, &s, 0);
		if (WIFSTOPPED(s)) {
			kill(p, SIGKILL);
			return 0;
		}
		return WEXITSTATUS(s);
	}
	return strcmp(what, "true") ? 99 : 0;
}

/* --- running actors ------------------------------------------------------------------------------- */

struct actor {
	pid_t pid;
	int in, out; /* its stdin and stdout */
};

static struct actor start(const char *program, const char *const *args)
{
	int in[2], out[2];
	struct actor a;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		abort();
	a.pid = fork();
	if (!a.pid) {
		char *argv[16] = { (char *)program, (char *)"do" };

		for (int i = 0; args[i] && i < 13; i++)
			argv[i + 2] = (char *)args[i];
		dup2(in[0], 0);
		dup2(out[1], 1);
		execv(program, argv);
		_exit(errno);
	}
	close(in[0]);
	close(out[1]);
	a.in = in[1];
	a.out = out[0];
	return a;
}

static int finish(struct actor *a)
{
	int s;

	close(a->in);
	close(a->out);
	waitpid(a->pid, &s, 0);
	return WIFEXITED(s) ? WEXITSTATUS(s) : 200 + WTERMSIG(s);
}

static void stop(struct actor *a)
{
	kill(a->pid, SIGKILL);
	finish(a);
}

#define START(program, ...) start(program, (const char *const[]){ __VA_ARGS__, NULL })
#define DO(program, ...) ({ struct actor a_ = START(program, __VA_ARGS__); finish(&a_); })

static char ask(struct actor *a)
{
	char c = '?';

	if (write(a->in, "?", 1) != 1 || read(a->out, &c, 1) != 1)
		return 'x';
	return c;
}

/* --- the policy ----------------------------------------------------------------------------------- */

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

/* --- events, read by a child so that RSTs go out while we wait in connect() ----------------------- */

struct log {
	volatile u32 n;
	struct dsi_event ev[4096];
};
static struct log *events;
static pid_t reader;

static void on_event(void *ctx, const struct dsi_event *ev)
{
	struct log *l = ctx;

	if (l->n < ARRAY_SIZE(l->ev))
		l->ev[l->n] = *ev;
	__atomic_fetch_add(&l->n, 1, __ATOMIC_SEQ_CST);
}

static void reader_start(struct kern *k)
{
	events = mmap(NULL, sizeof(*events), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	reader = fork();
	if (!reader) {
		struct err e = { 0 };
		struct ring *r;

		if (ring_open(k, on_event, events, &r, &e)) {
			printf("# %s\n", e.text);
			_exit(1);
		}
		for (;;) {
			struct pollfd p = { .fd = ring_fd(r), .events = POLLIN };

			poll(&p, 1, 1000);
			ring_consume(r, 0);
		}
	}
}

/* Wait for an event since `from` with these marks. */
static const struct dsi_event *event_wait(u32 from, u32 reason, u32 ssid, u32 tsid)
{
	double end = now_ms() + 3000;

	while (now_ms() < end) {
		for (u32 i = from; i < events->n && i < ARRAY_SIZE(events->ev); i++) {
			const struct dsi_event *ev = &events->ev[i];

			if (ev->reason == reason && ev->ssid == ssid && ev->tsid == tsid)
				return ev;
		}
		usleep(2000);
	}
	for (u32 i = from; i < events->n && i < ARRAY_SIZE(events->ev); i++) {
		const struct dsi_event *ev = &events->ev[i];
		char path[128], tuple[128];

		event_path(ev, path, sizeof(path));
		event_tuple(ev, tuple, sizeof(tuple));
		printf("# seen: %s: %s ssid %u tsid %u cls %u missing %x qual %u nclass %u snid %u %s %s %s\n", event_type_text(ev->type),
		       event_reason_text(ev->reason), ev->ssid, ev->tsid, ev->cls, ev->missing, ev->qual, ev->nclass, ev->snid,
		       ev->comm, path, tuple);
	}
	return NULL;
}

/* --- tests ---------------------------------------------------------------------------------------- */

static struct kern *k;
static struct set base;

#define APPX "/srv/bin/app"
#define WEBX "/srv/bin/web"
#define SRVX "/srv/bin/srv"

static void copy_self(const char *to)
{
	char command[600];

	snprintf(command, sizeof(command), "cp %s %s && chmod 755 %s", self, to, to);
	run(command);
}

static void world(void)
{
	run("mkdir -p /srv && echo x >/etc/f && mount -t tmpfs srv /srv && mkdir -p /srv/bin /srv/data /srv/secret /srv/plain /srv/data/sub");
	run("echo data >/srv/data/f; echo secret >/srv/secret/f; echo plain >/srv/plain/f; cp /srv/data/f /srv/data/sub/f");
	copy_self(APPX);
	copy_self(WEBX);
	copy_self(SRVX);
	copy_self("/srv/bin/plain");
	run("/bin/ip link set lo up; /bin/ip link add v1 type veth peer name v2 address 02:00:00:00:00:02 && /bin/ip addr add 10.9.0.1/24 dev v1 && "
	    "/bin/ip addr add fd09::1/64 dev v1 nodad && /bin/ip link set v1 up");
}

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
	usleep(100000);
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
	usleep(50000);
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
	usleep(50000);
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

static void test_sockets(void)
{
	u32 from = events->n;

	check(DO(APPX, "socket", "2", "1") == 0, "app makes a TCP socket");
	check(DO(APPX, "socket", "2", "2") == EACCES, "app may not make a UDP socket");
	check(DO(APPX, "socket", "17", "3", "768") == EACCES, "nor a packet socket");
	check(DO(APPX, "socket", "2", "1", "262") == EACCES, "nor MPTCP by the name of TCP");
	check(event_wait(from, DSI_REASON_PROTOCOL, APP, APP) != NULL, "event says protocol");
	check(DO("/srv/bin/plain", "socket", "17", "3", "768") == 0, "the unconfined may");
	check(DO(APPX, "listen", "127.0.0.1", "8080") == EACCES, "app may not bind");
	check(DO(SRVX, "listen", "127.0.0.1", "9999") == EACCES, "srv may not bind another port");
}

static int node(u32 nid, enum dsi_node_state state, const char *a, const char *b, const u8 *key, u32 keygen, const u8 *previous,
		struct sweep_report *sweep)
{
	struct node_info n = { .nid = nid, .state = state, .keygen = keygen, .has_key = key, .has_previous = previous };
	struct err e = { 0 };
	int r;

	if (a)
		node_addr_parse(a, &n.addrs[n.n_addrs++]);
	if (b)
		node_addr_parse(b, &n.addrs[n.n_addrs++]);
	if (key)
		memcpy(n.key, key, 16);
	if (previous)
		memcpy(n.previous, previous, 16);
	r = node_set(k, &n, sweep, &e);
	if (r)
		printf("# node_set: %s\n", e.text);
	return r;
}

static struct actor server;

static void test_loopback(void)
{
	const char *hosts[] = { "127.0.0.1", "::1", "10.9.0.1", "fd09::1" };
	struct kern_status st;
	struct err e = { 0 };
	u32 from;
	double t;
	char c;
	int r;

	check(!node_own_set(k, 1, &e) && !node(1, DSI_NODE_MEMBER, "10.9.0.1", "fd09::1", NULL, 0, NULL, NULL), "own node 1");
	server = START(SRVX, "serve", "8080", "0.0.0.0", "::");
	check(read(server.out, &c, 1) == 1, "srv listens");
	for (u32 i = 0; i < ARRAY_SIZE(hosts); i++) {
		r = DO(APPX, "connect", hosts[i], "8080");
		check(r == 0, "app -> srv over %s (%s)", hosts[i], strerror(r));
	}
	for (u32 i = 0; i < ARRAY_SIZE(hosts); i++) {
		from = events->n;
		t = now_ms();
		r = DO(WEBX, "connect", hosts[i], "8080");
		t = now_ms() - t;
		check(r == ECONNREFUSED, "web -> srv over %s: connection refused (%s, %.0f ms)", hosts[i], strerror(r), t);
		check(event_wait(from, DSI_REASON_NO_RULE, WEB, SRV) != NULL, "event: web, srv, accept");
	}
	check(DO("/srv/bin/plain", "connect", "127.0.0.1", "8080") == 0, "the unconfined default, locally: allowed");
	from = events->n;
	check(DO(WEBX, "connect", "127.0.0.1", "8081") == EACCES, "web may not connect to another port");
	check(event_wait(from, DSI_REASON_NO_RULE, WEB, DSI_SID_ANY) != NULL, "event: web, any, connect");
	kern_status(k, &st, &e);
	check(st.stats[DSI_STAT_SYN_SENT] && st.stats[DSI_STAT_SYN_OK] && !st.stats[DSI_STAT_SYN_SENT_FAILED],
	      "labels written %llu, verified %llu, refused %llu", (unsigned long long)st.stats[DSI_STAT_SYN_SENT],
	      (unsigned long long)st.stats[DSI_STAT_SYN_OK], (unsigned long long)st.stats[DSI_STAT_SYN_REFUSED]);
}

/* --- remote: raw SYNs ----------------------------------------------------------------------------- */

static int ns2 = -1;
static const u8 key3[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const u8 key3_old[16] = { 9, 9, 9 };

static void in_ns2(void)
{
	if (setns(ns2, CLONE_NEWNET))
		perror("setns");
}

static int DO_NS2(const char *host, const char *port)
{
	pid_t p = fork();
	int s;

	if (!p) {
		in_ns2();
		execl("/srv/bin/plain", "plain", "do", "connect", host, port, NULL);
		_exit(99);
	}
	waitpid(p, &s, 0);
	return WEXITSTATUS(s);
}

static void make_ns2(void)
{
	int p[2];
	pid_t child;
	char path[64], c;

	if (pipe(p))
		abort();
	child = fork();
	if (!child) {
		unshare(CLONE_NEWNET);
		if (write(p[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	if (read(p[0], &c, 1) != 1)
		abort();
	snprintf(path, sizeof(path), "/proc/%d/ns/net", child);
	ns2 = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/bin/ip link set v2 netns %d", child);
	run(path);
	child = fork();
	if (!child) {
		in_ns2();
		run("/bin/ip link set lo up; /bin/ip link set v2 up; /bin/ip addr add 10.9.0.2/24 dev v2; /bin/ip addr add 10.9.0.3/24 dev v2; "
		    "/bin/ip addr add fd09::2/64 dev v2 nodad; /bin/ip addr add fd09::3/64 dev v2 nodad");
		_exit(0);
	}
	waitpid(child, NULL, 0);
	/* ns2 drops what comes for .77 in silence; only our packet socket sees it */
	run("/bin/ip neigh replace 10.9.0.77 lladdr 02:00:00:00:00:02 dev v1 nud permanent");
}

struct craft {
	u16 sport;
	u32 isn, sid, nid;
	u8 keygen;
	const u8 *key;
	bool stripped, spoil, ack_after;
};

static u64 le64(const u8 *p)
{
	u64 v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static u32 fold(const u8 *b, size_t n, u32 sum)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (u32)b[i] << 8 | b[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void tcp_send(int raw, const struct dsi_addr *s, const struct dsi_addr *d, u16 sport, u16 dport, u32 seq, u32 ack, u8 flags,
		     const u8 *options, size_t n_options)
{
	u8 b[120] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, IPPROTO_TCP }, *t = b + 20;
	struct sockaddr_in to = { .sin_family = AF_INET };
	size_t len = 20 + n_options;
	u32 sum;

	b[3] = (u8)(20 + len);
	memcpy(b + 12, s->a + 12, 4);
	memcpy(b + 16, d->a + 12, 4);
	memcpy(&to.sin_addr, d->a + 12, 4);
	t[0] = (u8)(sport >> 8), t[1] = (u8)sport, t[2] = (u8)(dport >> 8), t[3] = (u8)dport;
	for (int i = 0; i < 4; i++)
		t[4 + i] = (u8)(seq >> (24 - 8 * i)), t[8 + i] = (u8)(ack >> (24 - 8 * i));
	t[12] = (u8)(len / 4 << 4);
	t[13] = flags;
	t[14] = 0xff;
	memcpy(t + 20, options, n_options);
	sum = ~fold(t, len, fold(b + 12, 8, (u32)(IPPROTO_TCP + len)));
	t[16] = (u8)(sum >> 8), t[17] = (u8)sum;
	if (sendto(raw, b, 20 + len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		perror("# raw send");
}

/* Send a SYN as 10.9.0.77; answer: TCP flags of the reply (0x12 SYN|ACK, 0x14 RST|ACK), 0 silence. */
static int syn(const struct craft *c)
{
	int p[2], s = 0;
	pid_t child;

	if (pipe(p))
		abort();
	child = fork();
	if (!child) {
		struct dsi_syn d = { .sport = c->sport, .dport = PORT, .isn = c->isn, .sid = c->sid,
				     .nid_word = DSI_NID_WORD(c->nid, c->keygen) };
		u64 key[2] = { c->key ? le64(c->key) : 0, c->key ? le64(c->key + 8) : 0 };
		u8 options[24] = { 2, 4, 5, 0xb4 }, in[2048];
		struct timeval tv = { 1, 500000 };
		double end = now_ms() + 1500;
		int raw, packets, got = 0;

		in_ns2();
		raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
		packets = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
		setsockopt(packets, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		node_addr_parse("10.9.0.77", &d.saddr);
		node_addr_parse("10.9.0.1", &d.daddr);
		dsi_syn_option(&d, dsi_syn_mac(key, &d), options + 4);
		if (c->spoil)
			options[23] ^= 1;
		tcp_send(raw, &d.saddr, &d.daddr, c->sport, PORT, c->isn, 0, 2, options, c->stripped ? 4 : 24);
		while (now_ms() < end && !got) {
			ssize_t n = recv(packets, in, sizeof(in), 0);
			u8 *t = in + 20;

			if (n >= 40 && in[9] == IPPROTO_TCP && (t[2] << 8 | t[3]) == c->sport && !memcmp(in + 12, d.daddr.a + 12, 4))
				got = t[13];
		}
		if (got == 0x12 && c->ack_after) {
			u8 *t = in + 20;
			u32 seq = (u32)t[4] << 24 | (u32)t[5] << 16 | (u32)t[6] << 8 | t[7];

			tcp_send(raw, &d.saddr, &d.daddr, c->sport, PORT, c->isn + 1, seq + 1, 0x10, NULL, 0);
			usleep(100000);
			tcp_send(raw, &d.saddr, &d.daddr, c->sport, PORT, c->isn + 1, seq + 1, 0x14, NULL, 0);
			usleep(100000);
		}
		_exit(got);
	}
	waitpid(child, &s, 0);
	close(p[0]);
	close(p[1]);
	return WEXITSTATUS(s);
}

static void test_remote(void)
{
	struct craft good = { .sport = 40001, .isn = 1000, .sid = APP, .nid = 3, .keygen = 5, .key = key3 }, c;
	u32 from = events->n;
	const struct dsi_event *ev;
	double t;
	int r;

	make_ns2();
	check(!node(2, DSI_NODE_MEMBER, "10.9.0.2", "fd09::2", key3, 1, NULL, NULL), "node 2 by address");
	check(!node(3, DSI_NODE_MEMBER, "10.9.0.77", NULL, key3, 5, key3_old, NULL), "node 3 by address, with keys");
	lease_set(k, lease_now() + 3600000000000ull);

	t = now_ms();
	r = DO_NS2("10.9.0.1", "8080");
	check(r == ECONNREFUSED, "a member's address, another node's label: refused (%s, %.0f ms)", strerror(r), now_ms() - t);
	check(event_wait(from, DSI_REASON_SYN_WRONG_NODE, 0, SRV) != NULL, "event: wrong node");
	r = DO_NS2("fd09::1", "8080");
	check(r == ECONNREFUSED, "the same over IPv6 (%s)", strerror(r));

	check(syn(&good) == 0x12, "a true label of node 3: accepted");
	c = good, c.sport = 40002, c.stripped = true;
	from = events->n;
	check(syn(&c) == 0x14, "label stripped: refused at once");
	ev = event_wait(from, DSI_REASON_SYN_UNLABELLED, 0, SRV);
	check(ev && ev->snid == 3 && ev->flags & DSI_EVENT_TUPLE && ev->sport == 40002 && ev->dport == PORT && ev->isn == 1000,
	      "event: node 3, tuple, sequence");
	c = good, c.sport = 40003, c.spoil = true;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_BAD_MAC, 0, SRV), "MAC off by a bit: refused");
	c = good, c.sport = 40004, c.key = key3_old;
	check(syn(&c) == 0x14, "right generation, other key: refused");
	c = good, c.sport = 40005, c.key = key3_old, c.keygen = 4;
	check(syn(&c) == 0x12, "previous key generation: accepted");
	c.sport = 40006, c.keygen = 3;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_STALE_KEY, 0, SRV), "older generation: refused");
	c = good, c.sport = 40007, c.nid = 2;
	check(syn(&c) == 0x14, "another node's number: refused");
	c = good, c.sport = 40008, c.sid = DSI_SID_OUTSIDE;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_BAD_SID, 0, SRV), "an impossible context: refused");
	c = good, c.sport = 40009, c.sid = DSI_SID_DEFAULT;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_NO_RULE, DSI_SID_DEFAULT, SRV), "node 3's root shell: no rule, refused");
	c = good, c.sport = 40010, c.ack_after = true;
	check(syn(&c) == 0x12, "accepted and established");
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_SYN_REPLAYED, APP, SRV), "the same SYN again: replay, refused");
	c.isn++;
	check(syn(&c) == 0x12, "a new connection from the same port: accepted");

	lease_set(k, lease_now());
	c = good, c.sport = 40020;
	check(syn(&c) == 0x14 && event_wait(from, DSI_REASON_NO_RULE, DSI_SID_STALE, SRV), "lease over: stale, refused");
	lease_set(k, lease_now() + 3600000000000ull);
	c.sport = 40021;
	check(syn(&c) == 0x12, "lease renewed: accepted");
	check(DO(APPX, "connect", "127.0.0.1", "8080") == 0, "(local needs no lease)");
}

static void test_outside(void)
{
	struct actor open = START(SRVX, "serve", "8081", "0.0.0.0");
	u32 from = events->n;
	char c;
	int r;

	if (read(open.out, &c, 1) != 1)
		printf("# no server\n");
	/* from now on 10.9.0.2 is nobody's */
	node(2, DSI_NODE_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	r = DO_NS2("10.9.0.1", "8080");
	check(r == ECONNREFUSED && event_wait(from, DSI_REASON_NO_RULE, DSI_SID_OUTSIDE, SRV),
	      "a host that is no member, no rule: refused (%s)", strerror(r));
	r = DO_NS2("10.9.0.1", "8081");
	check(r == 0, "the same with a rule for outside: accepted (%s)", strerror(r));
	stop(&open);
}

/* A member is suspended while it is connected. Its true label and everything else from there is refused. */
static void test_suspended(void)
{
	struct craft good = { .sport = 40101, .isn = 7000, .sid = APP, .nid = 3, .keygen = 5, .key = key3 };
	struct actor talk;
	struct sweep_report rep;
	struct kern_status st;
	struct err e = { 0 };
	u32 from = events->n;
	struct sockaddr_storage to;
	socklen_t n = address(&to, "10.9.0.2", 9);
	int udp = socket(AF_INET, SOCK_DGRAM, 0), opened;
	u64 before;
	pid_t p;
	int s;

	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) == 1, "UDP to an address before");
	/* an established connection with that address: outside at first, then the address becomes node 2's */
	struct actor open = START(SRVX, "serve", "8081", "0.0.0.0");
	char c;

	if (read(open.out, &c, 1) != 1)
		printf("# no server\n");
	int in[2], out[2];
	if (pipe(in) || pipe(out))
		abort();
	p = fork();
	if (!p) {
		in_ns2();
		dup2(in[0], 0), dup2(out[1], 1);
		for (int i = 3; i < 64; i++)
			close(i);
		execl("/srv/bin/plain", "plain", "do", "retalk", "10.9.0.1", "8081", NULL);
		_exit(99);
	}
	talk = (struct actor){ p, in[1], out[0] };
	close(in[0]), close(out[1]);
	check(ask(&talk) == '.', "a connection from there works");
	check(!node(2, DSI_NODE_MEMBER, "10.9.0.2", NULL, key3, 1, NULL, NULL) && ask(&talk) == '.', "the address is a member's now");
	check(!node(2, DSI_NODE_SUSPENDED, "10.9.0.2", NULL, key3, 1, NULL, &rep), "suspended");
	printf("# sweep %llu us, %u of %u destroyed\n", (unsigned long long)rep.us, rep.sockets_destroyed, rep.sockets_seen);
	check(rep.sockets_destroyed == 1 && ask(&talk) == '!', "its live connection is cut");
	kern_status(k, &st, &e);
	before = st.stats[DSI_STAT_QUARANTINE_DROPS];
	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) < 0 && errno == EPERM, "UDP to it is refused");
	s = DO_NS2("10.9.0.1", "8081");
	check(s == ECONNREFUSED && event_wait(from, DSI_REASON_SUSPENDED, DSI_SID_OUTSIDE, SRV), "a new connection from it hears it at once (%s)",
	      strerror(s));
	kern_status(k, &st, &e);
	check(st.stats[DSI_STAT_QUARANTINE_DROPS] > before, "and is counted");
	check(!kern_exempt_set(k, (struct dsi_exempt[]){ { PORT_EXEMPT, IPPROTO_UDP, DSI_EXEMPT_REVOKED } }, 1, &e), "ring port exempt");
	((struct sockaddr_in *)&to)->sin_port = htons(PORT_EXEMPT);
	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) == 1, "the ring's port stays open");
	check(syn(&good) == 0x12, "another member is not disturbed");
	node(3, DSI_NODE_REVOKED, "10.9.0.77", NULL, key3, 5, NULL, NULL);
	good.sport++;
	opened = syn(&good);
	check(opened == 0x14 && event_wait(from, DSI_REASON_REVOKED, DSI_SID_OUTSIDE, SRV), "revoked: a true label is refused (%x)", opened);
	node(2, DSI_NODE_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	check(!node(3, DSI_NODE_MEMBER, "10.9.0.77", NULL, key3, 5, key3_old, NULL) && !kern_state(k)->quarantined, "back to before");
	((struct sockaddr_in *)&to)->sin_port = htons(9);
	check(sendto(udp, "x", 1, 0, (struct sockaddr *)&to, n) == 1, "packets pass again");
	stop(&open);
	stop(&talk);
	close(udp);
}

static void test_swap(void)
{
	struct actor a[2];
	struct set other;
	struct mapset_report rep;
	u64 worst = 0;
	int r[2];

	other = base;
	for (u32 i = 0; i < other.n_labels; i++)
		if (other.labels[i].sid == DATA)
			other.labels[i].sid = DATA2;
	for (u32 i = 0; i < other.n_rules; i++)
		if (other.rules[i].key.tsid == DATA)
			other.rules[i].key.tsid = DATA2;
	a[0] = START(APPX, "spin", "/srv/data/f", "6000");
	a[1] = START(APPX, "spin", "/srv/data/sub/f", "6000");
	for (int i = 0; i < 10; i++) {
		struct set *s = i % 2 ? &base : &other;

		s->version = 100 + (u64)i;
		if (set_load(k, s, &rep))
			check(false, "load %d", i);
		worst = MAX(worst, rep.total_us);
	}
	r[0] = finish(&a[0]);
	r[1] = finish(&a[1]);
	check(!r[0] && !r[1], "10 swaps under load, no decision by a mix of two policies (%d %d), commit at most %llu us", r[0], r[1],
	      (unsigned long long)worst);
	base.version = 110;
	check(!set_load(k, &base, &rep), "back to the first");
}

/* A right is taken away while a file and a connection that depended on it are in use. */
static void test_preempt(void)
{
	struct actor file = START(APPX, "reread", "/srv/data/f"), talk = START(APPX, "retalk", "127.0.0.1", "8080");
	struct actor other = START(SRVX, "reread", "/etc/f"), v6 = START(APPX, "retalk", "::1", "8080");
	struct mapset_report rep;
	struct set less = base;
	double t;
	char f, c;

	check(ask(&file) == '.' && ask(&talk) == '.' && ask(&v6) == '.' && ask(&other) == '.', "before: all work");
	for (u32 i = 0; i < less.n_rules; i++) {
		struct dsi_rec_rule *r = &less.rules[i];

		if (r->key.ssid == APP && r->key.tsid == DATA)
			r->value.allow = DSI_PERM_FILE_CREATE;
		if (r->key.ssid == APP && r->key.tsid == SRV && r->key.cls == DSI_CLASS_TCP)
			r->key.tsid = WEB;
	}
	less.version = base.version + 1;
	t = now_ms();
	check(!set_load(k, &less, &rep), "policy without these rights");
	f = ask(&file), c = ask(&talk);
	t = now_ms() - t;
	check(f == '!', "the open file stops (%c)", f);
	check(c == '!', "the connection stops (%c)", c);
	check(ask(&v6) == '!', "over IPv6 too");
	check(ask(&other) == '.', "who kept its right is not disturbed");
	printf("# arm %llu us, swap %llu us, sweep %llu us; %u of %u sockets, %u of %u files; %.0f ms till both actors said so\n",
	       (unsigned long long)rep.arm_us, (unsigned long long)rep.swap_us, (unsigned long long)rep.sweep_us,
	       rep.sweep.sockets_destroyed, rep.sweep.sockets_seen, rep.sweep.files_stopped, rep.sweep.files_seen, t);
	check(rep.sweep.sockets_destroyed >= 2 && rep.sweep.files_stopped == 1 && sweep_pending(k), "and the report says it");
	base.version += 2;
	check(!set_load(k, &base, &rep) && ask(&file) == '.', "right given back: the file works again");
	check(!sweep_pending(k) && !kern_state(k)->revalidate, "and nothing is armed any more");
	finish(&file), finish(&talk), finish(&v6), finish(&other);
}

static void test_retry(void)
{
	struct err e = { 0 };
	u32 fixed = 0;

	run("mkdir -p /nowhere/at/all && echo x >/nowhere/at/all/f");
	check(DO(WEBX, "read", "/nowhere/at/all/f") == EACCES, "made later: unlabelled");
	check(!kern_labels_retry(k, &fixed, &e) && fixed == 1, "retry finds it %s", e.text);
	u32 from = events->n;
	check(DO(APPX, "read", "/nowhere/at/all/f") == EACCES && event_wait(from, DSI_REASON_NO_RULE, APP, SECRET), "and it has its label");
}

static void test_permissive(void)
{
	struct err e = { 0 };
	u32 from = events->n;
	const struct dsi_event *ev;

	kern_mode_set(k, DSI_MODE_PERMISSIVE, &e);
	check(DO(APPX, "read", "/srv/secret/f") == 0, "permissive: let through");
	ev = event_wait(from, DSI_REASON_NO_RULE, APP, SECRET);
	check(ev && !(ev->flags & DSI_EVENT_ENFORCED), "and recorded as such");
	kern_mode_set(k, DSI_MODE_ENFORCING, &e);
	check(DO(APPX, "read", "/srv/secret/f") == EACCES, "enforcing again");
}

static void test_death(void)
{
	struct kern_status st;
	struct err e = { 0 };
	pid_t holder;
	int r;

	/* this process gives up its handle; a child holds one and is killed */
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	kern_close(k);
	k = NULL;
	holder = fork();
	if (!holder) {
		struct kern *mine;

		if (kern_open(&mine, NULL, NULL))
			_exit(1);
		pause();
	}
	usleep(300000);
	struct actor spin = START(WEBX, "spin", "/srv/data/f", "100");
	check(finish(&spin) == EACCES, "enforced while dsid lives");
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	check(DO(WEBX, "read", "/srv/data/f") == EACCES && DO(APPX, "read", "/srv/data/f") == 0, "kill -9: enforcement goes on");
	check(DO(APPX, "connect", "127.0.0.1", "8080") == 0, "labels on the wire go on");
	r = kern_open(&k, NULL, &e);
	check(!r && kern_adopted(k), "a new dsid adopts %s", e.text);
	if (r)
		exit(1);
	kern_status(k, &st, &e);
	check(st.attached && st.policy_version == base.version && st.mode == DSI_MODE_ENFORCING, "and knows the policy in force (%llu)",
	      (unsigned long long)st.policy_version);
	reader_start(k);
}

/* Root, unlabelled, against DSI itself. The test program plays dsid: it is in the context dsi by its entry. */
static void test_guard(void)
{
	const char *P = "/srv/bin/plain";
	struct err e = { 0 };
	struct actor mine;
	struct mapset_report rep;
	struct set ruled;
	int r, saved;
	u32 sid;
	char command[300];

	check(kern_guard_set(k, DSI_GUARD_ON, &e) == -DSI_ENOTSAFE, "the guard stays off while the policy has no entry for dsid");
	exec_entry(&base, self, DSI_SID_DEFAULT, DSI_SID_DSI);
	label(&base, "/srv/dsi", DSI_SID_DSI);
	run("mkdir -p /srv/dsi && echo x >/srv/dsi/f");
	base.version++;
	check(!set_load(k, &base, &rep), "a policy with one");
	check(!kern_label_task(k, (u32)getpid(), DSI_SID_DSI, &e), "this process is dsi %s", e.text);
	r = kern_guard_set(k, DSI_GUARD_ON, &e);
	check(!r, "guard on %s", r ? e.text : "");
	mine = START(self, "sleep");
	usleep(100000);
	snprintf(command, sizeof(command), "%d", mine.pid);
	check(DO(P, "kill", command) == EPERM, "root cannot signal a DSI process");
	check(DO(P, "attach", command) == EPERM, "nor trace it");
	check(DO(P, "unlink", KERN_PIN_DIR "/links/dsi_file_open") == EACCES, "nor remove a pin");
	check(DO(P, "rename", KERN_PIN_DIR "/links", KERN_PIN_DIR "/gone") == EPERM, "nor move them");
	check(DO(P, "chmod", KERN_PIN_DIR "/maps/state") == EACCES, "nor change their mode");
	check(DO(P, "pinned", KERN_PIN_DIR "/maps/state") == EPERM, "nor open the state map");
	check(DO(P, "pinned", KERN_PIN_DIR "/maps/nodes") == EPERM, "nor the map with keys");
	check(DO(P, "mapids") == 0, "nor any of our maps by its number");
	check(DO(P, "umount", "/sys/fs/bpf") == EPERM, "nor unmount the pins");
	check(DO(P, "umount", "/sys") == EPERM, "nor an ancestor, lazily");
	check(DO(P, "remount", "/sys/fs/bpf") == EPERM, "nor remount");
	check(DO(P, "umount", "/srv/o") != EPERM, "other mounts are not our business");
	check(DO(P, "put", "/proc/sys/kernel/ftrace_enabled", "0") == EPERM, "nor switch ftrace off");
	check(DO(P, "write", "/srv/dsi/f") == EPERM && DO(P, "creat", "/srv/dsi/g") == EACCES && DO(P, "unlink", "/srv/dsi/f") == EACCES &&
	      DO(P, "chmod", "/srv/dsi/f") == EACCES, "nor change files of type dsi");
	check(DO(P, "read", "/srv/dsi/f") == 0, "(it may read them)");
	check(DO(self, "write", "/srv/dsi/f") == 0, "DSI's own program may write");
	check(event_wait(0, DSI_REASON_GUARDED, DSI_SID_DEFAULT, DSI_SID_DSI) != NULL, "events of the guard");
	/* a new dsid, started by anybody, reaches its pins by its entry */
	check(DO(self, "adopt") == 0, "a new dsid adopts while the guard is on");
#define AS_APP(...) DO(P, "exec", APPX, "do", ##__VA_ARGS__) /* what DSI itself starts is default */
	/* a context that a rule names, and only what the rule says */
	ruled = base;
	file_rule(&ruled, APP, DSI_SID_DSI, DSI_PERM_FILE_READ | DSI_PERM_FILE_WRITE | DSI_PERM_FILE_CREATE);
	ruled.version = ++base.version;
	check(!set_load(k, &ruled, &rep) && kern_state(k)->guard == DSI_GUARD_ON, "a policy that lets a context write files of type dsi");
	check(AS_APP("write", "/srv/dsi/f") == 0 && AS_APP("creat", "/srv/dsi/g") == 0, "it writes and makes them");
	check(AS_APP("unlink", "/srv/dsi/g") == EACCES && AS_APP("chmod", "/srv/dsi/f") == EACCES, "and does no more than the rule says");
	check(AS_APP("unlink", KERN_PIN_DIR "/links/dsi_file_open") == EACCES, "nor touches a pin");
	check(AS_APP("kill", command) != 0, "nor a DSI process");
	check(DO(P, "write", "/srv/dsi/f") == EPERM, "root's shell goes on being refused");
	/* a policy that no longer lets dsid in: the guard goes off, nobody is locked out */
	saved = (int)base.n_execs;
	base.n_execs--;
	base.version++;
	check(!set_load(k, &base, &rep) && rep.guard_lost, "a policy that does not know DSI takes the guard off");
	check(kern_state(k)->guard == DSI_GUARD_OFF && !kern_task_sid(k, (u32)getpid(), &sid, &e) && sid == DSI_SID_DEFAULT &&
	      !kern_task_sid(k, (u32)mine.pid, &sid, &e) && sid == DSI_SID_DEFAULT, "and DSI's processes out of its context");
	check(DO(P, "kill", command) == 0, "root is root again");
	check(kern_guard_set(k, DSI_GUARD_ON, &e) == -DSI_ENOTSAFE, "the guard cannot be turned on");
	base.n_execs = (u32)saved;
	base.version++;
	check(!set_load(k, &base, &rep) && kern_guard_fits(k) && !kern_task_sid(k, (u32)getpid(), &sid, &e) && sid == DSI_SID_DSI,
	      "a policy that knows it labels the running ones");
	check(!kern_guard_set(k, DSI_GUARD_ON, &e) && DO(P, "write", "/srv/dsi/f") == EPERM, "and the guard goes on");
	check(!kern_guard_set(k, DSI_GUARD_OFF, &e), "guard off");
	stop(&mine);
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

static void test_end(void)
{
	struct err e = { 0 };

	if (server.pid)
		stop(&server);
	kill(reader, SIGKILL);
	check(!kern_detach_all(k, &e), "detach %s", e.text);
	k = NULL;
	check(DO(APPX, "read", "/srv/secret/f") == 0 && access(KERN_PIN_DIR, F_OK), "nothing is left");
}

static const struct {
	const char *name;
	void (*run)(void);
	bool always;
} tests[] = {
	{ "load", test_load, true },
	{ "labels", test_labels, false },
	{ "files", test_files, false },
	{ "ask", test_ask, false },
	{ "moves", test_moves, false },
	{ "sockets", test_sockets, false },
	{ "loopback", test_loopback, false },
	{ "remote", test_remote, false },
	{ "outside", test_outside, false },
	{ "suspended", test_suspended, false },
	{ "swap", test_swap, false },
	{ "preempt", test_preempt, false },
	{ "retry", test_retry, false },
	{ "permissive", test_permissive, false },
	{ "names", test_names, false },
	{ "death", test_death, false },
	{ "guard", test_guard, false },
	{ "end", test_end, true },
};

/* kernel_vm swap swap: only these (besides load and end), as often as they are named. */
static int named(char **names, const char *name)
{
	int n = 0;

	for (; *names; names++)
		n += !strcmp(*names, name);
	return n;
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (argc > 2 && !strcmp(argv[1], "do"))
		return act(argc - 2, argv + 2);
	if (n < 0)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	world();
	for (u32 i = 0; i < ARRAY_SIZE(tests); i++)
		for (int left = argc < 2 || tests[i].always ? 1 : named(argv + 1, tests[i].name); left > 0; left--)
			tests[i].run();
	printf("RESULT %d %d 0\n", passed, failed);
	return failed != 0;
}
