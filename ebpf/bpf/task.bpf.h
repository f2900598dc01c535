/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What is kept of a thread from one hook to the next, and whose hooks count at all. */
#ifndef DK_TASK_H
#define DK_TASK_H

/* Thread group of the recorder, which never records itself. */
const volatile u32 recorder = 0;
/* Inode of the pid namespace in which processes are numbered; 0: the first one. */
const volatile u32 namespace = 0;

/* The user on whose behalf somebody with more rights loads this; NOBODY: nobody's. What
 * processes of other users do is told as far as the modes of files let this one see it.
 */
#define NOBODY ((u32)-1)
const volatile u32 owner = NOBODY;

#define NAMESPACES 8 /* that may lie in each other */
#define TGID 1       /* enum pid_type */

#define MARKS 4

/* One system call under way; numbers go up when a call that emitted ends. */
struct call {
	u64 number;
	u32 segments; /* Write records that went out and need an end */
	u32 whole;    /* one that does not */
	u32 done;     /* enum dk_kind of the other record that went out */
	u32 settled;  /* what was dirtied has been made sense of */
	u32 marks;    /* inodes that the operation under way has dirtied */
	u32 mode;     /* of fallocate */
	u32 dirtied;  /* a Dirty record went out */
	u32 direct;   /* a write past the page cache has begun */
	u32 through;  /* 1 + the last descriptor that is known to have written */
	u32 pad;
	u64 mark[MARKS];
	u64 born;     /* inode that was allocated and has no name yet */
	u64 born_dir; /* where it will have one */
	u64 offset, len; /* of fallocate */
	u64 moved[2]; /* inodes whose names are other ones when the call is over */
	u64 shifting; /* inode whose range is being collapsed or inserted */
	u64 after;    /* its length when that has worked */
	u64 under_way; /* address that names the operation of the fentry tier */
	u64 begins;   /* where it writes, or its turn */
	struct dk_inode subject; /* what to read again if the call fails after all */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct call);
} calls SEC(".maps");

INLINE struct call *call_of(struct task_struct *task)
{
	return bpf_task_storage_get(&calls, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* The call of a thread that has emitted or marked something, else none. */
INLINE struct call *call_under_way(struct task_struct *task)
{
	return bpf_task_storage_get(&calls, task, NULL, 0);
}

/* What a process or thread is called in the recorder's namespace; 0 if it is not in it. */
static __noinline u32 number_of(struct pid *pid)
{
	u32 level;

	if (!pid)
		return 0;
	level = BPF_CORE_READ(pid, level);
	for (u32 at = 0; at < NAMESPACES; at++) {
		struct upid *number = (void *)pid + bpf_core_field_offset(pid->numbers) +
				      at * bpf_core_type_size(struct upid);

		if (at > level)
			break;
		if (BPF_CORE_READ(number, ns, ns.inum) == namespace)
			return BPF_CORE_READ(number, nr);
	}
	return 0;
}

INLINE u32 process_number(struct task_struct *task)
{
	if (!namespace)
		return BPF_CORE_READ(task, tgid);
	return number_of(BPF_CORE_READ(task, signal, pids[TGID]));
}

INLINE u32 thread_number(struct task_struct *task)
{
	if (!namespace)
		return BPF_CORE_READ(task, pid);
	return number_of(BPF_CORE_READ(task, thread_pid));
}

INLINE bool is_recorder(struct task_struct *task)
{
	return process_number(task) == recorder;
}

/* Hooks of these are not looked at: threads of the kernel, and the recorder. */
INLINE bool unheard(struct task_struct *task)
{
	return (task->flags & PF_KTHREAD) || is_recorder(task);
}

/* Whether the owner may look into a process anyway, as with strace. */
INLINE bool is_owned(struct task_struct *task)
{
	const struct cred *cred;

	if (owner == NOBODY)
		return true;
	/* Not those that it acts with for a moment, as overlayfs lets it act as its mounter. */
	cred = BPF_CORE_READ(task, real_cred);
	return BPF_CORE_READ(cred, uid.val) == owner && BPF_CORE_READ(cred, euid.val) == owner &&
	       BPF_CORE_READ(cred, suid.val) == owner;
}

INLINE struct file *file_at(struct task_struct *task, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = NULL;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

#endif
