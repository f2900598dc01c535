/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* A stacked file system (overlayfs) keeps its bytes in files of another one, whose hooks
 * fire: which inode the writer knows by its name.
 */
#ifndef DK_STACKED_H
#define DK_STACKED_H

/* The bit that says so has moved between kernels: what stands where the path would be is
 * believed if it leads to a file of a stacked file system.
 */
INLINE struct inode *shown_inode(struct file *file)
{
	struct backing_file *backing = (void *)file;
	struct inode *shown;

	if (bpf_core_field_exists(backing->user_path) &&
	    (BPF_CORE_READ(file, f_mode) & FMODE_MAYBE_BACKING)) {
		shown = BPF_CORE_READ(backing, user_path.dentry, d_inode);
		if (shown && BPF_CORE_READ(shown, i_sb, s_magic) == OVERLAYFS_MAGIC)
			return shown;
	}
	return BPF_CORE_READ(file, f_path.dentry, d_inode);
}

/* Whether the file is one that a stacked file system has opened for itself. */
INLINE bool is_backing(struct file *file)
{
	return shown_inode(file) != BPF_CORE_READ(file, f_inode);
}

/* The file as its name shows it, with the state of the inode that holds the bytes. */
INLINE void describe_shown(struct dk_inode *out, struct inode *shown, struct inode *held)
{
	struct super_block *sb;

	describe(out, held);
	if (shown == held)
		return;
	sb = BPF_CORE_READ(shown, i_sb);
	out->ino = BPF_CORE_READ(shown, i_ino);
	out->generation = BPF_CORE_READ(shown, i_generation);
	out->dev = BPF_CORE_READ(sb, s_dev);
	out->magic = BPF_CORE_READ(sb, s_magic);
	out->birth = 0;
}

#endif
