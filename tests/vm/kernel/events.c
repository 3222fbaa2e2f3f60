// SPDX-License-Identifier: GPL-2.0-or-later
/* Events, read by a child so that RSTs go out while we wait in connect(). */
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
