// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* The fentry tier: functions that all file systems share tell contents (writes.bpf.h), names
 * and attributes (names.bpf.h) while the locks are held; what is open, read, mapped and
 * printed is seen when system calls return (calls.bpf.h).
 */
#include "kernel.h"
#include "wire.h"
#include "task.bpf.h"
#include "ring.bpf.h"
#include "scope.bpf.h"
#include "syscall.bpf.h"
#include "payload.bpf.h"
#include "emit.bpf.h"
#include "cache.bpf.h"
#include "stacked.bpf.h"
#include "turn.bpf.h"
#include "writes.bpf.h"
#include "names.bpf.h"
#include "mapped.bpf.h"
#include "output.bpf.h"
#include "closes.bpf.h"
#include "calls.bpf.h"
#include "process.bpf.h"

char LICENSE[] SEC("license") = "GPL";
