// SPDX-License-Identifier: GPL-2.0
/*
 * usage: receiver GROUP PORT COUNT
 * Accepts one source with epoll, checks its COUNT messages and their control
 * messages, and prints its counters. Prints "ready" when it listens.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/pgm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static char message[1 << 17];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void wrong(const char *what, int n)
{
	fprintf(stderr, "message %d: %s\n", n, what);
	exit(1);
}

static void wait_for_input(int poll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	int ready;

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) && errno != EEXIST)
		die("epoll_ctl");
	do
		ready = epoll_wait(poll, &event, 1, 20000);
	while (ready < 0 && errno == EINTR);
	if (ready != 1) {
		fprintf(stderr, "nothing arrived\n");
		exit(1);
	}
}

/* One message; 0 at the end of the session, -1 if there is none now. */
static ssize_t receive(int fd, struct pgm_rcvinfo *info, int *flags)
{
	_Alignas(struct cmsghdr) char control[128];
	struct iovec piece = { .iov_base = message, .iov_len = sizeof(message) };
	struct msghdr header = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	ssize_t size;

	size = recvmsg(fd, &header, 0);
	if (size < 0 && errno != EAGAIN)
		die("recvmsg");
	*flags = header.msg_flags;
	memset(info, 0xff, sizeof(*info));
	for (cmsg = CMSG_FIRSTHDR(&header); size >= 0 && cmsg;
	     cmsg = CMSG_NXTHDR(&header, cmsg))
		if (cmsg->cmsg_level == IPPROTO_PGM && cmsg->cmsg_type == PGM_RCVINFO)
			memcpy(info, CMSG_DATA(cmsg), sizeof(*info));
	return size;
}

static int listen_at(const struct sockaddr_in *at)
{
	int fd, one = 1, interval = 20000;

	fd = socket(AF_INET, SOCK_RDM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_PGM);
	if (fd < 0)
		die("socket");
	if (setsockopt(fd, IPPROTO_PGM, PGM_NAK_BO_IVL, &interval, sizeof(interval)))
		die("PGM_NAK_BO_IVL");
	if (setsockopt(fd, IPPROTO_PGM, PGM_RECVRCVINFO, &one, sizeof(one)))
		die("PGM_RECVRCVINFO");
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)))
		die("bind");
	if (listen(fd, 1))
		die("listen");
	return fd;
}

static void check(int n, ssize_t size, int flags, const struct pgm_rcvinfo *info)
{
	char *rest;

	if (!(flags & MSG_EOR))
		wrong("not whole", n);
	if (strtol(message, &rest, 10) != n)
		wrong("out of order", n);
	if (*rest++ != ' ')
		wrong("torn", n);
	for (; rest < message + size; rest++)
		if (*rest != 'a' + n % 26)
			wrong("not what was sent", n);
	if (!!(info->flags & PGM_RCV_SYN) != (n == 0))
		wrong("PGM_RCV_SYN", n);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET }, from;
	int listener, session, poll, count, flags, n = 0;
	struct pgm_receiver_stats stats;
	struct pgm_rcvinfo info;
	socklen_t len;
	ssize_t size;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) {
		fprintf(stderr, "usage: receiver GROUP PORT COUNT\n");
		return 2;
	}
	at.sin_port = htons(atoi(argv[2]));
	count = atoi(argv[3]);

	poll = epoll_create1(EPOLL_CLOEXEC);
	if (poll < 0)
		die("epoll_create1");
	listener = listen_at(&at);
	puts("ready");
	fflush(stdout);
	wait_for_input(poll, listener);
	len = sizeof(from);
	session = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK);
	if (session < 0)
		die("accept4");

	while ((size = receive(session, &info, &flags)) != 0) {
		if (size < 0) {
			wait_for_input(poll, session);
			continue;
		}
		if (info.tsi.sport != from.sin_port)
			wrong("from another session", n);
		message[size < (ssize_t)sizeof(message) ? size : size - 1] = '\0';
		check(n++, size, flags, &info);
	}
	if (flags & MSG_EOR)
		wrong("the end looks like an empty message", n);
	if (n != count)
		wrong("too few", n);
	len = sizeof(stats);
	if (getsockopt(session, IPPROTO_PGM, PGM_RECEIVER_STATS, &stats, &len))
		die("PGM_RECEIVER_STATS");
	printf("%d messages from %s, %llu packets repaired\n", n, inet_ntoa(from.sin_addr),
	       (unsigned long long)stats.repaired);
	return stats.lost != 0;
}
