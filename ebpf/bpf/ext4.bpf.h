/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Changes of ext4, told by its own tracepoints while the locks are held.
 *
 * Bytes: *_write_end. Names: each operation runs in one journal handle, whose end
 * (jbd2_handle_stats) still lies under the directories' locks, when the dentry of a new
 * name is there and that of a moved one has not moved; what the handle dirtied, in order,
 * tells the inodes. Attributes: the inode is marked dirty as a whole after they are set.
 */
#ifndef DK_EXT4_H
#define DK_EXT4_H

INLINE int segment(struct inode *inode, u64 pos, u32 copied)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct segment segment = { .inode = inode, .pos = pos, .flags = DK_ORDERED };
	struct call *call;

	if (!copied || unheard(task) || !inside(inode))
		return 0;
	call = call_of(task);
	if (call) {
		segment.number = call->number;
		call->segments++;
	}
	segment.from = (u64)address_of(inode, pos);
	emit_write(&segment, copied);
	if (task->flags & PF_IO_WORKER)
		hold_back(task);
	return 0;
}

SEC("tp_btf/ext4_da_write_end")
int BPF_PROG(da_write_end, struct inode *inode, s64 pos, u32 len, u32 copied)
{
	return segment(inode, pos, copied);
}

SEC("tp_btf/ext4_write_end")
int BPF_PROG(write_end, struct inode *inode, s64 pos, u32 len, u32 copied)
{
	return segment(inode, pos, copied);
}

SEC("tp_btf/ext4_journalled_write_end")
int BPF_PROG(journalled_write_end, struct inode *inode, s64 pos, u32 len, u32 copied)
{
	return segment(inode, pos, copied);
}

SEC("tp_btf/ext4_unlink_exit")
int BPF_PROG(unlink_exit, struct dentry *dentry, int ret)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	u32 verdict;

	if (ret || !inode || unheard(task))
		return 0;
	verdict = climb_from(dentry);
	forget(inode);
	if (verdict == INSIDE)
		emit_entry(call_of(task), dentry, inode, DK_UNLINK, DK_ORDERED);
	return 0;
}

/* Notes an inode that the handle under way has dirtied, each once, in order. */
SEC("tp_btf/ext4_mark_inode_dirty")
int BPF_PROG(mark_inode_dirty, struct inode *inode, unsigned long ip)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 class = class_now(task), at;
	struct call *call;

	if (class != C_RENAME && class != C_LINK && class != C_RMDIR && class != C_UNLINK &&
	    class != C_BATCH)
		return 0;
	if (unheard(task))
		return 0;
	call = call_of(task);
	if (!call)
		return 0;
	for (at = 0; at < MARKS; at++) {
		if (at >= call->marks) {
			call->mark[at] = (u64)inode;
			call->marks = at + 1;
			break;
		}
		if (call->mark[at] == (u64)inode)
			break;
	}
	return 0;
}

SEC("tp_btf/ext4_allocate_inode")
int BPF_PROG(allocate_inode, struct inode *inode, struct inode *dir, int mode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call;

	if (unheard(task))
		return 0;
	call = call_of(task);
	if (call)
		call->born = (u64)inode;
	return 0;
}

INLINE struct dentry *first_dentry(struct inode *inode)
{
	struct hlist_node *node = BPF_CORE_READ(inode, i_dentry.first);

	return node ? alias_at(node) : NULL;
}

INLINE u32 kind_of_mode(u32 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return DK_CREATE;
	case S_IFDIR: return DK_MKDIR;
	case S_IFLNK: return DK_SYMLINK;
	}
	return DK_MKNOD;
}

/* A handle that has allocated an inode: it has a dentry now unless that failed. */
static __noinline int finish_birth(struct call *call, struct task_struct *task)
{
	struct inode *inode = (void *)call->born;
	struct dentry *dentry = first_dentry(inode);
	const volatile struct shape *shape = shape_of(registers(task));
	u32 kind = kind_of_mode(BPF_CORE_READ(inode, i_mode));
	u64 target = 0;

	if (!dentry || !inside(inode))
		return 0;
	if (kind != DK_SYMLINK)
		return emit_entry(call, dentry, inode, kind, DK_ORDERED);
	if (!(task->flags & PF_IO_WORKER) && shape->class == C_SYMLINK)
		target = argument(registers(task), shape->other_path);
	return emit_symlink(call, dentry, inode, target);
}

/* A further name: the directory was dirtied, then the file, whose first dentry it is. */
static __noinline int finish_link(struct call *call)
{
	struct inode *inode = (void *)call->mark[1];
	struct dentry *dentry = first_dentry(inode);

	if (call->marks < 2 || !dentry)
		return 0;
	forget(inode);
	if (climb_from(dentry) == INSIDE)
		emit_entry(call, dentry, inode, DK_LINK, DK_ORDERED);
	return 0;
}

/* The directory that went was dirtied, then its parent. */
static __noinline int finish_rmdir(struct call *call)
{
	struct inode *inode = (void *)call->mark[0];
	struct dentry *dentry = first_dentry(inode);

	if (call->marks < 2 || !dentry || BPF_CORE_READ(inode, i_nlink))
		return 0;
	if (climb_from(dentry) == INSIDE)
		emit_entry(call, dentry, inode, DK_RMDIR, DK_ORDERED);
	forget(inode);
	return 0;
}

INLINE bool is_dir(struct inode *inode)
{
	return (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR;
}

/* Exchanged: the new directory, the old one if another, then the two inodes. Moved: the
 * new directory, the inode, the old directory if another, what was replaced if anything.
 */
INLINE void who_moved(struct moved *moved, const struct call *call)
{
	struct inode *second = (void *)call->mark[1], *third = (void *)call->mark[2];
	struct inode *fourth = call->marks > 3 ? (void *)call->mark[3] : NULL;
	bool apart;

	if (call->marks < 3)
		third = NULL;
	moved->to = moved->from = (void *)call->mark[0];
	if (moved->flags & RENAME_EXCHANGE) {
		if (fourth)
			moved->from = second;
		moved->inode = fourth ? third : second;
		moved->replaced = fourth ? fourth : third;
		return;
	}
	moved->inode = second;
	if (!third)
		return;
	apart = is_dir(second) ?
		BPF_CORE_READ(first_dentry(second), d_parent, d_inode) == third :
		is_dir(third);
	if (apart)
		moved->from = third;
	moved->replaced = apart ? fourth : third;
}

/* Both directories are locked; no dentry has moved yet. */
static __noinline int finish_rename(struct call *call, struct task_struct *task)
{
	struct pt_regs *regs = registers(task);
	const volatile struct shape *shape = shape_of(regs);
	struct moved moved = {
		.from_path = argument(regs, shape->path),
		.to_path = argument(regs, shape->other_path),
		.flags = regs->orig_ax == 316 ? regs->r8 : 0,
	};

	if (call->marks < 2)
		return 0;
	who_moved(&moved, call);
	forget(moved.inode);
	if (moved.replaced)
		forget(moved.replaced);
	if (inside(moved.from) || inside(moved.to))
		emit_rename(call, &moved);
	return 0;
}

/* Names changed from within a batch, where no argument says how: the directories are to
 * be read again.
 */
static __noinline int finish_batch(struct call *call)
{
	struct doubt doubt = { .reason = DK_FOREIGN };
	u32 at;

	if (call->marks < 2)
		return 0;
	for (at = 0; at < MARKS; at++) {
		struct inode *inode = (void *)call->mark[at];

		if (at < call->marks && is_dir(inode)) {
			__sync_fetch_and_add(&epoch, 1);
			if (inside(inode))
				emit_dirty(call, inode, &doubt);
		}
	}
	return 0;
}

SEC("tp_btf/jbd2_handle_stats")
int BPF_PROG(handle_stats)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call = call_under_way(task);
	u32 class;

	if (!call || !(call->born || call->marks))
		return 0;
	class = class_now(task);
	if (call->born)
		finish_birth(call, task);
	else if (class == C_LINK)
		finish_link(call);
	else if (class == C_RENAME)
		finish_rename(call, task);
	else if (class == C_RMDIR || class == C_UNLINK)
		finish_rmdir(call);
	else if (class == C_BATCH)
		finish_batch(call);
	call->born = 0;
	call->marks = 0;
	return 0;
}

/* Attributes and lengths: notify_change marks the whole inode dirty when they are set. */
SEC("tp_btf/writeback_dirty_inode")
int BPF_PROG(dirty_inode, struct inode *inode, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 class;

	if ((flags & I_DIRTY_ALL) != I_DIRTY_ALL || (task->flags & PF_IO_WORKER))
		return 0;
	class = class_now(task);
	if (class != C_OPEN && (class < C_TRUNCATE || class > C_UTIMES))
		return 0;
	if (unheard(task) || !inside(inode))
		return 0;
	if (class == C_CHMOD || class == C_CHOWN || class == C_UTIMES)
		emit_attr(call_of(task), inode, class - C_CHMOD + DK_CHMOD, DK_ORDERED);
	else if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG &&
		 (class == C_TRUNCATE || !BPF_CORE_READ(inode, i_size)))
		emit_truncate(call_of(task), inode);
	return 0;
}

SEC("tp_btf/ext4_fallocate_enter")
int BPF_PROG(fallocate_enter, struct inode *inode, s64 offset, s64 len, int mode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call;

	if (unheard(task) || !inside(inode))
		return 0;
	call = call_of(task);
	if (call) {
		call->offset = offset;
		call->len = len;
		call->mode = mode;
	}
	return 0;
}

/* A range operation under the inode's lock, with the length that it leads to. */
static __noinline int shape_range(struct inode *inode, struct range *range)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 size = BPF_CORE_READ(inode, i_size), end = range->offset + range->len;

	if (unheard(task) || !inside(inode))
		return 0;
	range->kind = DK_FALLOCATE;
	range->size = size;
	if (range->mode & FALLOC_FL_COLLAPSE_RANGE)
		range->size = size - range->len;
	else if (range->mode & FALLOC_FL_INSERT_RANGE)
		range->size = size + range->len;
	else if (!(range->mode & FALLOC_FL_KEEP_SIZE) && end > size)
		range->size = end;
	emit_range(call_of(task), inode, range);
	return 0;
}

SEC("tp_btf/ext4_fallocate_exit")
int BPF_PROG(fallocate_exit, struct inode *inode, s64 offset, u32 blocks, int ret)
{
	struct call *call = call_under_way(bpf_get_current_task_btf());
	struct range range = {};

	if (ret || !call || !call->len)
		return 0;
	range.offset = call->offset;
	range.len = call->len;
	range.mode = call->mode;
	call->len = 0;
	return shape_range(inode, &range);
}

SEC("tp_btf/ext4_punch_hole")
int BPF_PROG(punch_hole, struct inode *inode, s64 offset, s64 len, int mode)
{
	struct range range = {
		.offset = offset,
		.len = len,
		.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};

	return shape_range(inode, &range);
}

SEC("tp_btf/ext4_zero_range")
int BPF_PROG(zero_range, struct inode *inode, s64 offset, s64 len, int mode)
{
	struct range range = { .offset = offset, .len = len, .mode = mode };

	return shape_range(inode, &range);
}

SEC("tp_btf/ext4_collapse_range")
int BPF_PROG(collapse_range, struct inode *inode, s64 offset, s64 len)
{
	struct range range = { .offset = offset, .len = len, .mode = FALLOC_FL_COLLAPSE_RANGE };

	return shape_range(inode, &range);
}

SEC("tp_btf/ext4_insert_range")
int BPF_PROG(insert_range, struct inode *inode, s64 offset, s64 len)
{
	struct range range = { .offset = offset, .len = len, .mode = FALLOC_FL_INSERT_RANGE };

	return shape_range(inode, &range);
}

#endif
