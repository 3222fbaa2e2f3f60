// SPDX-License-Identifier: GPL-2.0-or-later
/* Actors as the tests use them: started, asked, finished. */
struct actor {
	pid_t pid;
	int in, out; /* its stdin and stdout */
};

/* Back when its program runs, or could not be: the other end of `run` closes by exec or exit. */
static struct actor start(const char *program, const char *const *args)
{
	int in[2], out[2], run[2];
	struct actor a;
	char byte;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(run, O_CLOEXEC))
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
	close(run[1]);
	while (read(run[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(run[0]);
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
