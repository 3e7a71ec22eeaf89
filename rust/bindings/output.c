// SPDX-License-Identifier: GPL-2.0
/*
 * Routes and output: wrappers of inline functions and macros, for Rust. No logic here.
 */
#include "helpers.h"

void pgm_flow4(struct flowi4 *fl4, const struct sock *sk, int oif,
	       __be32 daddr, __be32 saddr)
{
	flowi4_init_output(fl4, oif, READ_ONCE(sk->sk_mark),
			   READ_ONCE(inet_sk(sk)->tos), RT_SCOPE_UNIVERSE,
			   IPPROTO_PGM, 0, daddr, saddr, 0, 0, sk_uid(sk));
	security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4));
}

void pgm_flow4_udp(struct flowi4 *fl4, __be16 sport, __be16 dport)
{
	fl4->flowi4_proto = IPPROTO_UDP;
	fl4->fl4_sport = sport;
	fl4->fl4_dport = dport;
}

bool pgm_is_err(const void *ptr)
{
	return IS_ERR(ptr);
}

long pgm_ptr_err(const void *ptr)
{
	return PTR_ERR(ptr);
}

struct net *pgm_notified_dev_net(void *info)
{
	return dev_net(netdev_notifier_info_to_dev(info));
}

struct net *pgm_ifa_net(const struct in_ifaddr *ifa)
{
	return dev_net(ifa->ifa_dev->dev);
}

struct net *pgm_ifa6_net(const struct inet6_ifaddr *ifa)
{
	return dev_net(ifa->idev->dev);
}

bool pgm_is_broadcast(const struct dst_entry *dst)
{
	return dst_rtable(dst)->rt_flags & RTCF_BROADCAST;
}

bool pgm_is_vrf(const struct net_device *dev)
{
	return netif_is_l3_master(dev);
}

int pgm_dst_ifindex(const struct dst_entry *dst)
{
	return dst_dev_rcu(dst)->ifindex;
}

bool pgm_dev_is_up(const struct net_device *dev)
{
	return READ_ONCE(dev->flags) & IFF_UP;
}

unsigned int pgm_dev_mtu(const struct dst_entry *dst)
{
	return READ_ONCE(dst_dev_rcu(dst)->mtu);
}

bool pgm_uses_pmtu(const struct sock *sk)
{
	return ip_sk_use_pmtu(sk);
}

bool pgm_has_route(struct sock *sk, u32 cookie)
{
	return __sk_dst_check(sk, cookie);
}

void pgm_forget_route(struct sock *sk)
{
	sk_dst_reset(sk);
}

bool pgm_wants_errors(const struct sock *sk)
{
	return inet_test_bit(RECVERR, sk);
}

bool pgm_wants_errors6(const struct sock *sk)
{
	return inet6_test_bit(RECVERR6, sk);
}

const struct in6_addr *pgm_quoted_daddr6(const struct sk_buff *skb)
{
	return &((const struct ipv6hdr *)skb->data)->daddr;
}

bool pgm_error_queue_empty(const struct sock *sk)
{
	return skb_queue_empty_lockless(&sk->sk_error_queue);
}

struct icmphdr *pgm_icmp_hdr(const struct sk_buff *skb)
{
	return icmp_hdr(skb);
}

/* User-Mode Linux has another name for errno. */
int pgm_icmp_errno(u8 code)
{
	return icmp_err_convert[code].errno;
}

unsigned int pgm_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

struct net_device *pgm_dst_dev(const struct dst_entry *dst)
{
	return dst_dev_rcu(dst);
}

void pgm_dst_release(struct dst_entry *dst)
{
	dst_release(dst);
}

struct dst_entry *pgm_cached_dst(struct sock *sk)
{
	return dst_clone(__sk_dst_get(sk));
}

void pgm_cache_dst(struct sock *sk, struct dst_entry *dst)
{
	sk_dst_set(sk, dst_clone(dst));
}

void pgm_skb_set_dst(struct sk_buff *skb, struct dst_entry *dst)
{
	skb_dst_set(skb, dst);
}

void pgm_flow6(struct flowi6 *fl6, const struct sock *sk, int oif,
	       const struct in6_addr *daddr, const struct in6_addr *saddr)
{
	fl6->flowi6_oif = oif;
	fl6->flowi6_mark = READ_ONCE(sk->sk_mark);
	fl6->flowi6_uid = sk_uid(sk);
	fl6->flowi6_proto = IPPROTO_PGM;
	fl6->daddr = *daddr;
	fl6->saddr = *saddr;
	fl6->flowlabel = ip6_make_flowinfo(inet6_sk(sk)->tclass, 0);
	security_sk_classify_flow(sk, flowi6_to_flowi_common(fl6));
}

void pgm_flow6_udp(struct flowi6 *fl6, __be16 sport, __be16 dport)
{
	fl6->flowi6_proto = IPPROTO_UDP;
	fl6->fl6_sport = sport;
	fl6->fl6_dport = dport;
}

u32 pgm_dst_cookie6(const struct dst_entry *dst)
{
	return rt6_get_cookie(dst_rt6_info(dst));
}

void pgm_allow_fragments6(struct sk_buff *skb, const struct sock *sk)
{
	skb->ignore_df = ip6_sk_ignore_df(sk);
}

void pgm_select_ident(struct net *net, struct sk_buff *skb, struct sock *sk)
{
	ip_select_ident_segs(net, skb, sk, skb_shinfo(skb)->gso_segs ?: 1);
}

__u8 pgm_dont_fragment(const struct sock *sk, const struct dst_entry *dst)
{
	return ip_dont_fragment(sk, dst);
}

u8 pgm_unicast_ttl(const struct sock *sk, const struct dst_entry *dst)
{
	int ttl = READ_ONCE(inet_sk(sk)->uc_ttl);

	return ttl < 0 ? ip4_dst_hoplimit(dst) : ttl;
}

void pgm_udp_encap(struct sock *sk,
		   int (*receive)(struct sock *sk, struct sk_buff *skb))
{
	WRITE_ONCE(udp_sk(sk)->encap_rcv, receive);
	WRITE_ONCE(udp_sk(sk)->encap_type, 1);
	udp_tunnel_encap_enable(sk);
}

void pgm_set_v6only(struct sock *sk)
{
	ip6_sock_set_v6only(sk);
}

void pgm_fill_udp(struct sk_buff *skb, __be16 sport, __be16 dport)
{
	struct udphdr *uh = udp_hdr(skb);

	uh->source = sport;
	uh->dest = dport;
	uh->len = htons(skb->len);
}

bool pgm_stamps_packets(const struct sock *sk)
{
	return READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_TX_RECORD_MASK;
}

/* What one buffer may hold on its way to this device; one packet if it must not be cut there. */
void pgm_gso_limits(const struct dst_entry *dst, bool v6, unsigned int *segments,
		    unsigned int *bytes)
{
	const struct net_device *dev = dst_dev_rcu(dst);
	bool may = dev->features & NETIF_F_GSO && !dst_xfrm(dst);

	*segments = may ? READ_ONCE(dev->gso_max_segs) : 1;
	*bytes = v6 ? READ_ONCE(dev->gso_max_size) : READ_ONCE(dev->gso_ipv4_max_size);
}

void pgm_gso_udp(struct sk_buff *skb, unsigned int size, unsigned int segments)
{
	skb_shinfo(skb)->gso_type = SKB_GSO_UDP_L4;
	skb_shinfo(skb)->gso_size = size;
	skb_shinfo(skb)->gso_segs = segments;
	/* Each segment gets its own checksum where it is cut. */
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct udphdr, check);
}
