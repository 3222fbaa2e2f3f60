/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One job, one answer. Must never: take a second job, use a shell, run what is not in the table. */
#include "dsid/pacemaker_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dsid/pacemaker_job.h"
#include "lib/link.h"

#define STONITH_ADMIN "/usr/sbin/stonith_admin"
#define ATTRD_UPDATER "/usr/sbin/attrd_updater"

/* What Pacemaker's exit statuses mean to who reads our log. */
static const struct {
	u32 status;
	const char *text;
} meanings[] = {
	{ 4, "not permitted" },
	{ 102, "Pacemaker does not run on this node" },
	{ 105, "Pacemaker has no device that can fence it (stonith_admin --list)" },
	{ 106, "Pacemaker has no quorum" },
	{ 124, "timed out" },
};

static void child(const char *const argv[], int out)
{
	static char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the helper has a deadline; what it started has the same */
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	execve(argv[0], (char *const *)argv, env);
	_exit(127);
}

/* The first line that the tool says; the rest is read and left. */
static void listen_to(int fd, char ret[PACEMAKER_TEXT])
{
	char buf[512];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, buf, sizeof(buf))) > 0 || (got < 0 && errno == EINTR))
		for (ssize_t i = 0; i < got && n + 1 < PACEMAKER_TEXT; i++)
			ret[n++] = buf[i];
	ret[n] = 0;
	ret[strcspn(ret, "\n")] = 0;
	for (char *p = ret; *p; p++) /* into a log */
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
}

static void explain(struct pacemaker_answer *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (meanings[i].status == a->status)
			snprintf(a->text, sizeof(a->text), "%s", meanings[i].text);
}

static int run(const char *const argv[], struct pacemaker_answer *a)
{
	int out[2], status;
	pid_t pid;

	if (access(argv[0], X_OK)) {
		snprintf(a->text, sizeof(a->text), "there is no %s", argv[0]);
		return -DSI_ENOENT;
	}
	if (pipe2(out, O_CLOEXEC))
		return -DSI_EIO;
	pid = fork();
	if (!pid)
		child(argv, out[1]);
	close(out[1]);
	if (pid > 0)
		listen_to(out[0], a->text);
	close(out[0]);
	if (pid < 0)
		return -DSI_EIO;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -DSI_EIO;
	if (WIFSIGNALED(status)) {
		snprintf(a->text, sizeof(a->text), "%s ended by signal %d", argv[0], WTERMSIG(status));
		return -DSI_EFAIL;
	}
	a->status = (u32)WEXITSTATUS(status);
	explain(a);
	return a->status ? -DSI_EFAIL : 0;
}

static int fence(const struct pacemaker_job *j, struct pacemaker_answer *a)
{
	char timeout[16], tolerance[16];

	snprintf(timeout, sizeof(timeout), "%d", PACEMAKER_FENCE_S);
	snprintf(tolerance, sizeof(tolerance), "%u", j->tolerance_s);
	return run((const char *const[]){ STONITH_ADMIN, "--fence", j->node[0].name, "--tag", "dsi", "--timeout", timeout,
					  "--tolerance", tolerance, NULL }, a);
}

static int state(const struct pacemaker_job *j, struct pacemaker_answer *a)
{
	int rc = 0;

	for (u32 i = 0; i < j->n && !rc; i++)
		rc = run((const char *const[]){ ATTRD_UPDATER, "--name", "dsi-state", "--update",
						pacemaker_state_text(j->node[i].state), "--node", j->node[i].name, NULL }, a);
	return rc;
}

int pacemaker_helper_run(int fd)
{
	static struct pacemaker_answer a;
	static struct pacemaker_job job;
	static u8 frame[LIM_LINK_FRAME];
	struct wbuf w;
	size_t n = 0;
	u16 type = 0;
	u32 id = 0;
	int rc = link_recv(fd, &type, &id, frame, sizeof(frame), &n);

	if (rc || type != PACEMAKER_FRAME_JOB)
		return err_exit(-DSI_EPEER);
	a.code = pacemaker_job_decode(&job, frame, n);
	if (a.code)
		snprintf(a.text, sizeof(a.text), "the job is malformed");
	else
		a.code = job.kind == PACEMAKER_FENCE ? fence(&job, &a) : state(&job, &a);
	wbuf_init(&w, LIM_LINK_FRAME - 64);
	pacemaker_answer_encode(&a, &w);
	rc = wbuf_ok(&w) ? link_reply(fd, PACEMAKER_FRAME_ANSWER, id, w.data, w.len) : -DSI_ENOMEM;
	wbuf_fini(&w);
	return rc ? err_exit(rc) : 0;
}
