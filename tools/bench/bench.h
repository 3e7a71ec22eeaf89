/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the harness (bench.c) and the peers share. A peer is one way to carry
 * messages from a source to receivers; each has a file of its own.
 */
#ifndef BENCH_H
#define BENCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MESSAGE_MAX	65536	/* bytes of a message, or of a batch of them */
#define ROOM		(32 << 20)	/* bytes of a socket's buffer: so much that it does not matter */

/* One row of a table; see usage in bench.c. */
struct job {
	const char *kind;
	struct in_addr group;
	uint16_t port;		/* host's byte order */
	size_t size;		/* bytes of a message */
	unsigned int count;	/* messages that are measured */
	unsigned int warm;	/* messages before */
	unsigned int rate;	/* messages a second; 0: as fast as they are taken */
	unsigned int batch;	/* messages of one call */
	unsigned int receivers;
	bool bridge;		/* else a single cable */
	bool tuned;		/* neither rate, window nor buffer is what limits */
	unsigned int mtu;	/* of the source, PGM only; 0: of the route */
	unsigned int window;	/* of the source, milliseconds, PGM only */
	bool udp;		/* PGM in UDP, from the name of the kind */
};

/* At the start of each message. */
struct stamp {
	uint64_t seq;
	uint64_t sent;		/* CLOCK_MONOTONIC, ns */
};

/* What a source knows about itself in the end. */
struct sent {
	uint64_t naks, nak_sqns, odata, rdata, ncf;
};

/* What a receiver knows about itself in the end. */
struct got {
	uint64_t missing, lost;
};

struct peer {
	const char *name;
	void (*source)(const struct job *job);		/* opens it */
	void (*send)(const struct job *job, char *messages, unsigned int count);
	void (*finish)(const struct job *job, struct sent *sent);	/* may be NULL */
	void (*receiver)(const struct job *job);	/* opens it and joins */
	/* Waits for messages and calls take() with each; false at the end. */
	bool (*receive)(const struct job *job);
	void (*received)(struct got *got);		/* may be NULL */
};

extern const struct peer udp_peer, udpmm_peer, udpgso_peer, raw_peer;
extern const struct peer pgm_peer, pgmmm_peer, openpgm_peer, norm_peer;

void take(const char *message, size_t length);
void die(const char *what) __attribute__((noreturn));
/* The address of this process's host on the network of the job. */
const char *own_address(const struct job *job);

/* Sockets, in plain.c: the same for all that have them. */
extern int plain_fd;
void plain_connect(const struct job *job);
void plain_send(const struct job *job, char *messages, unsigned int count);
void plain_send_many(const struct job *job, char *messages, unsigned int count);
bool plain_receive(const struct job *job);
bool plain_receive_many(const struct job *job);

#ifdef __cplusplus
}
#endif

#endif
