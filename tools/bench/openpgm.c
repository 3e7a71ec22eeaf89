// SPDX-License-Identifier: GPL-2.0
/*
 * OpenPGM, Debian's library, as its own examples use it: without blocking, and
 * with a thread beside the source that answers NAKs. Its copying routine, which
 * ends by SIGSEGV, is replaced: selftests/interop/copy.c.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pgm/pgm.h>

#include "connect.h"

static pgm_sock_t *sock;

/* The times are those of the library's examples. */
static const struct setting {
	int option;
	int value;
	char side;	/* s: source, r: receiver, b: both */
} settings[] = {
	{ SO_RCVBUF, 4 << 20, 'b' },
	{ SO_SNDBUF, 4 << 20, 'b' },
	{ PGM_MTU, 1500, 'b' },
	{ PGM_TXW_SQNS, 40000, 's' },
	{ PGM_AMBIENT_SPM, 30000000, 's' },
	{ PGM_RXW_SQNS, 40000, 'r' },
	{ PGM_PEER_EXPIRY, 300000000, 'r' },
	{ PGM_SPMR_EXPIRY, 250000, 'r' },
	{ PGM_NAK_BO_IVL, 50000, 'r' },
	{ PGM_NAK_RPT_IVL, 2000000, 'r' },
	{ PGM_NAK_RDATA_IVL, 2000000, 'r' },
	{ PGM_NAK_DATA_RETRIES, 50, 'r' },
	{ PGM_NAK_NCF_RETRIES, 50, 'r' },
	{ PGM_MULTICAST_HOPS, 16, 'b' },
	{ PGM_MULTICAST_LOOP, 0, 'b' },
	{ PGM_NOBLOCK, 1, 'b' },
};

static void complain(const char *what, const pgm_error_t *error)
{
	fprintf(stderr, "%s: %s\n", what, error ? error->message : strerror(errno));
	exit(1);
}

static void set(int option, int value)
{
	int level = option == SO_RCVBUF || option == SO_SNDBUF ? SOL_SOCKET : IPPROTO_PGM;

	if (!pgm_setsockopt(sock, level, option, &value, sizeof(value))) {
		fprintf(stderr, "OpenPGM does not take option %#x\n", option);
		exit(1);
	}
}

static void open_socket(const struct job *job, char side)
{
	static const int heartbeats[] = { 100000, 100000, 200000, 400000, 800000, 1600000, 3200000 };
	struct pgm_sockaddr_t name = { .sa_port = job->port };
	struct pgm_addrinfo_t *where;
	pgm_error_t *error = NULL;
	char network[64], group[INET_ADDRSTRLEN];
	const char *failed;

	if (!pgm_init(&error))
		complain("pgm_init", error);
	inet_ntop(AF_INET, &job->group, group, sizeof(group));
	snprintf(network, sizeof(network), "%s;%s", own_address(job), group);
	if (!pgm_getaddrinfo(network, NULL, &where, &error))
		complain(network, error);
	if (!pgm_socket(&sock, AF_INET, SOCK_SEQPACKET, job->udp ? IPPROTO_UDP : IPPROTO_PGM, &error))
		complain("pgm_socket", error);
	if (job->udp) {
		set(PGM_UDP_ENCAP_UCAST_PORT, 3055);
		set(PGM_UDP_ENCAP_MCAST_PORT, 3055);
	}
	set(side == 's' ? PGM_SEND_ONLY : PGM_RECV_ONLY, 1);
	for (size_t n = 0; n < sizeof(settings) / sizeof(*settings); n++)
		if (settings[n].side == side || settings[n].side == 'b')
			set(settings[n].option, settings[n].value);
	if (side == 's' && !pgm_setsockopt(sock, IPPROTO_PGM, PGM_HEARTBEAT_SPM, heartbeats,
					   sizeof(heartbeats)))
		complain("PGM_HEARTBEAT_SPM", NULL);

	if (!pgm_gsi_create_from_data(&name.sa_addr.gsi, (const void *)&(pid_t){ getpid() },
				      sizeof(pid_t)))
		complain("pgm_gsi_create_from_data", NULL);
	failed = bind_and_connect(sock, &name, where, &error);
	if (failed)
		complain(failed, error);
}

static int remaining(int option)
{
	struct timeval left;
	socklen_t length = sizeof(left);

	if (!pgm_getsockopt(sock, IPPROTO_PGM, option, &left, &length))
		return 1;
	return left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
}

static void wait_for(short events, int milliseconds)
{
	struct pollfd files[8];
	int count = 8;

	if (pgm_poll_info(sock, files, &count, events) < 0)
		complain("pgm_poll_info", NULL);
	if (poll(files, count, milliseconds) < 0 && errno != EINTR)
		die("poll");
}

/* Takes one message, or waits until there may be one. */
static void take_one(void)
{
	static char message[MESSAGE_MAX];
	pgm_error_t *error = NULL;
	size_t length = 0;

	switch (pgm_recv(sock, message, sizeof(message), MSG_DONTWAIT, &length, &error)) {
	case PGM_IO_STATUS_NORMAL:
		take(message, length);
		break;
	case PGM_IO_STATUS_TIMER_PENDING:
		wait_for(POLLIN, remaining(PGM_TIME_REMAIN));
		break;
	case PGM_IO_STATUS_RATE_LIMITED:
		wait_for(POLLIN, remaining(PGM_RATE_REMAIN));
		break;
	case PGM_IO_STATUS_WOULD_BLOCK:
		wait_for(POLLIN, -1);
		break;
	case PGM_IO_STATUS_RESET:
	case PGM_IO_STATUS_FIN:
		break;
	default:
		complain("pgm_recv", error);
	}
	if (error)
		pgm_error_free(error);
}

static void *serve(void *nothing)
{
	for (;;)
		take_one();
	return nothing;
}

static void source(const struct job *job)
{
	pthread_t thread;

	open_socket(job, 's');
	if (pthread_create(&thread, NULL, serve, NULL))
		die("pthread_create");
}

static void send_all(const struct job *job, char *messages, unsigned int count)
{
	for (unsigned int n = 0; n < count;) {
		switch (pgm_send(sock, messages + n * job->size, job->size, NULL)) {
		case PGM_IO_STATUS_NORMAL:
			n++;
			break;
		case PGM_IO_STATUS_WOULD_BLOCK:
			wait_for(POLLOUT, -1);
			break;
		default:
			complain("pgm_send", NULL);
		}
	}
}

static void receiver(const struct job *job)
{
	open_socket(job, 'r');
}

static bool receive(const struct job *job)
{
	(void)job;
	take_one();
	return true;
}

const struct peer openpgm_peer = {
	.name = "openpgm",
	.source = source,
	.send = send_all,
	.receiver = receiver,
	.receive = receive,
};
