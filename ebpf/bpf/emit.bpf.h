/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* One function a kind of record, for those that are not writes. Inodes are given by
 * address and may be NULL.
 */
#ifndef DK_EMIT_H
#define DK_EMIT_H

struct scratch {
	char path[DK_PATH_MAX];
	char pad[256]; /* a name that is copied from the end of path stays inside */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

INLINE struct scratch *scratch(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&scratches, &zero);
}

INLINE u32 describe_if(struct dk_inode *out, struct inode *inode, u32 bit)
{
	if (!inode) {
		__builtin_memset(out, 0, sizeof(*out));
		return 0;
	}
	describe(out, inode);
	return bit;
}

/* Keeps what a record was about until the call is known to have succeeded. */
INLINE void done(struct call *call, u32 kind, const struct dk_inode *subject)
{
	if (call) {
		call->done = kind;
		__builtin_memcpy(&call->subject, subject, sizeof(*subject));
	}
}

/* Reserves a slot, or counts the loss of a record about inode. */
#define TAKE(kind, size, inode)                                        \
	({                                                             \
		void *taken = bpf_ringbuf_reserve(&ring, (size), 0);   \
		if (!taken)                                            \
			lose_about((kind), (inode));                   \
		taken;                                                 \
	})

static __noinline int lose_about(u32 kind, struct inode *inode)
{
	struct dk_inode about = {};

	if (inode)
		describe(&about, inode);
	lose(kind, inode ? &about : NULL);
	return 0;
}

struct subject_slot {
	struct dk_head head;
	union {
		struct dk_subject subject;
		struct dk_attr attr;
		struct dk_range range;
		struct dk_dirty dirty;
		struct dk_open open;
		struct dk_close close;
	};
};

static __noinline int emit_truncate(struct call *call, struct inode *inode)
{
	struct subject_slot *slot = TAKE(DK_TRUNCATE, sizeof(*slot), inode);

	if (!slot)
		return 0;
	describe(&slot->subject.inode, inode);
	done(call, DK_TRUNCATE, &slot->subject.inode);
	head(&slot->head, DK_TRUNCATE, DK_ORDERED, sizeof(slot->head) + sizeof(slot->subject),
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

static __noinline int emit_attr(struct call *call, struct inode *inode, u32 which, u32 flags)
{
	struct subject_slot *slot = TAKE(DK_ATTR, sizeof(*slot), inode);

	if (!slot)
		return 0;
	describe(&slot->attr.inode, inode);
	slot->attr.which = which;
	slot->attr.pad = 0;
	done(call, DK_ATTR, &slot->attr.inode);
	head(&slot->head, DK_ATTR, flags, sizeof(slot->head) + sizeof(slot->attr),
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

struct range {
	u64 offset, len, size;
	u32 kind, mode;
};

/* Fallocate (with the length afterwards where it is not in the inode yet) or Read. */
static __noinline int emit_range(struct call *call, struct inode *inode,
				 const struct range *range)
{
	struct subject_slot *slot = TAKE(range->kind, sizeof(*slot), inode);

	if (!slot)
		return 0;
	describe(&slot->range.inode, inode);
	if (range->size)
		slot->range.inode.size = range->size;
	slot->range.offset = range->offset;
	slot->range.len = range->len;
	slot->range.mode = range->mode;
	slot->range.pad = 0;
	if (range->kind == DK_FALLOCATE)
		done(call, DK_FALLOCATE, &slot->range.inode);
	head(&slot->head, range->kind, range->kind == DK_FALLOCATE ? DK_ORDERED : 0,
	     sizeof(slot->head) + sizeof(slot->range), call ? call->number : 0);
	submit(slot);
	return 0;
}

struct doubt {
	u64 offset, len;
	u32 reason, anonymous; /* anonymous: the current task is not who did it */
};

INLINE void put_dirty(struct subject_slot *slot, const struct doubt *doubt, u64 number)
{
	slot->dirty.offset = doubt->offset;
	slot->dirty.len = doubt->len;
	slot->dirty.reason = doubt->reason;
	slot->dirty.pad = 0;
	head(&slot->head, DK_DIRTY, 0, sizeof(slot->head) + sizeof(slot->dirty), number);
	if (doubt->anonymous) {
		slot->head.start = 0;
		slot->head.pid = 0;
		slot->head.tid = 0;
	}
	submit(slot);
}

static __noinline int emit_dirty(struct call *call, struct inode *inode,
				 const struct doubt *doubt)
{
	struct subject_slot *slot = TAKE(DK_DIRTY, sizeof(*slot), inode);

	if (!slot)
		return 0;
	describe(&slot->dirty.inode, inode);
	put_dirty(slot, doubt, call ? call->number : 0);
	return 0;
}

/* The same about an inode described before. */
static __noinline int emit_dirty_again(const struct dk_inode *inode, const struct doubt *doubt,
				       u64 number)
{
	struct subject_slot *slot = bpf_ringbuf_reserve(&ring, sizeof(*slot), 0);

	if (!slot) {
		lose(DK_DIRTY, inode);
		return 0;
	}
	__builtin_memcpy(&slot->dirty.inode, inode, sizeof(*inode));
	put_dirty(slot, doubt, number);
	return 0;
}

struct entry_slot {
	struct dk_head head;
	struct dk_entry entry;
	char name[256];
};

/* The name of a dentry; none where the file has no name. */
INLINE u32 put_name(char *out, struct dentry *dentry)
{
	u32 len = BPF_CORE_READ(dentry, d_name.len);

	if (len > DK_NAME_MAX)
		len = DK_NAME_MAX;
	HIDE(len);
	len &= 0xff;
	if (bpf_probe_read_kernel(out, len, BPF_CORE_READ(dentry, d_name.name)))
		return 0;
	return len;
}

INLINE u32 put_entry(struct entry_slot *slot, struct inode *inode, struct dentry *dentry)
{
	struct inode *parent = BPF_CORE_READ(dentry, d_parent, d_inode);

	slot->entry.has = describe_if(&slot->entry.inode, inode, DK_HAS_INODE);
	slot->entry.has |= describe_if(&slot->entry.parent, parent, DK_HAS_PARENT);
	slot->entry.target = 0;
	slot->entry.name = 0;
	return 0;
}

static __noinline int emit_entry(struct call *call, struct dentry *dentry,
				 struct inode *inode, u32 kind, u32 flags)
{
	struct entry_slot *slot = TAKE(kind, SLOT_BODY, BPF_CORE_READ(dentry, d_parent, d_inode));
	u32 len = 0;

	if (!slot)
		return 0;
	put_entry(slot, inode, dentry);
	if (slot->entry.inode.nlink || kind != DK_CREATE)
		len = put_name(slot->name, dentry);
	slot->entry.name = len;
	done(call, kind, &slot->entry.parent);
	head(&slot->head, kind, flags, sizeof(slot->head) + sizeof(slot->entry) + len,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

/* With the target as the caller of symlink gave it, else as the inode holds it. */
static __noinline int emit_symlink(struct call *call, struct dentry *dentry,
				   struct inode *inode, u64 user)
{
	struct entry_slot *slot = TAKE(DK_SYMLINK, SLOT_PAGE,
				       BPF_CORE_READ(dentry, d_parent, d_inode));
	char *link;
	long target;
	u32 len;

	if (!slot)
		return 0;
	put_entry(slot, inode, dentry);
	len = put_name(slot->name, dentry) & 0xff;
	link = slot->name + len;
	if (user)
		target = bpf_probe_read_user_str(link, DK_PATH_MAX, (void *)user);
	else
		target = bpf_probe_read_kernel_str(link, DK_PATH_MAX,
						   BPF_CORE_READ(inode, i_link));
	if (target <= 1)
		target = 1;
	slot->entry.name = len;
	slot->entry.target = target - 1;
	done(call, DK_SYMLINK, &slot->entry.parent);
	head(&slot->head, DK_SYMLINK, DK_ORDERED,
	     sizeof(slot->head) + sizeof(slot->entry) + len + target - 1,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

struct tail {
	u32 at, end;
};

/* From the end: slashes, then the name up to the next slash. */
static long tail_one(u32 step, struct tail *tail)
{
	struct scratch *text = scratch();
	u32 at = tail->at - 1;

	if (!text || !tail->at || at >= DK_PATH_MAX)
		return 1;
	HIDE(at);
	at &= DK_PATH_MAX - 1;
	if (text->path[at] != '/') {
		if (!tail->end)
			tail->end = at + 1;
	} else if (tail->end) {
		return 1;
	}
	tail->at = at;
	return 0;
}

/* The last component of a path of the process. */
static __noinline int last_component(char *out, u64 user)
{
	struct scratch *text = scratch();
	struct tail tail = {};
	u32 len, at;
	long got;

	if (!text || !out)
		return 0;
	got = bpf_probe_read_user_str(text->path, DK_PATH_MAX, (void *)user);
	if (got <= 1 || got > DK_PATH_MAX)
		return 0;
	tail.at = got - 1;
	bpf_loop(DK_PATH_MAX, tail_one, &tail, 0);
	at = tail.at;
	len = tail.end - at;
	if (len > DK_NAME_MAX || at >= DK_PATH_MAX)
		return 0;
	HIDE(len);
	len &= 0xff;
	HIDE(at);
	at &= DK_PATH_MAX - 1;
	bpf_probe_read_kernel(out, len, &text->path[at]);
	return len;
}

struct rename_slot {
	struct dk_head head;
	struct dk_rename rename;
	char names[512];
};

struct moved {
	struct inode *inode, *from, *to, *replaced;
	u64 from_path, to_path; /* addresses of the process */
	u32 flags, pad;
};

static __noinline int emit_rename(struct call *call, const struct moved *moved)
{
	struct rename_slot *slot = TAKE(DK_RENAME, SLOT_NAMES, moved->from);
	struct dk_rename *body;
	u32 from, to;

	if (!slot)
		return 0;
	body = &slot->rename;
	body->has = describe_if(&body->inode, moved->inode, DK_HAS_INODE);
	body->has |= describe_if(&body->from, moved->from, DK_HAS_PARENT);
	body->has |= describe_if(&body->to, moved->to, DK_HAS_TO);
	body->has |= describe_if(&body->replaced, moved->replaced, DK_HAS_REPLACED);
	body->flags = moved->flags;
	body->pad = 0;
	from = last_component(slot->names, moved->from_path);
	HIDE(from);
	from &= 0xff;
	to = last_component(slot->names + from, moved->to_path);
	HIDE(to);
	to &= 0xff;
	body->from_name = from;
	body->to_name = to;
	done(call, DK_RENAME, &body->from);
	head(&slot->head, DK_RENAME, DK_ORDERED,
	     sizeof(slot->head) + sizeof(*body) + from + to, call ? call->number : 0);
	submit(slot);
	return 0;
}

#endif
