// SPDX-License-Identifier: GPL-2.0
/*
 * Wrappers of inline functions and macros, for Rust. No logic here.
 */
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

u32 pgm_hash_tsi(u64 tsi, const hsiphash_key_t *key)
{
	return hsiphash_2u32(tsi, tsi >> 32, key);
}

void pgm_rcu_read_lock(void)
{
	rcu_read_lock();
}

void pgm_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

void pgm_bh_disable(void)
{
	local_bh_disable();
}

void pgm_bh_enable(void)
{
	local_bh_enable();
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

void pgm_mutex_lock(struct mutex *mutex)
{
	mutex_lock(mutex);
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

bool pgm_is_anybodys(const struct net *net)
{
	return net->user_ns != &init_user_ns;
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

struct net *pgm_seq_file_net(struct seq_file *m)
{
	return seq_file_net(m);
}

uid_t pgm_seq_sk_uid(struct seq_file *m, const struct sock *sk)
{
	return from_kuid_munged(seq_user_ns(m), sk_uid(sk));
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

void pgm_timer_start(struct hrtimer *timer, u64 at)
{
	hrtimer_start(timer, ns_to_ktime(at), HRTIMER_MODE_ABS_SOFT);
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
