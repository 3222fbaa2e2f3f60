// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel part under the workloads of kernel_work.c, in a machine of its own (kvm-one, one boot each):
 *
 *   kernel idle         nothing loaded: the distribution's list of security modules
 *   kernel unlabelled   DSI enforcing, the workload in no context of a rule
 *   kernel labelled     the workload in a confined context that is allowed all it does
 *   kernel decide       one decision and one swap, by the number of rules
 *
 * The policy is the kernel tests' own, by hand, with what the workload needs. Says what kernel_work says, and "# "
 * lines. Runs as root, first thing after boot.
 */
#include "tests/vm/kernel/base.h"
#include "tests/vm/kernel/policy.c"

static struct kern *k;
static struct set base;

static u64 instructions(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}

static void need(int r, const struct err *e, const char *what)
{
	if (!r)
		return;
	fprintf(stderr, "kernel: %s: %s\n", what, e->text);
	exit(1);
}

static void world(void)
{
	run("mkdir -p /srv && echo x >/etc/f && mount -t tmpfs srv /srv && mkdir -p /srv/bin /srv/data/a /srv/secret");
	run("cp /bin/kernel_work /srv/bin/app && cp /bin/kernel_work /srv/bin/plain && cp /bin/kernel_exit /srv/bin/exit");
}

static void policy(void)
{
	set_base(&base, 1);
	file_rule(&base, APP, DATA,
		  DSI_PERM_FILE_READ | DSI_PERM_FILE_WRITE | DSI_PERM_FILE_CREATE | DSI_PERM_FILE_DELETE);
	for (u32 i = 0; i < base.n_rules; i++) /* given twice: the wider one */
		if (base.rules[i].key.ssid == APP && base.rules[i].key.tsid == DATA && i + 1 < base.n_rules)
			base.rules[i] = base.rules[--base.n_rules];
	rule(&base, APP, APP, 0, DSI_SOCKET_QUAL(AF_INET, SOCK_DGRAM), DSI_CLASS_SOCKET, DSI_PERM_SOCKET_CREATE);
	rule(&base, APP, APP, 0, DSI_SOCKET_QUAL(AF_UNIX, SOCK_STREAM), DSI_CLASS_SOCKET, DSI_PERM_SOCKET_CREATE);
	rule(&base, APP, APP, 0, PC_WEB, DSI_CLASS_TCP, DSI_PERM_TCP_BIND | DSI_PERM_TCP_LISTEN | DSI_PERM_TCP_ACCEPT);
}

static void enforce(void)
{
	struct node_info own = { .nid = 1, .state = DSI_NODE_MEMBER, .nclass = DSI_NCLASS_MEMBER, .n_addrs = 1 };
	struct mapset_report rep;
	struct err e = { 0 };
	double began = now_ms();

	need(kern_open(&k, NULL, &e), &e, "load");
	need(kern_mode_set(k, DSI_MODE_ENFORCING, &e), &e, "enforcing");
	policy();
	need(set_load(k, &base, &rep), &e, "policy");
	need(node_own_set(k, 1, &e), &e, "own number");
	need(node_addr_parse("10.9.0.1", &own.addrs[0]), &e, "address");
	need(node_set(k, &own, NULL, &e), &e, "own node");
	lease_set(k, lease_now() + 3600000000000ull);
	printf("# loaded and enforcing after %.0f ms of the machine's time\n", now_ms() - began);
}

static int work(const char *program)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execl(program, program, (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* What was refused is no workload: nothing may be. */
static int judged(const char *program, bool labelled)
{
	struct kern_status st;
	struct err e = { 0 };
	int r = work(program);

	need(kern_status(k, &st, &e), &e, "status");
	printf("# refused %llu, labels written %llu, verified %llu, recursion misses %llu\n",
	       (unsigned long long)st.stats[DSI_STAT_DENIED], (unsigned long long)st.stats[DSI_STAT_SYN_SENT],
	       (unsigned long long)st.stats[DSI_STAT_SYN_OK], (unsigned long long)st.recursion_misses);
	check(!st.stats[DSI_STAT_DENIED] && !st.recursion_misses, "nothing was refused or missed");
	check(!labelled || st.stats[DSI_STAT_SYN_OK] > 0, "labels were on the wire, and verified");
	return r || failed;
}

/* --- one decision, by the number of rules ------------------------------------------------------------------- */

static int fill(u64 version, u32 n_filler, double *ret_put_ms, double *ret_swap_ms)
{
	static struct dsi_rec_rule sorted[ARRAY_SIZE(base.rules)], filler[4096];
	struct dsi_rec_context ctx[] = { { DSI_SID_DEFAULT, base.default_flags }, { DSI_SID_KERNEL, DSI_CTX_UNCONFINED },
					 { DSI_SID_DSI, DSI_CTX_UNCONFINED }, { APP, 0 }, { WEB, 0 }, { SRV, 0 } };
	struct mapset_head h = { .policy_version = version, .digest = { 0xd5 } };
	struct mapset_report rep;
	struct err e = { 0 };
	struct mapset *m;
	double began = now_ms();

	memcpy(sorted, base.rules, sizeof(sorted));
	qsort(sorted, base.n_rules, sizeof(sorted[0]), by_key);
	h.counts[DSI_REC_RULE] = base.n_rules + n_filler;
	h.counts[DSI_REC_CONTEXT] = ARRAY_SIZE(ctx);
	need(mapset_begin(k, &h, &m, &e), &e, "begin");
	need(mapset_put(m, DSI_REC_RULE, sorted, base.n_rules, &e), &e, "rules");
	need(mapset_put(m, DSI_REC_CONTEXT, ctx, ARRAY_SIZE(ctx), &e), &e, "contexts");
	for (u32 at = 0; at < n_filler;) {
		u32 n = MIN(n_filler - at, (u32)ARRAY_SIZE(filler));

		for (u32 i = 0; i < n; i++)
			filler[i] = (struct dsi_rec_rule){ { 1000 + (at + i) / 64, 1000 + (at + i) % 64, 0, 0, DSI_CLASS_FILE }, { 1, at + i } };
		need(mapset_put(m, DSI_REC_RULE, filler, n, &e), &e, "more rules");
		at += n;
	}
	*ret_put_ms = now_ms() - began;
	began = now_ms();
	need(mapset_commit(m, &rep, &e), &e, "commit");
	*ret_swap_ms = now_ms() - began;
	return 0;
}

/* Keys all over the set, so that no lucky bucket speaks for all. */
static double one_decision(u32 n_filler)
{
	enum { ASKED = 1000 };
	struct err e = { 0 };
	u64 sum = 0;

	for (u32 i = 0; i < ASKED; i++) {
		u32 at = (u32)((u64)i * 2654435761u % n_filler);
		struct dsi_query q = { .key = { 1000 + at / 64, 1000 + at % 64, 0, 0, DSI_CLASS_FILE }, .perm = 1 };
		u64 begin = instructions();

		need(kern_ask(k, &q, &e), &e, "ask");
		sum += instructions() - begin;
		if (!q.allow) {
			fprintf(stderr, "kernel: rule %u of %u does not answer (reason %u)\n", at, n_filler, q.reason);
			exit(1);
		}
	}
	return (double)sum / ASKED;
}

static int decide(void)
{
	static const u32 sizes[] = { 100, 10000, 1000000 };
	double put, swap;

	enforce();
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill(2 + i, sizes[i], &put, &swap);
		one_decision(sizes[i]); /* warm */
		printf("decide_%u %.1f\n", sizes[i], one_decision(sizes[i]));
		printf("fill_ms_%u %.3f\nswap_ms_%u %.3f\n", sizes[i], put, sizes[i], swap);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "idle";

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(self, sizeof(self), "%s", argv[0]);
	world();
	if (!strcmp(what, "decide"))
		return decide();
	if (strcmp(what, "idle"))
		enforce();
	run("sleep 5"); /* of the machine's time: work put off by the boot and by attaching is done by then */
	run("echo \"# $(uname -r), modules $(cat /sys/kernel/security/lsm)\"");
	if (!strcmp(what, "idle"))
		return work("/srv/bin/plain");
	return judged(!strcmp(what, "labelled") ? "/srv/bin/app" : "/srv/bin/plain", !strcmp(what, "labelled"));
}
