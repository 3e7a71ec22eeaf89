// SPDX-License-Identifier: GPL-2.0
/*
 * Copies and sums in place of libpgm's own routine, which ends by SIGSEGV on
 * x86-64: it aligns the source to 16 bytes and then stores to the target as if
 * that were aligned too. Most pgm_send() calls and all messages of more than
 * one packet meet that. The library calls the routine by its public name, so
 * the program's one takes its place and the library stays as Debian built it.
 */
#include <pgm/types.h>
#include <stdint.h>
#include <string.h>

uint32_t pgm_compat_csum_partial_copy(const void *from, void *to, uint16_t len, uint32_t sum);

uint32_t pgm_compat_csum_partial_copy(const void *from, void *to, uint16_t len, uint32_t sum)
{
	uint64_t total = sum;
	uint16_t word;

	memcpy(to, from, len);
	for (size_t at = 0; at + 1 < len; at += 2) {
		memcpy(&word, (const char *)from + at, 2);
		total += word;
	}
	if (len & 1) {
		word = 0;
		memcpy(&word, (const char *)from + len - 1, 1);
		total += word;
	}
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}
