/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The ring: slots by size class, heads, what is done when there is no room, and how
 * writers are held back before that happens.
 */
#ifndef DK_RING_H
#define DK_RING_H

/* A slot's size must be a constant: the smallest class that holds the record is taken. */
#define SLOT_WORD 64
#define SLOT_BODY 512
#define SLOT_NAMES 1024
#define SLOT_PAGE 4608
#define SLOT_CHUNK (16384 + 256)
#define SLOT_WHOLE (65536 + 256)

/* Size of the ring in bytes, as user space made it. */
const volatile u32 ring_bytes = 1 << 22;

/* Whether writers are stopped while more than half of the ring is unread. */
const volatile bool stop_writers = true;

/* A reader that sleeps is woken beyond ring_bytes / WAKE, at most this often in ns. */
#define WAKE 16
#define WAKE_EVERY 1000000

/* One that has found nothing for longer than this, ns, looks rarely: it is woken by the
 * first record. Processes that come and go do not count: they do so anywhere.
 */
#define CALM 500000000

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} ring SEC(".maps");

/* Counters, read by user space. */
struct stats {
	u64 emitted;
	u64 stops;
	u64 lost[32]; /* by enum dk_kind; 0: what could not even be entered into dirty */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct stats);
} counters SEC(".maps");

#define COUNT(field)                                                     \
	do {                                                             \
		u32 zero = 0;                                            \
		struct stats *stats = bpf_map_lookup_elem(&counters, &zero); \
		if (stats)                                               \
			__sync_fetch_and_add(&stats->field, 1);          \
	} while (0)

u64 woken = 0;
u64 submitted = 0; /* when the last record was made that is not about processes, ns */

/* What must be read again because a record had no room. */
struct dirty_key {
	u64 ino;
	u32 dev;
	u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct dirty_key);
	__type(value, struct dk_inode);
} dirty SEC(".maps");

/* Whether any of them ever was: else nobody looks. */
u32 lossy = 0;

/* Thread groups that were stopped; 1 once the signal has gone out. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u32);
} stopped SEC(".maps");

INLINE void head(struct dk_head *head, u32 kind, u32 flags, u32 size, u64 number)
{
	struct task_struct *task = bpf_get_current_task_btf();

	head->size = size;
	head->kind = kind;
	head->flags = flags;
	head->time = bpf_ktime_get_ns();
	head->call = number;
	/* Not through the pointer itself: for each that is followed the verifier looks through
	 * all names of the kernel's types, which takes about a ms.
	 */
	head->start = BPF_CORE_READ(task, group_leader, start_boottime);
	head->pid = process_number(task);
	head->tid = thread_number(task);
}

/* How a record goes out. Verified once, not wherever one does. */
__noinline u64 waking(u32 kind, u64 time)
{
	bool calm = false;

	if (kind < DK_FORK || kind > DK_EXIT) {
		calm = (s64)(time - submitted) > CALM;
		submitted = time;
	}
	if (calm)
		return BPF_RB_FORCE_WAKEUP;
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_bytes / WAKE) {
		u64 now = bpf_ktime_get_ns();

		if (now - woken > WAKE_EVERY) {
			woken = now;
			return BPF_RB_FORCE_WAKEUP;
		}
	}
	return BPF_RB_NO_WAKEUP;
}

INLINE void submit(void *slot)
{
	struct dk_head *head = slot;

	COUNT(emitted);
	bpf_ringbuf_submit(slot, waking(head->kind, head->time));
}

/* Counts a record that had no room, and keeps whose it was. */
INLINE void lose(u32 kind, const struct dk_inode *inode)
{
	COUNT(lost[kind & 31]);
	if (inode) {
		struct dirty_key key = {
			.ino = inode->ino,
			.dev = inode->dev,
			.generation = inode->generation,
		};

		if (bpf_map_update_elem(&dirty, &key, inode, BPF_ANY))
			COUNT(lost[0]);
		lossy = 1;
	}
}

/* Whether a record of this file was lost and it has not been asked for since: what follows
 * lies over bytes that nobody has.
 */
INLINE bool is_lossy(struct inode *inode)
{
	struct dirty_key key = {};

	if (!lossy)
		return false;
	key.ino = BPF_CORE_READ(inode, i_ino);
	key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key.generation = BPF_CORE_READ(inode, i_generation);
	return bpf_map_lookup_elem(&dirty, &key);
}

/* Stops the writer's process while more than half of the ring is unread. It is entered
 * first and counts as stopped only after the signal, so that a continue never comes too
 * early; a process that cannot be entered, or has no number here to be continued by, is not
 * stopped.
 */
INLINE void hold_back(struct task_struct *task)
{
	u32 tgid = process_number(task), flag = 0;

	if (!stop_writers || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) <= ring_bytes / 2)
		return;
	/* Whom the owner could not continue goes on. */
	if (!tgid || !is_owned(task))
		return;
	if (bpf_map_update_elem(&stopped, &tgid, &flag, BPF_ANY))
		return;
	if (bpf_send_signal(SIGSTOP)) {
		bpf_map_delete_elem(&stopped, &tgid);
		return;
	}
	flag = 1;
	bpf_map_update_elem(&stopped, &tgid, &flag, BPF_ANY);
	COUNT(stops);
}

#endif
