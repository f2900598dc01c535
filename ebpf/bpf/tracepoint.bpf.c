// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* The tracepoint tier: for hosts that refuse fentry. ext4 tells its changes itself
 * (ext4.bpf.h); the rest is seen when system calls return (calls.bpf.h), unordered.
 */
#include "kernel.h"
#include "wire.h"
#include "task.bpf.h"
#include "ring.bpf.h"
#include "scope.bpf.h"
#include "syscall.bpf.h"
#include "payload.bpf.h"
#include "emit.bpf.h"
#include "ext4.bpf.h"
#include "mapped.bpf.h"
#include "output.bpf.h"
#include "closes.bpf.h"
#include "calls.bpf.h"
#include "process.bpf.h"

char LICENSE[] SEC("license") = "GPL";
