// SPDX-License-Identifier: GPL-2.0
/*
 * Random system calls on PGM sockets, from several threads at once that share
 * their descriptors, so that any call meets any other: close() and accept(),
 * setsockopt() and send(); directly and by io_uring, whose threads of the kernel
 * go on while the caller does something else. Usage: calls SEED SECONDS THREADS
 *
 * A signal ends every call that blocks. Prints how often each call was made
 * and how often it succeeded.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/pgm.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

#define SLOTS 24
#define THREADS_MAX 16
#define BUFFER (1 << 17)
#define PORT 7300
#define PENDING 8

static atomic_int slots[SLOTS];
static atomic_bool over;
static int some_file;

enum call {
	SOCKET, BIND, CONNECT, LISTEN, ACCEPT, SEND, SENDMSG, SENDMMSG, SENDFILE,
	RECV, RECVMSG, RECVMMSG, POLL, EPOLL, SHUTDOWN, CLOSE, DUP, FORK,
	SETSOCKOPT, GETSOCKOPT, IOCTL, NAME, FCNTL, PROC, URING, CALLS,
};

static const char *const names[CALLS] = {
	"socket", "bind", "connect", "listen", "accept", "send", "sendmsg",
	"sendmmsg", "sendfile", "recv", "recvmsg", "recvmmsg", "poll", "epoll",
	"shutdown", "close", "dup", "fork", "setsockopt", "getsockopt", "ioctl",
	"getsockname", "fcntl", "read /proc", "io_uring",
};

static atomic_ulong made[CALLS], succeeded[CALLS];

/* What a ring may still use while the next calls are made. */
struct pending {
	struct msghdr message;
	struct iovec iov[5];
	struct sockaddr_storage name;
	char control[256];
	socklen_t len;
};

struct worker {
	pthread_t thread;
	uint64_t state;
	char *buffer;
	bool has_ring;
	struct ring ring;
	struct pending pending[PENDING];
};

static uint32_t any(struct worker *w)
{
	uint64_t z = w->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) >> 32;
}

static uint32_t below(struct worker *w, uint32_t limit)
{
	return any(w) % limit;
}

/* One call was made; what it returned. */
static long done(enum call call, long result)
{
	made[call]++;
	if (result >= 0)
		succeeded[call]++;
	return result;
}

static const uint32_t edges[] = {
	0, 1, 2, 3, 4, 8, 63, 64, 127, 128, 255, 256, 1000, 1472, 1500, 4096,
	32767, 65535, 65536, 100000, 131072, 0x7ffffffe, 0x7fffffff, 0x80000000,
	0x80000001, 0xfffffffe, 0xffffffff,
};

#define PICK(w, array) ((array)[below(w, sizeof(array) / sizeof(*(array)))])

static uint32_t value(struct worker *w)
{
	switch (below(w, 4)) {
	case 0:
		return any(w);
	case 1:
		return below(w, 64);
	default:
		return PICK(w, edges);
	}
}

/* A descriptor that is one of ours, most of the time. */
static int some(struct worker *w)
{
	return below(w, 64) ? slots[below(w, SLOTS)] : -1;
}

/* A new descriptor takes the place of another. */
static void keep(struct worker *w, int fd)
{
	int old;

	if (fd < 0)
		return;
	old = atomic_exchange(&slots[below(w, SLOTS)], fd);
	if (old >= 0)
		done(CLOSE, close(old));
}

/* A name to bind or connect to; now and then one that cannot be. */
static socklen_t some_name(struct worker *w, int family, struct sockaddr_storage *name)
{
	static const char *const v4[] = { "239.192.7.9", "239.192.7.10", "0.0.0.0", "10.77.0.1" };
	static const char *const v6[] = { "ff15::7:9", "ff15::7:10", "::", "ff02::9", "fd77::1" };
	socklen_t len;

	memset(name, 0, sizeof(*name));
	if (family == AF_INET) {
		struct sockaddr_in *in = (void *)name;

		inet_pton(AF_INET, PICK(w, v4), &in->sin_addr);
		in->sin_port = htons(below(w, 16) ? PORT + below(w, 2) : any(w));
		len = sizeof(*in);
	} else {
		struct sockaddr_in6 *in6 = (void *)name;

		inet_pton(AF_INET6, PICK(w, v6), &in6->sin6_addr);
		in6->sin6_port = htons(below(w, 16) ? PORT + below(w, 2) : any(w));
		in6->sin6_scope_id = below(w, 3);
		len = sizeof(*in6);
	}
	name->ss_family = below(w, 32) ? (uint32_t)family : any(w);
	return below(w, 32) ? len : below(w, sizeof(*name) + 1);
}

static int family_of(struct worker *w, int fd)
{
	int family, found;
	socklen_t len = sizeof(family);

	found = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
	return found || !below(w, 32) ? (below(w, 2) ? AF_INET : AF_INET6) : family;
}

/* Mostly options there are. IPPROTO_IP and IPPROTO_IPV6 from 64 on are netfilter's. */
static int some_option(struct worker *w, int *level)
{
	switch (below(w, 8)) {
	case 0:
		*level = SOL_SOCKET;
		return below(w, 90);
	case 1:
		*level = IPPROTO_IP;
		return below(w, 64);
	case 2:
		*level = IPPROTO_IPV6;
		return below(w, 64);
	case 3:
		*level = IPPROTO_PGM;
		return 1000 + below(w, 20);
	case 4:
		*level = below(w, 4) ? IPPROTO_PGM : (int)value(w);
		return value(w);
	default:
		*level = IPPROTO_PGM;
		return below(w, 36);
	}
}

static void set_option(struct worker *w, int fd)
{
	static const socklen_t sizes[] = { 0, 1, 3, 4, 4, 4, 4, 8, 12, 16, 20, 128, 132, 136 };
	uint32_t words[64];
	socklen_t len = PICK(w, sizes);
	int level, option = some_option(w, &level);
	unsigned int n;

	for (n = 0; n < 64; n++)
		words[n] = value(w);
	if (level == IPPROTO_PGM && option == PGM_UDP_ENCAP && below(w, 2))
		words[0] = below(w, 2) ? htonl(3055 << 16 | 3056) : 0;
	/* A membership of a group that others have, too. */
	if (level == IPPROTO_IP && below(w, 2))
		words[0] = htonl(0xefc00709);
	done(SETSOCKOPT, setsockopt(fd, level, option, below(w, 64) ? words : (void *)8,
				    below(w, 64) ? len : value(w)));
}

static void get_option(struct worker *w, int fd)
{
	int level, option = some_option(w, &level);
	socklen_t len = below(w, 8) ? below(w, 300) : value(w);

	/* What the kernel would write is never more than the buffer. */
	if (len > BUFFER && (int)len > 0)
		len = BUFFER;
	done(GETSOCKOPT, getsockopt(fd, level, option, w->buffer, &len));
}

static int some_flags(struct worker *w)
{
	if (!below(w, 16))
		return value(w);
	return (below(w, 8) ? MSG_DONTWAIT : 0) | (below(w, 8) ? 0 : MSG_PEEK) |
	       (below(w, 8) ? 0 : MSG_TRUNC) | (below(w, 8) ? 0 : MSG_MORE) |
	       (below(w, 16) ? 0 : MSG_ERRQUEUE) | (below(w, 16) ? 0 : MSG_WAITALL) |
	       (below(w, 16) ? 0 : MSG_ZEROCOPY) | (below(w, 16) ? 0 : MSG_OOB) | MSG_NOSIGNAL;
}

static size_t some_length(struct worker *w)
{
	return below(w, 8) ? below(w, 3000) : below(w, BUFFER);
}

/* A message in pieces, with a name and control data or without. */
static void compose(struct worker *w, struct msghdr *message, struct iovec *iov,
		    struct sockaddr_storage *name, char *control, size_t room)
{
	unsigned int n, count = below(w, 5);

	for (n = 0; n < count; n++) {
		iov[n].iov_base = below(w, 200) ? w->buffer : (char *)16;
		iov[n].iov_len = below(w, 200) ? some_length(w) : value(w);
	}
	memset(message, 0, sizeof(*message));
	message->msg_iov = iov;
	message->msg_iovlen = count;
	if (!below(w, 4)) {
		message->msg_name = name;
		message->msg_namelen = some_name(w, below(w, 2) ? AF_INET : AF_INET6, name);
	}
	if (!below(w, 3)) {
		struct cmsghdr *header = (void *)control;

		for (n = 0; n < room; n++)
			control[n] = any(w);
		header->cmsg_len = below(w, 8) ? below(w, room + 8) : value(w);
		header->cmsg_level = below(w, 2) ? SOL_SOCKET : IPPROTO_IP;
		header->cmsg_type = below(w, 64);
		message->msg_control = control;
		message->msg_controllen = below(w, room);
	}
}

static void transfer(struct worker *w, int fd, enum call call)
{
	struct sockaddr_storage name;
	struct mmsghdr messages[2];
	struct iovec iov[2][5];
	char control[256];
	unsigned int n;

	for (n = 0; n < 2; n++)
		compose(w, &messages[n].msg_hdr, iov[n], &name, control, sizeof(control));
	switch (call) {
	case SEND:
		done(call, send(fd, w->buffer, some_length(w), some_flags(w)));
		break;
	case RECV:
		done(call, recv(fd, w->buffer, some_length(w), some_flags(w)));
		break;
	case SENDMSG:
		done(call, sendmsg(fd, &messages[0].msg_hdr, some_flags(w)));
		break;
	case RECVMSG:
		done(call, recvmsg(fd, &messages[0].msg_hdr, some_flags(w)));
		break;
	case SENDMMSG:
		done(call, sendmmsg(fd, messages, 2, some_flags(w)));
		break;
	default:
		done(call, recvmmsg(fd, messages, 2, some_flags(w), NULL));
	}
}

/* A socket that has a role, with a few options that may spoil it. */
static void make(struct worker *w)
{
	struct pgm_send_window window = { 20000, 50, 0 };
	int family = below(w, 2) ? AF_INET : AF_INET6, one = 1, role = below(w, 4);
	int fd = done(SOCKET, socket(family, SOCK_RDM | (below(w, 2) ? SOCK_NONBLOCK : 0),
				     below(w, 2) ? IPPROTO_PGM : 0));
	struct sockaddr_storage name;
	struct group_req join = { 0 };
	socklen_t len;
	int backlog;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_PGM, PGM_SEND_WINDOW, &window, sizeof(window));
	while (!below(w, 3))
		set_option(w, fd);
	len = some_name(w, family, &name);
	if (role == 0) {
		done(CONNECT, connect(fd, (void *)&name, len));
	} else {
		done(BIND, bind(fd, (void *)&name, len));
		backlog = below(w, 8) ? (int)below(w, 10) : (int)value(w);
		if (role == 1)
			done(LISTEN, listen(fd, backlog));
		join.gr_interface = below(w, 4) ? 0 : below(w, 4);
		some_name(w, family, &join.gr_group);
		if (role == 2)
			done(SETSOCKOPT, setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
						    MCAST_JOIN_GROUP, &join, sizeof(join)));
	}
	keep(w, fd);
}

static void wait_for(struct worker *w)
{
	struct epoll_event event = { .events = any(w) };
	struct pollfd fds[4];
	int n, set;

	if (below(w, 2)) {
		for (n = 0; n < 4; n++) {
			fds[n].fd = some(w);
			fds[n].events = any(w);
		}
		done(POLL, poll(fds, 4, below(w, 3)));
		return;
	}
	set = epoll_create1(0);
	for (n = 0; n < 4; n++)
		done(EPOLL, epoll_ctl(set, EPOLL_CTL_ADD, some(w), &event));
	epoll_wait(set, &event, 1, below(w, 3));
	close(set);
}

static void look(struct worker *w, int fd)
{
	static const unsigned long commands[] = {
		SIOCINQ, SIOCOUTQ, SIOCGSTAMP_OLD, SIOCGIFCONF, SIOCATMARK,
	};
	static const char *const files[] = {
		"/proc/self/net/pgm/sources", "/proc/self/net/pgm/receivers",
		"/proc/self/net/pgm/snmp", "/proc/self/net/protocols",
	};
	struct sockaddr_storage name;
	socklen_t len = below(w, 4) ? sizeof(name) : below(w, 200);

	if (len > sizeof(name))
		len = sizeof(name);
	switch (below(w, 4)) {
	case 0:
		memset(w->buffer, 0, 64);
		done(IOCTL, ioctl(fd, below(w, 8) ? PICK(w, commands) : value(w), w->buffer));
		break;
	case 1:
		done(NAME, below(w, 2) ? getsockname(fd, (void *)&name, &len) :
					 getpeername(fd, (void *)&name, &len));
		break;
	case 2:
		done(FCNTL, fcntl(fd, F_SETFL, below(w, 4) ? O_NONBLOCK : 0));
		break;
	default:
		fd = open(PICK(w, files), O_RDONLY);
		done(PROC, read(fd, w->buffer, BUFFER));
		close(fd);
	}
}

/* Hands a call to the ring, and takes what others have come to. */
static void by_ring(struct worker *w)
{
	static const uint8_t operations[] = {
		IORING_OP_SENDMSG, IORING_OP_SENDMSG, IORING_OP_RECVMSG, IORING_OP_RECVMSG,
		IORING_OP_SENDMSG_ZC, IORING_OP_SEND, IORING_OP_RECV, IORING_OP_ACCEPT,
		IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_POLL_ADD, IORING_OP_SHUTDOWN,
		IORING_OP_ASYNC_CANCEL, IORING_OP_SOCKET,
	};
	struct pending *p = &w->pending[below(w, PENDING)];
	int operation = PICK(w, operations), fd = some(w);
	struct io_uring_sqe *sqe = ring_entry(&w->ring);
	struct io_uring_cqe cqe;

	sqe->opcode = operation;
	sqe->fd = fd;
	sqe->flags = below(w, 2) ? 0 : IOSQE_ASYNC;
	sqe->user_data = operation;
	switch (operation) {
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
	case IORING_OP_RECVMSG:
		compose(w, &p->message, p->iov, &p->name, p->control, sizeof(p->control));
		sqe->addr = (unsigned long)&p->message;
		sqe->len = 1;
		sqe->msg_flags = some_flags(w);
		if (operation == IORING_OP_RECVMSG && !below(w, 8))
			sqe->ioprio = IORING_RECV_MULTISHOT;
		break;
	case IORING_OP_SEND:
	case IORING_OP_RECV:
		sqe->addr = (unsigned long)w->buffer;
		sqe->len = some_length(w);
		sqe->msg_flags = some_flags(w);
		break;
	case IORING_OP_ACCEPT:
		sqe->accept_flags = below(w, 2) ? SOCK_NONBLOCK : 0;
		sqe->ioprio = below(w, 8) ? 0 : IORING_ACCEPT_MULTISHOT;
		break;
	case IORING_OP_CONNECT:
		sqe->off = some_name(w, family_of(w, fd), &p->name);
		sqe->addr = (unsigned long)&p->name;
		break;
	case IORING_OP_POLL_ADD:
		sqe->poll32_events = any(w);
		break;
	case IORING_OP_SHUTDOWN:
		sqe->len = below(w, 4);
		break;
	case IORING_OP_ASYNC_CANCEL:
		sqe->cancel_flags = IORING_ASYNC_CANCEL_FD | (below(w, 2) ? IORING_ASYNC_CANCEL_ALL : 0);
		break;
	default:
		sqe->fd = below(w, 2) ? AF_INET : AF_INET6;
		sqe->off = SOCK_RDM;
		sqe->len = IPPROTO_PGM;
	}
	ring_submit(&w->ring);
	while (ring_completion(&w->ring, &cqe)) {
		done(URING, cqe.res);
		if (cqe.user_data == IORING_OP_ACCEPT || cqe.user_data == IORING_OP_SOCKET)
			keep(w, cqe.res);
	}
}

static void act(struct worker *w, bool may_fork);

/* A child has the same sockets, and leaves in the middle of what it does. */
static void branch(struct worker *w)
{
	pid_t child = done(FORK, fork());
	int n;

	if (child == 0) {
		alarm(1);
		signal(SIGALRM, SIG_DFL);
		for (n = below(w, 20); n; n--)
			act(w, false);
		_exit(0);
	}
	if (child > 0)
		while (waitpid(child, NULL, 0) < 0)
			;
}

static void act(struct worker *w, bool may_fork)
{
	static const int hows[] = { SHUT_RD, SHUT_WR, SHUT_RDWR, -1, 3 };
	struct sockaddr_storage name;
	int fd = some(w);
	socklen_t len;
	off_t offset = 0;

	switch (below(w, 46)) {
	case 0 ... 3:
		make(w);
		break;
	case 4:
		len = some_name(w, family_of(w, fd), &name);
		done(BIND, bind(fd, (void *)&name, len));
		break;
	case 5:
		len = some_name(w, family_of(w, fd), &name);
		done(CONNECT, connect(fd, (void *)&name, len));
		break;
	case 6:
		done(LISTEN, listen(fd, value(w)));
		break;
	case 7 ... 9:
		keep(w, done(ACCEPT, accept4(fd, NULL, NULL, below(w, 2) ? SOCK_NONBLOCK : 0)));
		break;
	case 10 ... 12:
		transfer(w, fd, SEND);
		break;
	case 13 ... 14:
		transfer(w, fd, SENDMSG);
		break;
	case 15:
		transfer(w, fd, SENDMMSG);
		break;
	case 16:
		done(SENDFILE, sendfile(fd, some_file, &offset, some_length(w)));
		break;
	case 17 ... 19:
		transfer(w, fd, RECV);
		break;
	case 20 ... 21:
		transfer(w, fd, RECVMSG);
		break;
	case 22:
		transfer(w, fd, RECVMMSG);
		break;
	case 23 ... 24:
		wait_for(w);
		break;
	case 25:
		done(SHUTDOWN, shutdown(fd, PICK(w, hows)));
		break;
	case 26 ... 27:
		fd = atomic_exchange(&slots[below(w, SLOTS)], -1);
		if (fd >= 0)
			done(CLOSE, close(fd));
		break;
	case 28:
		keep(w, done(DUP, dup(fd)));
		break;
	case 29:
		if (may_fork && !below(w, 8))
			branch(w);
		break;
	case 30 ... 34:
		set_option(w, fd);
		break;
	case 35 ... 37:
		get_option(w, fd);
		break;
	case 38 ... 43:
		/* A child would share the ring of its parent. */
		if (w->has_ring && may_fork)
			by_ring(w);
		break;
	default:
		look(w, fd);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!over)
		act(w, true);
	return NULL;
}

static void interrupted(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct timespec tick = { .tv_nsec = 20 * 1000 * 1000 };
	struct sigaction action = { .sa_handler = interrupted };
	static struct worker workers[THREADS_MAX];
	unsigned int n, threads;
	time_t end;

	if (argc != 4 || (threads = atoi(argv[3])) > THREADS_MAX) {
		fprintf(stderr, "usage: calls SEED SECONDS THREADS\n");
		return 2;
	}
	sigaction(SIGUSR1, &action, NULL); /* no SA_RESTART */
	some_file = open("/proc/self/exe", O_RDONLY);
	for (n = 0; n < SLOTS; n++)
		slots[n] = -1;
	end = time(NULL) + atoi(argv[2]);
	for (n = 0; n < threads; n++) {
		workers[n].state = strtoull(argv[1], NULL, 0) * THREADS_MAX + n;
		workers[n].buffer = calloc(1, BUFFER);
		workers[n].has_ring = ring_setup(&workers[n].ring);
		pthread_create(&workers[n].thread, NULL, work, &workers[n]);
	}
	while (time(NULL) < end) {
		nanosleep(&tick, NULL);
		for (n = 0; n < threads; n++)
			pthread_kill(workers[n].thread, SIGUSR1);
	}
	over = true;
	for (n = 0; n < threads; n++)
		while (pthread_kill(workers[n].thread, SIGUSR1) == 0 &&
		       pthread_tryjoin_np(workers[n].thread, NULL) != 0)
			nanosleep(&tick, NULL);
	for (n = 0; n < CALLS; n++)
		printf("%s %lu %lu\n", names[n], made[n], succeeded[n]);
	return 0;
}
