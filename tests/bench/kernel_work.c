// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What programs do all day, counted: instructions per operation, one line "NAME COUNT" each. For bench/kernel.sh, in a
 * machine whose time stamp counter counts instructions (QEMU -icount shift=0); says so and ends when it does not.
 * Knows nothing of DSI and is linked with nothing of it, so that it is the same program, small and static, under
 * every kernel it is compared on.
 *
 *   kernel_work            all of it
 *   kernel_work NAME...    only these
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 15, PORT = 8080 };
#define FILE_AT "/srv/data/a/f"
#define NEW_AT "/srv/data/a/new"
#define PROGRAM "/srv/bin/exit"

static int fd[4];
static struct sockaddr_in tcp_to;
static struct sockaddr_un unix_to;
static socklen_t unix_len;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static uint64_t count(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

static void open_file(void)
{
	fd[0] = open(FILE_AT, O_RDWR | O_CREAT, 0644);
	must(fd[0] >= 0 && write(fd[0], "x", 1) == 1, FILE_AT);
}

static void open_pipe(void)
{
	must(pipe(fd) == 0, "pipe");
}

static void open_unix(void)
{
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
}

static void listen_tcp(void)
{
	tcp_to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	must(fd[0] >= 0, "tcp socket");
	must(setsockopt(fd[0], SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0, "SO_REUSEADDR");
	must(bind(fd[0], (struct sockaddr *)&tcp_to, sizeof(tcp_to)) == 0, "bind");
	must(listen(fd[0], 16) == 0, "listen");
}

static void open_tcp(void)
{
	listen_tcp();
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd[1], (struct sockaddr *)&tcp_to, sizeof(tcp_to)) == 0, "connect");
	fd[2] = accept(fd[0], NULL, NULL);
	must(fd[2] >= 0, "accept");
	for (int i = 1; i <= 2; i++)
		must(setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == 0, "TCP_NODELAY");
}

static void open_udp(void)
{
	struct sockaddr_in at[2];
	socklen_t n = sizeof(at[0]);

	for (int i = 0; i < 2; i++) {
		at[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		fd[i] = socket(AF_INET, SOCK_DGRAM, 0);
		must(fd[i] >= 0 && bind(fd[i], (struct sockaddr *)&at[i], n) == 0, "udp");
		must(getsockname(fd[i], (struct sockaddr *)&at[i], &n) == 0, "getsockname");
	}
	for (int i = 0; i < 2; i++)
		must(connect(fd[i], (struct sockaddr *)&at[!i], n) == 0, "udp connect");
}

static void listen_unix(void)
{
	unix_to.sun_family = AF_UNIX;
	strcpy(unix_to.sun_path + 1, "bench");
	unix_len = sizeof(sa_family_t) + 6;
	fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	must(fd[0] >= 0 && bind(fd[0], (struct sockaddr *)&unix_to, unix_len) == 0 && listen(fd[0], 16) == 0, "unix listener");
}

static void do_null(void)
{
	syscall(SYS_getppid);
}

static void do_read(void)
{
	char c;

	must(pread(fd[0], &c, 1, 0) == 1, "read");
}

static void do_write(void)
{
	must(pwrite(fd[0], "x", 1, 0) == 1, "write");
}

static void there(int to, int from)
{
	char c;

	must(write(to, "x", 1) == 1 && read(from, &c, 1) == 1, "one byte");
}

static void do_pipe(void)
{
	there(fd[1], fd[0]);
}

static void do_pair(void)
{
	there(fd[0], fd[1]);
	there(fd[1], fd[0]);
}

static void do_tcp(void)
{
	there(fd[1], fd[2]);
	there(fd[2], fd[1]);
}

static void do_open(void)
{
	int f = open(FILE_AT, O_RDONLY);

	must(f >= 0, "open");
	close(f);
}

static void do_create(void)
{
	int f = open(NEW_AT, O_WRONLY | O_CREAT | O_EXCL, 0644);

	must(f >= 0, "create");
	close(f);
	must(unlink(NEW_AT) == 0, "unlink");
}

static void ended(pid_t pid)
{
	int status;

	must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "child");
}

static void do_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	ended(pid);
}

static void do_exec(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl(PROGRAM, PROGRAM, (char *)NULL);
		_exit(1);
	}
	ended(pid);
}

static void do_udp_socket(void)
{
	int f = socket(AF_INET, SOCK_DGRAM, 0);

	must(f >= 0, "udp socket");
	close(f);
}

static void connected(int family, const void *to, socklen_t len)
{
	int a = socket(family, SOCK_STREAM, 0), b;

	must(a >= 0, "socket");
	must(connect(a, to, len) == 0, "connect");
	b = accept(fd[0], NULL, NULL);
	must(b >= 0, "accept");
	close(a);
	close(b);
}

static void do_unix_connect(void)
{
	connected(AF_UNIX, &unix_to, unix_len);
}

static void do_tcp_connect(void)
{
	connected(AF_INET, &tcp_to, sizeof(tcp_to));
}

static void do_getsockopt(void)
{
	int v;
	socklen_t n = sizeof(v);

	must(getsockopt(fd[0], SOL_SOCKET, SO_TYPE, &v, &n) == 0, "getsockopt");
}

static const struct work {
	const char *name;
	void (*prepare)(void);
	void (*once)(void);
	int times; /* in a batch */
} works[] = {
	{ "null", NULL, do_null, 1000 },
	{ "read", open_file, do_read, 1000 },
	{ "write", open_file, do_write, 1000 },
	{ "pipe", open_pipe, do_pipe, 1000 },
	{ "unix_pp", open_unix, do_pair, 500 },
	{ "tcp_pp", open_tcp, do_tcp, 500 },
	{ "udp_pp", open_udp, do_pair, 500 },
	{ "open_close", open_file, do_open, 500 },
	{ "create_unlink", NULL, do_create, 500 },
	{ "fork_exit", NULL, do_fork, 40 },
	{ "fork_exec", NULL, do_exec, 40 },
	{ "udp_socket", NULL, do_udp_socket, 500 },
	{ "unix_connect", listen_unix, do_unix_connect, 200 },
	{ "tcp_connect", listen_tcp, do_tcp_connect, 200 },
	{ "getsockopt", open_unix, do_getsockopt, 1000 },
};

static int by_size(const void *x, const void *y)
{
	const double *a = x, *b = y;

	return (*a > *b) - (*a < *b);
}

/* The median of batches: what timers and kernel threads do in between hits few of them. Two batches before warm everything up. */
static double measure(const struct work *w)
{
	double each[BATCHES];

	for (int i = -2; i < BATCHES; i++) {
		uint64_t begin = count();

		for (int n = 0; n < w->times; n++)
			w->once();
		if (i >= 0)
			each[i] = (double)(count() - begin) / w->times;
	}
	qsort(each, BATCHES, sizeof(each[0]), by_size);
	return each[BATCHES / 2];
}

/* Two million instructions are two million counts, or the counter counts something else. */
static void counts_instructions(void)
{
	uint64_t n = 1000000, begin = count(), counted;

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(n)::"cc");
	counted = count() - begin;
	printf("# 2000000 instructions counted as %llu\n", (unsigned long long)counted);
	if (counted < 1990000 || counted > 2100000) {
		fprintf(stderr, "kernel_work: the time stamp counter does not count instructions here\n");
		exit(1);
	}
}

static void measured(const struct work *w)
{
	pid_t pid = fork(); /* each in a process of its own: the same memory and descriptors for all, whatever was before */

	if (pid) {
		ended(pid);
		return;
	}
	if (w->prepare)
		w->prepare();
	printf("%s %.1f\n", w->name, measure(w));
	fflush(stdout);
	_exit(0);
}

static int named(char **names, const char *name)
{
	for (; *names; names++)
		if (!strcmp(*names, name))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	counts_instructions();
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (argc < 2 || named(argv + 1, works[i].name))
			measured(&works[i]);
	return 0;
}
