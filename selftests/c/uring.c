// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring: a recv that waits on one socket while a send goes out on another.
 * Usage: uring SOURCE SESSION, two inherited descriptors.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ring.h"

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void submit(struct ring *ring, int op, int fd, void *buffer, size_t size)
{
	struct io_uring_sqe *sqe = ring_entry(ring);

	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (unsigned long)buffer;
	sqe->len = size;
	sqe->user_data = op;
	if (ring_submit(ring) != 1)
		die("io_uring_enter");
}

static void complete(struct ring *ring)
{
	struct io_uring_cqe cqe;

	if (ring_wait(ring) < 0)
		die("io_uring_enter");
	if (!ring_completion(ring, &cqe)) {
		fprintf(stderr, "nothing completed\n");
		exit(1);
	}
	printf("%s %d\n", cqe.user_data == IORING_OP_SEND ? "send" : "recv", cqe.res);
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
	if (!ring_setup(&ring))
		die("io_uring_setup");
	/* The recv waits: nothing was sent yet. */
	submit(&ring, IORING_OP_RECV, session, got, sizeof(got));
	submit(&ring, IORING_OP_SEND, source, text, sizeof(text) - 1);
	complete(&ring);
	complete(&ring);
	puts(got);
	return 0;
}
