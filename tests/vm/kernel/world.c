// SPDX-License-Identifier: GPL-2.0-or-later
/* The programs, files and interfaces that the tests use, and what they all work on. */
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
