/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What pgm_diag.ko needs besides: wrappers of inline functions. No logic here.
 */
#ifndef PGM_DIAG_HELPERS_H
#define PGM_DIAG_HELPERS_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

struct net *pgm_diag_net(const struct sk_buff *skb);
struct nlmsghdr *pgm_diag_put(struct sk_buff *skb,
			      const struct netlink_callback *cb);
struct inet_diag_msg *pgm_diag_msg(struct nlmsghdr *nlh);
int pgm_diag_put_attrs(struct sock *sk, struct sk_buff *skb,
		       struct inet_diag_msg *msg, int ext,
		       const struct netlink_callback *cb);
void pgm_diag_end(struct sk_buff *skb, struct nlmsghdr *nlh);
void pgm_diag_cancel(struct sk_buff *skb, struct nlmsghdr *nlh);
void pgm_diag_sock_put(struct sock *sk);
u8 pgm_diag_state(const struct sock *sk);

#endif /* PGM_DIAG_HELPERS_H */
