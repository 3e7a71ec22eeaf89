// SPDX-License-Identifier: GPL-2.0
/*
 * Multicast memberships: wrappers of inline functions and macros, for Rust. No logic here.
 */
#include <linux/compat.h>
#include <net/compat.h>
#include "helpers.h"

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

int pgm_join(struct sock *sk, __be32 group, int ifindex)
{
	struct ip_mreqn mreq = {
		.imr_multiaddr.s_addr = group,
		.imr_ifindex = ifindex,
	};

	return ip_setsockopt(sk, SOL_IP, IP_ADD_MEMBERSHIP,
			     KERNEL_SOCKPTR(&mreq), sizeof(mreq));
}

typedef int (*setsockopt_fn)(struct sock *sk, int level, int name,
			     sockptr_t value, unsigned int len);

/* Also from the kernel's memory the request is read as the calling program has it. */
static int join_source(setsockopt_fn set, struct sock *sk, int level,
		       struct group_source_req *request)
{
#ifdef CONFIG_COMPAT
	struct compat_group_source_req compat = {
		.gsr_interface = request->gsr_interface,
		.gsr_group = request->gsr_group,
		.gsr_source = request->gsr_source,
	};

	if (in_compat_syscall())
		return set(sk, level, MCAST_JOIN_SOURCE_GROUP,
			   KERNEL_SOCKPTR(&compat), sizeof(compat));
#endif
	return set(sk, level, MCAST_JOIN_SOURCE_GROUP, KERNEL_SOCKPTR(request),
		   sizeof(*request));
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
	return join_source(ip_setsockopt, sk, SOL_IP, &request);
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
	return join_source(ipv6_setsockopt, sk, SOL_IPV6, &request);
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
