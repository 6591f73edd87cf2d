#!/usr/bin/env python3
"""One file through three ways at once: mixed.py FILE OPERATIONS SEED; runs in the guest.

Cached, direct (O_DIRECT) and mapped reads and writes of odd places, truncations and holes in random order; what a read finds
must be what a copy in memory has. Ends with a comparison of everything, before and after the cache was dropped.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import sys
from pathlib import Path

# The largest size of the file, the largest piece, and what direct I/O is aligned to, in bytes.
LIMIT = 300_000
PIECE = 40_000
SECTOR = 512

# <linux/falloc.h>
FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
FALLOC_FL_ZERO_RANGE = 16

LIBC = ctypes.CDLL(None, use_errno=True)


class Exercise:
    """The file, and what must be in it."""

    def __init__(self, path: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.model = bytearray()
        self.noise = self.random.randbytes(LIMIT + PIECE)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        self.cached = os.open(path, flags, 0o600)
        self.direct = os.open(path, flags | os.O_DIRECT, 0o600)
        # Anonymous memory is aligned as direct I/O wants it.
        self.buffer = mmap.mmap(-1, (PIECE + SECTOR) // SECTOR * SECTOR)
        self.trail: list[str] = []

    def check(self, what: str, at: int, found: bytes) -> None:
        expected = bytes(self.model[at : at + len(found)])
        if found != expected:
            first = next(i for i, (a, b) in enumerate(zip(found, expected + bytes(len(found)))) if a != b)
            print(*self.trail[-30:], sep="\n")
            sys.exit(f"{what} of {len(found)} bytes at {at}: byte {at + first} is wrong")

    def place(self, limit: int, unit: int = 1) -> tuple[int, int]:
        """A start and a length below `limit`, in multiples of `unit`."""
        start = self.random.randrange(0, limit) // unit * unit
        return start, max(unit, self.random.randrange(1, PIECE) // unit * unit)

    def store(self, at: int, data: bytes) -> None:
        if at > len(self.model):
            self.model.extend(bytes(at - len(self.model)))
        self.model[at : at + len(data)] = data

    def some(self, length: int) -> bytes:
        start = self.random.randrange(0, LIMIT)
        return self.noise[start : start + length]

    def write(self) -> str:
        at, length = self.place(LIMIT)
        data = self.some(length)
        assert os.pwrite(self.cached, data, at) == len(data)
        self.store(at, data)
        return f"write {at} {len(data)}"

    def read(self) -> str:
        at, length = self.place(LIMIT)
        found = os.pread(self.cached, length, at)
        assert len(found) == max(0, min(length, len(self.model) - at)), "a short read"
        self.check("read", at, found)
        return f"read {at} {length}"

    def write_direct(self) -> str:
        at, length = self.place(LIMIT, SECTOR)
        data = self.some(length)
        length = len(data) // SECTOR * SECTOR
        self.buffer[:length] = data[:length]
        assert os.pwritev(self.direct, [memoryview(self.buffer)[:length]], at) == length
        self.store(at, data[:length])
        return f"direct write {at} {length}"

    def read_direct(self) -> str:
        at, length = self.place(LIMIT, SECTOR)
        found = os.preadv(self.direct, [memoryview(self.buffer)[:length]], at)
        assert found == max(0, min(length, len(self.model) - at)), "a short direct read"
        self.check("direct read", at, self.buffer[:found])
        return f"direct read {at} {length}"

    def map(self) -> str:
        if not self.model:
            return "nothing to map"
        at, length = self.place(len(self.model))
        end = min(at + length, len(self.model))
        writes = self.random.random() < 0.5
        with mmap.mmap(self.cached, len(self.model)) as mapped:
            if writes:
                data = self.some(end - at)
                mapped[at : at + len(data)] = data
                self.store(at, data)
            self.check("mapped read", at, mapped[at:end])
        return f"map{'ped write' if writes else 'ped read'} {at} {end - at}"

    def truncate(self) -> str:
        size = self.random.randrange(0, LIMIT)
        os.ftruncate(self.cached, size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))
        return f"truncate {size}"

    def zero(self) -> str:
        at, length = self.place(LIMIT)
        mode = self.random.choice((FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE))
        if LIBC.fallocate(self.cached, mode, ctypes.c_int64(at), ctypes.c_int64(length)):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        if mode == FALLOC_FL_ZERO_RANGE:
            self.store(at, bytes(length))
        else:
            self.model[at : at + length] = bytes(max(0, min(length, len(self.model) - at)))
        return f"fallocate {mode} {at} {length}"

    def sync(self) -> str:
        os.fdatasync(self.direct)
        return "sync"

    def forget(self) -> str:
        os.fsync(self.cached)
        os.posix_fadvise(self.cached, 0, 0, os.POSIX_FADV_DONTNEED)
        return "forget"

    def whole(self, what: str) -> None:
        size = os.fstat(self.cached).st_size
        assert size == len(self.model), f"{what}: {size} bytes instead of {len(self.model)}"
        self.check(what, 0, os.pread(self.cached, LIMIT + PIECE, 0))

    def run(self, operations: int) -> None:
        actions = [self.write, self.read, self.write_direct, self.read_direct, self.map, self.truncate, self.zero, self.sync, self.forget]
        weights = [10, 10, 10, 10, 10, 2, 3, 1, 1]
        for action in self.random.choices(actions, weights, k=operations):
            self.trail.append(action.__name__)
            self.trail[-1] = action()
        self.whole("the file in the cache")
        os.fsync(self.cached)
        Path("/proc/sys/vm/drop_caches").write_text("3")
        self.whole("the file on the disk")


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit("usage: mixed.py FILE OPERATIONS SEED")
    Exercise(sys.argv[1], int(sys.argv[3])).run(int(sys.argv[2]))


if __name__ == "__main__":
    main()
