/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Processes come, become other programs, and go. */
#ifndef DK_PROCESS_H
#define DK_PROCESS_H

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct {
		struct dk_head head;
		struct dk_fork fork;
	} *slot;

	if (unheard(parent) || child->pid != child->tgid)
		return 0;
	slot = TAKE(DK_FORK, sizeof(*slot), NULL);
	if (!slot)
		return 0;
	slot->fork.start = child->start_boottime;
	slot->fork.pid = process_number(child);
	slot->fork.tid = thread_number(child);
	head(&slot->head, DK_FORK, 0, sizeof(*slot), 0);
	submit(slot);
	return 0;
}

struct exec_slot {
	struct dk_head head;
	struct dk_exec exec;
	char text[256 + 4096];
};

/* The path, then the arguments as they stand on the new stack. */
INLINE u32 put_arguments(struct exec_slot *slot, struct task_struct *task, u64 path)
{
	u64 start = BPF_CORE_READ(task, mm, arg_start);
	u64 len = BPF_CORE_READ(task, mm, arg_end) - start;
	long got = bpf_probe_read_kernel_str(slot->text, 256, (void *)path);
	u32 at = got < 1 ? 0 : got - 1, room;

	HIDE(at);
	at &= 0xff;
	slot->exec.filename = at;
	if (len > 4095) {
		len = 4095;
		slot->exec.has |= DK_CUT;
	}
	room = len;
	HIDE(room);
	room &= 4095;
	if (bpf_probe_read_user(slot->text + at, room, (void *)start))
		room = 0;
	slot->exec.argv = room;
	return at + room;
}

INLINE void put_exec(struct exec_slot *slot, struct task_struct *task,
		     struct linux_binprm *binary)
{
	struct inode *exe = NULL, *cwd = NULL;
	bool owned = is_owned(task);
	u32 len = 0;

	if (owned) {
		exe = BPF_CORE_READ(binary, file, f_inode);
		cwd = BPF_CORE_READ(task, fs, pwd.dentry, d_inode);
	}

	slot->exec.has = describe_if(&slot->exec.exe, exe, DK_HAS_INODE);
	slot->exec.has |= describe_if(&slot->exec.cwd, cwd, DK_HAS_PARENT);
	slot->exec.uid = BPF_CORE_READ(task, cred, euid.val);
	slot->exec.gid = BPF_CORE_READ(task, cred, egid.val);
	slot->exec.ppid = process_number(BPF_CORE_READ(task, real_parent));
	bpf_probe_read_kernel(slot->exec.comm, sizeof(slot->exec.comm), &task->comm);
	slot->exec.pad = 0;
	slot->exec.filename = slot->exec.argv = 0;
	if (owned)
		len = put_arguments(slot, task, (u64)BPF_CORE_READ(binary, filename));
	head(&slot->head, DK_EXEC, 0, sizeof(slot->head) + sizeof(slot->exec) + len, 0);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old, struct linux_binprm *binary)
{
	struct exec_slot *slot;

	if (unheard(task))
		return 0;
	slot = TAKE(DK_EXEC, SLOT_PAGE, NULL);
	if (!slot)
		return 0;
	put_exec(slot, task, binary);
	submit(slot);
	return 0;
}

/* When the last thread goes, and with it the mappings. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct {
		struct dk_head head;
		struct dk_exit exit;
	} *slot;

	if (unheard(task) || BPF_CORE_READ(task, signal, live.counter))
		return 0;
	tell_mappings(0, ~0ull, 1);
	slot = TAKE(DK_EXIT, sizeof(*slot), NULL);
	if (!slot)
		return 0;
	slot->exit.status = BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT ?
		BPF_CORE_READ(task, signal, group_exit_code) : task->exit_code;
	slot->exit.pad = 0;
	head(&slot->head, DK_EXIT, 0, sizeof(*slot), 0);
	submit(slot);
	return 0;
}

#endif
