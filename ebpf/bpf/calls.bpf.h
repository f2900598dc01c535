/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What is seen when system calls return: the end of those that emitted, and everything
 * that no hook under a lock tells. The registers still hold the arguments then, so that
 * nothing has to be kept from the entry.
 */
#ifndef DK_CALLS_H
#define DK_CALLS_H

/* Whether opens and first reads are told. */
const volatile bool reads = true;
/* Whether a root lies on a file system without hooks under its locks. */
const volatile bool foreign = false;

/* The inode of a regular file below a root, else none. */
INLINE struct inode *wanted(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	return file && is_regular(inode) && inside(inode) ? inode : NULL;
}

/* Notes the descriptor, and tells bytes that went to a file without a segment being seen. */
static __noinline int exit_write(struct call *call, struct pt_regs *regs, s64 ret)
{
	bool told = call && (call->segments || call->whole || call->dirtied);
	const volatile struct shape *shape = shape_of(regs);
	struct task_struct *task = bpf_get_current_task_btf();
	struct doubt doubt = { .reason = DK_NO_PAYLOAD, .len = ret };
	struct pieces pieces = { .segment.user = true };
	u32 fd = argument(regs, shape->dir);
	struct inode *inode;
	struct file *file;

	if (ret <= 0 || (told && call->through == fd + 1))
		return 0;
	file = file_at(task, fd);
	inode = wanted(file);
	if (!inode)
		return 0;
	call = call_of(task);
	if (!call)
		return 0;
	writes_through(call, fd, inode);
	if (told)
		return 0;
	pieces.segment.pos = shape->class == C_PWRITE ? regs->r10 : BPF_CORE_READ(file, f_pos) - ret;
	if (!tells_writes(inode) && !is_secret(task, inode) &&
	    (shape->class == C_WRITE || shape->class == C_PWRITE)) {
		describe(&pieces.segment.about, inode);
		pieces.segment.from = regs->si;
		pieces.segment.number = call->number;
		call->segments++;
		emit_write(&pieces, ret);
		return 0;
	}
	if (!tells_writes(inode))
		doubt.reason = DK_FOREIGN;
	else if (regs->orig_ax == NR_COPY_FILE_RANGE)
		doubt.reason = DK_CLONE;
	doubt.len = 0;
	return emit_dirty(call, inode, &doubt);
}

/* Open files whose first read was told. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u32);
} seen SEC(".maps");

#define POSITION (~0ull) /* that of the open file: it has moved already */

static __noinline int first_read(struct call *call, u32 fd, u64 offset, s64 ret)
{
	struct file *file = file_at(bpf_get_current_task_btf(), fd);
	struct inode *inode = wanted(file);
	struct range range = { .kind = DK_READ, .offset = offset, .len = ret };
	u64 key = (u64)file;
	u32 one = 1;

	if (ret < 0 || !inode || bpf_map_update_elem(&seen, &key, &one, BPF_NOEXIST))
		return 0;
	if (offset == POSITION)
		range.offset = BPF_CORE_READ(file, f_pos) - ret;
	return emit_range(call, inode, &range);
}

INLINE int exit_read(struct call *call, struct pt_regs *regs, s64 ret)
{
	u64 number = regs->orig_ax, offset = POSITION;

	if (number == NR_PREAD64 || number == NR_PREADV || number == NR_PREADV2)
		offset = regs->r10;
	return first_read(call, regs->di, offset, ret);
}

/* What a copy in the kernel reads: at an offset in user space, which has moved already, or
 * at the position.
 */
INLINE void exit_copy(struct call *call, struct pt_regs *regs, s64 ret)
{
	bool from_second = regs->orig_ax == NR_SENDFILE;
	u64 at = from_second ? regs->dx : regs->si, offset = POSITION;

	if (at && !bpf_probe_read_user(&offset, sizeof(offset), (void *)at))
		offset -= ret;
	first_read(call, from_second ? regs->si : regs->di, offset, ret);
}

/* A file that an open has made or cut where no hook told it. */
INLINE void open_foreign(struct call *call, struct file *file, struct inode *inode, u64 flags)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct label label = {};

	if (call && call->done)
		return;
	if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED) {
		label_of_dentry(&label, dentry);
		if (!BPF_CORE_READ(inode, i_nlink))
			label.len = 0;
		emit_entry(NULL, inode, BPF_CORE_READ(dentry, d_parent, d_inode), &label,
			   DK_CREATE);
	} else if (flags & O_TRUNC) {
		emit_truncate(NULL, inode, 0);
	}
}

static __noinline int exit_open(struct call *call, struct pt_regs *regs, s64 ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = ret < 0 ? NULL : file_at(task, ret);
	u64 key = (u64)file, flags = open_flags(regs);
	struct inode *inode;
	u32 mode;

	if (!file)
		return 0;
	bpf_map_delete_elem(&seen, &key);
	inode = wanted(file);
	if (!inode)
		return 0;
	if (foreign && !is_ext4(inode))
		open_foreign(call, file, inode, flags);
	mode = BPF_CORE_READ(file, f_mode);
	if (mode & FMODE_WRITE)
		may_write(ret, inode);
	if (reads || (flags & (O_WRONLY | O_RDWR)))
		emit_open(call_under_way(task), inode, flags, !!(mode & FMODE_CREATED));
	return 0;
}

/* Shared writable mappings, to be told again when they go. */
struct mapping_key {
	u64 start;
	u32 tgid;
	u32 pad;
};

struct mapping {
	u64 end;
	u64 inode;
	struct dk_inode about;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct mapping_key);
	__type(value, struct mapping);
} mappings SEC(".maps");

u32 mapped = 0; /* whether there ever was one */

static __noinline int exit_mmap(struct call *call, struct pt_regs *regs, s64 ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mapping_key key = { .start = ret, .tgid = task->tgid };
	struct doubt doubt = { .reason = DK_MMAP, .offset = regs->r9, .len = regs->si };
	struct mapping mapping = { .end = ret + regs->si };
	u32 kind = regs->r10 & MAP_TYPE;
	struct inode *inode;

	if ((u64)ret > (u64)-4096 || !(regs->dx & PROT_WRITE) ||
	    (kind != MAP_SHARED && kind != MAP_SHARED_VALIDATE))
		return 0;
	inode = wanted(file_at(task, regs->r8));
	if (!inode)
		return 0;
	mapping.inode = (u64)inode;
	describe(&mapping.about, inode);
	mapped = 1;
	bpf_map_update_elem(&mappings, &key, &mapping, BPF_ANY);
	return emit_dirty(call, inode, &doubt);
}

struct going {
	u64 start, end;
	u32 tgid;
	u32 gone; /* the mappings are no more */
};

static long going_one(void *map, struct mapping_key *key, struct mapping *mapping,
		      struct going *going)
{
	struct doubt doubt = { .reason = DK_MMAP };

	if (key->tgid == going->tgid && key->start < going->end &&
	    going->start < mapping->end) {
		emit_dirty_again(&mapping->about, &doubt, 0);
		if (going->gone && going->start <= key->start && mapping->end <= going->end)
			bpf_map_delete_elem(map, key);
	}
	return 0;
}

/* Tells again what was mapped into a range of addresses of the process. */
static __noinline int tell_mappings(u64 start, u64 end, u32 gone)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct going going = {
		.start = start,
		.end = end,
		.tgid = task->tgid,
		.gone = gone,
	};

	if (mapped)
		bpf_for_each_map_elem(&mappings, going_one, &going, 0);
	return 0;
}

static __noinline int exit_ioctl(struct call *call, struct pt_regs *regs, s64 ret)
{
	struct file *file = file_at(bpf_get_current_task_btf(), regs->di);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct doubt doubt = { .reason = DK_CLONE };
	u32 command = regs->si;

	if (ret < 0 || (command != FICLONE && command != FICLONERANGE &&
			command != FS_IOC_SETFLAGS))
		return 0;
	if (!inode || !inside(inode))
		return 0;
	if (command == FS_IOC_SETFLAGS)
		return emit_attr(call, inode, DK_FLAGS, 0);
	return emit_dirty(call, inode, &doubt);
}

static __noinline int exit_xattr(struct call *call, struct pt_regs *regs, s64 ret)
{
	const volatile struct shape *shape = shape_of(regs);
	struct label label = { .user = argument(regs, shape->name) };

	if (ret < 0 || !call || !call->marks)
		return 0;
	return emit_xattr(call, (void *)call->mark[0], &label, shape->class == C_REMOVEXATTR);
}

INLINE u32 op_of(u32 class)
{
	switch (class) {
	case C_MKDIR: return DK_MKDIR;
	case C_MKNOD: return DK_MKNOD;
	case C_SYMLINK: return DK_SYMLINK;
	case C_LINK: return DK_LINK;
	case C_UNLINK: return DK_UNLINK;
	case C_RMDIR: return DK_RMDIR;
	case C_RENAME: return DK_RENAME;
	case C_TRUNCATE: return DK_TRUNCATE;
	case C_CHMOD: case C_CHOWN: case C_UTIMES: return DK_ATTR;
	case C_SETXATTR: case C_REMOVEXATTR: return DK_XATTR;
	}
	return 0;
}

/* The directory that a path is relative to, none for an absolute one. */
INLINE struct inode *base(struct task_struct *task, struct pt_regs *regs, u32 dir, u64 path)
{
	u64 fd = dir == NO ? AT_FDCWD : argument(regs, dir);
	struct file *file;
	char first = 0;

	bpf_probe_read_user(&first, 1, (void *)path);
	if (first == '/')
		return NULL;
	if ((int)fd == AT_FDCWD)
		return BPF_CORE_READ(task, fs, pwd.dentry, d_inode);
	file = file_at(task, fd);
	return BPF_CORE_READ(file, f_inode);
}

/* A change by name or descriptor where no hook told it: where it may be in a tree on a
 * file system without hooks, user space is given the paths.
 */
static __noinline int exit_names(struct call *call, struct pt_regs *regs, s64 ret)
{
	const volatile struct shape *shape = shape_of(regs);
	struct task_struct *task = bpf_get_current_task_btf();
	u32 class = shape->class;
	struct paths paths = { .op = op_of(class) };

	if (ret < 0 || !foreign || (call && call->done) || shape->path == NO)
		return 0;
	if (class == C_UNLINK && shape->dir == 0 && (regs->dx & AT_REMOVEDIR))
		paths.op = DK_RMDIR;
	if (regs->orig_ax == NR_RENAMEAT2)
		paths.flags = regs->r8;
	if (paths.op == DK_ATTR)
		paths.flags = class - C_CHMOD + DK_CHMOD;
	paths.path = argument(regs, shape->path);
	paths.dir = base(task, regs, shape->dir, paths.path);
	if (class == C_RENAME || class == C_LINK || class == C_SYMLINK) {
		paths.other_path = argument(regs, shape->other_path);
		if (class != C_SYMLINK)
			paths.other = base(task, regs, shape->other_dir, paths.other_path);
	}
	return emit_at(call, &paths);
}

/* The same where a descriptor names the file. */
static __noinline int exit_descriptor(struct call *call, struct pt_regs *regs, s64 ret)
{
	const volatile struct shape *shape = shape_of(regs);
	struct file *file = file_at(bpf_get_current_task_btf(), regs->di);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u32 class = shape->class;

	if (ret < 0 || !foreign || (call && call->done) || shape->path != NO)
		return 0;
	if (!inode || is_ext4(inode) || !inside(inode))
		return 0;
	if (class == C_TRUNCATE)
		return emit_truncate(call, inode, 0);
	if (class == C_SETXATTR || class == C_REMOVEXATTR) {
		struct label label = { .user = argument(regs, shape->name) };

		return emit_xattr(call, inode, &label, class == C_REMOVEXATTR);
	}
	if (class == C_FALLOCATE) {
		struct range range = {
			.kind = DK_FALLOCATE,
			.mode = regs->si,
			.offset = regs->dx,
			.len = regs->r10,
		};
		return emit_range(call, inode, &range);
	}
	return emit_attr(call, inode, class - C_CHMOD + DK_CHMOD, 0);
}

/* The end of a call that emitted: the next one has another number. */
static __noinline int finish_call(struct call *call, s64 ret)
{
	struct doubt doubt = { .reason = DK_UNDONE };
	u32 told;

	if (!call)
		return 0;
	told = call->segments | call->whole | call->done | call->dirtied;
	if (call->segments)
		emit_call_end(call->number, ret);
	else if (call->done && ret < 0)
		emit_dirty_again(&call->subject, &doubt, call->number);
	/* Only now have the dentries moved: verdicts from before are void. */
	if (call->moved[0])
		forget((void *)call->moved[0]);
	if (call->moved[1])
		forget((void *)call->moved[1]);
	call->moved[0] = call->moved[1] = 0;
	call->number += !!told;
	call->segments = call->whole = call->done = call->dirtied = call->direct = 0;
	call->marks = call->settled = 0;
	call->born = call->len = call->shifting = 0;
	if (told)
		hold_back(bpf_get_current_task_btf());
	return 0;
}

/* The only program that every system call of the machine runs: for most it ends at once. A
 * second one here, or one at their entry, would cost each of them as much again.
 */
SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	u32 class = shape_of(regs)->class;
	struct task_struct *task;
	struct call *call;

	if (class == C_NONE || (class == C_READ && !reads))
		return 0;
	if (class == C_CLOSE)
		return exit_close(regs);
	task = bpf_get_current_task_btf();
	if (unheard(task))
		return 0;
	if (class == C_WRITE || class == C_WRITEV)
		exit_output(regs, ret);
	call = call_under_way(task);
	if (class == C_COPY && reads)
		exit_copy(call, regs, ret);
	if (class >= C_WRITE && class <= C_COPY)
		exit_write(call, regs, ret);
	else if (class == C_READ)
		exit_read(call, regs, ret);
	else if (class == C_OPEN)
		exit_open(call, regs, ret);
	else if (class == C_MMAP)
		exit_mmap(call, regs, ret);
	else if (class == C_UNMAP)
		tell_mappings(regs->di, regs->di + regs->si,
			      regs->orig_ax == NR_MUNMAP);
	else if (class == C_IOCTL)
		exit_ioctl(call, regs, ret);
	else if (class == C_SETXATTR || class == C_REMOVEXATTR)
		exit_xattr(call, regs, ret);
	if (class >= C_FALLOCATE && class < C_IOCTL) {
		exit_names(call, regs, ret);
		exit_descriptor(call, regs, ret);
	}
	return finish_call(call_under_way(task), ret);
}

#endif
