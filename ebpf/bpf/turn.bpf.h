/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Whether an operation that is told after its lock was released had the file to itself from
 * its beginning: then its record is in order all the same. Whoever tells of a change of the
 * file under the lock meanwhile says so here.
 */
#ifndef DK_TURN_H
#define DK_TURN_H

struct turn {
	u32 users;   /* operations under way */
	u32 changes; /* seen since the first of them began */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u64); /* address of the inode */
	__type(value, struct turn);
} turns SEC(".maps");

u32 watching = 0; /* whether there may be any */

INLINE void changed(struct inode *inode)
{
	u64 key = (u64)inode;
	struct turn *turn;

	if (!watching)
		return;
	turn = bpf_map_lookup_elem(&turns, &key);
	if (turn)
		__sync_fetch_and_add(&turn->changes, 1);
}

/* The number to be given to end_turn(). */
INLINE u32 begin_turn(struct inode *inode)
{
	struct turn first = {}, *turn;
	u64 key = (u64)inode;

	__sync_fetch_and_add(&watching, 1);
	bpf_map_update_elem(&turns, &key, &first, BPF_NOEXIST);
	turn = bpf_map_lookup_elem(&turns, &key);
	if (!turn)
		return 0;
	if (__sync_fetch_and_add(&turn->users, 1))
		__sync_fetch_and_add(&turn->changes, 1);
	return turn->changes;
}

/* Whether nothing else changed the file in between, as far as can be told. */
INLINE bool end_turn(struct inode *inode, u32 begun)
{
	u64 key = (u64)inode;
	struct turn *turn = bpf_map_lookup_elem(&turns, &key);
	bool alone;

	__sync_fetch_and_add(&watching, -1);
	if (!turn)
		return false;
	alone = turn->changes == begun && turn->users == 1;
	__sync_fetch_and_add(&turn->changes, 1);
	if (__sync_fetch_and_add(&turn->users, -1) == 1)
		bpf_map_delete_elem(&turns, &key);
	return alone;
}

#endif
