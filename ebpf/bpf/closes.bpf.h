/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Closes of descriptors that may have changed a file below a root. When the call returns the
 * descriptor's file is gone, and a program at the entry of every call would cost everybody:
 * so descriptors are entered here when they are opened for writing, and when a call writes
 * through one that came by another way (a dup, a fork, a socket).
 */
#ifndef DK_CLOSES_H
#define DK_CLOSES_H

struct descriptor {
	u64 files; /* address of the table that it stands in */
	u32 fd;
	u32 pad;
};

/* One that goes without a close, with its process, stays until others push it out. At worst
 * a later close is taken for its own, and a file is compared once more.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct descriptor);
	__type(value, struct dk_inode);
} writers SEC(".maps");

INLINE void descriptor(struct descriptor *out, u32 fd)
{
	out->files = (u64)BPF_CORE_READ(bpf_get_current_task_btf(), files);
	out->fd = fd;
}

static __noinline int may_write(u32 fd, struct inode *inode)
{
	struct descriptor key = {};
	struct dk_inode about = {};

	descriptor(&key, fd);
	describe(&about, inode);
	bpf_map_update_elem(&writers, &key, &about, BPF_ANY);
	return 0;
}

/* Has written: a thread that goes on with the same descriptor need not look again. */
INLINE void writes_through(struct call *call, u32 fd, struct inode *inode)
{
	struct descriptor key = {};

	call->through = fd + 1;
	descriptor(&key, fd);
	if (!bpf_map_lookup_elem(&writers, &key))
		may_write(fd, inode);
}

static __noinline int exit_close(struct pt_regs *regs)
{
	u32 fd = argument(regs, shape_of(regs)->dir);
	struct task_struct *task = bpf_get_current_task_btf();
	struct descriptor key = {};
	struct dk_inode *about;
	struct call *call;

	descriptor(&key, fd);
	about = bpf_map_lookup_elem(&writers, &key);
	if (!about || unheard(task))
		return 0;
	call = call_under_way(task);
	if (call)
		call->through = 0;
	emit_close(about);
	bpf_map_delete_elem(&writers, &key);
	return 0;
}

#endif
