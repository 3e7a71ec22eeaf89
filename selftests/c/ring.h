/* SPDX-License-Identifier: GPL-2.0 */
/* io_uring by bare system calls. */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_ENTRIES 16

struct ring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static inline char *ring_map(int fd, size_t size, off_t offset)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
}

/* False, and an errno, where the kernel has no rings. */
static inline bool ring_setup(struct ring *ring)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	ring->fd = syscall(SYS_io_uring_setup, RING_ENTRIES, &p);
	if (ring->fd < 0)
		return false;
	sq = ring_map(ring->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned int),
		      IORING_OFF_SQ_RING);
	cq = ring_map(ring->fd, p.cq_off.cqes + p.cq_entries * sizeof(*ring->cqes),
		      IORING_OFF_CQ_RING);
	ring->sqes = (void *)ring_map(ring->fd, p.sq_entries * sizeof(*ring->sqes),
				      IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)ring->sqes == MAP_FAILED)
		return false;
	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);
	return true;
}

/* The next entry, cleared, which ring_submit() hands over. */
static inline struct io_uring_sqe *ring_entry(struct ring *ring)
{
	return memset(&ring->sqes[*ring->sq_tail & *ring->sq_mask], 0, sizeof(*ring->sqes));
}

static inline int ring_submit(struct ring *ring)
{
	unsigned int tail = *ring->sq_tail, at = tail & *ring->sq_mask;

	ring->sq_array[at] = at;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0);
}

/* Waits for completions. */
static inline int ring_wait(struct ring *ring)
{
	return syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

/* A completion that came; false if there is none. */
static inline bool ring_completion(struct ring *ring, struct io_uring_cqe *found)
{
	unsigned int head = *ring->cq_head;

	if (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == head)
		return false;
	*found = ring->cqes[head & *ring->cq_mask];
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

#endif
