// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what <pgm/pgm.h> says of the structures and numbers that tools/libpgm
 * has in src/abi.rs, as layout.txt has it.
 */
#include <pgm/pgm.h>
#include <stddef.h>
#include <stdio.h>

#define STRUCT(name) \
	printf("%s size %zu align %zu\n", #name, sizeof(struct name), _Alignof(struct name))
#define FIELD(name, field) \
	printf("%s.%s %zu\n", #name, #field, offsetof(struct name, field))
#define NUMBER(name) printf("%s %d\n", #name, (int)(name))

int main(void)
{
	STRUCT(pgm_tsi_t);
	FIELD(pgm_tsi_t, gsi);
	FIELD(pgm_tsi_t, sport);
	STRUCT(pgm_sockaddr_t);
	FIELD(pgm_sockaddr_t, sa_port);
	FIELD(pgm_sockaddr_t, sa_addr);
	STRUCT(pgm_group_source_req);
	FIELD(pgm_group_source_req, gsr_interface);
	FIELD(pgm_group_source_req, gsr_group);
	FIELD(pgm_group_source_req, gsr_source);
	FIELD(pgm_group_source_req, gsr_addr);
	STRUCT(pgm_interface_req_t);
	FIELD(pgm_interface_req_t, ir_interface);
	FIELD(pgm_interface_req_t, ir_scope_id);
	FIELD(pgm_interface_req_t, ir_address);
	STRUCT(pgm_addrinfo_t);
	FIELD(pgm_addrinfo_t, ai_family);
	FIELD(pgm_addrinfo_t, ai_recv_addrs_len);
	FIELD(pgm_addrinfo_t, ai_recv_addrs);
	FIELD(pgm_addrinfo_t, ai_send_addrs_len);
	FIELD(pgm_addrinfo_t, ai_send_addrs);
	STRUCT(pgm_error_t);
	FIELD(pgm_error_t, domain);
	FIELD(pgm_error_t, code);
	FIELD(pgm_error_t, message);
	STRUCT(pgm_iovec);
	FIELD(pgm_iovec, iov_base);
	FIELD(pgm_iovec, iov_len);
	STRUCT(pgm_msgv_t);
	FIELD(pgm_msgv_t, msgv_len);
	FIELD(pgm_msgv_t, msgv_skb);
	STRUCT(pgm_sk_buff_t);
	FIELD(pgm_sk_buff_t, link_);
	FIELD(pgm_sk_buff_t, sock);
	FIELD(pgm_sk_buff_t, tstamp);
	FIELD(pgm_sk_buff_t, tsi);
	FIELD(pgm_sk_buff_t, sequence);
	FIELD(pgm_sk_buff_t, cb);
	FIELD(pgm_sk_buff_t, len);
	FIELD(pgm_sk_buff_t, pgm_header);
	FIELD(pgm_sk_buff_t, pgm_opt_fragment);
	FIELD(pgm_sk_buff_t, pgm_opt_pgmcc_data);
	FIELD(pgm_sk_buff_t, pgm_data);
	FIELD(pgm_sk_buff_t, head);
	FIELD(pgm_sk_buff_t, data);
	FIELD(pgm_sk_buff_t, tail);
	FIELD(pgm_sk_buff_t, end);
	FIELD(pgm_sk_buff_t, truesize);
	FIELD(pgm_sk_buff_t, users);
	NUMBER(PGM_SEND_SOCK);
	NUMBER(PGM_RECV_SOCK);
	NUMBER(PGM_REPAIR_SOCK);
	NUMBER(PGM_PENDING_SOCK);
	NUMBER(PGM_TIME_REMAIN);
	NUMBER(PGM_RATE_REMAIN);
	NUMBER(PGM_IP_ROUTER_ALERT);
	NUMBER(PGM_MTU);
	NUMBER(PGM_MSSS);
	NUMBER(PGM_MSS);
	NUMBER(PGM_PDU);
	NUMBER(PGM_MULTICAST_LOOP);
	NUMBER(PGM_MULTICAST_HOPS);
	NUMBER(PGM_TOS);
	NUMBER(PGM_AMBIENT_SPM);
	NUMBER(PGM_HEARTBEAT_SPM);
	NUMBER(PGM_TXW_SQNS);
	NUMBER(PGM_TXW_SECS);
	NUMBER(PGM_TXW_MAX_RTE);
	NUMBER(PGM_PEER_EXPIRY);
	NUMBER(PGM_SPMR_EXPIRY);
	NUMBER(PGM_RXW_SQNS);
	NUMBER(PGM_RXW_SECS);
	NUMBER(PGM_RXW_MAX_RTE);
	NUMBER(PGM_NAK_BO_IVL);
	NUMBER(PGM_NAK_RPT_IVL);
	NUMBER(PGM_NAK_RDATA_IVL);
	NUMBER(PGM_NAK_DATA_RETRIES);
	NUMBER(PGM_NAK_NCF_RETRIES);
	NUMBER(PGM_SEND_ONLY);
	NUMBER(PGM_RECV_ONLY);
	NUMBER(PGM_PASSIVE);
	NUMBER(PGM_ABORT_ON_RESET);
	NUMBER(PGM_NOBLOCK);
	NUMBER(PGM_SEND_GROUP);
	NUMBER(PGM_JOIN_GROUP);
	NUMBER(PGM_LEAVE_GROUP);
	NUMBER(PGM_BLOCK_SOURCE);
	NUMBER(PGM_UNBLOCK_SOURCE);
	NUMBER(PGM_JOIN_SOURCE_GROUP);
	NUMBER(PGM_LEAVE_SOURCE_GROUP);
	NUMBER(PGM_MSFILTER);
	NUMBER(PGM_UDP_ENCAP_UCAST_PORT);
	NUMBER(PGM_UDP_ENCAP_MCAST_PORT);
	NUMBER(PGM_ODATA_MAX_RTE);
	NUMBER(PGM_IO_STATUS_ERROR);
	NUMBER(PGM_IO_STATUS_NORMAL);
	NUMBER(PGM_IO_STATUS_RESET);
	NUMBER(PGM_IO_STATUS_WOULD_BLOCK);
	NUMBER(PGM_IO_STATUS_RATE_LIMITED);
	NUMBER(PGM_ERROR_DOMAIN_IF);
	NUMBER(PGM_ERROR_DOMAIN_RECV);
	NUMBER(PGM_ERROR_DOMAIN_SOCKET);
	NUMBER(PGM_ERROR_ADDRFAMILY);
	NUMBER(PGM_ERROR_AFNOSUPPORT);
	NUMBER(PGM_ERROR_AGAIN);
	NUMBER(PGM_ERROR_BADF);
	NUMBER(PGM_ERROR_CONNRESET);
	NUMBER(PGM_ERROR_FAIL);
	NUMBER(PGM_ERROR_FAULT);
	NUMBER(PGM_ERROR_INTR);
	NUMBER(PGM_ERROR_INVAL);
	NUMBER(PGM_ERROR_MFILE);
	NUMBER(PGM_ERROR_NFILE);
	NUMBER(PGM_ERROR_NOBUFS);
	NUMBER(PGM_ERROR_NODATA);
	NUMBER(PGM_ERROR_NODEV);
	NUMBER(PGM_ERROR_NOENT);
	NUMBER(PGM_ERROR_NOMEM);
	NUMBER(PGM_ERROR_NONAME);
	NUMBER(PGM_ERROR_NOPROTOOPT);
	NUMBER(PGM_ERROR_NOSYS);
	NUMBER(PGM_ERROR_NXIO);
	NUMBER(PGM_ERROR_PERM);
	NUMBER(PGM_ERROR_PROTO);
	NUMBER(PGM_ERROR_RANGE);
	NUMBER(PGM_ERROR_SERVICE);
	NUMBER(PGM_ERROR_SOCKTNOSUPPORT);
	NUMBER(PGM_ERROR_SYSTEM);
	NUMBER(PGM_ERROR_XDEV);
	NUMBER(PGM_ERROR_FAILED);
	return 0;
}
