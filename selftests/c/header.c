// SPDX-License-Identifier: GPL-2.0
/*
 * <linux/pgm.h> needs nothing else, and its structures are the ABI that they
 * were: the same on every architecture, without padding.
 */
#include <linux/pgm.h>
#include <stddef.h>

#define SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type)
#define AT(type, field, offset) \
	_Static_assert(offsetof(struct type, field) == (offset), #type "." #field)

_Static_assert(IPPROTO_PGM == 113, "IANA's number");
_Static_assert(PGM_SEND_WINDOW == 1 && PGM_SENDER_STATS == 6 &&
	       PGM_RECEIVER_STATS == 7 && PGM_MSS == 9 &&
	       PGM_MSGSIZE_MAX == 10 && PGM_AMBIENT_SPM == 11 &&
	       PGM_HEARTBEAT_SPM == 12 && PGM_NAK_BO_IVL == 13 &&
	       PGM_NAK_RPT_IVL == 14 && PGM_NAK_RDATA_IVL == 15 &&
	       PGM_NAK_NCF_RETRIES == 16 && PGM_NAK_DATA_RETRIES == 17 &&
	       PGM_ABORT_ON_RESET == 21 && PGM_TSI == 23 &&
	       PGM_GET_LOSS == 27 && PGM_RCVINFO == 30 &&
	       PGM_RECVRCVINFO == 30 && PGM_RCV_SYN == 1, "numbers");
SIZE(pgm_send_window, 12);
SIZE(pgm_tsi, 8);
SIZE(pgm_loss, 16);
SIZE(pgm_rcvinfo, 16);
/* These two may grow at the end. */
_Static_assert(sizeof(struct pgm_sender_stats) >= 80, "pgm_sender_stats");
_Static_assert(sizeof(struct pgm_receiver_stats) >= 112, "pgm_receiver_stats");
AT(pgm_tsi, sport, 6);
AT(pgm_loss, first, 8);
AT(pgm_loss, count, 12);
AT(pgm_rcvinfo, sqn, 8);
AT(pgm_rcvinfo, flags, 12);
AT(pgm_sender_stats, rdata, 16);
AT(pgm_sender_stats, nnaks, 72);
AT(pgm_receiver_stats, lost, 40);
AT(pgm_receiver_stats, recovery_max_ns, 104);

int main(void)
{
	return 0;
}
