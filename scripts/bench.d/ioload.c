// SPDX-License-Identifier: GPL-2.0
//
// One measured workload on one file system: ioload LABEL DISK WORKLOAD ARGUMENT...
//
// Runs in a guest whose time stamp counter counts instructions. Everything that is not the workload (opening,
// emptying caches, choosing offsets) happens outside the two readings of the counter. Prints one line:
//
//   R LABEL NAME UNIT COUNT INSTRUCTIONS rd_ios rd_merges rd_sectors wr_ios wr_merges wr_sectors SEQ
//
// where the six figures are the growth of those of /sys/block/DISK/stat, and SEQ counts measurements. With
// IOLOAD_COUNT=1 in the environment it counts the bios given to DISK instead, by tracing them, and prints
//
//   B LABEL NAME BIOS
//
// Around the workload stand two instructions that do nothing, which a plugin of the emulator can recognise.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ioload.h"

enum { STATS = 6 };

char *buffer;

void die(const char *what)
{
	fprintf(stderr, "ioload: %s: %s\n", what, strerror(errno));
	exit(1);
}

void check(int ok, const char *what)
{
	if (!ok)
		die(what);
}

// --- measuring ---------------------------------------------------------------------------------

struct reading {
	uint64_t instructions;
	unsigned long stat[STATS];
};

static const char *disk;
static struct reading before;
static int counting; // bios instead of instructions

static uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static void read_stat(unsigned long stat[STATS])
{
	unsigned long ignored;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/stat", disk);
	file = fopen(path, "r");
	check(file != NULL, path);
	check(fscanf(file, "%lu %lu %lu %lu %lu %lu %lu", &stat[0], &stat[1], &stat[2], &ignored, &stat[3],
		     &stat[4], &stat[5]) == 7, path);
	fclose(file);
}

// --- counting bios ------------------------------------------------------------------------------

#define TRACING "/sys/kernel/tracing/"
#define BIOS TRACING "events/block/block_bio_queue/"

static void set(const char *path, const char *value)
{
	FILE *file = fopen(path, "w");

	check(file != NULL && fputs(value, file) >= 0 && fclose(file) == 0, path);
}

// Traces each bio that reaches the disk, before the block layer splits or merges it.
static void start_counting(void)
{
	unsigned long major, minor;
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/block/%s/dev", disk);
	file = fopen(path, "r");
	check(file != NULL && fscanf(file, "%lu:%lu", &major, &minor) == 2, path);
	fclose(file);
	snprintf(path, sizeof(path), "dev == %lu", major << 20 | minor);
	set(BIOS "filter", path);
	set(TRACING "trace", "");
	set(BIOS "enable", "1");
}

static unsigned long stop_counting(void)
{
	static const char path[] = TRACING "per_cpu/cpu0/stats";
	unsigned long entries, overrun;
	FILE *file;

	set(BIOS "enable", "0");
	file = fopen(path, "r");
	check(file != NULL && fscanf(file, "entries: %lu overrun: %lu", &entries, &overrun) == 2, path);
	fclose(file);
	return entries + overrun;
}

void start(void)
{
	if (counting)
		start_counting();
	read_stat(before.stat);
	__asm__ volatile(".byte 0x0f,0x1f,0x80,0x01,0x00,0x46,0x50" : : : "memory");
	before.instructions = counter();
}

void stop(const char *label, const char *name, const char *unit, unsigned long count)
{
	struct reading after;
	char path[256];
	FILE *file;
	int seq = 0;

	if (counting) {
		printf("B %s %s %lu\n", label, name, stop_counting());
		return;
	}
	after.instructions = counter();
	__asm__ volatile(".byte 0x0f,0x1f,0x80,0x02,0x00,0x46,0x50" : : : "memory");
	read_stat(after.stat);
	snprintf(path, sizeof(path), "/tmp/ioload.seq");
	file = fopen(path, "r");
	if (file) {
		check(fscanf(file, "%d", &seq) == 1, path);
		fclose(file);
	}
	file = fopen(path, "w");
	check(file != NULL, path);
	fprintf(file, "%d\n", seq + 1);
	fclose(file);
	printf("R %s %s %s %lu %lu", label, name, unit, count, after.instructions - before.instructions);
	for (int i = 0; i < STATS; i++)
		printf(" %lu", after.stat[i] - before.stat[i]);
	printf(" %d\n", seq);
}

// --- tools --------------------------------------------------------------------------------------

void empty_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	check(fd >= 0, "drop_caches");
	sync();
	check(write(fd, "3", 1) == 1, "drop_caches");
	close(fd);
	usleep(300000);
}

int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	check(fd >= 0, path);
	return fd;
}

unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end == 'k')
		value <<= 10, end++;
	else if (*end == 'm')
		value <<= 20, end++;
	if (*end || end == text) {
		fprintf(stderr, "ioload: '%s' is no number\n", text);
		exit(1);
	}
	return value;
}

// Reads `length` bytes in calls of `call` bytes.
void read_all(int fd, unsigned long length, unsigned long call)
{
	for (unsigned long at = 0; at < length; at += call)
		check(pread(fd, buffer, call, (off_t)at) == (ssize_t)call, "short read");
}

// The offsets 0, PAGE, ... below `length` in an order that is random and always the same.
unsigned long *shuffled(unsigned long length)
{
	unsigned long count = length / PAGE, swap, *offsets = malloc(count * sizeof(*offsets));
	uint64_t state = 88172645463325252u;

	check(offsets != NULL, "memory");
	for (unsigned long i = 0; i < count; i++)
		offsets[i] = i * PAGE;
	for (unsigned long i = count - 1; i > 0; i--) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		unsigned long other = state % (i + 1);

		swap = offsets[i], offsets[i] = offsets[other], offsets[other] = swap;
	}
	return offsets;
}

// --- reading ------------------------------------------------------------------------------------

static void sequential(const char *label, const char *name, char **argument, int flags, int warm)
{
	unsigned long length = number(argument[1]), call = number(argument[2]);
	int fd = open_file(argument[0], O_RDONLY | flags);

	empty_caches();
	if (warm)
		read_all(fd, length, call);
	start();
	read_all(fd, length, call);
	stop(label, name, "MiB", length / MIB);
}

static void random_reads(const char *label, const char *name, char **argument)
{
	unsigned long length = number(argument[1]), count = number(argument[2]), *offsets = shuffled(length);
	int fd = open_file(argument[0], O_RDONLY);

	empty_caches();
	start();
	for (unsigned long i = 0; i < count; i++)
		check(pread(fd, buffer, PAGE, (off_t)offsets[i]) == PAGE, "short read");
	stop(label, name, "op", count);
}

static void mapped(const char *label, const char *name, char **argument)
{
	unsigned long length = number(argument[1]), sum = 0;
	int fd = open_file(argument[0], O_RDONLY);
	volatile char *memory;

	empty_caches();
	start();
	memory = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	check(memory != MAP_FAILED, "mmap");
	for (unsigned long at = 0; at < length; at += PAGE)
		sum += (unsigned long)memory[at];
	munmap((void *)memory, length);
	stop(label, name, "MiB", length / MIB);
	buffer[0] = (char)sum;
}

static unsigned long read_tree(int parent, const char *name)
{
	unsigned long files = 0;
	struct dirent *entry;
	struct stat st;
	ssize_t got;
	int fd = openat(parent, name, O_RDONLY | O_CLOEXEC);
	DIR *directory;

	check(fd >= 0 && fstat(fd, &st) == 0, name);
	if (!S_ISDIR(st.st_mode)) {
		while ((got = read(fd, buffer, 64 << 10)) > 0)
			;
		check(got == 0, name);
		close(fd);
		return 1;
	}
	directory = fdopendir(fd);
	check(directory != NULL, name);
	while ((entry = readdir(directory)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			files += read_tree(fd, entry->d_name);
	closedir(directory);
	return files;
}

static void tree(const char *label, const char *name, char **argument)
{
	unsigned long files;

	empty_caches();
	start();
	files = read_tree(AT_FDCWD, argument[0]);
	stop(label, name, "file", files);
}

// A sum over the names and contents of a tree, the same in whatever order they come.
static uint64_t sum_tree(int parent, const char *name)
{
	uint64_t sum = 14695981039346656037u, word;
	struct dirent *entry;
	struct stat st;
	ssize_t got;
	int fd = openat(parent, name, O_RDONLY | O_CLOEXEC);

	check(fd >= 0 && fstat(fd, &st) == 0, name);
	for (const char *c = name; *c; c++)
		sum = (sum ^ (unsigned char)*c) * 1099511628211u;
	if (S_ISDIR(st.st_mode)) {
		DIR *directory = fdopendir(fd);

		check(directory != NULL, name);
		while ((entry = readdir(directory)))
			if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
				sum += sum_tree(fd, entry->d_name) * 3;
		closedir(directory);
		return sum;
	}
	while ((got = read(fd, buffer, MIB)) > 0) {
		memset(buffer + got, 0, (size_t)(-got & 7));
		for (ssize_t i = 0; i < got; i += 8) {
			memcpy(&word, buffer + i, 8);
			sum = (sum ^ word) * 1099511628211u;
		}
	}
	check(got == 0, name);
	close(fd);
	return sum;
}

// --- making what is read ------------------------------------------------------------------------

void fill(unsigned long seed, unsigned long length)
{
	uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;

	for (unsigned long i = 0; i < length; i += 8) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		memcpy(buffer + i, &state, 8);
	}
}

static void make_file(char **argument)
{
	unsigned long length = number(argument[1]);
	int fd = open_file(argument[0], O_WRONLY | O_CREAT | O_TRUNC);

	for (unsigned long at = 0; at < length; at += MIB) {
		fill(at + 1, MIB);
		check(write(fd, buffer, MIB) == MIB, "write");
	}
	check(fsync(fd) == 0 && close(fd) == 0, "fsync");
}

// Two files that grow in turn by 4 KiB: with no reservation ahead, no two blocks of one are adjacent.
static void make_fragments(char **argument)
{
	unsigned long length = number(argument[2]);
	int one = open_file(argument[0], O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT);
	int two = open_file(argument[1], O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT);

	for (unsigned long at = 0; at < length; at += PAGE) {
		fill(at + 7, PAGE);
		check(write(one, buffer, PAGE) == PAGE && write(two, buffer, PAGE) == PAGE, "write");
	}
	check(fsync(one) == 0 && fsync(two) == 0, "fsync");
}

// `directories` directories of `files` files each, from 0 to 32 KiB, small ones more often.
static void make_tree(char **argument)
{
	unsigned long directories = number(argument[1]), files = number(argument[2]);
	uint64_t state = 88172645463325252u;
	char path[4096];

	check(mkdir(argument[0], 0755) == 0, argument[0]);
	for (unsigned long d = 0; d < directories; d++) {
		snprintf(path, sizeof(path), "%s/directory-%03lu", argument[0], d);
		check(mkdir(path, 0755) == 0, path);
		for (unsigned long f = 0; f < files; f++) {
			state ^= state << 13, state ^= state >> 7, state ^= state << 17;
			unsigned long size = (state >> 20) % (1ul << (9 + (state >> 50) % 7));

			snprintf(path, sizeof(path), "%s/directory-%03lu/file-%04lu.txt", argument[0], d, f);
			int fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);

			fill(f + 1, (size + 7) & ~7ul);
			check(write(fd, buffer, size) == (ssize_t)size && close(fd) == 0, path);
		}
	}
	sync();
}

// --- choosing -----------------------------------------------------------------------------------

int main(int count, char **argument)
{
	const char *label, *name, *kind;

	if (count < 6) {
		fputs("usage: ioload LABEL DISK NAME KIND PATH [NUMBER]...\n", stderr);
		return 2;
	}
	label = argument[1], disk = argument[2], name = argument[3], kind = argument[4];
	argument += 5;
	counting = getenv("IOLOAD_COUNT") != NULL;
	buffer = aligned_alloc(2 * MIB, 2 * MIB);
	check(buffer != NULL && madvise(buffer, 2 * MIB, MADV_HUGEPAGE) == 0, "memory");
	memset(buffer, 0, MIB);
	if (!strcmp(kind, "read"))
		sequential(label, name, argument, 0, 0);
	else if (!strcmp(kind, "reread"))
		sequential(label, name, argument, 0, 1);
	else if (!strcmp(kind, "direct-read"))
		sequential(label, name, argument, O_DIRECT, 0);
	else if (!strcmp(kind, "random-read"))
		random_reads(label, name, argument);
	else if (!strcmp(kind, "mmap-read"))
		mapped(label, name, argument);
	else if (!strcmp(kind, "tree-read"))
		tree(label, name, argument);
	else if (!strcmp(kind, "sum"))
		printf("%llx\n", (unsigned long long)sum_tree(AT_FDCWD, argument[0]));
	else if (!strcmp(kind, "make-file"))
		make_file(argument);
	else if (!strcmp(kind, "make-fragments"))
		make_fragments(argument);
	else if (!strcmp(kind, "make-tree"))
		make_tree(argument);
	else if (writing(kind))
		writing(kind)(label, name, argument);
	else {
		fprintf(stderr, "ioload: there is no workload '%s'\n", kind);
		return 2;
	}
	return 0;
}
