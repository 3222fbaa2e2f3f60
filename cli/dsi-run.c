/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dsi-run: run a command in another phase (dsi.policy(5), PHASES). Must never decide anything: who may enter a phase is
 * a rule, asked by the kernel when the phase's entry is executed. Holds no privilege of its own.
 *
 * A context changes when a file that the policy names is executed. So each phase that dsi-run is to begin has a file of
 * its own, its entry ENTRY_DIR/DOMAIN.PHASE: two lines, whose interpreter is this program. It executes the entry with
 * the command behind it; what the kernel starts for that, in the phase, is this program again with --entered, and
 * executes the command.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policies/compiler/image_format.h"
#include "policies/compiler/vocab.h"

#define ENTRY_DIR "/usr/libexec/dsi/phase"

/* As env(1), nice(1) and others say it. */
enum { EXIT_OURS = 125, EXIT_NOT_RUN = 126, EXIT_NOT_FOUND = 127, SHEBANG_MAX = 127 /* of kernels before 5.1 */ };

static const char usage[] = "usage: dsi-run --phase DOMAIN/PHASE COMMAND [ARGUMENT...]\n"
			    "       dsi-run --make DOMAIN/PHASE\n"
			    "       dsi-run --version | --help\n";

/* DOMAIN/PHASE -> path of its entry; says what is wrong with it otherwise. */
static bool entry_path(const char *dir, const char *name, char ret[PATH_MAX])
{
	const char *slash = strchr(name, '/');
	char phases[100] = "";
	u32 phase = slash ? vocab_phase(slash + 1, strlen(slash + 1)) : 0;
	int n;

	for (u32 i = 0; vocab_phase_at(i); i++) {
		n = (int)strlen(phases);
		(void)snprintf(phases + n, sizeof(phases) - (size_t)n, "%s%s", i ? ", " : "", vocab_phase_at(i));
	}
	if (!slash) {
		fprintf(stderr, "dsi-run: %s: no phase: write DOMAIN/PHASE; the phases are %s\n", name, phases);
	} else if (!phase) {
		fprintf(stderr, "dsi-run: %s: no such phase: there are %s\n", name, phases);
	} else if (strlen(name) > IMAGE_NAME_MAX || !image_name_valid(name, (size_t)(slash - name))) {
		fprintf(stderr, "dsi-run: %s: no name of a domain\n", name);
	} else {
		n = snprintf(ret, PATH_MAX, "%s/%.*s.%s", dir, (int)(slash - name), name, slash + 1);
		if (n > 0 && n < PATH_MAX)
			return true;
		fprintf(stderr, "dsi-run: path of the entry is too long\n");
	}
	return false;
}

static int run(const char *dir, const char *name, char **argv)
{
	char path[PATH_MAX];

	if (!entry_path(dir, name, path))
		return EXIT_OURS;
	argv[-1] = path; /* there is always --phase in front of the command */
	execv(path, argv - 1);
	if (errno == ENOENT)
		fprintf(stderr, "dsi-run: %s has no entry %s; root makes one with `dsi-run --make %s`\n", name, path, name);
	else if (errno == EACCES)
		fprintf(stderr, "dsi-run: not allowed to enter %s (%s); `dsi-admin denials` says why if the policy refused\n", name,
			path);
	else
		fprintf(stderr, "dsi-run: %s: %s\n", path, strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}

/* By the kernel, for the entry: dsi-run --entered ENTRY COMMAND ARGUMENT... */
static int entered(char **argv)
{
	int e;

	if (!argv[0] || !argv[1]) {
		fputs(usage, stderr);
		return EXIT_OURS;
	}
	execvp(argv[1], argv + 1);
	e = errno;
	fprintf(stderr, "dsi-run: %s: %s\n", argv[1], strerror(e));
	return e == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}

static int own_path(char ret[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

	if (n <= 0)
		return -errno;
	ret[n] = '\0';
	/* the interpreter's line ends at a space and is not long */
	return strpbrk(ret, " \t\n") || (size_t)n + sizeof("#! --entered") > SHEBANG_MAX ? -ENAMETOOLONG : 0;
}

/* Whole or not at all: beside, then renamed into place. */
static int make(const char *dir, const char *name)
{
	char path[PATH_MAX], self[PATH_MAX], beside[PATH_MAX + 16];
	int r = 0, fd;
	FILE *f;

	if (!entry_path(dir, name, path))
		return EXIT_OURS;
	r = own_path(self);
	if (r) {
		fprintf(stderr, "dsi-run: its own path cannot stand in an entry: %s\n", strerror(-r));
		return EXIT_OURS;
	}
	(void)snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	fd = mkostemp(beside, O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		fprintf(stderr, "dsi-run: cannot make %s: %s\n", path, strerror(errno));
		return EXIT_OURS;
	}
	fprintf(f, "#!%s --entered\n# Entry of phase %s: dsi-run(1) executes it, the policy says who may.\n", self, name);
	if (fflush(f) || fchmod(fd, 0755) || fsync(fd) || rename(beside, path)) {
		fprintf(stderr, "dsi-run: cannot make %s: %s\n", path, strerror(errno));
		(void)unlink(beside);
		r = EXIT_OURS;
	}
	if (fclose(f) && !r)
		r = EXIT_OURS;
	if (!r)
		printf("%s\n", path);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "phase", required_argument, NULL, 'p' }, { "make", required_argument, NULL, 'm' },
		{ "dir", required_argument, NULL, 'd' },   { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },     { NULL, 0, NULL, 0 },
	};
	const char *dir = ENTRY_DIR, *phase = NULL, *to_make = NULL;
	int o;

	if (argc > 1 && !strcmp(argv[1], "--entered"))
		return entered(argv + 2);
	while ((o = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		switch (o) {
		case 'p':
			phase = optarg;
			break;
		case 'm':
			to_make = optarg;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'v':
			printf("dsi-run %s\n", DSI_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_OURS;
		}
	}
	if (to_make && !phase && optind == argc)
		return make(dir, to_make);
	if (phase && !to_make && optind < argc)
		return run(dir, phase, argv + optind);
	fputs(usage, stderr);
	return EXIT_OURS;
}
