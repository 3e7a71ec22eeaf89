/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What sock_diag(7) tells of PGM sockets: SOCK_DIAG_BY_FAMILY with the
 * sdiag_protocol IPPROTO_PGM. The answer is one message (struct inet_diag_msg)
 * for each source, listener, session and datagram socket, and one for each
 * session of a datagram socket, with the attributes below.
 */
#ifndef _UAPI_LINUX_PGM_DIAG_H
#define _UAPI_LINUX_PGM_DIAG_H

#include <linux/types.h>
#include "pgm.h"

/* Attributes, besides those of <linux/inet_diag.h>, which are below them. */
#define PGM_DIAG_SOCKET		64	/* struct pgm_diag_socket, always */
#define PGM_DIAG_SENDER		65	/* struct pgm_sender_stats, of a source */
#define PGM_DIAG_RECEIVER	66	/* struct pgm_receiver_stats, of a session */

/* pgm_diag_socket.role */
#define PGM_DIAG_SOURCE		1	/* connected to a group */
#define PGM_DIAG_LISTENER	2	/* after listen(2) */
#define PGM_DIAG_SESSION	3	/* of a listener, accepted or not */
#define PGM_DIAG_DATAGRAM	4	/* bound, and may have joined groups */
#define PGM_DIAG_PEER		5	/* a session of a datagram socket */

/* pgm_diag_socket.flags */
#define PGM_DIAG_F_CLOSING	0x1	/* closed, repairs in the background */
#define PGM_DIAG_F_ENDED	0x2	/* the session is over */
#define PGM_DIAG_F_WAITING	0x4	/* waits for accept(2), or for data */
#define PGM_DIAG_F_CONGESTED	0x8	/* the reader is behind: no repairs asked for */

/**
 * struct pgm_diag_socket - where a socket or session stands
 * @role: PGM_DIAG_SOURCE and so on
 * @flags: PGM_DIAG_F_*
 * @port: data-destination port
 * @family: AF_INET or AF_INET6, of @group and @source; 0 without addresses
 * @zero: zero
 * @tsi: the session; zero of a listener or datagram socket
 * @group: the group; a listener's or datagram socket's bound address
 * @source: address of the source
 * @ifindex: the interface; 0 if the route chooses
 * @sessions: a listener's that wait for accept(2), a datagram socket's
 * @announced: a listener's sources that sent no data yet
 * @rate_kbit: TXW_MAX_RTE of a source in kbit/s
 * @queued_sqns: a source's packets that wait to be sent for the first time
 * @queued_bytes: their payload bytes
 * @back_off: missing packets of a session that were not asked for yet
 * @wait_ncf: missing packets that wait for the confirmation of a NAK
 * @wait_data: missing packets that wait for their repair
 * @receive_memory: bytes charged to SO_RCVBUF, all sessions of the socket
 * @receive_limit: SO_RCVBUF
 * @send_memory: bytes that the transmit window holds
 *
 * More may be appended.
 */
struct pgm_diag_socket {
	__u8		role;
	__u8		flags;
	__be16		port;
	__u16		family;
	__u16		zero;
	struct pgm_tsi	tsi;
	__be32		group[4];
	__be32		source[4];
	__u32		ifindex;
	__u32		sessions;
	__u32		announced;
	__u32		rate_kbit;
	__u32		queued_sqns;
	__u32		queued_bytes;
	__u32		back_off;
	__u32		wait_ncf;
	__u32		wait_data;
	__u32		receive_memory;
	__u32		receive_limit;
	__u32		send_memory;
};

#endif /* _UAPI_LINUX_PGM_DIAG_H */
