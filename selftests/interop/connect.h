/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The last calls before a socket of OpenPGM carries data, when all its options
 * are set: what pgm_getaddrinfo() found is where it is bound to, joins, sends.
 */
#ifndef INTEROP_CONNECT_H
#define INTEROP_CONNECT_H

#include <string.h>

#include <pgm/pgm.h>

/* Frees where. NULL, or the name of the call that failed, with an error of its own or none. */
static inline const char *bind_and_connect(pgm_sock_t *sock, const struct pgm_sockaddr_t *name,
					   struct pgm_addrinfo_t *where, pgm_error_t **error)
{
	struct pgm_interface_req_t interface;

	memset(&interface, 0, sizeof(interface));
	interface.ir_interface = where->ai_recv_addrs[0].gsr_interface;
	memcpy(&interface.ir_address, &where->ai_send_addrs[0].gsr_addr,
	       sizeof(interface.ir_address));
	if (!pgm_bind3(sock, name, sizeof(*name), &interface, sizeof(interface), &interface,
		       sizeof(interface), error))
		return "pgm_bind3";
	for (unsigned int n = 0; n < where->ai_recv_addrs_len; n++)
		if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_JOIN_GROUP, &where->ai_recv_addrs[n],
				    sizeof(struct pgm_group_source_req)))
			return "PGM_JOIN_GROUP";
	if (!pgm_setsockopt(sock, IPPROTO_PGM, PGM_SEND_GROUP, &where->ai_send_addrs[0],
			    sizeof(struct pgm_group_source_req)))
		return "PGM_SEND_GROUP";
	pgm_freeaddrinfo(where);
	return pgm_connect(sock, error) ? NULL : "pgm_connect";
}

#endif
