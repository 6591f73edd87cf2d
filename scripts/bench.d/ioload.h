// SPDX-License-Identifier: GPL-2.0
//
// What the parts of ioload share: ioload.c measures, reads and makes files; iowrite.c has the workloads that write.

#ifndef IOLOAD_H
#define IOLOAD_H

enum { PAGE = 4096, MIB = 1 << 20 };

// A workload: the label to print, its name, and its arguments, of which the first is a path.
typedef void workload(const char *label, const char *name, char **argument);

extern char *buffer; // 1 MiB of a huge page: what a large buffer gets by itself where huge pages are on

_Noreturn void die(const char *what);
void check(int ok, const char *what);

void start(void);
void stop(const char *label, const char *name, const char *unit, unsigned long count);

void empty_caches(void);
int open_file(const char *path, int flags);
unsigned long number(const char *text);
void read_all(int fd, unsigned long length, unsigned long call);
unsigned long *shuffled(unsigned long length);
void fill(unsigned long seed, unsigned long length);

// The workload of that name that writes; NULL if there is none.
workload *writing(const char *kind);

#endif
