/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All maps. Names are pins (max 15 bytes). Policy sets sit in arrays of maps with one inner map per slot;
 * inner maps made by kernel/mapset.c must have the templates' types and flags.
 */
#ifndef DSI_KERNEL_MAPS_BPF_H
#define DSI_KERNEL_MAPS_BPF_H

#include "kernel/kdefs.bpf.h"

/* The state page: the only global. */
struct dsi_state state;

#define INNER(tag, map_type, flags, key_type, value_type)                                             \
	struct tag##_inner {                                                                          \
		__uint(type, map_type);                                                               \
		__uint(max_entries, 1);                                                               \
		__uint(map_flags, flags);                                                             \
		__uint(key_size, sizeof(key_type));                                                             \
		__uint(value_size, sizeof(value_type));                                                          \
	}
#define OUTER(tag)                                                                                    \
	struct {                                                                                      \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                             \
		__uint(max_entries, DSI_SLOTS);                                                       \
		__type(key, u32);                                                                     \
		__array(values, struct tag##_inner);                                                  \
	} tag SEC(".maps")

INNER(rules, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct dsi_rule_key, struct dsi_rule_value);
INNER(contexts, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, u32, u32);
INNER(nclasses, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, u32, u32);
INNER(ports, BPF_MAP_TYPE_ARRAY, 0, u32, struct dsi_ports);
INNER(labels, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct dsi_inode_key, u32);
INNER(execs, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, struct dsi_name_key, u32);
OUTER(rules);
OUTER(contexts);
OUTER(nclasses);
OUTER(ports);
OUTER(labels);
OUTER(execs);

#define STORAGE(name, map_type, flags, value_type)                                                    \
	struct {                                                                                      \
		__uint(type, map_type);                                                               \
		__uint(map_flags, BPF_F_NO_PREALLOC | (flags));                                       \
		__type(key, int);                                                                     \
		__type(value, value_type);                                                            \
	} name SEC(".maps")

STORAGE(task_labels, BPF_MAP_TYPE_TASK_STORAGE, 0, struct dsi_task_label);
STORAGE(inode_labels, BPF_MAP_TYPE_INODE_STORAGE, 0, struct dsi_inode_label);
STORAGE(sock_labels, BPF_MAP_TYPE_SK_STORAGE, BPF_F_CLONE, struct dsi_sock_label);

#define TABLE(name, map_type, n, flags, key_type, value_type)                                         \
	struct {                                                                                      \
		__uint(type, map_type);                                                               \
		__uint(max_entries, n);                                                               \
		__uint(map_flags, flags);                                                             \
		__type(key, key_type);                                                                \
		__type(value, value_type);                                                            \
	} name SEC(".maps")

TABLE(nodes, BPF_MAP_TYPE_HASH, DSI_NODES_MAX, 0, u32, struct dsi_node);
TABLE(addrs, BPF_MAP_TYPE_HASH, DSI_ADDRS_MAX, 0, struct dsi_addr, u32);
TABLE(conns, BPF_MAP_TYPE_LRU_HASH, DSI_CONNS_MAX, 0, struct dsi_conn_key, struct dsi_conn);
TABLE(stats, BPF_MAP_TYPE_PERCPU_ARRAY, DSI_STAT_COUNT, 0, u32, u64);

TABLE(stopped, BPF_MAP_TYPE_LRU_HASH, DSI_STOPPED_MAX, 0, struct dsi_stop_key, u32);
/* Ids of our maps and programs: kind << 32 | id. */
TABLE(guarded, BPF_MAP_TYPE_HASH, 1024, 0, u64, u32);
TABLE(listening, BPF_MAP_TYPE_ARRAY, 1, 0, u32, struct dsi_listening);

/* Per subject, for the rate limit of events. */
struct rate {
	u64 window; /* its first event, ns */
	u32 sent, suppressed;
};
TABLE(rates, BPF_MAP_TYPE_LRU_HASH, 1024, 0, u64, struct rate);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, DSI_RING_BYTES);
} events SEC(".maps");

static __always_inline void stat(u32 which)
{
	u64 *n = bpf_map_lookup_elem(&stats, &which);

	if (n)
		(*n)++;
}

#endif
