/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Names and attributes, told by the functions that all file systems share, at their end and
 * with the directories still locked.
 */
#ifndef DK_NAMES_H
#define DK_NAMES_H

/* What has to be known from before a name goes or moves. */
struct before {
	u64 what; /* the dentry or struct renamedata that it is about; 0: nothing */
	struct inode *inode, *from, *to;
	struct dk_inode about;
	u32 old_len, new_len;
	char old_name[256], new_name[256];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct before);
} befores SEC(".maps");

INLINE struct before *before_of(struct task_struct *task, u64 flags)
{
	return bpf_task_storage_get(&befores, task, NULL, flags);
}

INLINE struct inode *parent_of(struct dentry *dentry)
{
	return BPF_CORE_READ(dentry, d_parent, d_inode);
}

/* In a root itself the recorder is heard: that is how it asks for an answer. */
INLINE bool hears(struct task_struct *task, struct inode *dir)
{
	return inside(dir) &&
	       (!unheard(task) || (is_recorder(task) && place_of(dir) == INSIDE));
}

/* A name of a directory changed in a way that was not followed. */
static __noinline int doubt_names(struct inode *dir)
{
	struct call *call = call_under_way(bpf_get_current_task_btf());
	struct doubt doubt = { .reason = DK_FOREIGN };

	return emit_dirty(call, dir, &doubt);
}

/* A new inode gets its first name, or none (O_TMPFILE). Links and symbolic links are told
 * elsewhere.
 */
static __noinline int born(struct dentry *dentry, struct inode *inode)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *parent = parent_of(dentry);
	struct label label = { .flags = DK_ORDERED };
	u32 mode;

	if (!inode)
		return 0;
	/* overlayfs gives all its inodes one generation: one that is gone may have left its verdict
	 * under the key of this one.
	 */
	drop_verdict(inode);
	if (!inside(parent) || unheard(task))
		return 0;
	mode = BPF_CORE_READ(inode, i_mode);
	if ((mode & S_IFMT) == S_IFLNK || BPF_CORE_READ(inode, i_dentry.first, next))
		return 0;
	label_of_dentry(&label, dentry);
	if (!BPF_CORE_READ(inode, i_nlink))
		label.len = 0;
	return emit_entry(call_of(task), inode, parent, &label, kind_of_mode(mode));
}

SEC("fexit/d_instantiate")
int BPF_PROG(instantiate, struct dentry *dentry, struct inode *inode)
{
	return born(dentry, inode);
}

SEC("fexit/d_instantiate_new")
int BPF_PROG(instantiate_new, struct dentry *dentry, struct inode *inode)
{
	return born(dentry, inode);
}

/* A file without a name, where the above is part of this function. */
SEC("fexit/d_tmpfile")
int BPF_PROG(nameless, struct file *file, struct inode *inode)
{
	struct call *call = call_under_way(bpf_get_current_task_btf());

	if (call && call->done == DK_CREATE)
		return 0;
	return born(BPF_CORE_READ(file, f_path.dentry), inode);
}

SEC("fexit/vfs_symlink")
int BPF_PROG(symlink_end, void *mount, struct inode *dir, struct dentry *dentry,
	     const char *target, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct label label = { .flags = DK_ORDERED, .kernel_target = (u64)target };

	if (ret || !inside(dir) || unheard(task))
		return 0;
	label_of_dentry(&label, dentry);
	return emit_symlink(call_of(task), BPF_CORE_READ(dentry, d_inode), dir, &label);
}

SEC("fexit/vfs_link")
int BPF_PROG(link_end, struct dentry *old, void *mount, struct inode *dir,
	     struct dentry *dentry, struct inode **delegated, int ret)
{
	struct inode *inode = BPF_CORE_READ(old, d_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	struct label label = { .flags = DK_ORDERED };

	if (ret || unheard(task))
		return 0;
	if (inside(dir)) {
		label_of_dentry(&label, dentry);
		emit_entry(call_of(task), inode, dir, &label, DK_LINK);
	}
	forget(inode);
	return 0;
}

static __noinline int begin_removal(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct task_struct *task = bpf_get_current_task_btf();
	struct before *before;

	if (!inode || !hears(task, dir))
		return 0;
	before = before_of(task, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!before)
		return 0;
	before->what = (u64)dentry;
	before->inode = inode;
	describe(&before->about, inode);
	if (is_dir(inode))
		before->about.nlink = 0;
	else if (before->about.nlink)
		before->about.nlink--;
	return 0;
}

/* The inode may be no more. */
static __noinline int end_removal(struct inode *dir, struct dentry *dentry, u32 kind)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct before *before = before_of(task, 0);
	struct call *call = call_of(task);
	struct label label = { .flags = DK_ORDERED };
	struct entry_slot *slot;
	u32 len;

	if (!before || before->what != (u64)dentry)
		return hears(task, dir) ? doubt_names(dir) : 0;
	before->what = 0;
	slot = TAKE(kind, SLOT_BODY, dir);
	if (!slot)
		return 0;
	label_of_dentry(&label, dentry);
	len = put_entry(slot, NULL, dir, &label);
	__builtin_memcpy(&slot->entry.inode, &before->about, sizeof(before->about));
	slot->entry.has |= DK_HAS_INODE;
	done(call, kind, &slot->entry.parent);
	head(&slot->head, kind, label.flags, sizeof(slot->head) + sizeof(slot->entry) + len,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

SEC("fentry/vfs_unlink")
int BPF_PROG(unlink_begin, void *mount, struct inode *dir, struct dentry *dentry)
{
	return begin_removal(dir, dentry);
}

SEC("fexit/vfs_unlink")
int BPF_PROG(unlink_end, void *mount, struct inode *dir, struct dentry *dentry,
	     struct inode **delegated, int ret)
{
	struct before *before = before_of(bpf_get_current_task_btf(), 0);

	if (ret)
		return 0;
	/* Verdicts go by address and number, which a freed inode's memory gives no more. */
	if (before && before->what == (u64)dentry)
		forget(before->inode);
	return end_removal(dir, dentry, DK_UNLINK);
}

SEC("fentry/vfs_rmdir")
int BPF_PROG(rmdir_begin, void *mount, struct inode *dir, struct dentry *dentry)
{
	return begin_removal(dir, dentry);
}

SEC("fexit/vfs_rmdir")
int BPF_PROG(rmdir_end, void *mount, struct inode *dir, struct dentry *dentry, int ret)
{
	return ret ? 0 : end_removal(dir, dentry, DK_RMDIR);
}

INLINE u32 keep_name(char *out, struct dentry *dentry)
{
	struct label label = {};

	label_of_dentry(&label, dentry);
	return put_name(out, &label);
}

/* The dentry that moves takes the new name: the old one is kept from before. */
SEC("fentry/vfs_rename")
int BPF_PROG(rename_begin, struct renamedata *data)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct dentry *old = BPF_CORE_READ(data, old_dentry);
	struct dentry *new = BPF_CORE_READ(data, new_dentry);
	struct inode *from = parent_of(old), *to = parent_of(new);
	struct before *before;

	if (unheard(task) || (!inside(from) && !inside(to)))
		return 0;
	/* Two names of one file: nothing happens. */
	if (BPF_CORE_READ(old, d_inode) == BPF_CORE_READ(new, d_inode))
		return 0;
	before = before_of(task, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!before)
		return 0;
	before->what = (u64)data;
	before->inode = BPF_CORE_READ(old, d_inode);
	before->from = from;
	before->to = to;
	before->old_len = keep_name(before->old_name, old);
	before->new_len = keep_name(before->new_name, new);
	return 0;
}

INLINE void doubt_rename(struct inode *from, struct inode *to)
{
	if (inside(from))
		doubt_names(from);
	if (inside(to))
		doubt_names(to);
}

SEC("fexit/vfs_rename")
int BPF_PROG(rename_end, struct renamedata *data, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct before *before = before_of(task, 0);
	struct dentry *new = BPF_CORE_READ(data, new_dentry);
	struct moved moved = { .flags = BPF_CORE_READ(data, flags) };

	if (ret || unheard(task))
		return 0;
	moved.inode = BPF_CORE_READ(data, old_dentry, d_inode);
	if (!before || before->what != (u64)data) {
		if (moved.inode != BPF_CORE_READ(new, d_inode))
			doubt_rename(parent_of(new), BPF_CORE_READ(data, old_dentry, d_parent, d_inode));
		return 0;
	}
	before->what = 0;
	moved.from = before->from;
	moved.to = before->to;
	if (moved.flags & RENAME_EXCHANGE)
		moved.replaced = BPF_CORE_READ(new, d_inode);
	moved.old_name.kernel = (u64)before->old_name;
	moved.old_name.len = before->old_len;
	moved.new_name.kernel = (u64)before->new_name;
	moved.new_name.len = before->new_len;
	emit_rename(call_of(task), &moved);
	forget(moved.inode);
	if (moved.replaced)
		forget(moved.replaced);
	return 0;
}

/* Modes, owners, times and lengths, under the lock of the inode. */
SEC("fexit/notify_change")
int BPF_PROG(attr_end, void *mount, struct dentry *dentry, struct iattr *attr,
	     struct inode **delegated, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	u32 which = BPF_CORE_READ(attr, ia_valid);

	if (ret || unheard(task) || !inside(inode))
		return 0;
	if (which & ATTR_SIZE) {
		changed(inode);
		return emit_truncate(call_of(task), inode, DK_ORDERED);
	}
	if (which & ATTR_OWNER)
		return emit_attr(call_of(task), inode, DK_CHOWN, DK_ORDERED);
	if (which & ATTR_MODE)
		return emit_attr(call_of(task), inode, DK_CHMOD, DK_ORDERED);
	if (which & ATTR_TIMES)
		return emit_attr(call_of(task), inode, DK_UTIMES, DK_ORDERED);
	return 0;
}

static __noinline int xattr_set(struct dentry *dentry, const char *name, u32 removed)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct label label = { .kernel = (u64)name, .flags = DK_ORDERED };

	if (unheard(task) || !inside(inode))
		return 0;
	return emit_xattr(call_of(task), inode, &label, removed);
}

SEC("fexit/__vfs_setxattr_noperm")
int BPF_PROG(setxattr_end, void *mount, struct dentry *dentry, const char *name,
	     const void *value, u64 size, int flags, int ret)
{
	return ret ? 0 : xattr_set(dentry, name, 0);
}

SEC("fexit/__vfs_removexattr_locked")
int BPF_PROG(removexattr_end, void *mount, struct dentry *dentry, const char *name,
	     struct inode **delegated, int ret)
{
	return ret ? 0 : xattr_set(dentry, name, 1);
}

/* Rights of the POSIX kind, which do not go through the above from 6.2 on. */
SEC("fexit/vfs_set_acl")
int BPF_PROG(set_acl_end, void *mount, struct dentry *dentry, const char *name, void *rights,
	     int ret)
{
	return ret ? 0 : xattr_set(dentry, name, 0);
}

SEC("fexit/vfs_remove_acl")
int BPF_PROG(remove_acl_end, void *mount, struct dentry *dentry, const char *name, int ret)
{
	return ret ? 0 : xattr_set(dentry, name, 1);
}

#endif
