// SPDX-License-Identifier: GPL-2.0
/*
 * usage: openpgm source|receiver NETWORK PORT UDP_PORT [NAME=VALUE]...
 *
 * A source or a receiver of OpenPGM. NETWORK is INTERFACE-ADDRESS;GROUP, PORT
 * the data-destination port, UDP_PORT that of the encapsulation or 0.
 *
 * A source sends each message of its standard input, where a length of 32 bits
 * (of the host's byte order) stands before each. At the end of the input it
 * closes the session. A receiver runs until it is ended. Standard output has
 * records: a letter, the TSI, a length of 32 bits, so many bytes. 'S' says that
 * the socket is ready (TSI: its own), 'D' is a message, 'R' says that messages
 * were lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <pgm/pgm.h>

#include "connect.h"

#define FILES 8

/* No options of the library: the port of the TSI, and what its GSI is made of; 0: of its own. */
enum { SPORT = -1, GSI = -2 };

/*
 * Every NAME, and its value for the short tests that we run. What the rate lets
 * through in a millisecond has to hold a whole message: pgm_send() says
 * RATE_LIMITED for ever else.
 */
static struct setting {
	const char *name;
	int option;
	int value;
} settings[] = {
	{ "sport", SPORT, 0 },
	{ "gsi", GSI, 0 },
	{ "rcvbuf", SO_RCVBUF, 1 << 22 },
	{ "mtu", PGM_MTU, 1500 },
	{ "txw_sqns", PGM_TXW_SQNS, 4000 },
	{ "txw_max_rte", PGM_TXW_MAX_RTE, 40000000 },
	{ "ambient_spm", PGM_AMBIENT_SPM, 500000 },
	{ "rxw_sqns", PGM_RXW_SQNS, 4000 },
	{ "peer_expiry", PGM_PEER_EXPIRY, 300000000 },
	{ "spmr_expiry", PGM_SPMR_EXPIRY, 250000 },
	{ "nak_bo_ivl", PGM_NAK_BO_IVL, 10000 },
	{ "nak_rpt_ivl", PGM_NAK_RPT_IVL, 60000 },
	{ "nak_rdata_ivl", PGM_NAK_RDATA_IVL, 120000 },
	{ "nak_data_retries", PGM_NAK_DATA_RETRIES, 50 },
	{ "nak_ncf_retries", PGM_NAK_NCF_RETRIES, 50 },
	{ "hops", PGM_MULTICAST_HOPS, 16 },
	{ "loop", PGM_MULTICAST_LOOP, 0 },
	{ "router_alert", PGM_IP_ROUTER_ALERT, 0 },
	{ "noblock", PGM_NOBLOCK, 1 },
};

#define SETTINGS (sizeof(settings) / sizeof(*settings))

/* Before bind() these belong to one side only. */
static const int of_source[] = { PGM_TXW_SQNS, PGM_TXW_MAX_RTE, PGM_AMBIENT_SPM };
static const int of_receiver[] = {
	PGM_RXW_SQNS, PGM_PEER_EXPIRY, PGM_SPMR_EXPIRY, PGM_NAK_BO_IVL, PGM_NAK_RPT_IVL,
	PGM_NAK_RDATA_IVL, PGM_NAK_DATA_RETRIES, PGM_NAK_NCF_RETRIES,
};

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void die(const char *what, const pgm_error_t *error)
{
	fprintf(stderr, "%s: %s\n", what, error ? error->message : strerror(errno));
	exit(1);
}

static bool among(const int *options, size_t count, int option)
{
	for (size_t n = 0; n < count; n++)
		if (options[n] == option)
			return true;
	return false;
}

static void set(pgm_sock_t *sock, int option, int value)
{
	int level = option == SO_RCVBUF ? SOL_SOCKET : IPPROTO_PGM;

	if (!pgm_setsockopt(sock, level, option, &value, sizeof(value))) {
		fprintf(stderr, "option %#x is not taken\n", option);
		exit(1);
	}
}

static void read_settings(char **words)
{
	for (; *words; words++) {
		size_t n = 0, length = strcspn(*words, "=");

		while (n < SETTINGS && (strlen(settings[n].name) != length ||
					strncmp(settings[n].name, *words, length)))
			n++;
		if (n == SETTINGS || !(*words)[length]) {
			fprintf(stderr, "what is %s?\n", *words);
			exit(2);
		}
		settings[n].value = atoi(*words + length + 1);
	}
}

/* Where records go; what the library prints itself goes to standard error. */
static FILE *records;

static void open_records(void)
{
	int fd = dup(STDOUT_FILENO);

	if (fd >= 0)
		records = fdopen(fd, "w");
	if (!records || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		die("standard output", NULL);
}

static void record(char kind, const pgm_tsi_t *tsi, const void *data, uint32_t length)
{
	fputc(kind, records);
	fwrite(tsi, 1, 8, records);
	fwrite(&length, 1, 4, records);
	fwrite(data, 1, length, records);
	if (fflush(records))
		die("standard output", NULL);
}

static int value_of(int option)
{
	size_t n = 0;

	while (settings[n].option != option)
		n++;
	return settings[n].value;
}

static pgm_sock_t *open_socket(bool source, const char *network, int port, int udp_port)
{
	static const int heartbeats[] = { 100000, 200000, 400000, 800000, 1600000 };
	struct pgm_sockaddr_t name = { .sa_port = port };
	struct pgm_addrinfo_t *where;
	pgm_error_t *error = NULL;
	int family, gsi = value_of(GSI);
	const char *failed;
	pgm_sock_t *sock;

	if (!pgm_getaddrinfo(network, NULL, &where, &error))
		die(network, error);
	family = where->ai_send_addrs[0].gsr_group.ss_family;
	if (!pgm_socket(&sock, family, SOCK_SEQPACKET, udp_port ? IPPROTO_UDP : IPPROTO_PGM, &error))
		die("pgm_socket", error);
	if (udp_port) {
		set(sock, PGM_UDP_ENCAP_UCAST_PORT, udp_port);
		set(sock, PGM_UDP_ENCAP_MCAST_PORT, udp_port);
	}
	set(sock, source ? PGM_SEND_ONLY : PGM_RECV_ONLY, 1);
	for (size_t n = 0; n < SETTINGS; n++) {
		int option = settings[n].option;

		if (option < 0 || (option == PGM_IP_ROUTER_ALERT && family == AF_INET6))
			continue;
		if (source ? !among(of_receiver, LENGTH(of_receiver), option) :
			     !among(of_source, LENGTH(of_source), option))
			set(sock, option, settings[n].value);
	}
	if (source && !pgm_setsockopt(sock, IPPROTO_PGM, PGM_HEARTBEAT_SPM, heartbeats,
				      sizeof(heartbeats)))
		die("PGM_HEARTBEAT_SPM", NULL);

	/* A GSI of this program, not of the host: the host's is that of all. */
	if (!gsi)
		gsi = getpid();
	if (!pgm_gsi_create_from_data(&name.sa_addr.gsi, (const void *)&gsi, sizeof(gsi)))
		die("pgm_gsi_create_from_data", NULL);
	name.sa_addr.sport = htons(value_of(SPORT));
	failed = bind_and_connect(sock, &name, where, &error);
	if (failed)
		die(failed, error);
	return sock;
}

/* Milliseconds that the library wants to wait, rounded up. */
static int remaining(pgm_sock_t *sock, int option)
{
	struct timeval left;
	socklen_t length = sizeof(left);

	if (!pgm_getsockopt(sock, IPPROTO_PGM, option, &left, &length))
		return 1;
	return left.tv_sec * 1000 + (left.tv_usec + 999) / 1000;
}

/*
 * Takes what came, which is what also lets a source repair and announce. How
 * long poll() may wait then, in milliseconds.
 */
static int serve(pgm_sock_t *sock)
{
	static char message[65536];

	for (;;) {
		struct pgm_sockaddr_t from = { 0 };
		socklen_t from_length = sizeof(from);
		pgm_error_t *error = NULL;
		size_t length;
		int status = pgm_recvfrom(sock, message, sizeof(message), MSG_DONTWAIT, &length,
					  &from, &from_length, &error);

		/* Here the port is in the host's order, elsewhere in the network's. */
		from.sa_addr.sport = htons(from.sa_addr.sport);
		switch (status) {
		case PGM_IO_STATUS_NORMAL:
			record('D', &from.sa_addr, message, length);
			break;
		case PGM_IO_STATUS_RESET:
			record('R', &from.sa_addr, NULL, 0);
			break;
		case PGM_IO_STATUS_TIMER_PENDING:
			return remaining(sock, PGM_TIME_REMAIN);
		case PGM_IO_STATUS_RATE_LIMITED:
			return remaining(sock, PGM_RATE_REMAIN);
		case PGM_IO_STATUS_WOULD_BLOCK:
			return -1;
		default:
			die("pgm_recvfrom", error);
		}
		if (error)
			pgm_error_free(error);
	}
}

/* One message from the standard input; false at its end. */
static bool read_message(char *message, uint32_t *length)
{
	if (fread(length, 1, 4, stdin) != 4)
		return false;
	if (*length > 65536 || fread(message, 1, *length, stdin) != *length) {
		fprintf(stderr, "half a message\n");
		exit(2);
	}
	return true;
}

int main(int argc, char **argv)
{
	static char message[65536];
	struct pgm_sockaddr_t name;
	socklen_t name_length = sizeof(name);
	bool source, more, pending = false;
	pgm_error_t *error = NULL;
	uint32_t length;
	pgm_sock_t *sock;

	if (argc < 5) {
		fprintf(stderr, "usage: %s source|receiver NETWORK PORT UDP_PORT [NAME=VALUE]...\n",
			argv[0]);
		return 2;
	}
	source = !strcmp(argv[1], "source");
	more = source;
	read_settings(argv + 5);
	open_records();
	if (!pgm_init(&error))
		die("pgm_init", error);
	sock = open_socket(source, argv[2], atoi(argv[3]), atoi(argv[4]));
	if (!pgm_getsockname(sock, &name, &name_length))
		die("pgm_getsockname", NULL);
	record('S', &name.sa_addr, NULL, 0);
	setvbuf(stdin, NULL, _IONBF, 0);

	while (more || !source) {
		struct pollfd files[FILES];
		int count = FILES - 1, wait = serve(sock);

		if (pending) {
			int status = pgm_send(sock, message, length, NULL);

			if (status == PGM_IO_STATUS_NORMAL) {
				pending = false;
				wait = 0;
			} else if (status == PGM_IO_STATUS_RATE_LIMITED) {
				int limit = remaining(sock, PGM_RATE_REMAIN);

				if (wait < 0 || limit < wait)
					wait = limit;
			} else if (status != PGM_IO_STATUS_WOULD_BLOCK) {
				fprintf(stderr, "pgm_send: status %d\n", status);
				return 1;
			}
		}
		if (pgm_poll_info(sock, files, &count, POLLIN) < 0)
			die("pgm_poll_info", NULL);
		if (more && !pending)
			files[count++] = (struct pollfd){ .fd = 0, .events = POLLIN };
		if (poll(files, count, wait) < 0 && errno != EINTR)
			die("poll", NULL);
		if (more && !pending && files[count - 1].revents) {
			more = read_message(message, &length);
			pending = more;
		}
	}
	pgm_close(sock, true);
	return 0;
}
