// SPDX-License-Identifier: GPL-2.0
/*
 * NORM (RFC 5740), NRL's library: a stream in which each message goes out at
 * once, blocks of 64 packets with 16 of parity at need, a fixed rate of
 * 1 Gbit/s, buffers of 8 MB. Its header is no C.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <normApi.h>

#define BUFFER	(8 << 20)

static NormInstanceHandle instance;
static NormSessionHandle session;
static NormObjectHandle stream;

static void open_session(const struct job *job, NormNodeId node)
{
	char group[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &job->group, group, sizeof(group));
	instance = NormCreateInstance(false);
	session = NormCreateSession(instance, group, job->port, node);
	if (session == NORM_SESSION_INVALID || !NormSetMulticastInterface(session, "eth0"))
		die("NormCreateSession");
}

static void source(const struct job *job)
{
	open_session(job, 1);
	NormSetTxRate(session, 1e9);
	NormSetGrttEstimate(session, 0.001);
	if (!NormStartSender(session, 1, BUFFER, 1400, 64, 16))
		die("NormStartSender");
	NormSetTxSocketBuffer(session, 4 << 20);
	stream = NormStreamOpen(session, BUFFER);
	if (stream == NORM_OBJECT_INVALID)
		die("NormStreamOpen");
}

static void send_all(const struct job *job, char *messages, unsigned int count)
{
	NormEvent event;

	for (unsigned int n = 0; n < count; n++) {
		const char *message = messages + n * job->size;
		size_t done = 0;

		for (;;) {
			done += NormStreamWrite(stream, message + done, job->size - done);
			if (done == job->size)
				break;
			NormGetNextEvent(instance, &event, true);
		}
		NormStreamFlush(stream, true, NORM_FLUSH_PASSIVE);
	}
}

static void receiver(const struct job *job)
{
	static int node;

	/* Any number will do that no other has. */
	sscanf(own_address(job), "%*d.%*d.%*d.%d", &node);
	open_session(job, node);
	if (!NormStartReceiver(session, BUFFER))
		die("NormStartReceiver");
	NormSetRxSocketBuffer(session, 4 << 20);
}

static bool receive(const struct job *job)
{
	static char message[MESSAGE_MAX];
	static size_t have;
	static bool in_step;
	NormEvent event;

	if (!NormGetNextEvent(instance, &event, true))
		die("NormGetNextEvent");
	if (event.type != NORM_RX_OBJECT_UPDATED)
		return true;
	if (!in_step)
		in_step = NormStreamSeekMsgStart(event.object);
	while (in_step) {
		unsigned int length = job->size - have;

		if (!NormStreamRead(event.object, message + have, &length)) {
			/* The stream has a hole. */
			in_step = NormStreamSeekMsgStart(event.object);
			have = 0;
			continue;
		}
		if (!length)
			break;
		have += length;
		if (have == job->size) {
			take(message, have);
			have = 0;
		}
	}
	return true;
}

const struct peer norm_peer = {
	.name = "norm",
	.source = source,
	.send = send_all,
	.finish = nullptr,
	.receiver = receiver,
	.receive = receive,
	.received = nullptr,
};
