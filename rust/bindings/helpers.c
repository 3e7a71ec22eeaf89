// SPDX-License-Identifier: GPL-2.0
/*
 * Wrappers of inline functions and macros, for Rust. No logic here.
 */
#include <linux/filter.h>
#include "helpers.h"

MODULE_VERSION("0.1.0");

const size_t pgm_layout[] = {
	sizeof(struct sock),
	sizeof(struct inet_sock),
	offsetof(struct sock, sk_receive_queue),
	offsetof(struct sock, sk_shutdown),
	offsetof(struct inet_sock, inet_saddr),
	offsetof(struct inet_sock, mc_list),
	offsetof(struct inet_sock, pinet6),
	sizeof(struct ipv6_pinfo),
	offsetof(struct ipv6_pinfo, mcast_hops),
	offsetof(struct ipv6_pinfo, ipv6_mc_list),
	sizeof(struct hrtimer),
	sizeof(struct proto),
};

struct net *pgm_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

void pgm_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void pgm_sock_put(struct sock *sk)
{
	sock_put(sk);
}

void pgm_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

void pgm_bh_lock_sock(struct sock *sk)
{
	local_bh_disable();
	bh_lock_sock(sk);
}

void pgm_bh_lock_sock_nested(struct sock *sk)
{
	local_bh_disable();
	bh_lock_sock_nested(sk);
}

void pgm_bh_unlock_sock(struct sock *sk)
{
	bh_unlock_sock(sk);
	local_bh_enable();
}

bool pgm_sock_owned(const struct sock *sk)
{
	return sock_owned_by_user_nocheck(sk);
}

int pgm_add_backlog(struct sock *sk, struct sk_buff *skb, unsigned int limit)
{
	return sk_add_backlog(sk, skb, limit);
}

bool pgm_sock_flag(const struct sock *sk, enum sock_flags flag)
{
	return sock_flag(sk, flag);
}

void pgm_sock_set_flag(struct sock *sk, enum sock_flags flag)
{
	sock_set_flag(sk, flag);
}

void pgm_sock_orphan(struct sock *sk)
{
	sock_orphan(sk);
}

int pgm_sock_error(struct sock *sk)
{
	return sock_error(sk);
}

void pgm_report_error(struct sock *sk, int err)
{
	WRITE_ONCE(sk->sk_err, err);
	sk_error_report(sk);
}

int pgm_rmem_alloc(const struct sock *sk)
{
	return sk_rmem_alloc_get(sk);
}

int pgm_wmem_alloc(const struct sock *sk)
{
	return sk_wmem_alloc_get(sk);
}

void pgm_wmem_queued_add(struct sock *sk, int bytes)
{
	sk_wmem_queued_add(sk, bytes);
}

long pgm_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

long pgm_rcvtimeo(const struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

int pgm_intr_errno(long timeo)
{
	return sock_intr_errno(timeo);
}

bool pgm_signal_pending(void)
{
	return signal_pending(current);
}

void pgm_wait(struct sock *sk, long *timeo)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);

	add_wait_queue(sk_sleep(sk), &wait);
	release_sock(sk);
	*timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, *timeo);
	lock_sock(sk);
	remove_wait_queue(sk_sleep(sk), &wait);
}

void pgm_data_ready(struct sock *sk)
{
	sk->sk_data_ready(sk);
}

void pgm_wake_writers(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait,
					   EPOLLOUT | EPOLLWRNORM);
	sk_wake_async_rcu(sk, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

void pgm_state_change(struct sock *sk)
{
	sk->sk_state_change(sk);
}

void pgm_poll_wait(struct file *file, struct socket *sock, poll_table *wait)
{
	sock_poll_wait(file, sock, wait);
}

bool pgm_net_raw_capable(const struct sock *sk)
{
	return ns_capable(sock_net(sk)->user_ns, CAP_NET_RAW);
}

void pgm_clear_mc_all(struct sock *sk)
{
	inet_clear_bit(MC_ALL, sk);
}

void pgm_clear_mc_all6(struct sock *sk)
{
	inet6_clear_bit(MC6_ALL, sk);
}

unsigned short pgm_sk_family(const struct sock *sk)
{
	return sk->sk_family;
}

struct in6_addr *pgm_sk_v6_rcv_saddr(struct sock *sk)
{
	return &sk->sk_v6_rcv_saddr;
}

struct in6_addr *pgm_sk_v6_daddr(struct sock *sk)
{
	return &sk->sk_v6_daddr;
}

void pgm_prot_inuse_add(struct sock *sk, int n)
{
	sock_prot_inuse_add(sock_net(sk), sk->sk_prot, n);
}

void pgm_sk_set_daddr(struct sock *sk, __be32 addr)
{
	inet_sk(sk)->inet_daddr = addr;
}

void pgm_sk_set_state(struct sock *sk, int state)
{
	/* Pairs with smp_load_acquire() in inet_sk_state_load(). */
	smp_store_release(&sk->sk_state, state);
}

int pgm_sk_state(const struct sock *sk)
{
	return inet_sk_state_load(sk);
}

__be32 pgm_sk_rcv_saddr(const struct sock *sk)
{
	return inet_sk(sk)->inet_rcv_saddr;
}

u16 pgm_sk_num(const struct sock *sk)
{
	return READ_ONCE(inet_sk(sk)->inet_num);
}

void pgm_sk_set_num(struct sock *sk, u16 num)
{
	WRITE_ONCE(inet_sk(sk)->inet_num, num);
}

void pgm_sk_set_dport(struct sock *sk, __be16 port)
{
	inet_sk(sk)->inet_dport = port;
}

void pgm_sk_set_rcv_saddr(struct sock *sk, __be32 addr)
{
	inet_sk(sk)->inet_rcv_saddr = addr;
}

struct sk_buff *pgm_peek_receive(const struct sock *sk)
{
	return skb_peek(&sk->sk_receive_queue);
}

bool pgm_receive_empty(const struct sock *sk)
{
	return skb_queue_empty_lockless(&sk->sk_receive_queue);
}

struct sk_buff *pgm_next_receive(const struct sock *sk,
				  const struct sk_buff *skb)
{
	return skb_peek_next((struct sk_buff *)skb, &sk->sk_receive_queue);
}

void pgm_unlink_receive(struct sock *sk, struct sk_buff *skb)
{
	skb_unlink(skb, &sk->sk_receive_queue);
}

void pgm_queue_receive(struct sock *sk, struct sk_buff *skb)
{
	skb_queue_tail(&sk->sk_receive_queue, skb);
}

void pgm_requeue_receive(struct sock *sk, struct sk_buff *skb)
{
	skb_queue_head(&sk->sk_receive_queue, skb);
}

void pgm_purge_receive(struct sock *sk)
{
	skb_queue_purge(&sk->sk_receive_queue);
}

u64 pgm_hash_tsi(u64 tsi, const siphash_key_t *key)
{
	return siphash_1u64(tsi, key);
}

int pgm_sk_bound_dev(const struct sock *sk)
{
	return READ_ONCE(sk->sk_bound_dev_if);
}

bool pgm_sk_reuse(const struct sock *sk)
{
	return sk->sk_reuse || sk->sk_reuseport;
}

void pgm_init_child(struct sock *child, struct sock *listener)
{
	struct inet_sock *inet = inet_sk(child);

	sock_init_data_uid(NULL, child, listener->sk_uid);
	child->sk_type = listener->sk_type;
	child->sk_protocol = listener->sk_protocol;
	child->sk_destruct = inet_sock_destruct;
	child->sk_backlog_rcv = child->sk_prot->backlog_rcv;
	child->sk_bound_dev_if = listener->sk_bound_dev_if;
	child->sk_mark = listener->sk_mark;
	child->sk_priority = listener->sk_priority;
	child->sk_rcvtimeo = listener->sk_rcvtimeo;
	inet->pmtudisc = inet_sk(listener)->pmtudisc;
	inet->tos = inet_sk(listener)->tos;
	inet->uc_ttl = inet_sk(listener)->uc_ttl;
	inet->mc_ttl = inet_sk(listener)->mc_ttl;
	inet_assign_bit(MC_LOOP, child, inet_test_bit(MC_LOOP, listener));
}

void pgm_init_child6(struct sock *child, struct ipv6_pinfo *np,
		     struct sock *listener)
{
	struct ipv6_pinfo *from = inet6_sk(listener);

	inet_sk(child)->pinet6 = np;
	child->sk_ipv6only = listener->sk_ipv6only;
	np->hop_limit = from->hop_limit;
	np->mcast_hops = from->mcast_hops;
	np->mcast_oif = from->mcast_oif;
	np->tclass = from->tclass;
	np->pmtudisc = from->pmtudisc;
	inet6_assign_bit(MC6_LOOP, child, inet6_test_bit(MC6_LOOP, listener));
}

bool pgm_acceptq_is_full(const struct sock *sk)
{
	return sk_acceptq_is_full(sk);
}

void pgm_acceptq_added(struct sock *sk)
{
	sk_acceptq_added(sk);
}

void pgm_acceptq_removed(struct sock *sk)
{
	sk_acceptq_removed(sk);
}

void pgm_free_policy(struct sock *sk)
{
	xfrm_sk_free_policy(sk);
}

void pgm_rcu_read_lock(void)
{
	rcu_read_lock();
}

void pgm_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

void pgm_add_node_rcu(struct sock *sk, struct hlist_head *head)
{
	sk_add_node_rcu(sk, head);
}

bool pgm_del_node_rcu(struct sock *sk)
{
	return sk_del_node_init_rcu(sk);
}

struct sock *pgm_first_rcu(struct hlist_head *head)
{
	struct hlist_node *node = rcu_dereference(hlist_first_rcu(head));

	return hlist_entry_safe(node, struct sock, sk_node);
}

struct sock *pgm_next_rcu(struct sock *sk)
{
	struct hlist_node *node = rcu_dereference(hlist_next_rcu(&sk->sk_node));

	return hlist_entry_safe(node, struct sock, sk_node);
}

void pgm_add_bind_node_rcu(struct sock *sk, struct hlist_head *head)
{
	sock_hold(sk);
	hlist_add_head_rcu(&sk->sk_bind_node, head);
}

bool pgm_del_bind_node_rcu(struct sock *sk)
{
	if (hlist_unhashed(&sk->sk_bind_node))
		return false;
	hlist_del_init_rcu(&sk->sk_bind_node);
	__sock_put(sk);
	return true;
}

struct sock *pgm_first_bind_rcu(struct hlist_head *head)
{
	struct hlist_node *node = rcu_dereference(hlist_first_rcu(head));

	return hlist_entry_safe(node, struct sock, sk_bind_node);
}

struct sock *pgm_next_bind_rcu(struct sock *sk)
{
	struct hlist_node *node =
		rcu_dereference(hlist_next_rcu(&sk->sk_bind_node));

	return hlist_entry_safe(node, struct sock, sk_bind_node);
}

struct ip_mc_socklist *pgm_mc_first_rcu(const struct sock *sk)
{
	return rcu_dereference(inet_sk(sk)->mc_list);
}

struct ip_mc_socklist *pgm_mc_next_rcu(const struct ip_mc_socklist *pmc)
{
	return rcu_dereference(pmc->next_rcu);
}

struct ip_sf_socklist *pgm_mc_sflist_rcu(const struct ip_mc_socklist *pmc)
{
	return rcu_dereference(pmc->sflist);
}

struct ipv6_mc_socklist *pgm_mc6_first_rcu(const struct sock *sk)
{
	return rcu_dereference(inet6_sk(sk)->ipv6_mc_list);
}

struct ipv6_mc_socklist *pgm_mc6_next_rcu(const struct ipv6_mc_socklist *mc)
{
	return rcu_dereference(mc->next);
}

struct ip6_sf_socklist *pgm_mc6_sflist_rcu(const struct ipv6_mc_socklist *mc)
{
	return rcu_dereference(mc->sflist);
}

void pgm_spin_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
}

void pgm_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

void pgm_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
}

void pgm_mutex_init(struct mutex *mutex)
{
	mutex_init(mutex);
}

void pgm_work_init(struct work_struct *work, work_func_t fn)
{
	INIT_WORK(work, fn);
}

void pgm_queue_work(struct work_struct *work)
{
	queue_work(system_dfl_wq, work);
}

void *pgm_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

struct net *pgm_seq_net(struct seq_file *m)
{
	return m->private;
}

void pgm_remove_proc(struct net *net, const char *name)
{
	remove_proc_subtree(name, net->proc_net);
}

EXPORT_SYMBOL_GPL(pgm_next_row);

bool pgm_sock_try_hold(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

struct net *pgm_seq_file_net(struct seq_file *m)
{
	return seq_file_net(m);
}

uid_t pgm_seq_sk_uid(struct seq_file *m, const struct sock *sk)
{
	return from_kuid_munged(seq_user_ns(m), sk_uid(sk));
}

u64 pgm_sk_inode(const struct sock *sk)
{
	return sock_i_ino(sk);
}

struct proc_dir_entry *pgm_proc_mkdir(struct net *net, const char *name)
{
	return proc_net_mkdir(net, name, net->proc_net);
}

u64 pgm_now(void)
{
	return ktime_get_ns();
}

void pgm_timer_setup(struct hrtimer *timer,
		     enum hrtimer_restart (*fn)(struct hrtimer *))
{
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_SOFT);
}

bool pgm_timer_queued(const struct hrtimer *timer)
{
	return hrtimer_is_queued((struct hrtimer *)timer);
}

u64 pgm_timer_expires(const struct hrtimer *timer)
{
	return ktime_to_ns(hrtimer_get_expires(timer));
}

void pgm_timer_start(struct hrtimer *timer, u64 at)
{
	hrtimer_start(timer, ns_to_ktime(at), HRTIMER_MODE_ABS_SOFT);
}

struct sk_buff *pgm_alloc_skb(unsigned int size, gfp_t gfp)
{
	return alloc_skb(size, gfp);
}

void pgm_skb_reserve(struct sk_buff *skb, int len)
{
	skb_reserve(skb, len);
}

void pgm_reset_transport(struct sk_buff *skb)
{
	skb_reset_transport_header(skb);
}

void pgm_reset_network(struct sk_buff *skb)
{
	skb_reset_network_header(skb);
}

void pgm_set_tx_meta(struct sk_buff *skb, const struct sock *sk)
{
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

int pgm_trim(struct sk_buff *skb, unsigned int len)
{
	return pskb_trim(skb, len);
}

void pgm_drop(struct sock *sk, struct sk_buff *skb)
{
	sk_skb_reason_drop(sk, skb, SKB_DROP_REASON_NOT_SPECIFIED);
}

void pgm_set_owner_r(struct sk_buff *skb, struct sock *sk)
{
	skb_set_owner_r(skb, sk);
}

void pgm_scrub(struct sk_buff *skb)
{
	nf_reset_ct(skb);
	secpath_reset(skb);
	skb_dst_drop(skb);
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

struct net *pgm_skb_net(const struct sk_buff *skb)
{
	return dev_net(skb->dev);
}

int pgm_iif(const struct sk_buff *skb)
{
	return inet_iif(skb);
}

bool pgm_is_ipv6(const struct sk_buff *skb)
{
	return skb->protocol == htons(ETH_P_IPV6);
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

void pgm_share_pages(struct sk_buff *to, const struct pgm_pages *from)
{
	unsigned int i;

	for (i = 0; i < from->count; i++) {
		skb_shinfo(to)->frags[i] = from->part[i];
		skb_frag_ref(to, i);
	}
	skb_shinfo(to)->nr_frags = i;
	skb_len_add(to, from->len);
}

void pgm_free_pages(struct pgm_pages *pages)
{
	while (pages->count)
		put_page(skb_frag_page(&pages->part[--pages->count]));
	kfree(pages);
}

struct pgm_pages *pgm_read_pages(struct sock *sk, struct iov_iter *from,
				 unsigned int len, u32 *sum)
{
	/* The rest of a page, then whole ones. */
	unsigned int most = 1 + DIV_ROUND_UP(len, PAGE_SIZE);
	struct page_frag *pfrag = sk_page_frag(sk);
	struct pgm_pages *pages;
	__wsum total = 0;
	int error = -ENOBUFS;

	pages = kmalloc(struct_size(pages, part, most), GFP_KERNEL);
	if (!pages)
		return NULL;
	pages->count = 0;
	pages->len = 0;
	while (pages->len < len) {
		unsigned int n;
		__wsum csum = 0;
		void *to;

		if (pages->count == min(most, MAX_SKB_FRAGS) ||
		    !sk_page_frag_refill(sk, pfrag))
			goto fail;
		n = min(len - pages->len, pfrag->size - pfrag->offset);
		to = page_address(pfrag->page) + pfrag->offset;
		if (!csum_and_copy_from_iter_full(to, n, &csum, from)) {
			error = -EFAULT;
			goto fail;
		}
		total = csum_block_add(total, csum, pages->len);
		get_page(pfrag->page);
		skb_frag_fill_page_desc(&pages->part[pages->count++],
					pfrag->page, pfrag->offset, n);
		pages->len += n;
		pfrag->offset += n;
	}
	*sum = (__force u32)total;
	return pages;
fail:
	pgm_free_pages(pages);
	return ERR_PTR(error);
}

int pgm_copy_from_iter(void *to, size_t len, struct iov_iter *from)
{
	return copy_from_iter_full(to, len, from) ? 0 : -EFAULT;
}

int pgm_transport_offset(const struct sk_buff *skb)
{
	return skb_transport_offset(skb);
}

bool pgm_filter_refuses(struct sock *sk, struct sk_buff *skb)
{
	return sk_filter_trim_cap(sk, skb, skb->len) != SKB_NOT_DROPPED_YET;
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

bool pgm_is_vrf(const struct net_device *dev)
{
	return netif_is_l3_master(dev);
}

int pgm_dst_ifindex(const struct dst_entry *dst)
{
	return dst->dev->ifindex;
}

bool pgm_dev_is_up(const struct net_device *dev)
{
	return READ_ONCE(dev->flags) & IFF_UP;
}

unsigned int pgm_dev_mtu(const struct dst_entry *dst)
{
	return READ_ONCE(dst->dev->mtu);
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

unsigned int pgm_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

struct net_device *pgm_dst_dev(const struct dst_entry *dst)
{
	return dst->dev;
}

void pgm_dst_release(struct dst_entry *dst)
{
	dst_release(dst);
}

struct dst_entry *pgm_cached_dst(struct sock *sk, u32 cookie)
{
	return dst_clone(__sk_dst_check(sk, cookie));
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
	ip_select_ident(net, skb, sk);
}

void pgm_clear_ipcb(struct sk_buff *skb)
{
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
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

int pgm_join(struct sock *sk, __be32 group, int ifindex)
{
	struct ip_mreqn mreq = {
		.imr_multiaddr.s_addr = group,
		.imr_ifindex = ifindex,
	};

	return ip_setsockopt(sk, SOL_IP, IP_ADD_MEMBERSHIP,
			     KERNEL_SOCKPTR(&mreq), sizeof(mreq));
}

int pgm_join_source(struct sock *sk, __be32 group, __be32 source, int ifindex)
{
	struct group_source_req request = { .gsr_interface = ifindex };
	struct sockaddr_in *gsr_group = (void *)&request.gsr_group;
	struct sockaddr_in *gsr_source = (void *)&request.gsr_source;

	gsr_group->sin_family = AF_INET;
	gsr_group->sin_addr.s_addr = group;
	gsr_source->sin_family = AF_INET;
	gsr_source->sin_addr.s_addr = source;
	return ip_setsockopt(sk, SOL_IP, MCAST_JOIN_SOURCE_GROUP,
			     KERNEL_SOCKPTR(&request), sizeof(request));
}

int pgm_join_source6(struct sock *sk, const struct in6_addr *group,
		     const struct in6_addr *source, int ifindex)
{
	struct group_source_req request = { .gsr_interface = ifindex };
	struct sockaddr_in6 *gsr_group = (void *)&request.gsr_group;
	struct sockaddr_in6 *gsr_source = (void *)&request.gsr_source;

	gsr_group->sin6_family = AF_INET6;
	gsr_group->sin6_addr = *group;
	gsr_source->sin6_family = AF_INET6;
	gsr_source->sin6_addr = *source;
	return ipv6_setsockopt(sk, SOL_IPV6, MCAST_JOIN_SOURCE_GROUP,
			       KERNEL_SOCKPTR(&request), sizeof(request));
}

int pgm_join6(struct sock *sk, const struct in6_addr *group, int ifindex)
{
	struct ipv6_mreq mreq = {
		.ipv6mr_multiaddr = *group,
		.ipv6mr_ifindex = ifindex,
	};

	return ipv6_setsockopt(sk, SOL_IPV6, IPV6_ADD_MEMBERSHIP,
			       KERNEL_SOCKPTR(&mreq), sizeof(mreq));
}

int pgm_ip_setsockopt(struct sock *sk, int name, void *value, unsigned int len)
{
	return ip_setsockopt(sk, SOL_IP, name, KERNEL_SOCKPTR(value), len);
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

int pgm_from_sockptr(void *dst, sockptr_t src, size_t len)
{
	return copy_from_sockptr(dst, src, len) ? -EFAULT : 0;
}

int pgm_to_user(void __user *dst, const void *src, size_t len)
{
	return copy_to_user(dst, src, len) ? -EFAULT : 0;
}

int pgm_get_user_int(int *value, const int __user *src)
{
	return get_user(*value, src);
}

int pgm_put_user_int(int value, int __user *dst)
{
	return put_user(value, dst);
}

