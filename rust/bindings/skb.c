// SPDX-License-Identifier: GPL-2.0
/*
 * Packets: wrappers of inline functions and macros, for Rust. No logic here.
 */
#include <linux/filter.h>
#include "helpers.h"

struct sk_buff *pgm_new_skb(unsigned int headroom, const void *data,
			    unsigned int len)
{
	struct sk_buff *skb = alloc_skb(headroom + len, GFP_ATOMIC);

	if (skb) {
		skb_reserve(skb, headroom);
		__skb_put_data(skb, data, len);
	}
	return skb;
}

void pgm_reset_transport(struct sk_buff *skb)
{
	skb_reset_transport_header(skb);
}

void pgm_reset_network(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

/* Begins at the transport header, and becomes that of a socket. */
void pgm_to_send(struct sk_buff *skb, struct sock *sk)
{
	skb_reset_transport_header(skb);
	skb_set_owner_w(skb, sk);
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	skb->priority = READ_ONCE(sk->sk_priority);
	skb->mark = READ_ONCE(sk->sk_mark);
}

void pgm_tx_timestamp(struct sk_buff *skb, const struct sock *sk, u32 key)
{
	__sock_tx_timestamp(READ_ONCE(sk->sk_tsflags),
			    &skb_shinfo(skb)->tx_flags);
	skb_shinfo(skb)->tskey = key;
}

bool pgm_may_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

void pgm_drop(struct sock *sk, struct sk_buff *skb)
{
	sk_skb_reason_drop(sk, skb, SKB_DROP_REASON_NOT_SPECIFIED);
}

void pgm_keep_received(struct sk_buff *skb, struct sock *sk)
{
	nf_reset_ct(skb);
	secpath_reset(skb);
	skb_dst_drop(skb);
	skb->dev = NULL;
	skb_set_owner_r(skb, sk);
}

/* Nobody who needs memory more should go without for it. */
struct sk_buff *pgm_new_tray(unsigned int size)
{
	return alloc_skb(SKB_WITH_OVERHEAD(size), GFP_NOWAIT | __GFP_NOWARN);
}

unsigned int pgm_tailroom(const struct sk_buff *skb)
{
	return skb_tailroom(skb);
}

int pgm_headers_len(const struct sk_buff *skb)
{
	int network = -skb_network_offset(skb);

	return skb_mac_header_was_set(skb) ?
		       max(network, -skb_mac_offset(skb)) : network;
}

bool pgm_is_shared(const struct sk_buff *skb)
{
	return skb_cloned(skb);
}

bool pgm_is_gso(const struct sk_buff *skb)
{
	return skb_is_gso(skb);
}

bool pgm_has_device_stamp(struct sk_buff *skb)
{
	return skb_hwtstamps(skb)->hwtstamp;
}

bool pgm_checksum_bad(struct sk_buff *skb)
{
	return skb_checksum_simple_validate(skb);
}

struct iphdr *pgm_ip_hdr(const struct sk_buff *skb)
{
	return ip_hdr(skb);
}

int pgm_sdif(const struct sk_buff *skb)
{
	return inet_sdif(skb);
}

void *pgm_skb_net_generic(const struct sk_buff *skb, unsigned int id)
{
	return net_generic(dev_net_rcu(skb->dev), id);
}

int pgm_iif(const struct sk_buff *skb)
{
	return inet_iif(skb);
}

bool pgm_is_ipv6(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IPV6);
}

u8 pgm_ip6_hop_limit(const struct sk_buff *skb)
{
	return ipv6_hdr(skb)->hop_limit;
}

const struct in6_addr *pgm_ip6_saddr(const struct sk_buff *skb)
{
	return &ipv6_hdr(skb)->saddr;
}

const struct in6_addr *pgm_ip6_daddr(const struct sk_buff *skb)
{
	return &ipv6_hdr(skb)->daddr;
}

int pgm_iif6(const struct sk_buff *skb)
{
	return inet6_iif(skb);
}

int pgm_sdif6(const struct sk_buff *skb)
{
	return inet6_sdif(skb);
}

/* UDP cuts a buffer into a list, and walks it as it is. */
bool pgm_more_segments(struct sk_buff *skb)
{
	bool more = skb->next;

	skb_mark_not_on_list(skb);
	return more;
}

static const skb_frag_t *parts_of(const struct pgm_tsdu *tsdu, skb_frag_t *one)
{
	if (tsdu->count > 1)
		return tsdu->at;
	skb_frag_fill_page_desc(one, tsdu->at, tsdu->offset, tsdu->len);
	return one;
}

void pgm_share_tsdu(struct sk_buff *to, const struct pgm_tsdu *from)
{
	struct skb_shared_info *shared = skb_shinfo(to);
	const skb_frag_t *part = from->at;

	if (from->count == 1) {
		skb_frag_fill_page_desc(shared->frags, from->at, from->offset,
					from->len);
		get_page(from->at);
	} else {
		for (unsigned int i = 0; i < from->count; i++) {
			shared->frags[i] = part[i];
			get_page(skb_frag_page(part + i));
		}
	}
	shared->nr_frags = from->count;
	skb_len_add(to, from->len);
}

unsigned int pgm_append_packet(struct sk_buff *to, const struct pgm_tsdu *from,
			       const void *header, unsigned int header_len)
{
	struct skb_shared_info *shared = skb_shinfo(to);
	skb_frag_t one;
	const skb_frag_t *first = parts_of(from, &one);
	unsigned int offset, i = shared->nr_frags;

	if (!from->count || header_len > from->room ||
	    i + from->count > MAX_SKB_FRAGS)
		return 0;
	offset = skb_frag_off(first) - header_len;
	memcpy(skb_frag_address(first) - header_len, header, header_len);
	/* The packets of one message lie one after the other. */
	if (skb_can_coalesce(to, i, skb_frag_page(first), offset)) {
		skb_frag_size_add(&shared->frags[--i],
				  header_len + skb_frag_size(first));
	} else {
		skb_frag_fill_page_desc(&shared->frags[i], skb_frag_page(first),
					offset, header_len + skb_frag_size(first));
		skb_frag_ref(to, i);
	}
	for (unsigned int part = 1; part < from->count; part++) {
		shared->frags[++i] = first[part];
		skb_frag_ref(to, i);
	}
	shared->nr_frags = i + 1;
	skb_len_add(to, header_len + from->len);
	return header_len + from->len;
}

static void free_parts(const skb_frag_t *parts, unsigned int count)
{
	while (count)
		put_page(skb_frag_page(&parts[--count]));
	kfree(parts);
}

void pgm_free_tsdu(const struct pgm_tsdu *tsdu)
{
	if (tsdu->count == 1)
		put_page(tsdu->at);
	else if (tsdu->count)
		free_parts(tsdu->at, tsdu->count);
}

/* A TSDU that does not fit into what is left of a page, and is longer than one. */
static int read_parts(struct page_frag *pfrag, struct iov_iter *from,
		      struct pgm_tsdu *tsdu, __wsum *sum, gfp_t gfp)
{
	/* The rest of a page, then whole ones. */
	unsigned int most = 1 + DIV_ROUND_UP(tsdu->len, PAGE_SIZE);
	unsigned int done = 0, count = 0;
	int error = -ENOBUFS;
	skb_frag_t *parts;

	parts = kmalloc_array(most, sizeof(*parts), gfp);
	if (!parts)
		return error;
	while (done < tsdu->len) {
		unsigned int n, skip = count ? 0 : tsdu->room;
		__wsum csum = 0;

		if (count == min(most, MAX_SKB_FRAGS) ||
		    !skb_page_frag_refill(skip + 32, pfrag, gfp))
			goto fail;
		pfrag->offset += skip;
		n = min(tsdu->len - done, pfrag->size - pfrag->offset);
		if (!csum_and_copy_from_iter_full(page_address(pfrag->page) +
						  pfrag->offset, n, &csum, from)) {
			error = -EFAULT;
			goto fail;
		}
		*sum = csum_block_add(*sum, csum, done);
		get_page(pfrag->page);
		skb_frag_fill_page_desc(&parts[count++], pfrag->page,
					pfrag->offset, n);
		done += n;
		pfrag->offset += n;
	}
	if (count > 1) {
		tsdu->at = parts;
	} else {
		tsdu->at = skb_frag_page(parts);
		tsdu->offset = skb_frag_off(parts);
		kfree(parts);
	}
	tsdu->count = count;
	return 0;
fail:
	free_parts(parts, count);
	return error;
}

/* tsdu->len bytes, behind tsdu->room. */
int pgm_read_tsdu(struct sock *sk, struct iov_iter *from, struct pgm_tsdu *tsdu,
		  u32 *sum)
{
	/* A full memory cgroup is an error, no reason to kill. */
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned int size = tsdu->room + tsdu->len;
	struct page_frag *pfrag = sk_page_frag(sk);
	__wsum total = 0;
	void *to;

	*sum = 0;
	tsdu->count = 0;
	if (!tsdu->len)
		return 0;
	/* sk_page_frag_refill() would cut SO_SNDBUF for good. */
	if (!skb_page_frag_refill(min(size, PAGE_SIZE), pfrag, gfp))
		return -ENOBUFS;
	if (size > pfrag->size - pfrag->offset) {
		int error = read_parts(pfrag, from, tsdu, &total, gfp);

		*sum = (__force u32)total;
		return error;
	}
	tsdu->at = pfrag->page;
	tsdu->offset = pfrag->offset + tsdu->room;
	to = page_address(pfrag->page) + tsdu->offset;
	if (!csum_and_copy_from_iter_full(to, tsdu->len, &total, from))
		return -EFAULT;
	get_page(pfrag->page);
	pfrag->offset += size;
	tsdu->count = 1;
	*sum = (__force u32)total;
	return 0;
}

int pgm_copy_from_iter(void *to, size_t len, struct iov_iter *from)
{
	return copy_from_iter_full(to, len, from) ? 0 : -EFAULT;
}

bool pgm_filter_refuses(struct sock *sk, struct sk_buff *skb)
{
	bool filtered = rcu_access_pointer(sk->sk_filter);
	unsigned int header = -skb_transport_offset(skb);
	bool refuses;

	/* A filter may ask for the device, which the packet did not keep. */
	if (filtered) {
		rcu_read_lock();
		skb->dev = dev_get_by_index_rcu(sock_net(sk), skb->skb_iif);
	}
	/* It sees the packet from the PGM header on. */
	__skb_push(skb, header);
	refuses = sk_filter_trim_cap(sk, skb, skb->len) != SKB_NOT_DROPPED_YET;
	__skb_pull(skb, header);
	if (filtered) {
		skb->dev = NULL;
		rcu_read_unlock();
	}
	return refuses;
}

bool pgm_policy_check(struct sock *sk, struct sk_buff *skb)
{
	return xfrm4_policy_check(sk, XFRM_POLICY_IN, skb);
}

bool pgm_policy_check6(struct sock *sk, struct sk_buff *skb)
{
	return xfrm6_policy_check(sk, XFRM_POLICY_IN, skb);
}

void pgm_recv_cmsgs6(struct msghdr *msg, struct sock *sk, struct sk_buff *skb)
{
	sock_recv_cmsgs(msg, sk, skb);
	if (inet6_sk(sk)->rxopt.all)
		ip6_datagram_recv_ctl(sk, msg, skb);
}

void pgm_recv_cmsgs(struct msghdr *msg, struct sock *sk, struct sk_buff *skb)
{
	sock_recv_cmsgs(msg, sk, skb);
	if (inet_cmsg_flags(inet_sk(sk)))
		ip_cmsg_recv_offset(msg, sk, skb, 0, 0);
}

int pgm_copy_datagram(const struct sk_buff *skb, int offset,
		      struct msghdr *msg, int len)
{
	return skb_copy_datagram_msg(skb, offset, msg, len);
}
