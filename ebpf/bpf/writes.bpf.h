/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What changes contents, told by the functions that all file systems share: writes through
 * the page cache while the inode is locked, the rest when it is over.
 */
#ifndef DK_WRITES_H
#define DK_WRITES_H

/* Whether writes to the file are told under its lock. */
INLINE bool tells_writes(struct inode *inode)
{
	switch ((u32)BPF_CORE_READ(inode, i_sb, s_magic)) {
	case EXT4_MAGIC: case TMPFS_MAGIC: case XFS_MAGIC: case OVERLAYFS_MAGIC:
		return true;
	}
	return false;
}

/* Before: only then is the position sure to be that of the first byte. */
static __noinline int begin_write(struct kiocb *iocb)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call;

	/* Threads of the kernel write too, such as those of loop devices. */
	if (is_recorder(task) || !inside(shown_inode(BPF_CORE_READ(iocb, ki_filp))))
		return 0;
	call = call_of(task);
	if (call) {
		call->under_way = (u64)iocb;
		call->begins = BPF_CORE_READ(iocb, ki_pos);
	}
	return 0;
}

/* After, with the lock still held. */
static __noinline int end_write(struct kiocb *iocb, s64 copied)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = BPF_CORE_READ(iocb, ki_filp);
	struct inode *held = BPF_CORE_READ(file, f_mapping, host);
	struct call *call = call_under_way(task);
	struct span span = { .inode = (u64)held, .left = copied };
	struct doubt lost = { .reason = DK_RING_FULL };
	struct inode *shown;
	bool secret;

	if (!call || call->under_way != (u64)iocb)
		return 0;
	call->under_way = 0;
	if (copied <= 0)
		return 0;
	shown = shown_inode(file);
	changed(shown);
	secret = is_secret(task, shown);
	if (secret || is_lossy(shown)) {
		if (secret)
			lost.reason = DK_NO_PAYLOAD;
		call->dirtied = 1;
		return emit_dirty(call, shown, &lost);
	}
	describe_shown(&span.segment.about, shown, held);
	span.segment.pos = call->begins;
	span.segment.flags = DK_ORDERED;
	count_segment(call, &span.segment,
		      is_whole(task, copied) && copied <= left_of_page(call->begins));
	emit_cached(&span);
	if (task->flags & PF_IO_WORKER)
		hold_back(task);
	return 0;
}

SEC("fentry/generic_perform_write")
int BPF_PROG(write_begin, struct kiocb *iocb)
{
	return begin_write(iocb);
}

SEC("fexit/generic_perform_write")
int BPF_PROG(write_end, struct kiocb *iocb, struct iov_iter *from, s64 copied)
{
	return end_write(iocb, copied);
}

/* xfs; what follows the two arguments differs between kernels, so the result is asked for. */
SEC("fentry/iomap_file_buffered_write")
int BPF_PROG(iomap_begin, struct kiocb *iocb)
{
	return begin_write(iocb);
}

SEC("fexit/iomap_file_buffered_write")
int iomap_end(u64 *ctx)
{
	u64 copied = 0;

	bpf_get_func_ret(ctx, &copied);
	return end_write((void *)ctx[0], copied);
}

/* A write past the page cache is over; its end may have no task of its own. */
SEC("fentry/iomap_dio_complete")
int BPF_PROG(direct_end, struct iomap_dio *dio)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct kiocb *iocb = BPF_CORE_READ(dio, iocb);
	struct inode *inode = shown_inode(BPF_CORE_READ(iocb, ki_filp));
	struct doubt doubt = {
		.reason = DK_DIRECT,
		.offset = BPF_CORE_READ(iocb, ki_pos),
		.len = BPF_CORE_READ(dio, size),
		.anonymous = !!(task->flags & PF_KTHREAD),
	};
	struct call *call;

	if (!(BPF_CORE_READ(dio, flags) & IOMAP_DIO_WRITE) || BPF_CORE_READ(dio, error))
		return 0;
	if (!doubt.len || is_recorder(task) || !inside(inode))
		return 0;
	changed(inode);
	call = doubt.anonymous ? NULL : call_of(task);
	if (call)
		call->dirtied = 1;
	return emit_dirty(call, inode, &doubt);
}

SEC("fentry/vfs_fallocate")
int BPF_PROG(allocate_begin, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = shown_inode(file);
	struct call *call;

	if (is_backing(file) || unheard(task) || !inside(inode))
		return 0;
	call = call_of(task);
	if (call) {
		call->under_way = (u64)file;
		call->begins = begin_turn(inode);
	}
	return 0;
}

/* The lock has been released: where others changed the file as well, it is read again. */
SEC("fexit/vfs_fallocate")
int BPF_PROG(allocate_end, struct file *file, int mode, s64 offset, s64 len, int ret)
{
	struct call *call = call_under_way(bpf_get_current_task_btf());
	struct doubt doubt = { .reason = DK_FOREIGN };
	struct range range = {
		.kind = DK_FALLOCATE,
		.flags = DK_ORDERED,
		.mode = mode,
		.offset = offset,
		.len = len,
	};
	struct inode *inode = shown_inode(file);
	bool alone;

	if (!call || call->under_way != (u64)file)
		return 0;
	call->under_way = 0;
	alone = end_turn(inode, call->begins);
	if (ret)
		return 0;
	return alone ? emit_range(call, inode, &range) : emit_dirty(call, inode, &doubt);
}

#endif
