// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring by bare system calls: a recv that waits on one socket while a send
 * goes out on another. Usage: uring SOURCE SESSION, two inherited descriptors.
 */
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4

struct ring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static char *map(int fd, size_t size, off_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, fd, offset);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

static void setup(struct ring *ring)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	ring->fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (ring->fd < 0)
		die("io_uring_setup");
	sq = map(ring->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned int),
		 IORING_OFF_SQ_RING);
	cq = map(ring->fd, p.cq_off.cqes + p.cq_entries * sizeof(*ring->cqes),
		 IORING_OFF_CQ_RING);
	ring->sqes = (void *)map(ring->fd, p.sq_entries * sizeof(*ring->sqes),
				 IORING_OFF_SQES);
	ring->sq_tail = (void *)(sq + p.sq_off.tail);
	ring->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (void *)(sq + p.sq_off.array);
	ring->cq_head = (void *)(cq + p.cq_off.head);
	ring->cq_tail = (void *)(cq + p.cq_off.tail);
	ring->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (void *)(cq + p.cq_off.cqes);
}

static void submit(struct ring *ring, int op, int fd, void *buffer, size_t size)
{
	unsigned int tail = *ring->sq_tail, at = tail & *ring->sq_mask;
	struct io_uring_sqe *sqe = &ring->sqes[at];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (unsigned long)buffer;
	sqe->len = size;
	sqe->user_data = op;
	ring->sq_array[at] = at;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) != 1)
		die("io_uring_enter");
}

static void complete(struct ring *ring)
{
	unsigned int head = *ring->cq_head;
	struct io_uring_cqe *cqe;

	if (syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		die("io_uring_enter");
	if (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == head) {
		fprintf(stderr, "nothing completed\n");
		exit(1);
	}
	cqe = &ring->cqes[head & *ring->cq_mask];
	printf("%s %d\n", cqe->user_data == IORING_OP_SEND ? "send" : "recv",
	       cqe->res);
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
}

int main(int argc, char **argv)
{
	char text[] = "by io_uring", got[100] = "";
	struct ring ring;
	int source, session;

	if (argc != 3)
		return 2;
	source = atoi(argv[1]);
	session = atoi(argv[2]);
	setup(&ring);
	/* The recv waits: nothing was sent yet. */
	submit(&ring, IORING_OP_RECV, session, got, sizeof(got));
	submit(&ring, IORING_OP_SEND, source, text, sizeof(text) - 1);
	complete(&ring);
	complete(&ring);
	puts(got);
	return 0;
}
