// SPDX-License-Identifier: GPL-2.0-or-later
/* What an actor does: one act in a process of its own, whose context the kernel judges. It exits with the errno. */
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
