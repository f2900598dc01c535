/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Bytes that go where the command's output goes, taken from the writer's memory. Only write
 * and writev are looked at.
 */
#ifndef DK_OUTPUT_H
#define DK_OUTPUT_H

#define STEPS 40000 /* 2 GiB in chunks, or all vectors of a writev */

/* What the command's standard output and error refer to; 0: not wanted. */
const volatile struct place outputs[2] = {};

INLINE void lose_output(const struct segment *segment)
{
	lose(DK_OUTPUT, NULL);
}

INLINE void put_output(struct dk_head *slot, const struct segment *segment, u32 len)
{
	struct dk_output *body = (void *)(slot + 1);

	if (!len)
		lose_output(segment);
	body->stream = segment->stream;
	body->len = len;
	head(slot, DK_OUTPUT, segment->flags, sizeof(*slot) + sizeof(*body) + len, 0);
}

static __noinline int emit_output(struct segment *segment)
{
	EMIT_SIZED(segment, dk_output, put_output, lose_output);
	return 0;
}

struct vectors {
	struct segment segment;
	u64 next; /* address of the next vector */
	u64 here; /* bytes left of this one */
	u64 left; /* bytes left in all */
};

/* The next vector, or the next chunk of this one. */
static long vector_one(u32 step, struct vectors *vectors)
{
	struct {
		u64 base, len;
	} vector = {};
	u64 len = vectors->here;

	if (!vectors->left)
		return 1;
	if (!len) {
		if (bpf_probe_read_user(&vector, sizeof(vector), (void *)vectors->next))
			return 1;
		vectors->next += sizeof(vector);
		vectors->segment.from = vector.base;
		vectors->here = vector.len;
		return 0;
	}
	if (len > vectors->left)
		len = vectors->left;
	if (len > DK_BYTES_MAX)
		len = DK_BYTES_MAX;
	vectors->segment.len = len;
	emit_output(&vectors->segment);
	vectors->segment.from += len;
	vectors->here -= len;
	vectors->left -= len;
	return 0;
}

INLINE bool is_at(struct inode *inode, const volatile struct place *place)
{
	return place->ino && BPF_CORE_READ(inode, i_ino) == place->ino &&
	       BPF_CORE_READ(inode, i_sb, s_dev) == place->dev;
}

static __noinline int exit_output(struct pt_regs *regs, s64 ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vectors vectors = { .left = ret, .segment.user = true };
	struct inode *inode;
	struct file *file;
	bool out, error;

	if (ret <= 0 || (!outputs[0].ino && !outputs[1].ino))
		return 0;
	file = file_at(task, regs->di);
	inode = BPF_CORE_READ(file, f_inode);
	out = is_at(inode, &outputs[0]);
	error = is_at(inode, &outputs[1]);
	if ((!out && !error) || !is_owned(task))
		return 0;
	vectors.segment.stream = error && (!out || regs->di == 2) ? 2 : 1;
	if (shape_of(regs)->class == C_WRITE) {
		vectors.segment.from = regs->si;
		vectors.here = ret;
	} else {
		vectors.next = regs->si;
	}
	bpf_loop(STEPS, vector_one, &vectors, 0);
	return 0;
}

#endif
