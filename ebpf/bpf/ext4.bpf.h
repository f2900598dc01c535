/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Changes of ext4, told by its own tracepoints while the locks are held.
 *
 * Bytes: *_write_end. Names: ext4_unlink_exit; else the order in which an operation dirties
 * its inodes (ext4_mark_inode_dirty), which tells who they are and when the entries are
 * written. Attributes and lengths: the inode is marked dirty as a whole after they are set.
 * Sequences as of fs/ext4/namei.c in 6.1 to 6.18; the tests would notice another.
 */
#ifndef DK_EXT4_H
#define DK_EXT4_H

/* Whether writes to the file are told under its lock. */
INLINE bool tells_writes(struct inode *inode)
{
	return is_ext4(inode);
}

INLINE int segment(struct inode *inode, u64 pos, u32 copied)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pieces pieces = { .segment.pos = pos, .segment.flags = DK_ORDERED };
	struct doubt lost = { .reason = DK_RING_FULL };
	struct call *call;
	bool secret;

	/* Threads of the kernel write too, such as those of loop devices. */
	if (!copied || is_recorder(task) || !inside(inode))
		return 0;
	call = call_of(task);
	secret = is_secret(task, inode);
	if (secret || is_lossy(inode)) {
		if (secret)
			lost.reason = DK_NO_PAYLOAD;
		if (call)
			call->dirtied = 1;
		return emit_dirty(call, inode, &lost);
	}
	if (call)
		count_segment(call, &pieces.segment, is_whole(task, copied));
	describe_own(&pieces.segment.about, inode);
	pieces.segment.from = (u64)address_of(inode, pos);
	emit_write(&pieces, copied);
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
	struct inode *parent = BPF_CORE_READ(dentry, d_parent, d_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	struct label label = { .flags = DK_ORDERED };

	if (ret || !inode)
		return 0;
	/* In a root itself the recorder is heard: that is how it asks for an answer. */
	if (unheard(task) && (!is_recorder(task) || place_of(parent) != INSIDE))
		return 0;
	if (inside(parent)) {
		label_of_dentry(&label, dentry);
		emit_entry(call_of(task), inode, parent, &label, DK_UNLINK);
	}
	forget(inode);
	return 0;
}

SEC("tp_btf/ext4_allocate_inode")
int BPF_PROG(allocate_inode, struct inode *inode, struct inode *dir, int mode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call;

	/* A rename allocates one only for overlayfs: its white-out. */
	if (unheard(task) || class_now(task) == C_RENAME || !inside(dir))
		return 0;
	call = call_of(task);
	if (call) {
		call->born = (u64)inode;
		call->born_dir = (u64)dir;
	}
	return 0;
}

/* The name that is being made: of an open the last component that its lookup came to,
 * which symbolic links may have changed, else that of the path given.
 */
INLINE bool label_of_birth(struct label *label, struct task_struct *task)
{
	const volatile struct shape *shape = shape_of(registers(task));
	struct nameidata *lookup = BPF_CORE_READ(task, nameidata);

	if (lookup) {
		label->kernel = (u64)BPF_CORE_READ(lookup, last.name);
		label->len = BPF_CORE_READ(lookup, last.len);
		return true;
	}
	if (task->flags & PF_IO_WORKER)
		return false;
	if (shape->class != C_MKDIR && shape->class != C_MKNOD && shape->class != C_SYMLINK)
		return false;
	label->user = argument(registers(task), shape->path);
	if (shape->class == C_SYMLINK)
		label->target = argument(registers(task), shape->other_path);
	return true;
}

/* An inode was allocated and its directory has just got the entry. Whoever makes names in
 * a way that is not known here leaves a directory that must be read again.
 */
static __noinline int finish_birth(struct call *call, u32 kind)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = (void *)call->born, *dir = (void *)call->born_dir;
	struct doubt doubt = { .reason = DK_FOREIGN };
	struct label label = { .flags = DK_ORDERED };

	call->born = 0;
	if (BPF_CORE_READ(inode, i_nlink) && !label_of_birth(&label, task))
		return emit_dirty(call, dir, &doubt);
	if (kind == DK_SYMLINK)
		return emit_symlink(call, inode, dir, &label);
	return emit_entry(call, inode, dir, &label, kind);
}

/* A further name: the directory was dirtied, then the file. */
static __noinline int finish_link(struct call *call, struct inode *inode)
{
	struct pt_regs *regs = registers(bpf_get_current_task_btf());
	struct inode *parent = (void *)call->mark[0];
	struct label label = {
		.user = argument(regs, shape_of(regs)->other_path),
		.flags = DK_ORDERED,
	};

	call->settled = 1;
	call->moved[0] = (u64)inode;
	if (inside(parent))
		emit_entry(call, inode, parent, &label, DK_LINK);
	return 0;
}

INLINE struct dentry *first_dentry(struct inode *inode)
{
	struct hlist_node *node = BPF_CORE_READ(inode, i_dentry.first);

	return node ? alias_at(node) : NULL;
}

/* The directory that went was dirtied, then its parent. */
static __noinline int finish_rmdir(struct call *call, struct inode *parent)
{
	struct inode *inode = (void *)call->mark[0];
	struct dentry *dentry = first_dentry(inode);
	struct label label = { .flags = DK_ORDERED };

	call->settled = 1;
	if (!dentry)
		return 0;
	label_of_dentry(&label, dentry);
	if (inside(parent))
		emit_entry(call, inode, parent, &label, DK_RMDIR);
	return 0;
}

/* All directories are locked, both entries are written and no dentry has moved yet. */
static __noinline int finish_rename(struct call *call, struct moved *moved)
{
	struct pt_regs *regs = registers(bpf_get_current_task_btf());
	const volatile struct shape *shape = shape_of(regs);

	call->settled = 1;
	if (!inside(moved->from) && !inside(moved->to))
		return 0;
	call->moved[0] = (u64)moved->inode;
	call->moved[1] = (u64)moved->replaced;
	moved->old_name.user = argument(regs, shape->path);
	moved->new_name.user = argument(regs, shape->other_path);
	return emit_rename(call, moved);
}

/* Dirtied in this order: a file whose blocks are allocated first, the new directory (perhaps
 * several times), the inode, for a directory perhaps the new one again, the old directory,
 * what was replaced. The entries are right when the old directory comes.
 */
INLINE void mark_rename(struct call *call, struct inode *inode)
{
	struct moved moved = {};
	struct dentry *dentry;

	if (call->marks == 0 && !is_dir(inode))
		return;
	if (call->marks == 0 || (call->marks == 1 && call->mark[0] != (u64)inode)) {
		call->mark[call->marks & 1] = (u64)inode;
		call->marks++;
		return;
	}
	if (call->marks == 1)
		return;
	moved.to = (void *)call->mark[0];
	moved.inode = (void *)call->mark[1];
	moved.from = inode;
	dentry = first_dentry(moved.inode);
	if (is_dir(moved.inode) && BPF_CORE_READ(dentry, d_parent, d_inode) != inode)
		return;
	finish_rename(call, &moved);
}

/* Dirtied in this order: the new directory, the old one, the two inodes. */
INLINE void mark_exchange(struct call *call, struct inode *inode)
{
	struct moved moved = { .flags = RENAME_EXCHANGE };

	if (call->marks < 3) {
		call->mark[call->marks & 3] = (u64)inode;
		call->marks++;
		return;
	}
	moved.to = (void *)call->mark[0];
	moved.from = (void *)call->mark[1];
	moved.inode = (void *)call->mark[2];
	moved.replaced = inode;
	finish_rename(call, &moved);
}

/* Names changed from within a batch, where no argument says how. */
static __noinline int mark_batch(struct inode *inode, struct task_struct *task)
{
	struct doubt doubt = { .reason = DK_FOREIGN };

	if (!is_dir(inode))
		return 0;
	__sync_fetch_and_add(&epoch, 1);
	if (inside(inode))
		emit_dirty(call_of(task), inode, &doubt);
	return 0;
}

static __noinline int mark_names(struct call *call, struct inode *inode, u32 class)
{
	struct pt_regs *regs = registers(bpf_get_current_task_btf());
	struct inode *first = (void *)call->mark[0];

	if (call->settled)
		return 0;
	if (class == C_RENAME) {
		if (regs->orig_ax == NR_RENAMEAT2 && (regs->r8 & RENAME_EXCHANGE))
			mark_exchange(call, inode);
		else
			mark_rename(call, inode);
	} else if (!call->marks) {
		call->mark[0] = (u64)inode;
		call->marks = 1;
	} else if (first != inode) {
		if (class == C_LINK)
			finish_link(call, inode);
		else if (is_dir(first) && !BPF_CORE_READ(first, i_nlink))
			finish_rmdir(call, inode);
	}
	return 0;
}

static __noinline int finish_shift(struct call *call, struct inode *inode)
{
	struct range range = {
		.kind = DK_FALLOCATE,
		.flags = DK_ORDERED,
		.mode = call->mode,
		.offset = call->offset,
		.len = call->len,
	};

	if (BPF_CORE_READ(inode, i_size) != call->after)
		return 0;
	call->shifting = call->len = 0;
	return emit_range(call, inode, &range);
}

SEC("tp_btf/ext4_mark_inode_dirty")
int BPF_PROG(mark_inode_dirty, struct inode *inode, unsigned long ip)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call = call_under_way(task);
	u32 class;

	if (call && call->born) {
		struct inode *born = (void *)call->born;

		if ((u64)inode == call->born_dir || (inode == born && !inode->i_nlink))
			finish_birth(call, kind_of_mode(BPF_CORE_READ(born, i_mode)));
		return 0;
	}
	if (call && call->shifting == (u64)inode)
		return finish_shift(call, inode);
	class = class_now(task);
	if (class != C_RENAME && class != C_LINK && class != C_RMDIR && class != C_UNLINK &&
	    class != C_BATCH)
		return 0;
	if (unheard(task))
		return 0;
	if (class == C_BATCH)
		return mark_batch(inode, task);
	call = call_of(task);
	return call ? mark_names(call, inode, class) : 0;
}

/* mark_inode_dirty() sets three flags, whose values differ between kernels; the update of
 * a time alone sets one or two.
 */
INLINE bool three_bits(u32 flags)
{
	flags &= flags - 1;
	return flags & (flags - 1);
}

/* Attributes and lengths: notify_change marks the whole inode dirty when they are set. */
SEC("tp_btf/writeback_dirty_inode")
int BPF_PROG(dirty_inode, struct inode *inode, int flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 class;

	if (!three_bits(flags) || (task->flags & PF_IO_WORKER))
		return 0;
	class = class_now(task);
	if (class != C_OPEN && (class < C_TRUNCATE || class > C_UTIMES))
		return 0;
	if (unheard(task) || !inside(inode))
		return 0;
	if (class == C_CHMOD || class == C_CHOWN || class == C_UTIMES)
		emit_attr(call_of(task), inode, class - C_CHMOD + DK_CHMOD, DK_ORDERED);
	else if (is_regular(inode) &&
		 (class == C_TRUNCATE || (open_flags(registers(task)) & O_TRUNC)))
		emit_truncate(call_of(task), inode, DK_ORDERED);
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
	range->size = range->mode & FALLOC_FL_KEEP_SIZE || end < size ? size : end;
	range->flags = DK_ORDERED;
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

/* Nothing has been checked yet: the record goes out when the inode is dirtied with the
 * length that success leads to.
 */
static __noinline int begin_shift(struct inode *inode, const struct range *range, u64 after)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call;

	if (unheard(task) || !inside(inode))
		return 0;
	call = call_of(task);
	if (!call)
		return 0;
	call->shifting = (u64)inode;
	call->after = after;
	call->offset = range->offset;
	call->len = range->len;
	call->mode = range->mode;
	return 0;
}

SEC("tp_btf/ext4_collapse_range")
int BPF_PROG(collapse_range, struct inode *inode, s64 offset, s64 len)
{
	struct range range = { .offset = offset, .len = len, .mode = FALLOC_FL_COLLAPSE_RANGE };

	return begin_shift(inode, &range, BPF_CORE_READ(inode, i_size) - len);
}

SEC("tp_btf/ext4_insert_range")
int BPF_PROG(insert_range, struct inode *inode, s64 offset, s64 len)
{
	struct range range = { .offset = offset, .len = len, .mode = FALLOC_FL_INSERT_RANGE };

	return begin_shift(inode, &range, BPF_CORE_READ(inode, i_size) + len);
}

/* Of calls about an extended attribute: whose. The name is told when the call returns. */
SEC("tp_btf/ext4_journal_start_inode")
int BPF_PROG(journal_start, struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u32 class = class_now(task);
	struct call *call;

	if ((class != C_SETXATTR && class != C_REMOVEXATTR) || unheard(task) || !inside(inode))
		return 0;
	call = call_of(task);
	if (call) {
		call->mark[0] = (u64)inode;
		call->marks = 1;
	}
	return 0;
}

/* Writes past the page cache: the bytes are not looked at. One that is waited for is told
 * when it is over; one that is not when it begins as well, since its end has no task.
 */
SEC("tp_btf/iomap_dio_rw_begin")
int BPF_PROG(dio_begin, struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = BPF_CORE_READ(iocb, ki_filp, f_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	struct doubt doubt = { .reason = DK_DIRECT };
	struct call *call;

	if (!BPF_CORE_READ(from, data_source) || is_recorder(task) || !inside(inode))
		return 0;
	call = call_of(task);
	if (call)
		call->direct = call->dirtied = 1;
	return BPF_CORE_READ(iocb, ki_complete) ? emit_dirty(call, inode, &doubt) : 0;
}

SEC("tp_btf/iomap_dio_complete")
int BPF_PROG(dio_complete, struct kiocb *iocb, int error, s64 ret)
{
	struct inode *inode = BPF_CORE_READ(iocb, ki_filp, f_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	struct call *call = call_under_way(task);
	struct doubt doubt = { .reason = DK_DIRECT };

	/* Only a kiocb that is not waited for says that it writes. */
	if (!(BPF_CORE_READ(iocb, ki_flags) & IOCB_WRITE) && !(call && call->direct))
		return 0;
	if (ret <= 0 || is_recorder(task) || !inside(inode))
		return 0;
	doubt.len = ret;
	doubt.offset = BPF_CORE_READ(iocb, ki_pos) - ret;
	doubt.anonymous = !!(task->flags & PF_KTHREAD);
	return emit_dirty(call, inode, &doubt);
}

#endif
