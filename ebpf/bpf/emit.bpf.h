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
	};
};

static __noinline int emit_truncate(struct call *call, struct inode *inode, u32 flags)
{
	struct subject_slot *slot = TAKE(DK_TRUNCATE, sizeof(*slot), inode);

	if (!slot)
		return 0;
	describe(&slot->subject.inode, inode);
	done(call, DK_TRUNCATE, &slot->subject.inode);
	head(&slot->head, DK_TRUNCATE, flags, sizeof(slot->head) + sizeof(slot->subject),
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
	u32 kind, mode, flags;
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
	head(&slot->head, range->kind, range->flags,
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

/* Where a name is: in the kernel, or the last component of a path of the process. */
struct label {
	u64 kernel;
	u64 user;
	u64 target; /* of a symbolic link, in the process */
	u64 kernel_target; /* the same in the kernel; neither: as the inode holds it */
	u32 len;    /* of the name in the kernel */
	u32 flags;  /* of the record's head */
};

INLINE void label_of_dentry(struct label *label, struct dentry *dentry)
{
	label->kernel = (u64)BPF_CORE_READ(dentry, d_name.name);
	label->len = BPF_CORE_READ(dentry, d_name.len);
}

INLINE u32 put_name(char *out, const struct label *label)
{
	u32 len = label->len;

	if (label->user)
		return last_component(out, label->user);
	if (len > DK_NAME_MAX)
		len = DK_NAME_MAX;
	HIDE(len);
	len &= 0xff;
	return bpf_probe_read_kernel(out, len, (void *)label->kernel) ? 0 : len;
}

struct entry_slot {
	struct dk_head head;
	struct dk_entry entry;
	char name[256];
};

INLINE u32 put_entry(struct entry_slot *slot, struct inode *inode, struct inode *parent,
		     const struct label *label)
{
	u32 len = put_name(slot->name, label);

	HIDE(len);
	len &= 0xff;
	slot->entry.has = describe_if(&slot->entry.inode, inode, DK_HAS_INODE);
	slot->entry.has |= describe_if(&slot->entry.parent, parent, DK_HAS_PARENT);
	slot->entry.name = len;
	slot->entry.target = 0;
	return len;
}

INLINE u32 kind_of_mode(u32 mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return DK_CREATE;
	case S_IFDIR: return DK_MKDIR;
	case S_IFLNK: return DK_SYMLINK;
	}
	return DK_MKNOD;
}

static __noinline int emit_entry(struct call *call, struct inode *inode,
				 struct inode *parent, const struct label *label, u32 kind)
{
	struct entry_slot *slot = TAKE(kind, SLOT_BODY, parent);
	u32 len;

	if (!slot)
		return 0;
	len = put_entry(slot, inode, parent, label);
	done(call, kind, &slot->entry.parent);
	head(&slot->head, kind, label->flags, sizeof(slot->head) + sizeof(slot->entry) + len,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

static __noinline int emit_symlink(struct call *call, struct inode *inode,
				   struct inode *parent, const struct label *label)
{
	struct entry_slot *slot = TAKE(DK_SYMLINK, SLOT_PAGE, parent);
	long target;
	char *link;
	u32 len;

	if (!slot)
		return 0;
	len = put_entry(slot, inode, parent, label);
	link = slot->name + len;
	if (label->target)
		target = bpf_probe_read_user_str(link, DK_PATH_MAX, (void *)label->target);
	else if (label->kernel_target)
		target = bpf_probe_read_kernel_str(link, DK_PATH_MAX,
						   (void *)label->kernel_target);
	else
		target = bpf_probe_read_kernel_str(link, DK_PATH_MAX,
						   BPF_CORE_READ(inode, i_link));
	if (target < 1)
		target = 1;
	slot->entry.target = target - 1;
	done(call, DK_SYMLINK, &slot->entry.parent);
	head(&slot->head, DK_SYMLINK, label->flags,
	     sizeof(slot->head) + sizeof(slot->entry) + len + target - 1,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

struct rename_slot {
	struct dk_head head;
	struct dk_rename rename;
	char names[512];
};

struct moved {
	struct inode *inode, *from, *to, *replaced;
	struct label old_name, new_name;
	u32 flags, pad;
};

static __noinline int emit_rename(struct call *call, const struct moved *moved)
{
	struct rename_slot *slot = TAKE(DK_RENAME, SLOT_NAMES, moved->from);
	struct dk_rename *body;
	u32 from, to;

	if (!slot)
		return moved->to == moved->from ? 0 : lose_about(DK_RENAME, moved->to);
	body = &slot->rename;
	body->has = describe_if(&body->inode, moved->inode, DK_HAS_INODE);
	body->has |= describe_if(&body->from, moved->from, DK_HAS_PARENT);
	body->has |= describe_if(&body->to, moved->to, DK_HAS_TO);
	body->has |= describe_if(&body->replaced, moved->replaced, DK_HAS_REPLACED);
	body->flags = moved->flags;
	body->pad = 0;
	from = put_name(slot->names, &moved->old_name);
	HIDE(from);
	from &= 0xff;
	to = put_name(slot->names + from, &moved->new_name);
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

static __noinline int emit_open(struct call *call, struct inode *inode, u32 flags, u32 created)
{
	struct subject_slot *slot = TAKE(DK_OPEN, sizeof(*slot), NULL);

	if (!slot)
		return 0;
	describe(&slot->open.inode, inode);
	slot->open.flags = flags;
	slot->open.created = created;
	head(&slot->head, DK_OPEN, 0, sizeof(slot->head) + sizeof(slot->open),
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

/* About an inode described before: a close has no file any more. */
static __noinline int emit_close(const struct dk_inode *inode)
{
	struct subject_slot *slot = TAKE(DK_CLOSE, sizeof(*slot), NULL);

	if (!slot)
		return 0;
	__builtin_memcpy(&slot->subject.inode, inode, sizeof(*inode));
	head(&slot->head, DK_CLOSE, 0, sizeof(slot->head) + sizeof(slot->subject), 0);
	submit(slot);
	return 0;
}

struct xattr_slot {
	struct dk_head head;
	struct dk_xattr xattr;
	char name[256];
};

/* A name that is looked for in the process unless it is in the kernel. */
static __noinline int emit_xattr(struct call *call, struct inode *inode,
				 const struct label *label, u32 removed)
{
	struct xattr_slot *slot = TAKE(DK_XATTR, SLOT_BODY, inode);
	long len;

	if (!slot)
		return 0;
	describe(&slot->xattr.inode, inode);
	if (label->kernel)
		len = bpf_probe_read_kernel_str(slot->name, sizeof(slot->name),
						(void *)label->kernel);
	else
		len = bpf_probe_read_user_str(slot->name, sizeof(slot->name),
					      (void *)label->user);
	if (len < 1)
		len = 1;
	slot->xattr.name = len - 1;
	slot->xattr.removed = removed;
	slot->xattr.pad = 0;
	done(call, DK_XATTR, &slot->xattr.inode);
	head(&slot->head, DK_XATTR, label->flags, sizeof(slot->head) + sizeof(slot->xattr) + len - 1,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

struct at_slot {
	struct dk_head head;
	struct dk_at at;
	char path[2 * DK_PATH_MAX];
};

struct paths {
	struct inode *dir, *other;
	u64 path, other_path; /* addresses of the process, 0: none */
	u32 op, flags;
};

static __noinline int emit_at(struct call *call, const struct paths *paths)
{
	struct at_slot *slot = TAKE(DK_AT, sizeof(*slot), paths->dir);
	long path = 1, other = 1;
	u32 at;

	if (!slot)
		return 0;
	slot->at.has = describe_if(&slot->at.dir, paths->dir, DK_HAS_PARENT);
	slot->at.has |= describe_if(&slot->at.other, paths->other, DK_HAS_TO);
	slot->at.op = paths->op;
	slot->at.flags = paths->flags;
	path = bpf_probe_read_user_str(slot->path, DK_PATH_MAX, (void *)paths->path);
	if (path < 1)
		path = 1;
	at = path - 1;
	HIDE(at);
	at &= DK_PATH_MAX - 1;
	if (paths->other_path)
		other = bpf_probe_read_user_str(slot->path + at, DK_PATH_MAX,
						(void *)paths->other_path);
	if (other < 1)
		other = 1;
	slot->at.path = at;
	slot->at.other_path = other - 1;
	head(&slot->head, DK_AT, 0, sizeof(slot->head) + sizeof(slot->at) + at + other - 1,
	     call ? call->number : 0);
	submit(slot);
	return 0;
}

static __noinline int emit_call_end(u64 number, s64 ret)
{
	struct {
		struct dk_head head;
		struct dk_call_end end;
	} *slot = TAKE(DK_CALL_END, sizeof(*slot), NULL);

	if (!slot)
		return 0;
	slot->end.ret = ret;
	head(&slot->head, DK_CALL_END, 0, sizeof(*slot), number);
	submit(slot);
	return 0;
}

#endif
