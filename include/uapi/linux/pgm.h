/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * PGM (RFC 3208) sockets: socket(AF_INET, SOCK_RDM, IPPROTO_PGM).
 * See pgm(7). Times are microseconds unless stated.
 */
#ifndef _UAPI_LINUX_PGM_H
#define _UAPI_LINUX_PGM_H

#include <linux/types.h>

#ifndef IPPROTO_PGM
#define IPPROTO_PGM 113
#endif

/* Socket options, level IPPROTO_PGM. The numbers of options that are not
 * there yet are reserved; using one fails with ENOPROTOOPT.
 */
#define PGM_SEND_WINDOW		1	/* struct pgm_send_window, source */
#define PGM_MESSAGE_BOUNDARY	2	/* __u32, length of the next message, source */
#define PGM_LATEJOIN		3	/* __u32 percent 0..75, source, before connect */
#define PGM_WINDOW_ADV_RATE	4	/* __u32 percent 1..50, source, before connect */
#define PGM_MTU			8	/* int, bytes, source, before connect */
#define PGM_AMBIENT_SPM		11	/* __u32, source, before connect */
#define PGM_HEARTBEAT_SPM	12	/* __u32[1..32], source, before connect */
#define PGM_NAK_BO_IVL		13	/* __u32, receiver, before listen or join */
#define PGM_NAK_RPT_IVL		14	/* __u32, receiver, before listen or join */
#define PGM_NAK_RDATA_IVL	15	/* __u32, receiver, before listen or join */
#define PGM_NAK_NCF_RETRIES	16	/* __u32 1..255, receiver */
#define PGM_NAK_DATA_RETRIES	17	/* __u32 1..255, receiver */
#define PGM_PEER_EXPIRY		18	/* __u32, receiver, before listen or join */
#define PGM_SPMR_EXPIRY		19	/* __u32, receiver, before listen or join */
#define PGM_RXW_SQNS		20	/* __u32, 0 or 64..131072, receiver */
#define PGM_ABORT_ON_RESET	21	/* int, receiver, any time */
#define PGM_PASSIVE		22	/* int, receiver, before listen or join */
#define PGM_TSI			23	/* struct pgm_tsi, get; set: the GSI */
#define PGM_UDP_ENCAP		24	/* struct pgm_udp_encap, before bind or connect */
#define PGM_ROUTER_ALERT	25	/* int, before connect, listen or join */
#define PGM_GET_LOSS		27	/* struct pgm_loss, receiver, get */
#define PGM_SENDER_STATS	6	/* struct pgm_sender_stats, source, get */
#define PGM_RECEIVER_STATS	7	/* struct pgm_receiver_stats, receiver, get */
#define PGM_MSS			9	/* int, largest unfragmented message, source, get */
#define PGM_MSGSIZE_MAX		10	/* int, largest message, before listen or join */
#define PGM_ARRIVAL_ORDER	31	/* int, receiver, before listen or join */
#define PGM_MULTICAST_NAK	32	/* int, receiver, before listen or join */

#define PGM_WINDOW_ADV_METHOD	1004	/* __u32, source, before connect: */
#define PGM_ADVANCE_WITH_TIME	1	/* packets leave the window by age */
#define PGM_ADVANCE_WITH_DATA	3	/* packets leave when others need room */

#define PGM_RESET_CODE		28	/* __u32, receiver, get */
#define PGM_EVENTS		29	/* __u32, mask of PGM_EVENT_*, receiver, any time */

/* Events. Each comes as a struct pgm_notification, in order with the messages;
 * recvmsg(2) marks it by MSG_NOTIFICATION in msg_flags.
 */
#define PGM_EVENT_START		0x01	/* before the first message of a session */
#define PGM_EVENT_LOSS		0x02	/* messages were lost */
#define PGM_EVENT_END		0x04	/* the source closed the session */
#define PGM_EVENT_RESET		0x08	/* the source broke the session off */
#define PGM_EVENT_EXPIRY	0x10	/* the source has fallen silent */

#ifndef MSG_NOTIFICATION
#define MSG_NOTIFICATION	0x8000	/* as SCTP has it */
#endif

#define PGM_START_LATE		0x1	/* the source had sent messages before */

/* Control message, level IPPROTO_PGM, type PGM_RCVINFO: struct pgm_rcvinfo
 * with each message after PGM_RECVRCVINFO was set to 1.
 */
#define PGM_RCVINFO		30
#define PGM_RECVRCVINFO		30	/* int, receiver, any time */

/**
 * struct pgm_send_window - rate and transmit window of a source
 * @rate_kbit: TXW_MAX_RTE in kbit/s (1000 bit/s), 0 keeps the default
 * @window_ms: TXW_SECS in milliseconds, 0 derives it from the other two
 * @window_bytes: TXW_BYTES, 0 derives it from the other two
 */
struct pgm_send_window {
	__u32	rate_kbit;
	__u32	window_ms;
	__u32	window_bytes;
};

/**
 * struct pgm_tsi - Transport Session Identifier (RFC 3208 section 3.1)
 * @gsi: Global Source ID
 * @sport: Data-Source Port
 */
struct pgm_tsi {
	__u8	gsi[6];
	__be16	sport;
};

/**
 * struct pgm_udp_encap - PGM inside UDP; both zero: native PGM
 * @ucast: UDP port of packets to one node, and source port of all
 * @mcast: UDP port of packets to a group
 */
struct pgm_udp_encap {
	__be16	ucast;
	__be16	mcast;
};

/**
 * struct pgm_loss - the last unrecoverable loss that a call reported
 * @tsi: the session
 * @first: first sequence number lost
 * @count: how many sequence numbers in a row
 */
struct pgm_loss {
	struct pgm_tsi	tsi;
	__u32		first;
	__u32		count;
};

/**
 * struct pgm_notification - something happened to a session
 * @event: one of PGM_EVENT_*
 * @flags: of PGM_EVENT_START: PGM_START_LATE or 0
 * @tsi: the session
 * @sqn: START: sequence number of the first message; LOSS: first one lost
 * @count: LOSS: how many sequence numbers in a row
 * @code: RESET: the reason that the source gave, 0 to 63
 * @reserved: 0
 */
struct pgm_notification {
	__u32		event;
	__u32		flags;
	struct pgm_tsi	tsi;
	__u32		sqn;
	__u32		count;
	__u32		code;
	__u32		reserved;
};

#define PGM_RCV_SYN	0x1	/* the first message of its session */

/**
 * struct pgm_rcvinfo - where a message comes from
 * @tsi: the session
 * @sqn: sequence number of its first packet
 * @flags: PGM_RCV_*
 */
struct pgm_rcvinfo {
	struct pgm_tsi	tsi;
	__u32		sqn;
	__u32		flags;
};

/**
 * struct pgm_sender_stats - counters of a source
 * @odata_bytes: TSDU bytes in ODATA packets sent
 * @bytes: all bytes sent, IP headers included
 * @naks: NAK packets received
 * @naks_outside: of these, those that asked for nothing the window holds
 * @repairs_pending: repairs that wait to be sent
 * @naks_repeated: NAK packets that were just confirmed to another receiver
 * @rdata: repairs sent
 * @window_bytes_free: bytes of messages the transmit window has room for
 * @trail: TXW_TRAIL, the oldest sequence number that can be repaired
 * @lead: TXW_LEAD, the newest sequence number sent
 * @rate_kbit: kbit/s since the session began
 * @rate_recent_kbit: kbit/s in the last whole second or more
 * @odata: ODATA packets sent
 * @rdata_bytes: TSDU bytes in repairs sent
 * @ncf: NCFs sent
 * @spm: SPMs sent
 * @nak_sqns: sequence numbers asked for by @naks
 * @spmrs: SPM requests received
 * @nnaks: NULL NAKs received
 *
 * The first 13 are RM_SENDER_STATS of <linux/wsrm.h>. More may be appended.
 */
struct pgm_sender_stats {
	__u64	odata_bytes;
	__u64	bytes;
	__u64	naks;
	__u64	naks_outside;
	__u64	repairs_pending;
	__u64	naks_repeated;
	__u64	rdata;
	__u64	window_bytes_free;
	__u64	trail;
	__u64	lead;
	__u64	rate_kbit;
	__u64	rate_recent_kbit;
	__u64	odata;
	__u64	rdata_bytes;
	__u64	ncf;
	__u64	spm;
	__u64	nak_sqns;
	__u64	spmrs;
	__u64	nnaks;
};

/**
 * struct pgm_receiver_stats - counters of a session, or of all sessions of a
 * datagram socket
 * @odata: ODATA packets accepted
 * @rdata: RDATA packets accepted
 * @duplicates: data packets received again
 * @data_bytes: TSDU bytes of @odata and @rdata
 * @bytes: all bytes received from the sources, without IP headers
 * @rate_kbit: kbit/s since the session began
 * @rate_recent_kbit: kbit/s in the last whole second or more
 * @trail: RXW_TRAIL, the oldest sequence number that can still be had; session only
 * @lead: the newest sequence number known to exist; session only
 * @window_sqns_avg: sequence numbers in the window when a data packet came, on average
 * @window_sqns_min: the fewest
 * @window_sqns_max: the most
 * @nak_first: the oldest sequence number asked for that did not come, or 0; session only
 * @missing_now: missing sequence numbers that were not asked for yet
 * @outstanding: sequence numbers asked for that did not come yet
 * @buffered: data packets in the window, not ready to be read
 * @naks: NAK packets sent
 * @parity_naks: of these, for parity packets: 0
 * @missing: sequence numbers found missing
 * @repaired: of these, filled later
 * @lost: of these, given up and reported
 * @nak_sqns: sequence numbers asked for by @naks
 * @ncfs: NCFs received
 * @spms: SPMs accepted
 * @spmrs: SPM requests sent
 * @apdus: messages handed to the socket
 * @recovery_ns: time from detection to repair, summed over @repaired
 * @recovery_max_ns: the longest of these
 *
 * The first 18 are RM_RECEIVER_STATS of <linux/wsrm.h>. More may be appended.
 */
struct pgm_receiver_stats {
	__u64	odata;
	__u64	rdata;
	__u64	duplicates;
	__u64	data_bytes;
	__u64	bytes;
	__u64	rate_kbit;
	__u64	rate_recent_kbit;
	__u64	trail;
	__u64	lead;
	__u64	window_sqns_avg;
	__u64	window_sqns_min;
	__u64	window_sqns_max;
	__u64	nak_first;
	__u64	missing_now;
	__u64	outstanding;
	__u64	buffered;
	__u64	naks;
	__u64	parity_naks;
	__u64	missing;
	__u64	repaired;
	__u64	lost;
	__u64	nak_sqns;
	__u64	ncfs;
	__u64	spms;
	__u64	spmrs;
	__u64	apdus;
	__u64	recovery_ns;
	__u64	recovery_max_ns;
};

#endif /* _UAPI_LINUX_PGM_H */
