// SPDX-License-Identifier: GPL-2.0
/*
 * usage: bench ID NAME=VALUE...
 *
 * One row: a source sends to receivers, all of one kind, and what that took is
 * printed as a line of JSON. Names and defaults are in read_words(). Source and
 * receivers are processes in network namespaces that tools/bench/init made:
 * ps and p0 on one cable, bs and b0, b1, ... on a bridge.
 *
 * Times are nanoseconds, which in the machine of `make bench` are instructions:
 * tx, rx and others are what the processors did for the source, for all
 * receivers, and for the rest of the system, from the first measured message
 * until all have arrived.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RECEIVERS	16
#define TASKS		1024

/* Of one receiver, in memory that all processes share. */
struct receiver {
	unsigned int warm, count;
	unsigned int in_time;	/* of count, those that came while the source still sent */
	uint64_t last;
	struct got got;
	uint32_t *ages;
};

static struct shared {
	uint64_t first, last;	/* when measured messages were sent */
	struct sent sent;
	struct receiver receivers[RECEIVERS];
} *shared;

static struct job job;
static const struct peer *peer;
static unsigned int patience = 5;	/* seconds after the last message */
static enum { NOT, SOURCE, RECEIVER } hold;	/* whose packets to keep, to see what they weigh */
static int notes[2], orders[2];		/* pipes to and from the parent */
static struct receiver *mine;		/* in a receiver */
static unsigned int number;		/* of a receiver */
static bool is_source;

void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s: %s\n", job.kind, what, strerror(errno));
	exit(1);
}

static uint64_t now(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		die("clock_gettime");
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void note(char what)
{
	if (write(notes[1], &what, 1) != 1)
		die("write");
}

void take(const char *message, size_t length)
{
	struct stamp stamp;
	uint64_t at;

	if (length != job.size)
		return;
	memcpy(&stamp, message, sizeof(stamp));
	if (stamp.seq < job.warm) {
		if (++mine->warm == job.warm)
			note('W');
		return;
	}
	if (mine->count == job.count)
		return;
	at = now(CLOCK_MONOTONIC);
	mine->ages[mine->count] = at - stamp.sent;
	mine->last = at;
	mine->in_time += !shared->last;
	if (++mine->count == job.count)
		note('C');
}

const char *own_address(const struct job *of)
{
	static char text[16];

	snprintf(text, sizeof(text), "10.%d.0.%u", of->bridge ? 2 : 1, is_source ? 1 : 2 + number);
	return text;
}

static void enter(const char *name)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

static void stamp_messages(char *messages, uint64_t seq, unsigned int count)
{
	struct stamp stamp = { .sent = now(CLOCK_MONOTONIC) };

	for (unsigned int n = 0; n < count; n++) {
		stamp.seq = seq + n;
		memcpy(messages + n * job.size, &stamp, sizeof(stamp));
	}
}

static void send_range(uint64_t seq, uint64_t end)
{
	static char messages[MESSAGE_MAX];
	uint64_t next = now(CLOCK_MONOTONIC);

	while (seq < end) {
		unsigned int count = end - seq < job.batch ? end - seq : job.batch;

		if (job.rate) {
			struct timespec t = { next / 1000000000, next % 1000000000 };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
			next += 1000000000ull * count / job.rate;
		}
		stamp_messages(messages, seq, count);
		peer->send(&job, messages, count);
		if (job.batch > 1)
			sched_yield();
		seq += count;
	}
}

/*
 * Who runs when is not left to the scheduler, whose choice would weigh more
 * than what is measured: each message is taken as soon as it is there, and of
 * messages that are sent many a call, many.
 */
static void set_priority(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	/* In turns, since the threads of a peer may wait for each other without sleeping. */
	if (sched_setscheduler(0, SCHED_RR, &param))
		die("SCHED_RR");
}

static void run_source(void)
{
	char order;

	is_source = true;
	if (job.batch > 1)
		set_priority(1);
	enter(job.bridge ? "bs" : "ps");
	prctl(PR_SET_TIMERSLACK, 1);
	peer->source(&job);
	/* As fast as the measured ones, so that the path is warm; not at once. */
	send_range(0, job.warm);
	if (read(orders[0], &order, 1) != 1)
		die("read");
	shared->first = now(CLOCK_MONOTONIC);
	send_range(job.warm, job.warm + job.count);
	shared->last = now(CLOCK_MONOTONIC);
	note('D');
	if (read(orders[0], &order, 1) != 1)
		die("read");
	if (peer->finish)
		peer->finish(&job, &shared->sent);
	exit(0);
}

static void end_receiver(int signal)
{
	(void)signal;
	if (peer->received)
		peer->received(&mine->got);
	_exit(0);
}

static void run_receiver(void)
{
	char name[8];

	snprintf(name, sizeof(name), "%c%u", job.bridge ? 'b' : 'p', number);
	enter(name);
	mine = &shared->receivers[number];
	set_priority(1);
	peer->receiver(&job);
	signal(SIGTERM, end_receiver);
	note('R');
	while (!(hold && mine->warm == job.warm) && peer->receive(&job))
		;
	pause();
	exit(0);
}

static pid_t start(void (*run)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(notes[0]);
		close(orders[1]);
		run();
	}
	return pid;
}

/* Waits for notes of one kind and another; false if they do not come. */
static bool await(char one, unsigned int ones, char other, unsigned int others)
{
	while (ones || others) {
		struct pollfd file = { .fd = notes[0], .events = POLLIN };
		char what;

		/* Only when the source is done it is a matter of time. */
		if (!poll(&file, 1, other == 'D' && others ? 600000 : (int)patience * 1000))
			return false;
		if (read(notes[0], &what, 1) != 1)
			die("read");
		if (what == one && ones)
			ones--;
		else if (what == other && others)
			others--;
	}
	return true;
}

/* Processor time of everything that runs but this row's processes. */
struct others {
	unsigned int count;
	struct { int pid; uint64_t time; } tasks[TASKS];
};

static void read_others(struct others *others, const pid_t *ours, unsigned int count)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	others->count = 0;
	while (dir && (entry = readdir(dir)) && others->count < TASKS) {
		int pid = atoi(entry->d_name);
		unsigned long long time;
		bool own = pid <= 0 || pid == getpid();
		char path[32];
		FILE *file;

		for (unsigned int n = 0; n < count; n++)
			own |= pid == ours[n];
		snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
		file = own ? NULL : fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &time) == 1) {
			others->tasks[others->count].pid = pid;
			others->tasks[others->count++].time = time;
		}
		fclose(file);
	}
	closedir(dir);
}

static uint64_t others_between(const struct others *before, const struct others *after)
{
	uint64_t sum = 0;

	for (unsigned int n = 0; n < after->count; n++) {
		sum += after->tasks[n].time;
		for (unsigned int m = 0; m < before->count; m++)
			if (before->tasks[m].pid == after->tasks[n].pid)
				sum -= before->tasks[m].time;
	}
	return sum;
}

/*
 * Bytes of memory that nobody uses: what each processor keeps at hand for itself
 * is not in use either, and MemFree is without it.
 */
static uint64_t free_memory(void)
{
	unsigned long long pages, sum = 0;
	char line[128];
	FILE *file = fopen("/proc/sys/vm/stat_refresh", "w");

	if (!file || fputs("1", file) < 0 || fclose(file))
		die("/proc/sys/vm/stat_refresh");
	file = fopen("/proc/zoneinfo", "r");
	if (!file)
		die("/proc/zoneinfo");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " pages free %llu", &pages) == 1 || sscanf(line, " count: %llu", &pages) == 1)
			sum += pages;
	fclose(file);
	return sum * sysconf(_SC_PAGESIZE);
}

static uint64_t processor_time(pid_t pid)
{
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock))
		die("a process of the row has ended");
	return now(clock);
}

static int by_value(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return (a > b) - (a < b);
}

static void print_list(const char *name, uint64_t (*value)(struct receiver *))
{
	printf(", \"%s\": [", name);
	for (unsigned int n = 0; n < job.receivers; n++)
		printf("%s%llu", n ? ", " : "", (unsigned long long)value(&shared->receivers[n]));
	printf("]");
}

static uint64_t share(struct receiver *of, unsigned int percent)
{
	return of->count ? of->ages[(uint64_t)(of->count - 1) * percent / 100] : 0;
}

static uint64_t in_time_of(struct receiver *of) { return of->in_time; }
static uint64_t count_of(struct receiver *of) { return of->count; }
static uint64_t p50_of(struct receiver *of) { return share(of, 50); }
static uint64_t p99_of(struct receiver *of) { return share(of, 99); }
static uint64_t max_of(struct receiver *of) { return share(of, 100); }
static uint64_t missing_of(struct receiver *of) { return of->got.missing; }
static uint64_t lost_of(struct receiver *of) { return of->got.lost; }

static uint64_t elapsed_of(struct receiver *of)
{
	return of->count ? of->last - shared->first : 0;
}

static void print(const char *id, uint64_t tx, uint64_t rx, uint64_t others, int64_t held)
{
	const struct sent *sent = &shared->sent;

	for (unsigned int n = 0; n < job.receivers; n++)
		qsort(shared->receivers[n].ages, shared->receivers[n].count, sizeof(uint32_t), by_value);
	printf("{\"id\": \"%s\", \"kind\": \"%s\", \"size\": %zu, \"messages\": %u, \"warm\": %u, "
	       "\"tx\": %llu, \"rx\": %llu, \"others\": %llu, \"sending\": %llu",
	       id, job.kind, job.size, job.count, job.warm, (unsigned long long)tx,
	       (unsigned long long)rx, (unsigned long long)others,
	       (unsigned long long)(shared->last - shared->first));
	printf(", \"odata\": %llu, \"rdata\": %llu, \"naks\": %llu, \"nak_sqns\": %llu, \"ncf\": %llu",
	       (unsigned long long)sent->odata, (unsigned long long)sent->rdata,
	       (unsigned long long)sent->naks, (unsigned long long)sent->nak_sqns,
	       (unsigned long long)sent->ncf);
	printf(", \"held\": %lld", (long long)held);
	print_list("got", count_of);
	print_list("in_time", in_time_of);
	print_list("elapsed", elapsed_of);
	print_list("p50", p50_of);
	print_list("p99", p99_of);
	print_list("max", max_of);
	print_list("missing", missing_of);
	print_list("lost", lost_of);
	printf("}\n");
}

static const struct {
	const char *kind;
	const struct peer *peer;
	bool udp;
} kinds[] = {
	{ "udp", &udp_peer, true },
	{ "udpmm", &udpmm_peer, true },
	{ "udpgso", &udpgso_peer, true },
	{ "raw", &raw_peer, false },
	{ "pgm", &pgm_peer, false },
	{ "pgm-udp", &pgm_peer, true },
	{ "pgmmm", &pgmmm_peer, false },
	{ "pgmmm-udp", &pgmmm_peer, true },
	{ "openpgm", &openpgm_peer, false },
	{ "openpgm-udp", &openpgm_peer, true },
	{ "norm", &norm_peer, true },
};

static void read_words(char **words)
{
	struct {
		const char *name;
		unsigned int value;
	} numbers[] = {
		{ "size", 1000 },	/* bytes of a message */
		{ "count", 2000 },	/* measured messages */
		{ "warm", 200 },	/* messages before */
		{ "rate", 0 },		/* messages a second */
		{ "batch", 1 },		/* messages of a call */
		{ "receivers", 1 },
		{ "bridge", 0 },
		{ "tuned", 1 },
		{ "mtu", 0 },
		{ "patience", patience },	/* seconds that receivers have after the last message */
		/* Of a source of PGM, in ms: ends soon after the row, since it outlives close(). */
		{ "window", 500 },
		{ "hold", NOT },
	};
	size_t count = sizeof(numbers) / sizeof(*numbers), n;

	for (; *words; words++) {
		char *value = strchr(*words, '=');

		if (value)
			*value++ = 0;
		if (value && !strcmp(*words, "kind")) {
			job.kind = value;
			continue;
		}
		for (n = 0; n < count && strcmp(*words, numbers[n].name); n++)
			;
		if (!value || n == count) {
			fprintf(stderr, "bench: what is %s?\n", *words);
			exit(2);
		}
		numbers[n].value = strtoul(value, NULL, 10);
	}
	job.size = numbers[0].value;
	job.count = numbers[1].value;
	job.warm = numbers[2].value;
	job.rate = numbers[3].value;
	job.batch = numbers[4].value;
	job.receivers = numbers[5].value;
	job.bridge = numbers[6].value;
	job.tuned = numbers[7].value;
	job.mtu = numbers[8].value;
	patience = numbers[9].value;
	job.window = numbers[10].value;
	hold = numbers[11].value;
	job.port = 7500;
	job.group.s_addr = htonl(0xefc00001);	/* 239.192.0.1 */
	for (n = 0; n < sizeof(kinds) / sizeof(*kinds); n++)
		if (job.kind && !strcmp(kinds[n].kind, job.kind)) {
			peer = kinds[n].peer;
			job.udp = kinds[n].udp;
		}
	if (!peer || job.size < sizeof(struct stamp) || !job.batch || !job.warm ||
	    job.size * job.batch > MESSAGE_MAX || (!job.receivers && hold != SOURCE) || job.receivers > RECEIVERS) {
		fprintf(stderr, "bench: no such row\n");
		exit(2);
	}
}

static void *share_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
			    -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

int main(int argc, char **argv)
{
	static struct others before, after;
	pid_t pids[1 + RECEIVERS];
	uint64_t tx, rx = 0, free;

	if (argc < 3)
		return 2;
	read_words(argv + 2);
	shared = share_memory(sizeof(*shared));
	for (unsigned int n = 0; n < job.receivers; n++)
		shared->receivers[n].ages = share_memory(job.count * sizeof(uint32_t));
	if (pipe(notes) || pipe(orders))
		die("pipe");
	for (number = 0; number < job.receivers; number++)
		pids[1 + number] = start(run_receiver);
	if (!await('R', job.receivers, 0, 0))
		die("the receivers did not come up");
	pids[0] = start(run_source);
	/* On a lossy way not all may come. */
	await('W', job.receivers, 0, 0);
	for (unsigned int n = 0; n < job.receivers; n++)
		if (!shared->receivers[n].warm)
			die("the first messages did not arrive");
	if (hold == RECEIVER)
		/* Until the first messages have left the source's window as well. */
		sleep(3);
	else
		usleep(300000);
	read_others(&before, pids, 1 + job.receivers);
	tx = processor_time(pids[0]);
	for (unsigned int n = 1; n <= job.receivers; n++)
		rx += processor_time(pids[n]);
	free = hold ? free_memory() : 0;
	if (write(orders[1], "go", 1) != 1)
		die("write");
	await('C', hold ? 0 : job.receivers, 'D', 1);
	if (hold == SOURCE)
		usleep(100000);
	else if (hold)
		/* Until no packet is in the source's window any more. */
		sleep(3);
	free -= hold ? free_memory() : 0;
	tx = processor_time(pids[0]) - tx;
	rx = -rx;
	for (unsigned int n = 1; n <= job.receivers; n++)
		rx += processor_time(pids[n]);
	read_others(&after, pids, 1 + job.receivers);

	if (write(orders[1], "end", 1) != 1)
		die("write");
	for (unsigned int n = 1; n <= job.receivers; n++)
		kill(pids[n], SIGTERM);
	for (unsigned int n = 0; n <= job.receivers; n++)
		waitpid(pids[n], NULL, 0);
	print(argv[1], tx, rx, others_between(&before, &after), free);
	return 0;
}
