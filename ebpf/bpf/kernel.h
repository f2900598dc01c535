/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The kernel's types, as far as they are read here: only the fields used, relocated by
 * CO-RE when the object is loaded, so that their places and their neighbours do not matter.
 * Types with three underscores are the same type on other kernels.
 */
#ifndef DK_KERNEL_H
#define DK_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef _Bool bool;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#define true 1
#define false 0
#define NULL ((void *)0)

/* linux/bpf.h */
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_RINGBUF 27
#define BPF_MAP_TYPE_TASK_STORAGE 29
#define BPF_F_NO_PREALLOC 1
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_RB_AVAIL_DATA 0

/* From uapi and kernel headers; none of them can change. */
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFDIR 0040000
#define S_IFLNK 0120000
#define O_WRONLY 1
#define O_RDWR 2
#define O_CREAT 0100
#define O_TRUNC 01000
#define MAP_TYPE 0xf
#define MAP_SHARED 1
#define MAP_SHARED_VALIDATE 3
#define PROT_WRITE 2
#define AT_FDCWD -100
#define AT_REMOVEDIR 0x200
#define RENAME_EXCHANGE 2
#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#define FALLOC_FL_COLLAPSE_RANGE 8
#define FALLOC_FL_INSERT_RANGE 0x20
#define FICLONE 0x40049409
#define FICLONERANGE 0x4020940d
#define FS_IOC_SETFLAGS 0x40086602
#define EXT4_MAGIC 0xef53
#define TMPFS_MAGIC 0x01021994
#define XFS_MAGIC 0x58465342
#define OVERLAYFS_MAGIC 0x794c7630
#define SIGSTOP 19
#define SIGNAL_GROUP_EXIT 4
#define PF_IO_WORKER 0x10
#define PF_KTHREAD 0x00200000
#define FMODE_WRITE 2
#define FMODE_CREATED 0x100000
#define FMODE_MAYBE_BACKING 0x3000000 /* one of the two */
#define ATTR_MODE 1
#define ATTR_OWNER 6 /* ATTR_UID, ATTR_GID */
#define ATTR_SIZE 8
#define ATTR_TIMES 0x30 /* ATTR_ATIME, ATTR_MTIME */
#define IOMAP_DIO_WRITE (1u << 30)
#define I_CTIME_QUERIED 0x80000000u /* in i_ctime_nsec from 6.13 on */
#define IOCB_WRITE (1 << 18)
#define PAGE_SHIFT 12
#define PAGE_SIZE (1ull << PAGE_SHIFT)
#define XA_CHUNK_MASK 63

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
	unsigned long r10, r9, r8, ax, dx, si, di, orig_ax;
};

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};

typedef struct {
	u32 val;
} kuid_t;

typedef struct {
	u32 val;
} kgid_t;

struct xarray {
	void *xa_head;
};

struct inode;

struct address_space {
	struct inode *host;
	struct xarray i_pages;
};

struct timespec64 {
	s64 tv_sec;
	long tv_nsec;
};

struct inode {
	u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	struct address_space *i_mapping;
	unsigned long i_ino;
	u32 i_nlink;
	u32 i_rdev;
	s64 i_size;
	s64 i_mtime_sec, i_ctime_sec;
	u32 i_mtime_nsec, i_ctime_nsec;
	u32 i_generation;
	struct hlist_head i_dentry;
	char *i_link;
};

/* Before 6.11, before 6.7, before 6.6. */
struct inode___610 {
	struct timespec64 __i_mtime, __i_ctime;
};

struct inode___66 {
	struct timespec64 i_mtime;
};

struct inode___65 {
	struct timespec64 i_ctime;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct ext4_inode_info {
	struct inode vfs_inode;
	struct timespec64 i_crtime;
};

struct shmem_inode_info {
	struct timespec64 i_crtime;
	struct inode vfs_inode;
};

struct page {
	unsigned long flags;
};

struct folio {
	unsigned long index;
	void *private;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct buffer_head {
	char *b_data;
};

struct path {
	struct dentry *dentry;
};

struct file {
	u32 f_mode;
	struct inode *f_inode;
	u32 f_flags;
	struct path f_path;
	s64 f_pos;
	struct address_space *f_mapping;
};

/* A file of a file system that a stacked one (overlayfs) keeps its own in; before 6.7 such
 * a file says the path of the stacked one itself.
 */
struct backing_file {
	struct file file;
	struct path user_path;
};

typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	int counter;
} atomic_t;

/* From 6.13 on, and before. */
typedef struct {
	atomic64_t refcnt;
} file_ref_t;

struct file___613 {
	file_ref_t f_ref;
};

struct file___612 {
	atomic64_t f_count;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path pwd;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	u32 flags;
	struct pid *pids[4];
};

struct cred {
	kuid_t uid, suid, euid;
	kgid_t egid;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
};

struct nameidata {
	struct qstr last;
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1]; /* one for each namespace, the first one's first */
};

struct task_struct {
	u32 flags;
	int exit_code;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	u64 start_boottime;
	const struct cred *real_cred, *cred;
	char comm[16];
	struct nameidata *nameidata;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct pid *thread_pid;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
};

struct kiocb {
	struct file *ki_filp;
	s64 ki_pos;
	void *ki_complete;
	int ki_flags;
};

struct iattr {
	u32 ia_valid;
};

struct renamedata {
	struct dentry *old_dentry, *new_dentry;
	u32 flags;
};

struct iomap_dio {
	struct kiocb *iocb;
	s64 size;
	u32 flags;
	int error;
};

struct iov_iter {
	bool data_source;
};

#pragma clang attribute pop

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define INLINE static __always_inline

/* Keeps clang from dropping a clamp that the verifier wants to see. */
#define HIDE(x) asm volatile("" : "+r"(x))

#endif
