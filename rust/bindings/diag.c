// SPDX-License-Identifier: GPL-2.0
/*
 * Wrappers of inline functions for pgm_diag.ko. No logic here.
 */
#include "helpers.h"

MODULE_VERSION("0.1.0");

struct net *pgm_diag_net(const struct sk_buff *skb)
{
	return sock_net(skb->sk);
}

struct nlmsghdr *pgm_diag_put(struct sk_buff *skb,
			      const struct netlink_callback *cb)
{
	return nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			 cb->nlh->nlmsg_type, sizeof(struct inet_diag_msg),
			 NLM_F_MULTI);
}

struct inet_diag_msg *pgm_diag_msg(struct nlmsghdr *nlh)
{
	return nlmsg_data(nlh);
}

int pgm_diag_put_attrs(struct sock *sk, struct sk_buff *skb,
		       struct inet_diag_msg *msg, int ext,
		       const struct netlink_callback *cb)
{
	return inet_diag_msg_attrs_fill(sk, skb, msg, ext,
					sk_user_ns(NETLINK_CB(cb->skb).sk),
					netlink_net_capable(cb->skb,
							    CAP_NET_ADMIN));
}

void pgm_diag_end(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	nlmsg_end(skb, nlh);
}

void pgm_diag_cancel(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	nlmsg_cancel(skb, nlh);
}

void pgm_diag_sock_put(struct sock *sk)
{
	sock_put(sk);
}

u8 pgm_diag_state(const struct sock *sk)
{
	return inet_sk_state_load(sk);
}
