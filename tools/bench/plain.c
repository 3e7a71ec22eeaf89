// SPDX-License-Identifier: GPL-2.0
/*
 * UDP and raw IP: what the kernel offers without reliability. One message a
 * call; many a call (mm); and many as one packet that is cut, and put together
 * again, as late and as early as possible (GSO, GRO).
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#define MANY 64

int plain_fd;

static struct sockaddr_in where(const struct job *job)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr = job->group,
		.sin_port = htons(job->port),
	};
}

void plain_connect(const struct job *job)
{
	struct sockaddr_in to = where(job);

	if (connect(plain_fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
}

static void open_socket(int type, int protocol)
{
	int size = ROOM;

	plain_fd = socket(AF_INET, type, protocol);
	if (plain_fd < 0)
		die("socket");
	if (setsockopt(plain_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		die("SO_RCVBUFFORCE");
}

static void join(const struct job *job)
{
	struct ip_mreqn group = { .imr_multiaddr = job->group };
	struct sockaddr_in at = where(job);

	if (bind(plain_fd, (struct sockaddr *)&at, sizeof(at)))
		die("bind");
	if (setsockopt(plain_fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)))
		die("IP_ADD_MEMBERSHIP");
}

static void udp_source(const struct job *job)
{
	open_socket(SOCK_DGRAM, 0);
	plain_connect(job);
}

static void udp_receiver(const struct job *job)
{
	open_socket(SOCK_DGRAM, 0);
	join(job);
}

static void gso_source(const struct job *job)
{
	int size = job->size;

	udp_source(job);
	if (setsockopt(plain_fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)))
		die("UDP_SEGMENT");
}

static void gso_receiver(const struct job *job)
{
	udp_receiver(job);
	if (setsockopt(plain_fd, IPPROTO_UDP, UDP_GRO, &(int){ 1 }, sizeof(int)))
		die("UDP_GRO");
}

static void raw_source(const struct job *job)
{
	open_socket(SOCK_RAW, 113);
	plain_connect(job);
}

static void raw_receiver(const struct job *job)
{
	open_socket(SOCK_RAW, 113);
	join(job);
}

void plain_send(const struct job *job, char *messages, unsigned int count)
{
	for (unsigned int n = 0; n < count; n++)
		if (send(plain_fd, messages + n * job->size, job->size, 0) != (ssize_t)job->size)
			die("send");
}

void plain_send_many(const struct job *job, char *messages, unsigned int count)
{
	struct mmsghdr calls[MANY];
	struct iovec parts[MANY];
	unsigned int done = 0;

	for (unsigned int n = 0; n < count; n++) {
		parts[n] = (struct iovec){ messages + n * job->size, job->size };
		calls[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[n], .msg_iovlen = 1 } };
	}
	while (done < count) {
		int now = sendmmsg(plain_fd, calls + done, count - done, 0);

		if (now <= 0)
			die("sendmmsg");
		done += now;
	}
}

static void gso_send(const struct job *job, char *messages, unsigned int count)
{
	ssize_t size = count * job->size;

	if (send(plain_fd, messages, size, 0) != size)
		die("send");
}

bool plain_receive(const struct job *job)
{
	static char message[MESSAGE_MAX];
	ssize_t length = recv(plain_fd, message, sizeof(message), 0);

	(void)job;
	if (length < 0) {
		/* PGM says so where messages were lost. */
		if (errno == ENOBUFS)
			return true;
		die("recv");
	}
	if (length)
		take(message, length);
	return length;
}

bool plain_receive_many(const struct job *job)
{
	static char room[MANY][MESSAGE_MAX];
	struct mmsghdr calls[MANY];
	struct iovec parts[MANY];
	int count;

	for (unsigned int n = 0; n < job->batch; n++) {
		parts[n] = (struct iovec){ room[n], MESSAGE_MAX };
		calls[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[n], .msg_iovlen = 1 } };
	}
	count = recvmmsg(plain_fd, calls, job->batch, MSG_WAITFORONE, NULL);
	if (count < 0)
		die("recvmmsg");
	for (int n = 0; n < count; n++) {
		if (!calls[n].msg_len)
			return false;
		take(room[n], calls[n].msg_len);
	}
	return true;
}

/* A raw socket gets the IP header too. */
static bool raw_receive(const struct job *job)
{
	static char packet[MESSAGE_MAX];
	ssize_t length = recv(plain_fd, packet, sizeof(packet), 0);

	(void)job;
	if (length < 20)
		die("recv");
	take(packet + 20, length - 20);
	return true;
}

static bool gso_receive(const struct job *job)
{
	static char room[MESSAGE_MAX];
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { room, sizeof(room) };
	struct msghdr call = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t length = recvmsg(plain_fd, &call, 0);
	int step = job->size;

	if (length < 0)
		die("recvmsg");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&call); c; c = CMSG_NXTHDR(&call, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&step, CMSG_DATA(c), sizeof(step));
	for (ssize_t at = 0; at + step <= length; at += step)
		take(room + at, step);
	return true;
}

const struct peer udp_peer = {
	.name = "udp",
	.source = udp_source,
	.send = plain_send,
	.receiver = udp_receiver,
	.receive = plain_receive,
};

const struct peer udpmm_peer = {
	.name = "udpmm",
	.source = udp_source,
	.send = plain_send_many,
	.receiver = udp_receiver,
	.receive = plain_receive_many,
};

const struct peer udpgso_peer = {
	.name = "udpgso",
	.source = gso_source,
	.send = gso_send,
	.receiver = gso_receiver,
	.receive = gso_receive,
};

const struct peer raw_peer = {
	.name = "raw",
	.source = raw_source,
	.send = plain_send,
	.receiver = raw_receiver,
	.receive = raw_receive,
};
