// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only BPF translation unit. Hooks are thin: they find subject, target and permission, ask
 * dsi_decide(), and refuse() turns a no into a record and a verdict. kernel/README.md has the table.
 */
#include "kernel/kdefs.bpf.h"
#include "kernel/maps.bpf.h"
#include "kernel/policy.bpf.h"
#include "kernel/emit.bpf.h"
#include "kernel/label.bpf.h"
#include "kernel/peer.bpf.h"
#include "kernel/guard.bpf.h"
#include "kernel/hook_exec.bpf.h"
#include "kernel/hook_file.bpf.h"
#include "kernel/hook_task.bpf.h"
#include "kernel/hook_net.bpf.h"
#include "kernel/wirelabel.bpf.h"
#include "kernel/scan.bpf.h"
#include "kernel/reval.bpf.h"
#include "kernel/quarantine.bpf.h"
#include "kernel/hook_guard.bpf.h"

char LICENSE[] SEC("license") = "GPL";
