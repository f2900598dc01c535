/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What the kernel side and user space say to each other: the records in the ring, and
 * nothing else. Read by src/wire.rs, whose tests compare the numbers below with its own.
 *
 * A record is one ring slot: struct dk_head, a body by kind, then the bytes that the body
 * counts, without padding. Slots are as long as their size class, so head.size says where
 * the record ends. Numbers have the byte order of the host; times are in ns; lengths in
 * bytes. Every struct is a multiple of 8 bytes with no hidden padding.
 */
#ifndef DK_WIRE_H
#define DK_WIRE_H

typedef unsigned char dk_u8;
typedef unsigned short dk_u16;
typedef unsigned int dk_u32;
typedef unsigned long long dk_u64;
typedef long long dk_s64;

enum dk_kind {
	DK_WRITE = 1,     /* struct dk_write, then len bytes if DK_PAYLOAD */
	DK_CALL_END = 2,  /* struct dk_call_end */
	DK_TRUNCATE = 3,  /* struct dk_subject: inode.size is the new length */
	DK_FALLOCATE = 4, /* struct dk_range */
	DK_DIRTY = 5,     /* struct dk_dirty */
	DK_CREATE = 6,    /* struct dk_entry, then name */
	DK_MKDIR = 7,     /* struct dk_entry, then name */
	DK_MKNOD = 8,     /* struct dk_entry, then name */
	DK_SYMLINK = 9,   /* struct dk_entry, then name, target */
	DK_LINK = 10,     /* struct dk_entry, then name */
	DK_UNLINK = 11,   /* struct dk_entry, then name */
	DK_RMDIR = 12,    /* struct dk_entry, then name */
	DK_RENAME = 13,   /* struct dk_rename, then from_name, to_name */
	DK_ATTR = 14,     /* struct dk_attr */
	DK_XATTR = 15,    /* struct dk_xattr, then name */
	DK_AT = 16,       /* struct dk_at, then path, other_path */
	DK_OPEN = 17,     /* struct dk_open */
	DK_READ = 18,     /* struct dk_range */
	DK_CLOSE = 19,    /* struct dk_subject */
	DK_FORK = 20,     /* struct dk_fork */
	DK_EXEC = 21,     /* struct dk_exec, then filename, argv */
	DK_EXIT = 22,     /* struct dk_exit */
	DK_OUTPUT = 23,   /* struct dk_output, then len bytes */
	DK_KINDS = 24,
};

/* head.flags */
enum dk_flag {
	DK_ORDERED = 1, /* emitted under the lock of what it changes: ring order is its order */
	DK_PAYLOAD = 2, /* the bytes follow the body */
	DK_WHOLE = 4,   /* all that its call wrote: no DK_CALL_END follows */
};

/* dk_dirty.reason: why content may differ from what the records say */
enum dk_reason {
	DK_MMAP = 1,       /* a shared writable mapping was made or went away */
	DK_DIRECT = 2,     /* written past the page cache */
	DK_CLONE = 3,      /* extents of another file were linked in */
	DK_NO_PAYLOAD = 4, /* the bytes could not be read */
	DK_RING_FULL = 5,  /* no room for the record */
	DK_FOREIGN = 6,    /* the file system has no hook under the lock */
	DK_UNDONE = 7,        /* records of this call went out, then the call failed */
};

/* dk_attr.which */
enum dk_which {
	DK_CHMOD = 1,
	DK_CHOWN = 2,
	DK_UTIMES = 3,
	DK_FLAGS = 4, /* chattr */
};

/* has: which inodes of a body were had; the others are zero */
enum dk_has {
	DK_HAS_INODE = 1,
	DK_HAS_PARENT = 2,
	DK_HAS_TO = 4,
	DK_HAS_REPLACED = 8,
	DK_CUT = 16, /* a string was longer than its bound */
};

struct dk_head {
	dk_u32 size; /* of the record, this head included */
	dk_u16 kind;
	dk_u16 flags;
	dk_u64 time;  /* CLOCK_MONOTONIC */
	dk_u64 call;  /* number of the system call within the thread */
	dk_u64 start; /* of the process, CLOCK_BOOTTIME */
	dk_u32 pid;   /* thread group, in the recorder's pid namespace; 0 outside it */
	dk_u32 tid;
};

struct dk_inode {
	dk_u64 ino;
	dk_u64 birth; /* 0 where the file system's is not known */
	dk_u64 size;
	dk_s64 mtime; /* since the epoch */
	dk_s64 ctime;
	dk_u32 dev;  /* as the kernel holds it: major << 20 | minor */
	dk_u32 rdev; /* the same */
	dk_u32 generation;
	dk_u32 mode;
	dk_u32 uid;
	dk_u32 gid;
	dk_u32 nlink;
	dk_u32 magic; /* of the file system, as statfs has it */
};

struct dk_write {
	struct dk_inode inode; /* size: after this segment */
	dk_u64 offset;
	dk_u32 len;
	dk_u32 pad;
};

struct dk_call_end {
	dk_s64 ret;
};

struct dk_subject {
	struct dk_inode inode;
};

struct dk_range {
	struct dk_inode inode;
	dk_u64 offset;
	dk_u64 len;
	dk_u32 mode; /* of fallocate; 0 elsewhere */
	dk_u32 pad;
};

struct dk_dirty {
	struct dk_inode inode;
	dk_u64 offset;
	dk_u64 len; /* 0: the whole file */
	dk_u32 reason;
	dk_u32 pad;
};

struct dk_entry {
	struct dk_inode inode;
	struct dk_inode parent;
	dk_u32 has;
	dk_u16 name;
	dk_u16 target;
};

struct dk_rename {
	struct dk_inode inode; /* what moved */
	struct dk_inode from;  /* parent of the old name */
	struct dk_inode to;    /* parent of the new name */
	struct dk_inode replaced; /* of an exchange: what the new name stood for */
	dk_u32 has; /* DK_HAS_PARENT: from */
	dk_u32 flags; /* of renameat2 */
	dk_u16 from_name;
	dk_u16 to_name;
	dk_u32 pad;
};

struct dk_attr {
	struct dk_inode inode;
	dk_u32 which;
	dk_u32 pad;
};

struct dk_xattr {
	struct dk_inode inode;
	dk_u32 removed;
	dk_u16 name;
	dk_u16 pad;
};

/* A call whose inodes could not be had: the strings as the caller gave them. */
struct dk_at {
	struct dk_inode dir;   /* that path is relative to */
	struct dk_inode other; /* that other_path is relative to */
	dk_u32 has; /* DK_HAS_PARENT: dir, DK_HAS_TO: other */
	dk_u32 op; /* enum dk_kind */
	dk_u32 flags; /* of renameat2, or enum dk_which */
	dk_u16 path;
	dk_u16 other_path; /* of rename and link: the new name; of symlink: the target */
};

struct dk_open {
	struct dk_inode inode;
	dk_u32 flags; /* O_* */
	dk_u32 created;
};

struct dk_fork {
	dk_u64 start; /* of the child's process */
	dk_u32 pid;
	dk_u32 tid;
};

struct dk_exec {
	struct dk_inode exe;
	struct dk_inode cwd;
	dk_u32 has; /* DK_HAS_INODE: exe, DK_HAS_PARENT: cwd */
	dk_u32 uid;
	dk_u32 gid;
	dk_u32 ppid;
	dk_u8 comm[16];
	dk_u16 filename;
	dk_u16 argv; /* each argument ends with a NUL */
	dk_u32 pad;
};

struct dk_exit {
	dk_u32 status; /* as wait gives it */
	dk_u32 pad;
};

struct dk_output {
	dk_u32 stream; /* 1 stdout, 2 stderr */
	dk_u32 len;
};

#define DK_SIZE(type, bytes) \
	_Static_assert(sizeof(struct type) == (bytes), "size of struct " #type)
DK_SIZE(dk_head, 40);
DK_SIZE(dk_inode, 72);
DK_SIZE(dk_write, 88);
DK_SIZE(dk_call_end, 8);
DK_SIZE(dk_subject, 72);
DK_SIZE(dk_range, 96);
DK_SIZE(dk_dirty, 96);
DK_SIZE(dk_entry, 152);
DK_SIZE(dk_rename, 304);
DK_SIZE(dk_attr, 80);
DK_SIZE(dk_xattr, 80);
DK_SIZE(dk_at, 160);
DK_SIZE(dk_open, 80);
DK_SIZE(dk_fork, 16);
DK_SIZE(dk_exec, 184);
DK_SIZE(dk_exit, 8);
DK_SIZE(dk_output, 8);

/* Longest of each: NAME_MAX, PATH_MAX, and what one slot carries. */
#define DK_NAME_MAX 255
#define DK_PATH_MAX 4096
#define DK_BYTES_MAX 65536

#endif
