/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Segments of writes with their bytes, read from the page cache while the inode is locked. */
#ifndef DK_PAYLOAD_H
#define DK_PAYLOAD_H

#define LEVELS 11    /* of an xarray of 64 bits, 6 at a time */
#define CHUNKS 32768 /* of a segment: 2 GiB, more than any call writes */

struct walk {
	u64 entry;
	u64 index;
	u32 found;
	u32 pad;
};

INLINE bool is_node(u64 entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

/* A sibling points to the slot of the large folio that it belongs to. */
INLINE bool is_sibling(u64 entry)
{
	return (entry & 3) == 2 && entry < ((XA_CHUNK_MASK << 2) | 2);
}

INLINE u64 slot_at(struct xa_node *node, u64 at)
{
	void *entry = NULL;

	bpf_core_read(&entry, sizeof(entry), &node->slots[at & XA_CHUNK_MASK]);
	return (u64)entry;
}

static long walk_one(u32 step, struct walk *walk)
{
	struct xa_node *node = (void *)(walk->entry & ~3ull);

	if (!is_node(walk->entry))
		return 1;
	walk->entry = slot_at(node, walk->index >> BPF_CORE_READ(node, shift));
	if (is_sibling(walk->entry))
		walk->entry = slot_at(node, walk->entry >> 2);
	return 0;
}

/* The folio that caches a page of the file, or none. */
INLINE struct folio *folio_at(struct inode *inode, u64 index)
{
	struct walk walk = {
		.entry = (u64)BPF_CORE_READ(inode, i_mapping, i_pages.xa_head),
		.index = index,
	};

	bpf_loop(LEVELS, walk_one, &walk, 0);
	return walk.entry & 3 ? NULL : (void *)walk.entry;
}

/* Where the bytes at pos stand, for a folio with buffers: the first one begins with it. */
INLINE void *address_of(struct inode *inode, u64 pos)
{
	struct folio *folio = folio_at(inode, pos >> PAGE_SHIFT);
	struct buffer_head *buffer;
	char *data;

	if (!folio)
		return NULL;
	buffer = BPF_CORE_READ(folio, private);
	data = buffer ? BPF_CORE_READ(buffer, b_data) : NULL;
	return data ? data + (pos - ((u64)BPF_CORE_READ(folio, index) << PAGE_SHIFT)) : NULL;
}

struct segment {
	struct dk_inode about;
	u64 number;
	u64 pos;
	u64 from;     /* address of the bytes at pos, 0: none */
	u32 len;
	u32 flags;    /* of the head */
	u32 user;     /* from is an address of the process */
	u32 stream;   /* of output; 0: a write to a file */
};

/* Whether the call under way writes no more than this. */
INLINE bool is_whole(struct task_struct *task, u32 copied)
{
	struct pt_regs *regs = registers(task);
	u32 class;

	if (copied > DK_BYTES_MAX || (task->flags & PF_IO_WORKER))
		return false;
	class = shape_of(regs)->class;
	return (class == C_WRITE || class == C_PWRITE) && regs->dx == copied;
}

/* Numbers a segment and says whether it is all that its call writes. */
INLINE void count_segment(struct call *call, struct segment *segment, bool whole)
{
	segment->number = call->number;
	if (whole) {
		segment->flags |= DK_WHOLE;
		call->whole = 1;
	} else {
		call->segments++;
	}
}

static __noinline int put_write(struct dk_head *slot, const struct segment *segment, u32 len)
{
	struct dk_write *body = (void *)(slot + 1);

	__builtin_memcpy(&body->inode, &segment->about, sizeof(body->inode));
	if (body->inode.size < segment->pos + segment->len)
		body->inode.size = segment->pos + segment->len;
	body->offset = segment->pos;
	body->len = segment->len;
	body->pad = 0;
	head(slot, DK_WRITE, segment->flags, sizeof(*slot) + sizeof(*body) + len,
	     segment->number);
	return 0;
}

INLINE void lose_write(const struct segment *segment)
{
	lose(DK_WRITE, &segment->about);
}

/* What a slot of a size has left for bytes behind a body. */
#define ROOM(size, body) ((size) - sizeof(struct dk_head) - sizeof(struct body))

/* One record with its bytes, in a slot of a constant size. */
#define EMIT_BYTES(segment, size, body, put, lost)                                       \
	({                                                                               \
		struct dk_head *slot = bpf_ringbuf_reserve(&ring, (size), 0);            \
		if (slot) {                                                              \
			u32 room = (segment)->len;                                       \
			void *data = (void *)slot + (size) - ROOM(size, body);           \
			HIDE(room);                                                      \
			if (room > ROOM(size, body))                                     \
				room = ROOM(size, body);                                 \
			if ((segment)->user ?                                            \
				bpf_probe_read_user(data, room, (void *)(segment)->from) : \
				bpf_probe_read_kernel(data, room, (void *)(segment)->from)) { \
				(segment)->flags &= ~DK_PAYLOAD;                         \
				room = 0;                                                \
			}                                                                \
			put(slot, segment, room);                                        \
			submit(slot);                                                    \
		} else {                                                                 \
			lost(segment);                                                   \
		}                                                                        \
	})

#define EMIT_SIZED(segment, body, put, lost)                                     \
	do {                                                                     \
		(segment)->flags |= DK_PAYLOAD;                                  \
		if ((segment)->len <= ROOM(SLOT_BODY, body))                     \
			EMIT_BYTES(segment, SLOT_BODY, body, put, lost);         \
		else if ((segment)->len <= ROOM(SLOT_PAGE, body))                \
			EMIT_BYTES(segment, SLOT_PAGE, body, put, lost);         \
		else if ((segment)->len <= ROOM(SLOT_CHUNK, body))               \
			EMIT_BYTES(segment, SLOT_CHUNK, body, put, lost);        \
		else                                                             \
			EMIT_BYTES(segment, SLOT_WHOLE, body, put, lost);        \
	} while (0)

/* A segment of at most DK_BYTES_MAX. */
static __noinline int emit_segment(struct segment *segment)
{
	EMIT_SIZED(segment, dk_write, put_write, lose_write);
	return 0;
}

struct pieces {
	struct segment segment;
	u64 left;
};

static long piece_one(u32 step, struct pieces *pieces)
{
	u64 len = pieces->left;

	if (!len)
		return 1;
	if (len > DK_BYTES_MAX)
		len = DK_BYTES_MAX;
	pieces->segment.len = len;
	emit_segment(&pieces->segment);
	pieces->segment.pos += len;
	if (pieces->segment.from)
		pieces->segment.from += len;
	pieces->left -= len;
	return 0;
}

/* A write of any length, in pieces that fit a slot. */
INLINE void emit_write(struct pieces *pieces, u64 len)
{
	pieces->left = len;
	if (len <= DK_BYTES_MAX)
		piece_one(0, pieces);
	else
		bpf_loop(CHUNKS, piece_one, pieces, 0);
}

#endif
