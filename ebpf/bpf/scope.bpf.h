/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Inodes as the wire has them, and which of them lie below the roots.
 *
 * A verdict comes from walking the parents of the inode's dentries up to a root, an excluded
 * directory or the top of the file system, and is kept by inode. The epoch, which every
 * rename of a directory moves on, makes all verdicts void. What is mounted below a root
 * is a root of its own: user space enters it.
 */
#ifndef DK_SCOPE_H
#define DK_SCOPE_H

#define DEPTH 256  /* directories from a root down */
#define ALIASES 16 /* names of one file that are looked at */

/* HIDDEN: inside, but below a directory into which the owner cannot look. */
enum verdict { OUTSIDE = 1, HIDDEN = 2, INSIDE = 3 };

struct place {
	u64 ino;
	u32 dev;
	u32 pad;
};

/* Roots: INSIDE, excluded directories and files: OUTSIDE. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct place);
	__type(value, u32);
} places SEC(".maps");

struct known {
	u64 inode; /* address */
	u64 ino;
	u32 generation;
	u32 epoch;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct known);
	__type(value, u32);
} verdicts SEC(".maps");

u32 epoch = 0;

INLINE s64 nanos(s64 sec, u32 nsec)
{
	return sec * 1000000000ll + (nsec & ~I_CTIME_QUERIED);
}

INLINE void times(struct dk_inode *out, struct inode *inode)
{
	struct inode___610 *in610 = (void *)inode;
	struct inode___66 *in66 = (void *)inode;
	struct inode___65 *in65 = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		out->mtime = nanos(BPF_CORE_READ(inode, i_mtime_sec),
				   BPF_CORE_READ(inode, i_mtime_nsec));
		out->ctime = nanos(BPF_CORE_READ(inode, i_ctime_sec),
				   BPF_CORE_READ(inode, i_ctime_nsec));
		return;
	}
	if (bpf_core_field_exists(in610->__i_mtime))
		out->mtime = nanos(BPF_CORE_READ(in610, __i_mtime.tv_sec),
				   BPF_CORE_READ(in610, __i_mtime.tv_nsec));
	else if (bpf_core_field_exists(in66->i_mtime))
		out->mtime = nanos(BPF_CORE_READ(in66, i_mtime.tv_sec),
				   BPF_CORE_READ(in66, i_mtime.tv_nsec));
	if (bpf_core_field_exists(in610->__i_ctime))
		out->ctime = nanos(BPF_CORE_READ(in610, __i_ctime.tv_sec),
				   BPF_CORE_READ(in610, __i_ctime.tv_nsec));
	else if (bpf_core_field_exists(in65->i_ctime))
		out->ctime = nanos(BPF_CORE_READ(in65, i_ctime.tv_sec),
				   BPF_CORE_READ(in65, i_ctime.tv_nsec));
}

/* When the file was made, of an inode that lies in a struct of its file system. */
#define BIRTH(type, inode)                                                         \
	({                                                                         \
		struct type *info = NULL;                                          \
		u64 born = 0;                                                      \
		if (bpf_core_field_exists(info->i_crtime)) {                       \
			info = (void *)(inode) - bpf_core_field_offset(info->vfs_inode); \
			born = nanos(BPF_CORE_READ(info, i_crtime.tv_sec),         \
				     BPF_CORE_READ(info, i_crtime.tv_nsec));       \
		}                                                                  \
		born;                                                              \
	})

/* 0 where the file system is not known: user space gives such files none either. */
INLINE u64 birth(struct inode *inode, u32 magic)
{
	if (magic == EXT4_MAGIC)
		return BIRTH(ext4_inode_info, inode);
	return magic == TMPFS_MAGIC ? BIRTH(shmem_inode_info, inode) : 0;
}

INLINE void describe(struct dk_inode *out, struct inode *inode)
{
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);

	out->ino = BPF_CORE_READ(inode, i_ino);
	out->magic = BPF_CORE_READ(sb, s_magic);
	out->birth = birth(inode, out->magic);
	out->size = BPF_CORE_READ(inode, i_size);
	out->dev = BPF_CORE_READ(sb, s_dev);
	out->rdev = BPF_CORE_READ(inode, i_rdev);
	out->generation = BPF_CORE_READ(inode, i_generation);
	out->mode = BPF_CORE_READ(inode, i_mode);
	out->uid = BPF_CORE_READ(inode, i_uid.val);
	out->gid = BPF_CORE_READ(inode, i_gid.val);
	out->nlink = BPF_CORE_READ(inode, i_nlink);
	times(out, inode);
}

/* The same for an inode that the verifier knows as one, without a helper call a field. */
INLINE void describe_own(struct dk_inode *out, struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	out->ino = inode->i_ino;
	out->magic = sb->s_magic;
	out->birth = birth(inode, out->magic);
	out->size = inode->i_size;
	out->dev = sb->s_dev;
	out->rdev = inode->i_rdev;
	out->generation = inode->i_generation;
	out->mode = inode->i_mode;
	out->uid = inode->i_uid.val;
	out->gid = inode->i_gid.val;
	out->nlink = inode->i_nlink;
	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		out->mtime = nanos(inode->i_mtime_sec, inode->i_mtime_nsec);
		out->ctime = nanos(inode->i_ctime_sec, inode->i_ctime_nsec);
	} else {
		times(out, inode);
	}
}

INLINE bool is_dir(struct inode *inode)
{
	return (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFDIR;
}

INLINE bool is_regular(struct inode *inode)
{
	return (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG;
}

INLINE bool is_ext4(struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_magic) == EXT4_MAGIC;
}

INLINE u32 place_of(struct inode *inode)
{
	struct place place = {
		.ino = BPF_CORE_READ(inode, i_ino),
		.dev = BPF_CORE_READ(inode, i_sb, s_dev),
	};
	u32 *found = bpf_map_lookup_elem(&places, &place);

	return found ? *found : 0;
}

/* As far as modes tell; that a group gives the right to look is not known. Here and below
 * the owner is asked for first: where there is none, the kernel verifies half as much.
 */
INLINE bool is_closed(struct inode *dir)
{
	return is_dir(dir) && (BPF_CORE_READ(dir, i_mode) & 5) != 5 &&
	       BPF_CORE_READ(dir, i_uid.val) != owner;
}

/* Whether contents of a file are kept from the owner when this process changes them. */
INLINE bool is_secret(struct task_struct *task, struct inode *inode)
{
	return !is_owned(task) && !(BPF_CORE_READ(inode, i_mode) & 4) &&
	       BPF_CORE_READ(inode, i_uid.val) != owner;
}

struct climb {
	u64 dentry;
	u32 verdict;
	u32 closed;
};

static long climb_one(u32 step, struct climb *climb)
{
	struct dentry *dentry = (void *)climb->dentry;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	climb->verdict = inode ? place_of(inode) : 0;
	if (climb->verdict || parent == dentry || !parent)
		return 1;
	if (owner != NOBODY && inode && is_closed(inode))
		climb->closed = 1;
	climb->dentry = (u64)parent;
	return 0;
}

INLINE u32 climb_from(struct dentry *dentry)
{
	struct climb climb = { .dentry = (u64)dentry };

	bpf_loop(DEPTH, climb_one, &climb, 0);
	if (owner != NOBODY && climb.verdict == INSIDE && climb.closed)
		return HIDDEN;
	return climb.verdict ? climb.verdict : OUTSIDE;
}

INLINE struct dentry *alias_at(struct hlist_node *node)
{
	struct dentry *dentry = NULL;

	return (void *)node - bpf_core_field_offset(dentry->d_u);
}

struct aliases {
	u64 node;
	u32 verdict;
	u32 pad;
};

static long alias_one(u32 step, struct aliases *aliases)
{
	struct hlist_node *node = (void *)aliases->node;
	u32 verdict;

	if (!node)
		return 1;
	verdict = climb_from(alias_at(node));
	if (owner == NOBODY || aliases->verdict < verdict)
		aliases->verdict = verdict;
	if (aliases->verdict == INSIDE)
		return 1;
	aliases->node = (u64)BPF_CORE_READ(node, next);
	return 0;
}

INLINE void key_of(struct known *key, struct inode *inode)
{
	key->inode = (u64)inode;
	key->ino = BPF_CORE_READ(inode, i_ino);
	key->generation = BPF_CORE_READ(inode, i_generation);
	key->epoch = epoch;
}

INLINE bool counts(u32 verdict)
{
	return verdict == INSIDE ||
	       (owner != NOBODY && verdict == HIDDEN && is_owned(bpf_get_current_task_btf()));
}

/* Whether one of the names that the kernel holds of this inode lies below a root, where the
 * owner may know what the current process does.
 */
static __noinline int inside(struct inode *inode)
{
	struct aliases aliases = {};
	struct known key = {};
	u32 *known, verdict;

	if (!inode)
		return 0;
	key_of(&key, inode);
	known = bpf_map_lookup_elem(&verdicts, &key);
	if (known)
		return counts(*known);
	aliases.node = (u64)BPF_CORE_READ(inode, i_dentry.first);
	if (!aliases.node)
		return 0; /* not known yet: nothing to keep */
	bpf_loop(ALIASES, alias_one, &aliases, 0);
	verdict = aliases.verdict;
	bpf_map_update_elem(&verdicts, &key, &verdict, BPF_ANY);
	return counts(verdict);
}

INLINE void drop_verdict(struct inode *inode)
{
	struct known key = {};

	key_of(&key, inode);
	bpf_map_delete_elem(&verdicts, &key);
}

/* After a name of it came or went. */
INLINE void forget(struct inode *inode)
{
	if (is_dir(inode))
		__sync_fetch_and_add(&epoch, 1);
	else
		drop_verdict(inode);
}

#endif
