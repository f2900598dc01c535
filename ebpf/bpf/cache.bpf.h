/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Bytes of a write as the page cache holds them, whatever the file system: a page at a time,
 * found by its place in the kernel's map of all memory.
 */
#ifndef DK_CACHE_H
#define DK_CACHE_H

/* Addresses of the kernel's variables that say where all memory and the array of its struct
 * pages begin; 0: without randomization, at their usual places.
 */
const volatile u64 page_offset_at = 0, vmemmap_at = 0;

#define PAGE_OFFSET 0xffff888000000000ull
#define VMEMMAP 0xffffea0000000000ull
#define STEPS_OF_PAGES (1 << 20) /* 4 GiB, more than any call writes */

INLINE u64 base_at(u64 variable, u64 usual)
{
	u64 base = usual;

	if (variable)
		bpf_probe_read_kernel(&base, sizeof(base), (void *)variable);
	return base;
}

/* Where the byte at pos stands, 0 if its page is not cached. */
INLINE u64 cached_at(struct inode *inode, u64 pos)
{
	struct folio *folio = folio_at(inode, pos >> PAGE_SHIFT);
	u64 page, number;

	if (!folio)
		return 0;
	page = (u64)folio - base_at(vmemmap_at, VMEMMAP);
	number = page / bpf_core_type_size(struct page);
	number += (pos >> PAGE_SHIFT) - BPF_CORE_READ(folio, index);
	return base_at(page_offset_at, PAGE_OFFSET) + (number << PAGE_SHIFT) +
	       (pos & (PAGE_SIZE - 1));
}

struct span {
	struct segment segment;
	u64 inode; /* whose pages hold the bytes */
	u64 left;
};

INLINE u64 left_of_page(u64 pos)
{
	return PAGE_SIZE - (pos & (PAGE_SIZE - 1));
}

static long page_one(u32 step, struct span *span)
{
	u64 len = left_of_page(span->segment.pos);

	if (!span->left)
		return 1;
	if (len > span->left)
		len = span->left;
	span->segment.len = len;
	span->segment.from = cached_at((void *)span->inode, span->segment.pos);
	emit_segment(&span->segment);
	span->segment.pos += len;
	span->left -= len;
	return 0;
}

INLINE void emit_cached(struct span *span)
{
	if (span->left <= left_of_page(span->segment.pos))
		page_one(0, span);
	else
		bpf_loop(STEPS_OF_PAGES, page_one, span, 0);
}

#endif
