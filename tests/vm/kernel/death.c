// SPDX-License-Identifier: GPL-2.0-or-later
/* dsid's death and return, and the guard over what it left in the kernel. */
static void test_death(void)
{
	struct kern_status st;
	struct err e = { 0 };
	pid_t holder;
	int r, opened[2];
	char byte;

	/* this process gives up its handle; a child holds one and is killed */
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	kern_close(k);
	k = NULL;
	if (pipe2(opened, O_CLOEXEC))
		abort();
	holder = fork();
	if (!holder) {
		struct kern *mine;

		if (kern_open(&mine, NULL, NULL) || write(opened[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(opened[1]);
	check(read(opened[0], &byte, 1) == 1, "another process holds a handle");
	close(opened[0]);
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
