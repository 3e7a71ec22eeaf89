/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module needs from the kernel's headers: the list that bindgen
 * reads, and wrappers of inline functions and macros. No logic here.
 */
#ifndef PGM_HELPERS_H
#define PGM_HELPERS_H

#include <linux/cgroup.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/igmp.h>
#include <linux/in.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/poll.h>
#include <linux/proc_fs.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/sched/mm.h>
#include <linux/skbuff.h>
#include <linux/skbuff_ref.h>
#include <linux/socket.h>
#include <linux/sysctl.h>
#include <asm/ioctls.h>
#include <linux/sockios.h>
#include <linux/sockptr.h>
#include <linux/uio.h>
#include <net/addrconf.h>
#include <net/icmp.h>
#include <net/if_inet6.h>
#include <net/inet_common.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/protocol.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/transp_v6.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>
#include <net/xfrm.h>

#include "../../include/uapi/linux/pgm.h"
#include "../../include/uapi/linux/pgm_diag.h"
#include "diag.h"
#include "../../include/uapi/linux/wsrm.h"

#ifdef __BINDGEN__
#include "trace.h"
/* Macros with casts are no constants for bindgen. */
static const gfp_t GFP_KERNEL_ = GFP_KERNEL;
static const gfp_t GFP_ATOMIC_ = GFP_ATOMIC;
static const unsigned long SLAB_ACCOUNT_ = (__force unsigned long)SLAB_ACCOUNT;
static const __u32 POLL_IN_ = (__force __u32)(EPOLLIN | EPOLLRDNORM);
static const __u32 POLL_OUT_ = (__force __u32)(EPOLLOUT | EPOLLWRNORM);
static const __u32 POLL_ERR_ = (__force __u32)EPOLLERR;
static const __u32 POLL_HUP_ = (__force __u32)EPOLLHUP;
static const __u32 POLL_RDHUP_ = (__force __u32)EPOLLRDHUP;
static const unsigned int ITER_SOURCE_ = ITER_SOURCE;
static const __u32 SIOCINQ_ = SIOCINQ;
static const __u32 SIOCOUTQ_ = SIOCOUTQ;
static const long MAX_SCHEDULE_TIMEOUT_ = MAX_SCHEDULE_TIMEOUT;
#endif

/* Layouts as the C compiler sees them; compared with Rust's when loading. */
extern const size_t pgm_layout[];

/* socket */
struct net *pgm_sock_net(const struct sock *sk);
void pgm_sock_hold(struct sock *sk);
void pgm_sock_put(struct sock *sk);
void pgm_lock_sock(struct sock *sk);
void pgm_bh_lock_sock(struct sock *sk);
void pgm_bh_lock_sock_nested(struct sock *sk);
void pgm_bh_unlock_sock(struct sock *sk);
void pgm_softirq_lock_sock(struct sock *sk);
void pgm_softirq_unlock_sock(struct sock *sk);
bool pgm_sock_owned(const struct sock *sk);
int pgm_add_backlog(struct sock *sk, struct sk_buff *skb, unsigned int limit);
bool pgm_sock_flag(const struct sock *sk, enum sock_flags flag);
void pgm_sock_set_flag(struct sock *sk, enum sock_flags flag);
void pgm_sock_orphan(struct sock *sk);
int pgm_sock_error(struct sock *sk);
void pgm_report_error(struct sock *sk, int err);
int pgm_rmem_alloc(const struct sock *sk);
void pgm_rmem_add(struct sock *sk, int bytes);
int pgm_wmem_alloc(const struct sock *sk);
long pgm_sndtimeo(const struct sock *sk, bool noblock);
long pgm_rcvtimeo(const struct sock *sk, bool noblock);
int pgm_intr_errno(long timeo);
bool pgm_signal_pending(void);
void pgm_leave_and_wait(struct sock *sk, long *timeo, bool for_errors);
void pgm_bh_leave_and_wait(struct sock *sk, long *timeo);
void pgm_data_ready(struct sock *sk);
void pgm_wake_writers(struct sock *sk);
void pgm_state_change(struct sock *sk);
void pgm_poll_wait(struct file *file, struct socket *sock, poll_table *wait);
bool pgm_net_raw_capable(const struct sock *sk);
void pgm_clear_mc_all(struct sock *sk);
void pgm_clear_mc_all6(struct sock *sk);
unsigned short pgm_sk_family(const struct sock *sk);
struct in6_addr *pgm_sk_v6_rcv_saddr(struct sock *sk);
struct in6_addr *pgm_sk_v6_daddr(struct sock *sk);
void pgm_prot_inuse_add(struct sock *sk, int n);
void pgm_sk_set_daddr(struct sock *sk, __be32 addr);
void pgm_sk_set_state(struct sock *sk, int state);
__be32 pgm_sk_rcv_saddr(const struct sock *sk);
u16 pgm_sk_num(const struct sock *sk);
void pgm_sk_set_num(struct sock *sk, u16 num);
void pgm_sk_set_dport(struct sock *sk, __be16 port);
void pgm_sk_set_rcv_saddr(struct sock *sk, __be32 addr);
struct sk_buff *pgm_peek_receive(const struct sock *sk);
bool pgm_receive_empty(const struct sock *sk);
struct sk_buff *pgm_next_receive(const struct sock *sk,
				  const struct sk_buff *skb);
void pgm_unlink_receive(struct sock *sk, struct sk_buff *skb);
void pgm_queue_receive(struct sock *sk, struct sk_buff *skb);
void pgm_requeue_receive(struct sock *sk, struct sk_buff *skb);
void pgm_purge_receive(struct sock *sk);
u32 pgm_hash_tsi(u64 tsi, const hsiphash_key_t *key);
int pgm_sk_bound_dev(const struct sock *sk);
bool pgm_sk_reuse(const struct sock *sk);
void pgm_init_child(struct sock *child, struct sock *listener);
void pgm_init_child6(struct sock *child, struct ipv6_pinfo *np,
		     struct sock *listener);
bool pgm_acceptq_is_full(const struct sock *sk);
void pgm_acceptq_added(struct sock *sk);
void pgm_acceptq_removed(struct sock *sk);
void pgm_free_policy(struct sock *sk);

/* RCU hash chains; the bind node carries the table of sources */
void pgm_rcu_read_lock(void);
void pgm_rcu_read_unlock(void);
void pgm_bh_disable(void);
void pgm_bh_enable(void);
void pgm_add_node_rcu(struct sock *sk, struct hlist_head *head);
void pgm_bypass_memory(struct sock *sk);
bool pgm_mem_charge(struct sock *sk, int bytes);
void pgm_forward_alloc_add(struct sock *sk, int bytes);
struct mem_cgroup *pgm_charge_owner(const struct sock *sk);
void pgm_charge_again(struct mem_cgroup *before);
void pgm_disown(struct sock *sk);
bool pgm_del_node_rcu(struct sock *sk);
struct sock *pgm_first_rcu(struct hlist_head *head);
struct sock *pgm_next_rcu(struct sock *sk);
void pgm_add_bind_node_rcu(struct sock *sk, struct hlist_head *head);
bool pgm_del_bind_node_rcu(struct sock *sk);
struct sock *pgm_first_bind_rcu(struct hlist_head *head);
struct sock *pgm_next_bind_rcu(struct sock *sk);
struct ip_mc_socklist *pgm_mc_first_rcu(const struct sock *sk);
struct ip_mc_socklist *pgm_mc_next_rcu(const struct ip_mc_socklist *pmc);
struct ip_sf_socklist *pgm_mc_sflist_rcu(const struct ip_mc_socklist *pmc);
struct ipv6_mc_socklist *pgm_mc6_first_rcu(const struct sock *sk);
struct ipv6_mc_socklist *pgm_mc6_next_rcu(const struct ipv6_mc_socklist *mc);
struct ip6_sf_socklist *pgm_mc6_sflist_rcu(const struct ipv6_mc_socklist *mc);

/* looking at sockets from outside (observe.rs); also for pgm_diag.ko */
struct pgm_place {
	__u32	table;
	__u32	end;
	__u32	bucket;
	__u32	chain;
	__u32	session;
};

struct pgm_row {
	struct sock			*sk;
	struct pgm_diag_socket		socket;
	struct pgm_sender_stats		sender;
	struct pgm_receiver_stats	receiver;
};

bool pgm_next_row(const struct net *net, struct pgm_place *place,
		  struct pgm_row *row);
bool pgm_sock_try_hold(struct sock *sk);
struct net *pgm_seq_file_net(struct seq_file *m);
uid_t pgm_seq_sk_uid(struct seq_file *m, const struct sock *sk);
u64 pgm_sk_inode(const struct sock *sk);

/* locks and namespaces */
void pgm_spin_lock_init(spinlock_t *lock);
void pgm_spin_lock_bh(spinlock_t *lock);
void pgm_spin_unlock_bh(spinlock_t *lock);
void pgm_mutex_init(struct mutex *mutex);
void pgm_mutex_lock(struct mutex *mutex);
void pgm_work_init(struct work_struct *work, work_func_t fn);
void pgm_queue_work(struct work_struct *work);
bool pgm_is_anybodys(const struct net *net);
void *pgm_net_generic(const struct net *net, unsigned int id);
struct net *pgm_seq_net(struct seq_file *m);
void pgm_remove_proc(struct net *net, const char *name);
struct proc_dir_entry *pgm_proc_mkdir(struct net *net, const char *name);

/* time */
u64 pgm_now(void);
void pgm_timer_setup(struct hrtimer *timer,
		     enum hrtimer_restart (*fn)(struct hrtimer *));
void pgm_timer_start(struct hrtimer *timer, u64 at);

/* skb */
struct sk_buff *pgm_new_skb(unsigned int headroom, const void *data,
			    unsigned int len);
void pgm_reset_transport(struct sk_buff *skb);
void pgm_reset_network(struct sk_buff *skb);
void pgm_to_send(struct sk_buff *skb, struct sock *sk);
void pgm_tx_timestamp(struct sk_buff *skb, const struct sock *sk, u32 key);
bool pgm_may_pull(struct sk_buff *skb, unsigned int len);
void pgm_drop(struct sock *sk, struct sk_buff *skb);
void pgm_keep_received(struct sk_buff *skb, struct sock *sk);
struct sk_buff *pgm_new_tray(unsigned int size);
unsigned int pgm_tailroom(const struct sk_buff *skb);
int pgm_headers_len(const struct sk_buff *skb);
bool pgm_is_shared(const struct sk_buff *skb);
bool pgm_is_gso(const struct sk_buff *skb);
bool pgm_has_device_stamp(struct sk_buff *skb);
bool pgm_checksum_bad(struct sk_buff *skb);
struct iphdr *pgm_ip_hdr(const struct sk_buff *skb);
int pgm_sdif(const struct sk_buff *skb);
void *pgm_skb_net_generic(const struct sk_buff *skb, unsigned int id);
int pgm_iif(const struct sk_buff *skb);
bool pgm_is_ipv6(const struct sk_buff *skb);
u8 pgm_ip6_hop_limit(const struct sk_buff *skb);
const struct in6_addr *pgm_ip6_saddr(const struct sk_buff *skb);
const struct in6_addr *pgm_ip6_daddr(const struct sk_buff *skb);
int pgm_iif6(const struct sk_buff *skb);
int pgm_sdif6(const struct sk_buff *skb);
/* The TSDU of a packet in the transmit window, in pages that it shares. */
struct pgm_tsdu {
	/* Its page; if it has more parts than one, their list. */
	void *at;
	unsigned short offset;
	unsigned short len;
	/* Bytes in front of it, for the packet's header. */
	unsigned short room;
	unsigned short count;
};

int pgm_read_tsdu(struct sock *sk, struct iov_iter *from, struct pgm_tsdu *tsdu,
		  u32 *sum);
void pgm_free_tsdu(const struct pgm_tsdu *tsdu);
void pgm_share_tsdu(struct sk_buff *to, const struct pgm_tsdu *from);
unsigned int pgm_append_packet(struct sk_buff *to, const struct pgm_tsdu *from,
			       const void *header, unsigned int header_len);
int pgm_copy_from_iter(void *to, size_t len, struct iov_iter *from);
bool pgm_filter_refuses(struct sock *sk, struct sk_buff *skb);
bool pgm_policy_check(struct sock *sk, struct sk_buff *skb);
bool pgm_policy_check6(struct sock *sk, struct sk_buff *skb);
void pgm_recv_cmsgs6(struct msghdr *msg, struct sock *sk, struct sk_buff *skb);
void pgm_recv_cmsgs(struct msghdr *msg, struct sock *sk, struct sk_buff *skb);
int pgm_copy_datagram(const struct sk_buff *skb, int offset,
		      struct msghdr *msg, int len);

/* IPv4 output */
void pgm_flow4(struct flowi4 *fl4, const struct sock *sk, int oif,
	       __be32 daddr, __be32 saddr);
void pgm_flow4_udp(struct flowi4 *fl4, __be16 sport, __be16 dport);
bool pgm_is_err(const void *ptr);
long pgm_ptr_err(const void *ptr);
struct net *pgm_notified_dev_net(void *info);
struct net *pgm_ifa_net(const struct in_ifaddr *ifa);
struct net *pgm_ifa6_net(const struct inet6_ifaddr *ifa);
bool pgm_is_broadcast(const struct dst_entry *dst);
bool pgm_is_vrf(const struct net_device *dev);
int pgm_dst_ifindex(const struct dst_entry *dst);
bool pgm_dev_is_up(const struct net_device *dev);
unsigned int pgm_dev_mtu(const struct dst_entry *dst);
bool pgm_uses_pmtu(const struct sock *sk);
bool pgm_has_route(struct sock *sk, u32 cookie);
void pgm_forget_route(struct sock *sk);
bool pgm_wants_errors(const struct sock *sk);
bool pgm_wants_errors6(const struct sock *sk);
const struct in6_addr *pgm_quoted_daddr6(const struct sk_buff *skb);
bool pgm_error_queue_empty(const struct sock *sk);
struct icmphdr *pgm_icmp_hdr(const struct sk_buff *skb);
int pgm_icmp_errno(u8 code);
unsigned int pgm_dst_mtu(const struct dst_entry *dst);
struct net_device *pgm_dst_dev(const struct dst_entry *dst);
void pgm_dst_release(struct dst_entry *dst);
struct dst_entry *pgm_cached_dst(struct sock *sk);
void pgm_cache_dst(struct sock *sk, struct dst_entry *dst);
void pgm_skb_set_dst(struct sk_buff *skb, struct dst_entry *dst);
void pgm_select_ident(struct net *net, struct sk_buff *skb, struct sock *sk);
__u8 pgm_dont_fragment(const struct sock *sk, const struct dst_entry *dst);
u8 pgm_unicast_ttl(const struct sock *sk, const struct dst_entry *dst);
int pgm_ip_setsockopt(struct sock *sk, int name, void *value,
		      unsigned int len);
int pgm_join_source(struct sock *sk, __be32 group, __be32 source, int ifindex);
int pgm_join(struct sock *sk, __be32 group, int ifindex);

/* IPv6 output */
void pgm_flow6(struct flowi6 *fl6, const struct sock *sk, int oif,
	       const struct in6_addr *daddr, const struct in6_addr *saddr);
void pgm_flow6_udp(struct flowi6 *fl6, __be16 sport, __be16 dport);
u32 pgm_dst_cookie6(const struct dst_entry *dst);
void pgm_allow_fragments6(struct sk_buff *skb, const struct sock *sk);
int pgm_join_source6(struct sock *sk, const struct in6_addr *group,
		     const struct in6_addr *source, int ifindex);
int pgm_join6(struct sock *sk, const struct in6_addr *group, int ifindex);

/* UDP encapsulation */
void pgm_udp_encap(struct sock *sk,
		   int (*receive)(struct sock *sk, struct sk_buff *skb));
void pgm_set_v6only(struct sock *sk);
void pgm_fill_udp(struct sk_buff *skb, __be16 sport, __be16 dport);

/* segmentation */
bool pgm_stamps_packets(const struct sock *sk);
void pgm_gso_limits(const struct dst_entry *dst, bool v6, unsigned int *segments,
		    unsigned int *bytes);
bool pgm_more_segments(struct sk_buff *skb);
void pgm_gso_udp(struct sk_buff *skb, unsigned int size, unsigned int segments);

/* user memory */
int pgm_from_sockptr(void *dst, sockptr_t src, size_t len);
int pgm_to_user(void __user *dst, const void *src, size_t len);
int pgm_get_user_int(int *value, const int __user *src);
int pgm_put_user_int(int value, int __user *dst);

#endif /* PGM_HELPERS_H */
