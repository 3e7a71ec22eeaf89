// SPDX-License-Identifier: GPL-2.0
/* The sockets of this project, one message a call or many (mm). */
#include "bench.h"

#include <arpa/inet.h>
#include <linux/pgm.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

static void set(int option, const void *value, socklen_t length, const char *name)
{
	if (setsockopt(plain_fd, IPPROTO_PGM, option, value, length))
		die(name);
}

static void open_socket(const struct job *job)
{
	struct pgm_udp_encap ports = { htons(3055), htons(3056) };

	plain_fd = socket(AF_INET, SOCK_RDM, IPPROTO_PGM);
	if (plain_fd < 0)
		die("socket");
	if (job->udp)
		set(PGM_UDP_ENCAP, &ports, sizeof(ports), "PGM_UDP_ENCAP");
}

static void source(const struct job *job)
{
	struct pgm_send_window window = {
		.rate_kbit = 10000000,
		.window_ms = job->window,
		.window_bytes = 256 << 20,
	};

	open_socket(job);
	if (job->tuned)
		set(PGM_SEND_WINDOW, &window, sizeof(window), "PGM_SEND_WINDOW");
	if (job->mtu)
		set(PGM_MTU, &job->mtu, sizeof(job->mtu), "PGM_MTU");
	plain_connect(job);
}

static void finish(const struct job *job, struct sent *sent)
{
	struct pgm_sender_stats stats = { 0 };
	socklen_t length = sizeof(stats);

	(void)job;
	if (getsockopt(plain_fd, IPPROTO_PGM, PGM_SENDER_STATS, &stats, &length))
		die("PGM_SENDER_STATS");
	sent->naks = stats.naks;
	sent->nak_sqns = stats.nak_sqns;
	sent->odata = stats.odata;
	sent->rdata = stats.rdata;
	sent->ncf = stats.ncf;
}

static void receiver(const struct job *job)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr = job->group,
		.sin_port = htons(job->port),
	};
	int size = ROOM, no = 0;

	open_socket(job);
	/* A message that is lost for good is no reason to end. */
	set(PGM_ABORT_ON_RESET, &no, sizeof(no), "PGM_ABORT_ON_RESET");
	if (job->tuned && setsockopt(plain_fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		die("SO_RCVBUFFORCE");
	if (bind(plain_fd, (struct sockaddr *)&at, sizeof(at)))
		die("bind");
	if (listen(plain_fd, 1))
		die("listen");
}

/* The session of a listener exists as soon as its first message does. */
static bool accepted;

static void accept_session(void)
{
	if (!accepted) {
		plain_fd = accept(plain_fd, NULL, NULL);
		if (plain_fd < 0)
			die("accept");
		accepted = true;
	}
}

static bool receive(const struct job *job)
{
	accept_session();
	return plain_receive(job);
}

static bool receive_many(const struct job *job)
{
	accept_session();
	return plain_receive_many(job);
}

static void received(struct got *got)
{
	struct pgm_receiver_stats stats = { 0 };
	socklen_t length = sizeof(stats);

	if (getsockopt(plain_fd, IPPROTO_PGM, PGM_RECEIVER_STATS, &stats, &length))
		die("PGM_RECEIVER_STATS");
	got->missing = stats.missing;
	got->lost = stats.lost;
}

const struct peer pgm_peer = {
	.name = "pgm",
	.source = source,
	.send = plain_send,
	.finish = finish,
	.receiver = receiver,
	.receive = receive,
	.received = received,
};

const struct peer pgmmm_peer = {
	.name = "pgmmm",
	.source = source,
	.send = plain_send_many,
	.finish = finish,
	.receiver = receiver,
	.receive = receive_many,
	.received = received,
};
