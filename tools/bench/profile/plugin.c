// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU (10, interface 4): counts the instructions that each block of kernel code
 * executes, on each CPU by itself, exactly.
 *
 *   -plugin plugin.so,to=FILE
 *
 * The guest marks what is to be counted by a no-op with a number N, nopl N+0x504d0000(%rax): 0 begins
 * an interval of the CPU that executes it, any other N ends it and adds it to what N has. At the end
 * FILE gets for each N
 *
 *   mark N
 *   user COUNT
 *   ADDRESS COUNT	(of kernel code, hexadecimal and decimal)
 *
 * Not with -icount: QEMU 10.0 dies of "Bad icount read" as soon as a plugin is there.
 *
 * QEMU's header is in no package; what is needed of the interface is declared here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;
typedef struct {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
} qemu_plugin_u64;

enum { INLINE_ADD_U64 = 0 };
enum { CB_NO_REGS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t element_size);
void *qemu_plugin_scoreboard_find(struct qemu_plugin_scoreboard *score, unsigned int cpu);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(struct qemu_plugin_tb *tb, int op,
						       qemu_plugin_u64 entry, uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int cpu, void *data),
					    int flags, void *data);

void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(uint64_t id, void *data), void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = 4;

/* A place for each block of kernel code; the first one is for user space. */
#define PLACES (1u << 18)
#define MARK 0x504d
#define MARKS 256
#define CPUS 8

static uint64_t address[PLACES];
static struct qemu_plugin_scoreboard *counts;
static uint64_t *begun[CPUS];
static uint64_t *sums[MARKS];
static FILE *to;

/* The place of a block: open addressing. The table is much larger than a kernel's code in use. */
static uint32_t place_of(uint64_t at)
{
	uint32_t place = (uint32_t)((at * 0x9e3779b97f4a7c15u) >> 46);

	for (;; place = (place + 1) % PLACES) {
		if (!place)
			continue;
		if (!address[place])
			address[place] = at;
		if (address[place] == at)
			return place;
	}
}

static void marked(unsigned int cpu, void *data)
{
	const uint64_t *count = qemu_plugin_scoreboard_find(counts, cpu);
	unsigned int number = (uintptr_t)data;
	uint64_t *sum;

	if (cpu >= CPUS || number >= MARKS)
		return;
	if (!begun[cpu])
		begun[cpu] = calloc(PLACES, sizeof(uint64_t));
	if (!sums[number])
		sums[number] = calloc(PLACES, sizeof(uint64_t));
	sum = sums[number];
	if (!begun[cpu] || !sum)
		abort();
	if (number)
		for (uint32_t place = 0; place < PLACES; place++)
			sum[place] += count[place] - begun[cpu][place];
	else
		memcpy(begun[cpu], count, PLACES * sizeof(*count));
}

static void at_exit(uint64_t id, void *data)
{
	(void)id;
	(void)data;
	for (unsigned int number = 1; number < MARKS; number++) {
		if (!sums[number])
			continue;
		fprintf(to, "mark %u\nuser %lu\n", number, sums[number][0]);
		for (uint32_t place = 1; place < PLACES; place++)
			if (sums[number][place])
				fprintf(to, "%lx %lu\n", address[place], sums[number][place]);
	}
	fclose(to);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint64_t at = qemu_plugin_tb_vaddr(tb);
	bool user = at >> 63 == 0;
	qemu_plugin_u64 entry = {
		.score = counts,
		.offset = (user ? 0 : place_of(at)) * sizeof(uint64_t),
	};

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, INLINE_ADD_U64, entry,
							  qemu_plugin_tb_n_insns(tb));
	for (size_t n = 0; user && n < qemu_plugin_tb_n_insns(tb); n++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, n);
		uint8_t code[7];
		uint32_t number;

		if (qemu_plugin_insn_size(insn) != sizeof(code) ||
		    qemu_plugin_insn_data(insn, code, sizeof(code)) != sizeof(code) ||
		    memcmp(code, "\x0f\x1f\x80", 3))
			continue;
		memcpy(&number, code + 3, sizeof(number));
		if (number >> 16 == MARK)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, CB_NO_REGS,
							       (void *)(uintptr_t)(number & 0xffff));
	}
}

__attribute__((visibility("default"))) int qemu_plugin_install(uint64_t id, const void *info,
							       int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "to=", 3))
		return -1;
	to = fopen(argv[0] + 3, "w");
	if (!to)
		return -1;
	counts = qemu_plugin_scoreboard_new(PLACES * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
