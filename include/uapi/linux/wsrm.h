/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The names and numbers of the Windows socket API for reliable multicast
 * (wsrm.h), for programs that were written for it. Values and layouts are the
 * same; see pgm(7), "Windows names", for what differs.
 */
#ifndef _UAPI_LINUX_WSRM_H
#define _UAPI_LINUX_WSRM_H

#include <linux/types.h>

#ifndef IPPROTO_RM
#define IPPROTO_RM 113
#endif

#define MAX_MCAST_TTL		255

/* Socket options, level IPPROTO_RM */
#define RM_OPTIONSBASE		1000
#define RM_RATE_WINDOW_SIZE	1001	/* RM_SEND_WINDOW, is PGM_SEND_WINDOW */
#define RM_SET_MESSAGE_BOUNDARY	1002	/* __u32, is PGM_MESSAGE_BOUNDARY */
#define RM_FLUSHCACHE		1003	/* ENOPROTOOPT */
#define RM_SENDER_WINDOW_ADVANCE_METHOD	1004	/* __u32 */
#define RM_SENDER_STATISTICS	1005	/* RM_SENDER_STATS, get */
#define RM_LATEJOIN		1006	/* __u32 percent */
#define RM_SET_SEND_IF		1007	/* struct in_addr */
#define RM_ADD_RECEIVE_IF	1008	/* struct in_addr */
#define RM_DEL_RECEIVE_IF	1009	/* struct in_addr */
#define RM_SEND_WINDOW_ADV_RATE	1010	/* __u32 percent */
#define RM_USE_FEC		1011	/* RM_FEC_INFO */
#define RM_SET_MCAST_TTL	1012	/* __u32 */
#define RM_RECEIVER_STATISTICS	1013	/* RM_RECEIVER_STATS, get */
#define RM_HIGH_SPEED_INTRANET_OPT 1014	/* accepted, without effect */

/* Values of RM_SENDER_WINDOW_ADVANCE_METHOD */
enum eWINDOW_ADVANCE_METHOD {
	E_WINDOW_ADVANCE_BY_TIME = 1,
	E_WINDOW_USE_AS_DATA_CACHE = 2,
};

typedef struct _RM_SEND_WINDOW {
	__u32	RateKbitsPerSec;
	__u32	WindowSizeInMSecs;
	__u32	WindowSizeInBytes;
} RM_SEND_WINDOW;

typedef struct _RM_SENDER_STATS {
	__u64	DataBytesSent;
	__u64	TotalBytesSent;
	__u64	NaksReceived;
	__u64	NaksReceivedTooLate;
	__u64	NumOutstandingNaks;
	__u64	NumNaksAfterRData;
	__u64	RepairPacketsSent;
	__u64	BufferSpaceAvailable;
	__u64	TrailingEdgeSeqId;
	__u64	LeadingEdgeSeqId;
	__u64	RateKBitsPerSecOverall;
	__u64	RateKBitsPerSecLast;
	__u64	TotalODataPacketsSent;
} RM_SENDER_STATS;

typedef struct _RM_RECEIVER_STATS {
	__u64	NumODataPacketsReceived;
	__u64	NumRDataPacketsReceived;
	__u64	NumDuplicateDataPackets;
	__u64	DataBytesReceived;
	__u64	TotalBytesReceived;
	__u64	RateKBitsPerSecOverall;
	__u64	RateKBitsPerSecLast;
	__u64	TrailingEdgeSeqId;
	__u64	LeadingEdgeSeqId;
	__u64	AverageSequencesInWindow;
	__u64	MinSequencesInWindow;
	__u64	MaxSequencesInWindow;
	__u64	FirstNakSequenceNumber;
	__u64	NumPendingNaks;
	__u64	NumOutstandingNaks;
	__u64	NumDataPacketsBuffered;
	__u64	TotalSelectiveNaksSent;
	__u64	TotalParityNaksSent;
} RM_RECEIVER_STATS;

typedef struct _RM_FEC_INFO {
	__u16	FECBlockSize;
	__u16	FECProActivePackets;
	__u8	FECGroupSize;
	__u8	fFECOnDemandParityEnabled;
} RM_FEC_INFO;

#endif /* _UAPI_LINUX_WSRM_H */
