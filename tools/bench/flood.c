// SPDX-License-Identifier: GPL-2.0
/*
 * usage: flood send|recv pgm|pgm-udp|udp GROUP PORT SIZE COUNT CPU
 *
 * The same loop over each kind of socket, pgm-udp being PGM encapsulated in
 * UDP: one side sends COUNT messages as
 * fast as the socket takes them, the other counts what arrives and measures
 * the time from the first to the last. Each prints one line of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/pgm.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (8 << 20)	/* PGM's own default of SO_RCVBUF */

static char message[65536];
static int pgm, encap;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(long count, double seconds, unsigned long long lost)
{
	printf("{\"count\": %ld, \"seconds\": %.6f, \"cpu\": %.6f, \"lost\": %llu}\n",
	       count, seconds, cpu_seconds(), lost);
}

static int open_socket(void)
{
	struct pgm_udp_encap ports = { htons(3055), htons(3056) };
	int fd = pgm ? socket(AF_INET, SOCK_RDM, IPPROTO_PGM) :
		       socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	if (encap && setsockopt(fd, IPPROTO_PGM, PGM_UDP_ENCAP, &ports, sizeof(ports)))
		die("PGM_UDP_ENCAP");
	return fd;
}

static void send_all(const struct sockaddr_in *to, size_t size, long count)
{
	/* So much that neither rate nor window is what limits. */
	struct pgm_send_window window = {
		.rate_kbit = 10000000,
		.window_ms = 60000,
		.window_bytes = 256 << 20,
	};
	int fd = open_socket();
	double began;

	if (pgm && setsockopt(fd, IPPROTO_PGM, PGM_SEND_WINDOW, &window, sizeof(window)))
		die("PGM_SEND_WINDOW");
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect");
	began = now();
	for (long n = 0; n < count; n++) {
		memcpy(message, &n, sizeof(n));
		if (send(fd, message, size, 0) != (ssize_t)size)
			die("send");
	}
	if (pgm) {
		shutdown(fd, SHUT_WR);
	} else {
		/* The end of UDP: empty messages, some of which will get through. */
		for (int n = 0; n < 50; n++) {
			usleep(20000);
			send(fd, message, 0, 0);
		}
	}
	report(count, now() - began, 0);
	close(fd);
}

static int open_receiver(const struct sockaddr_in *at)
{
	struct ip_mreqn group = { .imr_multiaddr = at->sin_addr };
	struct timeval patience = { .tv_sec = 20 };
	int fd = open_socket(), session, size = BUFFER;

	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)))
		die("bind");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("SO_RCVTIMEO");
	if (!pgm) {
		if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
			die("SO_RCVBUFFORCE");
		if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)))
			die("IP_ADD_MEMBERSHIP");
		return fd;
	}
	if (listen(fd, 1))
		die("listen");
	session = accept(fd, NULL, NULL);
	if (session < 0)
		die("accept");
	if (setsockopt(session, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		die("SO_RCVTIMEO");
	return session;
}

static void receive_all(const struct sockaddr_in *at, size_t size)
{
	struct pgm_receiver_stats stats = { 0 };
	socklen_t len = sizeof(stats);
	int fd = open_receiver(at);
	double first = 0, last = 0;
	long count = 0;
	ssize_t got;

	while ((got = recv(fd, message, sizeof(message), 0)) > 0) {
		if ((size_t)got != size)
			continue;
		last = now();
		if (!count++)
			first = last;
	}
	if (got < 0)
		die("recv");
	if (pgm && getsockopt(fd, IPPROTO_PGM, PGM_RECEIVER_STATS, &stats, &len))
		die("PGM_RECEIVER_STATS");
	report(count, last - first, stats.lost);
}

int main(int argc, char **argv)
{
	struct sockaddr_in where = { .sin_family = AF_INET };
	cpu_set_t cpu;
	size_t size;

	if (argc != 8 || inet_pton(AF_INET, argv[3], &where.sin_addr) != 1) {
		fprintf(stderr, "usage: flood send|recv pgm|pgm-udp|udp GROUP PORT SIZE COUNT CPU\n");
		return 2;
	}
	encap = !strcmp(argv[2], "pgm-udp");
	pgm = encap || !strcmp(argv[2], "pgm");
	where.sin_port = htons(atoi(argv[4]));
	size = strtoul(argv[5], NULL, 10);
	if (size < sizeof(long) || size > sizeof(message))
		return 2;
	CPU_ZERO(&cpu);
	CPU_SET(atoi(argv[7]), &cpu);
	/* With one CPU there is nothing to choose. */
	sched_setaffinity(0, sizeof(cpu), &cpu);
	if (!strcmp(argv[1], "send"))
		send_all(&where, size, atol(argv[6]));
	else
		receive_all(&where, size);
	return 0;
}
