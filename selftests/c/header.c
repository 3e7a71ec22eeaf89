// SPDX-License-Identifier: GPL-2.0
/*
 * <linux/pgm.h> and <linux/wsrm.h> need nothing else, and their structures are
 * the ABI that they were: the same on every architecture, without padding.
 */
#include <linux/pgm.h>
#include <linux/wsrm.h>
#include <stddef.h>

#define SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type)
#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

_Static_assert(IPPROTO_PGM == 113, "IANA's number");
_Static_assert(PGM_SEND_WINDOW == 1 && PGM_MESSAGE_BOUNDARY == 2 &&
	       PGM_LATEJOIN == 3 &&
	       PGM_WINDOW_ADV_RATE == 4 && PGM_MTU == 8 &&
	       PGM_WINDOW_ADV_METHOD == 1004 && PGM_ADVANCE_WITH_TIME == 1 &&
	       PGM_ADVANCE_WITH_DATA == 3 && PGM_SENDER_STATS == 6 &&
	       PGM_RECEIVER_STATS == 7 && PGM_MSS == 9 &&
	       PGM_MSGSIZE_MAX == 10 && PGM_AMBIENT_SPM == 11 &&
	       PGM_HEARTBEAT_SPM == 12 && PGM_NAK_BO_IVL == 13 &&
	       PGM_NAK_RPT_IVL == 14 && PGM_NAK_RDATA_IVL == 15 &&
	       PGM_NAK_NCF_RETRIES == 16 && PGM_NAK_DATA_RETRIES == 17 &&
	       PGM_ABORT_ON_RESET == 21 && PGM_TSI == 23 &&
	       PGM_GET_LOSS == 27 && PGM_RESET_CODE == 28 &&
	       PGM_EVENTS == 29 && MSG_NOTIFICATION == 0x8000 && PGM_RCVINFO == 30 &&
	       PGM_RECVRCVINFO == 30 && PGM_RCV_SYN == 1, "numbers");
SIZE(pgm_send_window, 12);
SIZE(pgm_tsi, 8);
SIZE(pgm_loss, 16);
SIZE(pgm_rcvinfo, 16);
SIZE(pgm_notification, 32);
AT(pgm_notification, code, 24);
/* These two may grow at the end. */
_Static_assert(sizeof(struct pgm_sender_stats) >= 152, "pgm_sender_stats");
_Static_assert(sizeof(struct pgm_receiver_stats) >= 224, "pgm_receiver_stats");
AT(pgm_tsi, sport, 6);
AT(pgm_loss, first, 8);
AT(pgm_loss, count, 12);
AT(pgm_rcvinfo, sqn, 8);
AT(pgm_rcvinfo, flags, 12);
AT(pgm_sender_stats, rdata, 48);
AT(pgm_sender_stats, odata, 96);
AT(pgm_sender_stats, nnaks, 144);
AT(pgm_receiver_stats, naks, 128);
AT(pgm_receiver_stats, lost, 160);
AT(pgm_receiver_stats, recovery_max_ns, 216);

/* As Windows has them. */
_Static_assert(RM_RATE_WINDOW_SIZE == 1001 && RM_SET_MESSAGE_BOUNDARY == 1002 &&
	       RM_FLUSHCACHE == 1003 &&
	       RM_SENDER_WINDOW_ADVANCE_METHOD == 1004 &&
	       RM_SENDER_STATISTICS == 1005 && RM_LATEJOIN == 1006 &&
	       RM_SET_SEND_IF == 1007 && RM_ADD_RECEIVE_IF == 1008 &&
	       RM_DEL_RECEIVE_IF == 1009 && RM_SEND_WINDOW_ADV_RATE == 1010 &&
	       RM_USE_FEC == 1011 && RM_SET_MCAST_TTL == 1012 &&
	       RM_RECEIVER_STATISTICS == 1013 &&
	       RM_HIGH_SPEED_INTRANET_OPT == 1014, "numbers of wsrm.h");
SIZE(_RM_SEND_WINDOW, 12);
SIZE(_RM_SENDER_STATS, 13 * 8);
SIZE(_RM_RECEIVER_STATS, 18 * 8);
SIZE(_RM_FEC_INFO, 6);
AT(_RM_SENDER_STATS, RepairPacketsSent, 6 * 8);
AT(_RM_RECEIVER_STATS, NumDataPacketsBuffered, 15 * 8);
AT(_RM_FEC_INFO, FECGroupSize, 4);

int main(void)
{
	return 0;
}
