// SPDX-License-Identifier: GPL-2.0
//
// The workloads of ioload that write. Each begins with caches that are empty, unless it says that they are not.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ioload.h"

// --- contents of files --------------------------------------------------------------------------

// Writes `length` bytes in calls of `call` bytes; each call's begin with where they lie.
static void write_all(int fd, unsigned long length, unsigned long call)
{
	for (unsigned long at = 0; at < length; at += call) {
		memcpy(buffer, &at, sizeof(at));
		check(pwrite(fd, buffer, call, (off_t)at) == (ssize_t)call, "short write");
	}
}

static void sequential(const char *label, const char *name, char **argument, int flags)
{
	unsigned long length = number(argument[1]), call = number(argument[2]);
	int fd = open_file(argument[0], O_WRONLY | O_CREAT | flags);

	fill(length + call, call);
	empty_caches();
	start();
	write_all(fd, length, call);
	check(fsync(fd) == 0, "fsync");
	stop(label, name, "MiB", length / MIB);
}

// write PATH LENGTH CALL: in sequence, and fsync; the file is made if it is not there.
static void write_cached(const char *label, const char *name, char **argument)
{
	sequential(label, name, argument, 0);
}

// direct-write PATH LENGTH CALL: the same past the page cache.
static void write_direct(const char *label, const char *name, char **argument)
{
	sequential(label, name, argument, O_DIRECT);
}

// random-write PATH LENGTH COUNT: COUNT pages of a file that is there, and fsync.
static void random_writes(const char *label, const char *name, char **argument)
{
	unsigned long length = number(argument[1]), count = number(argument[2]), *offsets = shuffled(length);
	int fd = open_file(argument[0], O_WRONLY);

	fill(count, PAGE);
	empty_caches();
	start();
	for (unsigned long i = 0; i < count; i++)
		check(pwrite(fd, buffer, PAGE, (off_t)offsets[i]) == PAGE, "short write");
	check(fsync(fd) == 0, "fsync");
	stop(label, name, "op", count);
}

// small-writes PATH LENGTH COUNT: 1 KiB in each of COUNT pages of a file that was read in calls of 1 MiB.
static void small_writes(const char *label, const char *name, char **argument)
{
	unsigned long length = number(argument[1]), count = number(argument[2]), *offsets = shuffled(length);
	int fd = open_file(argument[0], O_RDWR);

	empty_caches();
	read_all(fd, length, MIB);
	fill(count, 1024);
	start();
	for (unsigned long i = 0; i < count; i++)
		check(pwrite(fd, buffer, 1024, (off_t)offsets[i]) == 1024, "short write");
	stop(label, name, "op", count);
}

// append PATH COUNT: COUNT times 4 KiB and fsync.
static void append(const char *label, const char *name, char **argument)
{
	unsigned long count = number(argument[1]);
	int fd = open_file(argument[0], O_WRONLY | O_CREAT | O_APPEND);

	fill(count, PAGE);
	empty_caches();
	start();
	for (unsigned long i = 0; i < count; i++)
		check(write(fd, buffer, PAGE) == PAGE && fsync(fd) == 0, "append");
	stop(label, name, "op", count);
}

// mmap-write PATH LENGTH: touches each page of a mapping, and msync; a file that is not there becomes one hole.
static void mapped(const char *label, const char *name, char **argument)
{
	unsigned long length = number(argument[1]);
	int fd = open_file(argument[0], O_RDWR | O_CREAT);
	struct stat st;
	volatile char *memory;

	check(fstat(fd, &st) == 0 && (st.st_size != 0 || ftruncate(fd, (off_t)length) == 0), argument[0]);
	empty_caches();
	start();
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(memory != MAP_FAILED, "mmap");
	for (unsigned long at = 0; at < length; at += PAGE)
		memory[at] = (char)(at / PAGE);
	check(msync((void *)memory, length, MS_SYNC) == 0, "msync");
	munmap((void *)memory, length);
	stop(label, name, "MiB", length / MIB);
}

// writers PATH COUNT LENGTH: COUNT processes at once, each with a file of its own, calls of 64 KiB, and fsync.
static void writers(const char *label, const char *name, char **argument)
{
	unsigned long count = number(argument[1]), length = number(argument[2]);
	char path[4096];
	int status;

	check(mkdir(argument[0], 0755) == 0, argument[0]);
	fill(count, 64 << 10);
	empty_caches();
	start();
	for (unsigned long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/file-%lu", argument[0], i);
		if (fork() == 0) {
			int fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);

			write_all(fd, length, 64 << 10);
			check(fsync(fd) == 0, "fsync");
			_exit(0);
		}
	}
	for (unsigned long i = 0; i < count; i++)
		check(wait(&status) > 0 && status == 0, "a writer");
	stop(label, name, "MiB", count * length / MIB);
}

// --- names ----------------------------------------------------------------------------------------

static void sync_volume(const char *path)
{
	int fd = open_file(path, O_RDONLY | O_DIRECTORY);

	check(syncfs(fd) == 0, "syncfs");
	close(fd);
}

static void make_directories(const char *path, unsigned long directories)
{
	char name[4096];

	check(mkdir(path, 0755) == 0, path);
	for (unsigned long d = 0; d < directories; d++) {
		snprintf(name, sizeof(name), "%s/directory-%03lu", path, d);
		check(mkdir(name, 0755) == 0, name);
	}
}

// Calls `one` for each of the files.
static void each_file(char **argument, void (*one)(const char *path))
{
	unsigned long directories = number(argument[1]), files = number(argument[2]);
	char path[4096];

	for (unsigned long d = 0; d < directories; d++)
		for (unsigned long f = 0; f < files; f++) {
			snprintf(path, sizeof(path), "%s/directory-%03lu/file-%05lu", argument[0], d, f);
			one(path);
		}
}

static void create_one(const char *path)
{
	close(open_file(path, O_WRONLY | O_CREAT | O_EXCL));
}

static void stat_one(const char *path)
{
	struct stat st;

	check(stat(path, &st) == 0, path);
}

static void unlink_one(const char *path)
{
	check(unlink(path) == 0, path);
}

static unsigned long files(char **argument)
{
	return number(argument[1]) * number(argument[2]);
}

// make-many PATH DIRECTORIES FILES: measures nothing.
static void make_many(const char *label, const char *name, char **argument)
{
	(void)label, (void)name;
	make_directories(argument[0], number(argument[1]));
	each_file(argument, create_one);
}

// create PATH DIRECTORIES FILES: empty files in directories just made.
static void create(const char *label, const char *name, char **argument)
{
	make_directories(argument[0], number(argument[1]));
	sync_volume(argument[0]);
	start();
	each_file(argument, create_one);
	stop(label, name, "op", files(argument));
}

// create-sync PATH DIRECTORIES FILES: the same, and syncfs.
static void create_sync(const char *label, const char *name, char **argument)
{
	make_directories(argument[0], number(argument[1]));
	sync_volume(argument[0]);
	start();
	each_file(argument, create_one);
	sync_volume(argument[0]);
	stop(label, name, "op", files(argument));
}

// stat PATH DIRECTORIES FILES: of files that are there.
static void stat_all(const char *label, const char *name, char **argument)
{
	empty_caches();
	start();
	each_file(argument, stat_one);
	stop(label, name, "op", files(argument));
}

// unlink PATH DIRECTORIES FILES: of files whose inodes are in memory.
static void unlink_all(const char *label, const char *name, char **argument)
{
	empty_caches();
	each_file(argument, stat_one);
	start();
	each_file(argument, unlink_one);
	stop(label, name, "op", files(argument));
}

static unsigned long remove_tree(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fdopendir(fd);
	unsigned long removed = 1;
	struct dirent *entry;

	check(directory != NULL, name);
	while ((entry = readdir(directory))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (entry->d_type == DT_DIR) {
			removed += remove_tree(fd, entry->d_name);
		} else {
			check(unlinkat(fd, entry->d_name, 0) == 0, entry->d_name);
			removed++;
		}
	}
	closedir(directory);
	check(unlinkat(parent, name, AT_REMOVEDIR) == 0, name);
	return removed;
}

// remove PATH: a tree, and syncfs.
static void remove_all(const char *label, const char *name, char **argument)
{
	unsigned long removed;
	int fd = open_file(argument[0], O_RDONLY | O_DIRECTORY), root = openat(fd, "..", O_RDONLY | O_DIRECTORY);

	check(root >= 0, "..");
	close(fd);
	empty_caches();
	start();
	removed = remove_tree(AT_FDCWD, argument[0]);
	check(syncfs(root) == 0, "syncfs");
	stop(label, name, "op", removed);
}

// untar PATH ARCHIVE COUNT: into a new directory, by tar(1); the archive has COUNT entries.
static void untar(const char *label, const char *name, char **argument)
{
	int status;

	check(mkdir(argument[0], 0755) == 0, argument[0]);
	empty_caches();
	// The program and the archive are in memory.
	check(system("tar --version >/tmp/tar-version") == 0, "tar");
	start();
	if (fork() == 0) {
		execlp("tar", "tar", "-C", argument[0], "-xf", argument[1], NULL);
		die("tar");
	}
	check(wait(&status) > 0 && status == 0, "tar");
	stop(label, name, "op", number(argument[2]));
}

// --- making a volume that is nearly full ------------------------------------------------------------

// make-full PATH: files of 4 to 64 KiB until nothing fits, then every fourth of them goes: the free space is in pieces.
static void make_full(const char *label, const char *name, char **argument)
{
	uint64_t state = 88172645463325252u;
	unsigned long made = 0;
	char path[4096];

	(void)label, (void)name;
	check(mkdir(argument[0], 0755) == 0, argument[0]);
	fill(1, 64 << 10);
	for (ssize_t size = PAGE, got = size; got == size; made++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		size = (ssize_t)((state >> 40) % 16 + 1) * PAGE;
		snprintf(path, sizeof(path), "%s/file-%05lu", argument[0], made);
		int fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);

		got = write(fd, buffer, (size_t)size);
		check(got >= 0 || errno == ENOSPC, path);
		close(fd);
	}
	for (unsigned long i = 0; i < made; i += 4) {
		snprintf(path, sizeof(path), "%s/file-%05lu", argument[0], i);
		unlink_one(path);
	}
	sync_volume(argument[0]);
}

// --- choosing -----------------------------------------------------------------------------------

workload *writing(const char *kind)
{
	static const struct {
		const char *kind;
		workload *run;
	} known[] = {
		{ "write", write_cached }, { "direct-write", write_direct }, { "random-write", random_writes },
		{ "small-writes", small_writes }, { "append", append }, { "mmap-write", mapped },
		{ "writers", writers }, { "create", create }, { "create-sync", create_sync }, { "stat", stat_all },
		{ "unlink", unlink_all }, { "remove", remove_all }, { "untar", untar },
		{ "make-many", make_many }, { "make-full", make_full },
	};

	for (unsigned long i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(kind, known[i].kind))
			return known[i].run;
	return NULL;
}
