// SPDX-License-Identifier: GPL-2.0
/*
 * usage: source GROUP PORT COUNT
 * Sends COUNT numbered messages of growing size and prints its counters.
 */
#include <arpa/inet.h>
#include <linux/pgm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct pgm_send_window window = {
		.rate_kbit = 50000,
		.window_ms = 5000,
	};
	struct linger wait = { .l_onoff = 1, .l_linger = 1 };
	struct pgm_sender_stats stats;
	socklen_t len = sizeof(stats);
	static char message[20000];
	struct pgm_tsi tsi;
	int fd, count;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: source GROUP PORT COUNT\n");
		return 2;
	}
	to.sin_port = htons(atoi(argv[2]));
	count = atoi(argv[3]);

	fd = socket(AF_INET, SOCK_RDM | SOCK_CLOEXEC, IPPROTO_PGM);
	if (fd < 0)
		die("socket");
	if (setsockopt(fd, IPPROTO_PGM, PGM_SEND_WINDOW, &window, sizeof(window)))
		die("PGM_SEND_WINDOW");
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait)))
		die("SO_LINGER");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	for (int n = 0; n < count; n++) {
		size_t size = (size_t)n * 37 % sizeof(message);
		int written = snprintf(message, sizeof(message), "%d ", n);

		if (size < (size_t)written)
			size = written;
		memset(message + written, 'a' + n % 26, size - written);
		if (send(fd, message, size, MSG_NOSIGNAL) != (ssize_t)size)
			die("send");
	}
	if (getsockopt(fd, IPPROTO_PGM, PGM_SENDER_STATS, &stats, &len))
		die("PGM_SENDER_STATS");
	len = sizeof(tsi);
	if (getsockopt(fd, IPPROTO_PGM, PGM_TSI, &tsi, &len) || len != sizeof(tsi))
		die("PGM_TSI");
	if (close(fd))
		die("close");
	printf("port %d, %llu ODATA, %llu RDATA so far\n", ntohs(tsi.sport),
	       (unsigned long long)stats.odata, (unsigned long long)stats.rdata);
	return 0;
}
