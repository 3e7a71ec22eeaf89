// SPDX-License-Identifier: GPL-2.0
/*
 * A program of OpenPGM's interface: openpgm INTERFACE GROUP PORT [udp]. One
 * process with a receiver, a source and a socket that is both, all on one host.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pgm/pgm.h>
/* These are declared only if the program says before that it has them. */
int pgm_poll_info(pgm_sock_t *, struct pollfd *, int *, short);
int pgm_epoll_ctl(pgm_sock_t *, int, int, int);

#define SET(sock, option, ...) \
	do { \
		int value[] = { __VA_ARGS__ }; \
		if (!pgm_setsockopt(sock, IPPROTO_PGM, option, value, sizeof(value))) \
			fail(#option); \
	} while (0)

enum { SOURCE = 1, RECEIVER = 2 };

static struct pgm_addrinfo_t *network;
static int port, udp;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void failed(const char *what, pgm_error_t *error)
{
	fprintf(stderr, "%s: %s\n", what, error ? error->message : "no reason");
	exit(1);
}

static pgm_sock_t *open_socket(int role)
{
	struct pgm_interface_req_t interface = { .ir_interface = network->ai_recv_addrs[0].gsr_interface };
	struct pgm_sockaddr_t address = { .sa_port = port };
	pgm_error_t *error = NULL;
	pgm_sock_t *sock;

	if (!pgm_socket(&sock, network->ai_family, SOCK_SEQPACKET, udp ? IPPROTO_UDP : IPPROTO_PGM, &error))
		failed("pgm_socket", error);
	if (udp) {
		SET(sock, PGM_UDP_ENCAP_UCAST_PORT, port);
		SET(sock, PGM_UDP_ENCAP_MCAST_PORT, port);
	}
	SET(sock, PGM_MTU, 1500);
	SET(sock, PGM_IP_ROUTER_ALERT, 0);
	if (role != SOURCE) {
		SET(sock, PGM_RXW_SQNS, 100);
		SET(sock, PGM_PEER_EXPIRY, pgm_secs(300));
		SET(sock, PGM_SPMR_EXPIRY, pgm_msecs(250));
		SET(sock, PGM_NAK_BO_IVL, pgm_msecs(50));
		SET(sock, PGM_NAK_RPT_IVL, pgm_secs(2));
		SET(sock, PGM_NAK_RDATA_IVL, pgm_secs(2));
		SET(sock, PGM_NAK_DATA_RETRIES, 50);
		SET(sock, PGM_NAK_NCF_RETRIES, 50);
	}
	if (role == RECEIVER)
		SET(sock, PGM_RECV_ONLY, 1);
	if (role != RECEIVER) {
		SET(sock, PGM_TXW_SQNS, 100);
		SET(sock, PGM_TXW_MAX_RTE, 400000);
		SET(sock, PGM_AMBIENT_SPM, pgm_secs(30));
		SET(sock, PGM_HEARTBEAT_SPM, pgm_msecs(100), pgm_msecs(100), pgm_msecs(1300), pgm_secs(7));
	}
	if (role == SOURCE)
		SET(sock, PGM_SEND_ONLY, 1);
	assert(pgm_gsi_create_from_hostname(&address.sa_addr.gsi, &error));
	if (!pgm_bind3(sock, &address, sizeof(address), &interface, sizeof(interface), &interface,
		       sizeof(interface), &error))
		failed("pgm_bind3", error);
	if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_JOIN_GROUP, network->ai_recv_addrs, sizeof(struct group_req)))
		fail("PGM_JOIN_GROUP");
	if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_SEND_GROUP, network->ai_send_addrs, sizeof(struct group_req)))
		fail("PGM_SEND_GROUP");
	SET(sock, PGM_MULTICAST_LOOP, 0);
	SET(sock, PGM_MULTICAST_HOPS, 16);
	SET(sock, PGM_TOS, 0xb8);
	SET(sock, PGM_NOBLOCK, 1);
	if (!pgm_connect(sock, &error))
		failed("pgm_connect", error);
	return sock;
}

static void wait_by_poll(pgm_sock_t *sock)
{
	struct pollfd fds[PGM_BUS_SOCKET_READ_COUNT];
	int count = PGM_BUS_SOCKET_READ_COUNT;

	assert(pgm_poll_info(sock, fds, &count, POLLIN) == count);
	assert(poll(fds, count, 20000) > 0);
}

static void wait_by_select(pgm_sock_t *sock)
{
	struct timeval limit = { .tv_sec = 20 };
	fd_set fds;
	int count = 0;

	FD_ZERO(&fds);
	assert(pgm_select_info(sock, &fds, NULL, &count) == count);
	assert(select(count, &fds, NULL, NULL, &limit) > 0);
}

static void wait_by_epoll(pgm_sock_t *sock)
{
	int epoll = epoll_create1(0);
	struct epoll_event event;

	assert(!pgm_epoll_ctl(sock, epoll, EPOLL_CTL_ADD, EPOLLIN));
	assert(epoll_wait(epoll, &event, 1, 20000) == 1);
	assert(event.data.ptr == sock);
	assert(!pgm_epoll_ctl(sock, epoll, EPOLL_CTL_DEL, EPOLLIN));
	close(epoll);
}

/* Receives the next message, and compares. */
static void expect(pgm_sock_t *sock, pgm_sock_t *source, const char *data, size_t size)
{
	static void (*const waits[])(pgm_sock_t *) = { wait_by_poll, wait_by_select, wait_by_epoll };
	static int turn;
	struct pgm_sockaddr_t from, name;
	socklen_t from_size = sizeof(from), name_size = sizeof(name);
	static char buffer[65536];
	size_t got;
	int status;

	for (;;) {
		status = pgm_recvfrom(sock, buffer, sizeof(buffer), 0, &got, &from, &from_size, NULL);
		if (status != PGM_IO_STATUS_WOULD_BLOCK)
			break;
		waits[turn++ % 3](sock);
	}
	assert(status == PGM_IO_STATUS_NORMAL);
	assert(got == size && !memcmp(buffer, data, size));
	assert(pgm_getsockname(source, &name, &name_size));
	assert(from.sa_port == port && pgm_tsi_equal(&from.sa_addr, &name.sa_addr));
}

static void send_all(pgm_sock_t *sock, const void *data, size_t size)
{
	size_t sent;
	int status;

	while ((status = pgm_send(sock, data, size, &sent)) == PGM_IO_STATUS_WOULD_BLOCK)
		usleep(1000);
	assert(status == PGM_IO_STATUS_NORMAL && sent == size);
}

static void messages(pgm_sock_t *receiver, pgm_sock_t *source)
{
	struct pgm_iovec pieces[] = { { "one", 3 }, { "two", 3 }, { "three", 5 } };
	struct pgm_sk_buff_t *skb = pgm_alloc_skb(100);
	static char large[20001];
	struct pgm_msgv_t vector[4];
	size_t size, total = 0;
	char text[2];

	/* From any address, in fragments too. */
	memset(large, 'x', sizeof(large));
	for (int n = 0; n < 4; n++) {
		send_all(source, large + n, 20000 - 5000 * n);
		expect(receiver, source, large + n, 20000 - 5000 * n);
	}
	assert(pgm_sendv(source, pieces, 3, true, &size) == PGM_IO_STATUS_NORMAL && size == 11);
	expect(receiver, source, "onetwothree", 11);
	memcpy(pgm_skb_put(skb, 3), "skb", 3);
	assert(pgm_send_skbv(source, &skb, 1, true, &size) == PGM_IO_STATUS_NORMAL && size == 3);
	expect(receiver, source, "skb", 3);
	/* What does not fit is gone. */
	send_all(source, "long", 4);
	wait_by_poll(receiver);
	assert(pgm_recv(receiver, text, 2, 0, &size, NULL) == PGM_IO_STATUS_NORMAL && size == 2);
	/* Several at once, lent by the library. */
	assert(pgm_sendv(source, pieces, 3, false, &size) == PGM_IO_STATUS_NORMAL && size == 11);
	for (int n = 0; n < 3;) {
		int status = pgm_recvmsgv(receiver, vector, 4, 0, &size, NULL);

		if (status == PGM_IO_STATUS_WOULD_BLOCK) {
			wait_by_poll(receiver);
			continue;
		}
		assert(status == PGM_IO_STATUS_NORMAL);
		for (int i = 0; total < 11 && i < 4 && size; i++, n++) {
			struct pgm_sk_buff_t *got = vector[i].msgv_skb[0];

			assert(vector[i].msgv_len == 1 && pgm_skb_is_valid(got));
			assert(got->len == pieces[n].iov_len && !memcmp(got->data, pieces[n].iov_base, got->len));
			size -= got->len;
			total += got->len;
		}
	}
}

static void options(pgm_sock_t *sock)
{
	static const int none[] = {
		PGM_USE_FEC, PGM_USE_CR, PGM_USE_PGMCC, PGM_UNCONTROLLED_ODATA, PGM_UNCONTROLLED_RDATA,
		PGM_RDATA_MAX_RTE, PGM_ACK_SOCK,
	};
	int value = 1;
	socklen_t size = sizeof(value);

	for (size_t n = 0; n < PGM_N_ELEMENTS(none); n++) {
		errno = 0;
		assert(!pgm_setsockopt(sock, IPPROTO_PGM, none[n], &value, size) && errno == ENOPROTOOPT);
		errno = 0;
		assert(!pgm_getsockopt(sock, IPPROTO_PGM, none[n], &value, &size) && errno == ENOPROTOOPT);
	}
	assert(pgm_getsockopt(sock, IPPROTO_PGM, PGM_MSS, &value, &size));
	assert(size == sizeof(value) && value == (udp ? 1428 : 1436));
}

int main(int argc, char **argv)
{
	pgm_sock_t *receiver, *source, *bus;
	pgm_error_t *error = NULL;
	char text[1024], name[PGM_TSISTRLEN];
	pgm_tsi_t tsi = { { { 1, 2, 3, 4, 5, 6 } }, htons(7) };

	assert(argc >= 4);
	udp = argc > 4;
	port = atoi(argv[3]);
	snprintf(text, sizeof(text), "%s;%s", argv[1], argv[2]);
	assert(pgm_init(NULL) && pgm_supported() && pgm_major_version == 5);
	assert(!pgm_getaddrinfo("no-such-interface;239.192.0.1", NULL, &network, &error));
	assert(error->domain == PGM_ERROR_DOMAIN_IF && error->code == PGM_ERROR_NODEV);
	pgm_clear_error(&error);
	if (!pgm_getaddrinfo(text, NULL, &network, &error))
		failed("pgm_getaddrinfo", error);
	assert(strstr(pgm_addrinfo_to_string(network, text, sizeof(text)), argv[2]));
	assert(pgm_tsi_print_r(&tsi, name, sizeof(name)) == 13 && !strcmp(name, "1.2.3.4.5.6.7"));

	receiver = open_socket(RECEIVER);
	source = open_socket(SOURCE);
	messages(receiver, source);
	options(source);

	/* Who sends and receives hears the others, and not itself. */
	bus = open_socket(SOURCE | RECEIVER);
	send_all(bus, "bus", 3);
	expect(receiver, bus, "bus", 3);
	send_all(source, "source", 6);
	expect(bus, source, "source", 6);

	assert(pgm_close(bus, true) && pgm_close(source, true) && pgm_close(receiver, false));
	pgm_freeaddrinfo(network);
	assert(pgm_shutdown() && !pgm_supported());
	puts("ok");
	return 0;
}
