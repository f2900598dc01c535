/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* System calls by number (x86_64 only): what they do, and where their strings are. */
#ifndef DK_SYSCALL_H
#define DK_SYSCALL_H

enum class {
	C_NONE,
	C_WRITE,  /* fd, buffer, length */
	C_PWRITE, /* fd, buffer, length, offset */
	C_WRITEV, /* fd, vectors, their number */
	C_FILL,   /* any other that writes to the descriptor at .dir */
	C_COPY,   /* one that does so from another descriptor, in the kernel */
	C_BATCH,  /* many operations at once */
	C_READ,
	C_OPEN,
	C_CLOSE,
	C_MMAP,
	C_UNMAP,
	C_FALLOCATE,
	C_MKDIR,
	C_MKNOD,
	C_SYMLINK,
	C_LINK,
	C_UNLINK,
	C_RMDIR,
	C_RENAME,
	C_TRUNCATE,
	C_CHMOD,
	C_CHOWN,
	C_UTIMES,
	C_SETXATTR,
	C_REMOVEXATTR,
	C_IOCTL,
};

#define NO 7 /* no such argument: relative to the working directory */

/* Which arguments hold what. A call without a path is about the descriptor at dir. */
struct shape {
	u8 class, dir, path, other_dir, other_path, name;
	u8 pad[2];
};

#define SYSCALLS 512
#define NR_OPEN 2
#define NR_MUNMAP 11
#define NR_PREAD64 17
#define NR_SENDFILE 40
#define NR_CREAT 85
#define NR_OPENAT 257
#define NR_OPENAT2 437
#define NR_PREADV 295
#define NR_RENAMEAT2 316
#define NR_COPY_FILE_RANGE 326
#define NR_PREADV2 327

const volatile struct shape shapes[SYSCALLS] = {
	[0] = { C_READ, 0, NO }, /* read */
	[17] = { C_READ, 0, NO }, /* pread64 */
	[19] = { C_READ, 0, NO }, /* readv */
	[295] = { C_READ, 0, NO }, /* preadv */
	[327] = { C_READ, 0, NO }, /* preadv2 */
	[1] = { C_WRITE, 0, NO }, /* write */
	[18] = { C_PWRITE, 0, NO }, /* pwrite64 */
	[20] = { C_WRITEV, 0, NO }, /* writev */
	[296] = { C_FILL, 0, NO }, /* pwritev */
	[328] = { C_FILL, 0, NO }, /* pwritev2 */
	[40] = { C_COPY, 0, NO }, /* sendfile */
	[275] = { C_COPY, 2, NO }, /* splice */
	[326] = { C_COPY, 2, NO }, /* copy_file_range */
	[209] = { C_BATCH, NO, NO }, /* io_submit */
	[426] = { C_BATCH, NO, NO }, /* io_uring_enter */
	[2] = { C_OPEN, NO, 0 }, /* open */
	[85] = { C_OPEN, NO, 0 }, /* creat */
	[257] = { C_OPEN, 0, 1 }, /* openat */
	[437] = { C_OPEN, 0, 1 }, /* openat2 */
	[304] = { C_OPEN, NO, NO }, /* open_by_handle_at */
	[3] = { C_CLOSE, 0, NO }, /* close */
	[33] = { C_CLOSE, 1, NO }, /* dup2 */
	[292] = { C_CLOSE, 1, NO }, /* dup3 */
	[9] = { C_MMAP, 4, NO }, /* mmap */
	[11] = { C_UNMAP, NO, NO }, /* munmap */
	[26] = { C_UNMAP, NO, NO }, /* msync */
	[285] = { C_FALLOCATE, 0, NO }, /* fallocate */
	[83] = { C_MKDIR, NO, 0 }, /* mkdir */
	[258] = { C_MKDIR, 0, 1 }, /* mkdirat */
	[133] = { C_MKNOD, NO, 0 }, /* mknod */
	[259] = { C_MKNOD, 0, 1 }, /* mknodat */
	[88] = { C_SYMLINK, NO, 1, NO, 0 }, /* symlink */
	[266] = { C_SYMLINK, 1, 2, NO, 0 }, /* symlinkat */
	[86] = { C_LINK, NO, 0, NO, 1 }, /* link */
	[265] = { C_LINK, 0, 1, 2, 3 }, /* linkat */
	[87] = { C_UNLINK, NO, 0 }, /* unlink */
	[263] = { C_UNLINK, 0, 1 }, /* unlinkat */
	[84] = { C_RMDIR, NO, 0 }, /* rmdir */
	[82] = { C_RENAME, NO, 0, NO, 1 }, /* rename */
	[264] = { C_RENAME, 0, 1, 2, 3 }, /* renameat */
	[316] = { C_RENAME, 0, 1, 2, 3 }, /* renameat2 */
	[76] = { C_TRUNCATE, NO, 0 }, /* truncate */
	[77] = { C_TRUNCATE, 0, NO }, /* ftruncate */
	[90] = { C_CHMOD, NO, 0 }, /* chmod */
	[91] = { C_CHMOD, 0, NO }, /* fchmod */
	[268] = { C_CHMOD, 0, 1 }, /* fchmodat */
	[452] = { C_CHMOD, 0, 1 }, /* fchmodat2 */
	[92] = { C_CHOWN, NO, 0 }, /* chown */
	[93] = { C_CHOWN, 0, NO }, /* fchown */
	[94] = { C_CHOWN, NO, 0 }, /* lchown */
	[260] = { C_CHOWN, 0, 1 }, /* fchownat */
	[132] = { C_UTIMES, NO, 0 }, /* utime */
	[235] = { C_UTIMES, NO, 0 }, /* utimes */
	[261] = { C_UTIMES, 0, 1 }, /* futimesat */
	[280] = { C_UTIMES, 0, 1 }, /* utimensat */
	[188] = { C_SETXATTR, NO, 0, NO, NO, 1 }, /* setxattr */
	[189] = { C_SETXATTR, NO, 0, NO, NO, 1 }, /* lsetxattr */
	[190] = { C_SETXATTR, 0, NO, NO, NO, 1 }, /* fsetxattr */
	[463] = { C_SETXATTR, 0, 1, NO, NO, 3 }, /* setxattrat */
	[197] = { C_REMOVEXATTR, NO, 0, NO, NO, 1 }, /* removexattr */
	[198] = { C_REMOVEXATTR, NO, 0, NO, NO, 1 }, /* lremovexattr */
	[199] = { C_REMOVEXATTR, 0, NO, NO, NO, 1 }, /* fremovexattr */
	[466] = { C_REMOVEXATTR, 0, 1, NO, NO, 3 }, /* removexattrat */
	[16] = { C_IOCTL, 0, NO }, /* ioctl */
};

INLINE u64 argument(struct pt_regs *regs, u32 at)
{
	switch (at) {
	case 0: return regs->di;
	case 1: return regs->si;
	case 2: return regs->dx;
	case 3: return regs->r10;
	case 4: return regs->r8;
	case 5: return regs->r9;
	}
	return 0;
}

INLINE const volatile struct shape *shape_of(struct pt_regs *regs)
{
	u64 number = regs->orig_ax;

	/* All ones in a page fault, which is no call; number 511 is none either. */
	if (number >= SYSCALLS)
		number = SYSCALLS - 1;
	return &shapes[number];
}

/* The registers of the call that the current task is in. */
INLINE struct pt_regs *registers(struct task_struct *task)
{
	return (struct pt_regs *)bpf_task_pt_regs(task);
}

/* O_* of a call of C_OPEN. */
INLINE u64 open_flags(struct pt_regs *regs)
{
	u64 second = regs->si, third = regs->dx, how = 0;

	/* Else clang loads from the registers and from the stack at one instruction. */
	HIDE(second);
	HIDE(third);
	switch (regs->orig_ax) {
	case NR_OPEN: return second;
	case NR_OPENAT: return third;
	case NR_CREAT: return O_CREAT | O_WRONLY | O_TRUNC;
	case NR_OPENAT2: bpf_probe_read_user(&how, sizeof(how), (void *)third);
	}
	return how;
}

/* What the hook happens within. A worker of io_uring has no call of its own. */
INLINE u32 class_now(struct task_struct *task)
{
	if (task->flags & PF_IO_WORKER)
		return C_BATCH;
	return shape_of(registers(task))->class;
}

#endif
