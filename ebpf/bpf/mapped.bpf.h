/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Stores to shared mappings, as far as the kernel hears of them. */
#ifndef DK_MAPPED_H
#define DK_MAPPED_H

/* A page that a process dirties outside of any call: a store to a shared mapping. The
 * store itself comes afterwards, and later ones to this page go unseen.
 */
SEC("tp_btf/writeback_dirty_folio")
int BPF_PROG(dirty_folio, struct folio *folio, struct address_space *mapping)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct doubt doubt = { .reason = DK_MMAP, .len = 1 << PAGE_SHIFT };
	struct inode *inode;

	if (unheard(task) || (task->flags & PF_IO_WORKER) || !mapping ||
	    registers(task)->orig_ax != ~0ul)
		return 0;
	inode = BPF_CORE_READ(mapping, host);
	if (!is_regular(inode) || !inside(inode))
		return 0;
	doubt.offset = (u64)BPF_CORE_READ(folio, index) << PAGE_SHIFT;
	return emit_dirty(call_under_way(task), inode, &doubt);
}

#endif
