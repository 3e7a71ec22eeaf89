// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets: wrappers of inline functions and macros, for Rust. No logic here.
 */
#include "helpers.h"

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

void pgm_softirq_lock_sock(struct sock *sk)
{
	bh_lock_sock(sk);
}

void pgm_softirq_unlock_sock(struct sock *sk)
{
	bh_unlock_sock(sk);
}

bool pgm_sock_owned(const struct sock *sk)
{
	return sock_owned_by_user_nocheck(sk);
}

int pgm_add_backlog(struct sock *sk, struct sk_buff *skb, unsigned int limit)
{
	/* Its device may go while it waits. */
	skb->dev = NULL;
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

void pgm_rmem_add(struct sock *sk, int bytes)
{
	atomic_add(bytes, &sk->sk_rmem_alloc);
}

int pgm_wmem_alloc(const struct sock *sk)
{
	return sk_wmem_alloc_get(sk);
}

/* The protocol has no account of its own, only its memory cgroups have. */
void pgm_bypass_memory(struct sock *sk)
{
	sk->sk_bypass_prot_mem = 1;
}

bool pgm_mem_charge(struct sock *sk, int bytes)
{
	bool charged;

	/* With bottom halves off it neither waits nor kills. */
	local_bh_disable();
	charged = __sk_mem_schedule(sk, bytes, SK_MEM_RECV);
	local_bh_enable();
	return charged;
}

void pgm_forward_alloc_add(struct sock *sk, int bytes)
{
	sk_forward_alloc_add(sk, bytes);
}

struct mem_cgroup *pgm_charge_owner(const struct sock *sk)
{
	return set_active_memcg(mem_cgroup_from_sk(sk));
}

void pgm_charge_again(struct mem_cgroup *before)
{
	set_active_memcg(before);
}

void pgm_disown(struct sock *sk)
{
	mem_cgroup_put(mem_cgroup_from_sk(sk));
#ifdef CONFIG_MEMCG
	sk->sk_memcg = NULL;
#endif
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

/*
 * ICMP reports errors without the lock: who wants to be told of them looks again
 * when it cannot miss the call any more.
 */
void pgm_leave_and_wait(struct sock *sk, long *timeo, bool for_errors)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);

	add_wait_queue(sk_sleep(sk), &wait);
	release_sock(sk);
	if (!for_errors || !READ_ONCE(sk->sk_err))
		*timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, *timeo);
	remove_wait_queue(sk_sleep(sk), &wait);
}

void pgm_bh_leave_and_wait(struct sock *sk, long *timeo)
{
	DEFINE_WAIT(wait);

	prepare_to_wait(sk_sleep(sk), &wait, TASK_INTERRUPTIBLE);
	pgm_bh_unlock_sock(sk);
	if (!READ_ONCE(sk->sk_err))
		*timeo = schedule_timeout(*timeo);
	finish_wait(sk_sleep(sk), &wait);
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

/* The queue is only touched under the socket lock. */
void pgm_unlink_receive(struct sock *sk, struct sk_buff *skb)
{
	__skb_unlink(skb, &sk->sk_receive_queue);
}

void pgm_queue_receive(struct sock *sk, struct sk_buff *skb)
{
	sock_skb_set_dropcount(sk, skb);
	__skb_queue_tail(&sk->sk_receive_queue, skb);
}

/* Another reader may have found nothing meanwhile, and sleep. */
void pgm_requeue_receive(struct sock *sk, struct sk_buff *skb)
{
	__skb_queue_head(&sk->sk_receive_queue, skb);
	sk->sk_data_ready(sk);
}

void pgm_purge_receive(struct sock *sk)
{
	__skb_queue_purge(&sk->sk_receive_queue);
}

int pgm_sk_bound_dev(const struct sock *sk)
{
	return READ_ONCE(sk->sk_bound_dev_if);
}

bool pgm_sk_reuse(const struct sock *sk)
{
	return sk->sk_reuse || sk->sk_reuseport;
}

/* As with sk_clone_lock(): sk_alloc() took that of whoever runs now, or none. */
static void inherit_cgroup(struct sock *child, struct sock *listener)
{
#ifdef CONFIG_SOCK_CGROUP_DATA
	struct cgroup *cgroup = sock_cgroup_ptr(&listener->sk_cgrp_data);
	struct cgroup *before = sock_cgroup_ptr(&child->sk_cgrp_data);

	cgroup_get(cgroup);
	cgroup_bpf_get(cgroup);
	child->sk_cgrp_data = listener->sk_cgrp_data;
	cgroup_bpf_put(before);
	cgroup_put(before);
#endif
}

void pgm_init_child(struct sock *child, struct sock *listener)
{
	struct inet_sock *inet = inet_sk(child);

	inherit_cgroup(child, listener);
	security_sk_clone(listener, child);
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

bool pgm_sock_try_hold(struct sock *sk)
{
	return refcount_inc_not_zero(&sk->sk_refcnt);
}

u64 pgm_sk_inode(const struct sock *sk)
{
	return sock_i_ino(sk);
}
