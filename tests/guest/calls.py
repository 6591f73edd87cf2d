#!/usr/bin/env python3
"""Ways of moving bytes that have calls of their own: calls.py DIRECTORY, on the volume under test; runs in the guest.

What each check leaves must be there from the cache, and later from the disk.
"""

import errno
import fcntl
import mmap
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# What <linux/fs.h> has and Python does not.
RWF_DONTCACHE = 0x80

# What a call on this volume may say when it cannot do without waiting.
WOULD_WAIT = {errno.EAGAIN}

Check = Callable[[Path], bytes]


def pattern(seed: int, length: int) -> bytes:
    """Bytes that no other place has."""
    return random.Random(seed).randbytes(length)


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    file = os.open(path, flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def refused(call: Callable[[], object]) -> int:
    """The error number of a call that must fail."""
    try:
        call()
    except OSError as error:
        return error.errno or 0
    raise AssertionError("a call succeeded that must fail")


def check_copy_file_range(path: Path) -> bytes:
    """Between files, within one, over a hole, and ranges that overlap."""
    data = pattern(1, 700_001)
    source = path.with_suffix(".source")
    source.write_bytes(data)
    with opened(source) as there, opened(path) as here:
        at = 0
        while at < len(data):
            at += os.copy_file_range(there, here, 300_000, at, at + 5000)
        assert os.copy_file_range(there, here, 100, len(data), 0) == 0, "past the end there is nothing"
        assert os.copy_file_range(here, here, 1000, 5000, 1_000_000) == 1000
        assert refused(lambda: os.copy_file_range(here, here, 1000, 5000, 5500)) == errno.EINVAL
        assert refused(lambda: os.copy_file_range(there, here, 10, 0, 1 << 62)) in (errno.EFBIG, errno.EINVAL)
    source.unlink()
    whole = bytearray(1_001_000)
    whole[5000 : 5000 + len(data)] = data
    whole[1_000_000:] = data[:1000]
    return bytes(whole)


def check_splice(path: Path) -> bytes:
    """From a file through a pipe into another, at odd places, cached and not."""
    data = pattern(2, 500_003)
    source = path.with_suffix(".source")
    source.write_bytes(data)
    out, into = os.pipe()
    with opened(source, os.O_RDONLY) as there, opened(path) as here:
        os.fsync(here)
        for length in (1, 4095, 4096, 65536, 10_000_000):
            at = os.fstat(here).st_size
            while at < len(data):
                moved = os.splice(there, into, min(length, 60_000), at, None)
                assert moved
                done = 0
                while done < moved:
                    done += os.splice(out, here, moved - done, None, at + done)
                at += moved
                if length < 60_000:
                    break
    os.close(out)
    os.close(into)
    source.unlink()
    return data


def check_sendfile(path: Path) -> bytes:
    data = pattern(3, 400_000)
    source = path.with_suffix(".source")
    source.write_bytes(data)
    with opened(source, os.O_RDONLY) as there, opened(path) as here:
        os.posix_fadvise(there, 0, 0, os.POSIX_FADV_DONTNEED)
        at = 0
        while at < len(data):
            at += os.sendfile(here, there, at, 77_777)
        assert os.sendfile(here, there, at, 10) == 0, "past the end there is nothing"
    source.unlink()
    return data


def check_append(path: Path) -> bytes:
    """RWF_APPEND writes at the end wherever it is told to, and leaves the position of the descriptor alone."""
    with opened(path) as file:
        os.write(file, b"head")
        for number in range(300):
            text = b"record %d\n" % number
            assert os.pwritev(file, [text], 0, os.RWF_APPEND | (os.RWF_DSYNC if number % 50 == 0 else 0)) == len(text)
        assert os.lseek(file, 0, os.SEEK_CUR) == 4
        os.pwritev(file, [b"HE", b"AD"], 0)
    return b"HEAD" + b"".join(b"record %d\n" % number for number in range(300))


def check_synchronous(path: Path) -> bytes:
    """RWF_DSYNC and RWF_SYNC: the bytes, and what leads to them, go to the device at once."""
    data = pattern(5, 200_000)
    with opened(path) as file:
        for at in range(0, len(data), 40_000):
            flag = os.RWF_SYNC if at % 80_000 else os.RWF_DSYNC
            assert os.pwritev(file, [data[at : at + 40_000]], at, flag) == 40_000
    return data


def check_nowait(path: Path) -> bytes:
    """RWF_NOWAIT: does it or says that it would wait, and what it did is right."""
    data = pattern(6, 300_000)
    path.write_bytes(data)
    with opened(path) as file:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        cold = bytearray(8192)
        try:
            read = os.preadv(file, [cold], 100_000, os.RWF_NOWAIT)
            assert cold[:read] == data[100_000 : 100_000 + read]
        except OSError as error:
            assert error.errno in WOULD_WAIT, error
        assert os.pread(file, 8192, 100_000) == data[100_000:108_192]
        warm = bytearray(4000)
        assert os.preadv(file, [warm], 100_000, os.RWF_NOWAIT) == 4000, "what is cached needs no waiting"
        assert warm == data[100_000:104_000]
        # Without a way to write into the cache that never waits, the call must say so.
        assert refused(lambda: os.pwritev(file, [b"x"], 0, os.RWF_NOWAIT)) in (errno.EINVAL, errno.EOPNOTSUPP, errno.EAGAIN)
    return data


def check_nowait_direct(path: Path) -> bytes:
    """Direct and not waiting: over blocks that are there."""
    data = bytearray(pattern(7, 64 * 4096))
    path.write_bytes(data)
    page = mmap.mmap(-1, 4096)
    done = 0
    with opened(path, os.O_RDWR | os.O_DIRECT) as file:
        os.fsync(file)
        for number in range(64):
            page[:] = bytes([number + 1]) * 4096
            try:
                done += os.pwritev(file, [page], number * 4096, os.RWF_NOWAIT) == 4096
            except OSError as error:
                assert error.errno in WOULD_WAIT, error
                assert os.pwritev(file, [page], number * 4096) == 4096
            data[number * 4096 : (number + 1) * 4096] = page[:]
            try:
                assert os.preadv(file, [page], number * 4096, os.RWF_NOWAIT) == 4096
            except OSError as error:
                assert error.errno in WOULD_WAIT, error
            assert page[:] == data[number * 4096 : (number + 1) * 4096]
        # The file does not grow by a write that must not wait and cannot be done.
        try:
            grown = os.pwritev(file, [page], len(data), os.RWF_NOWAIT)
            data += page[:grown]
        except OSError as error:
            assert error.errno in WOULD_WAIT, error
        assert os.fstat(file).st_size == len(data)
    return bytes(data)


def check_dontcache(path: Path) -> bytes:
    """A flag that the file system does not take is refused, and nothing is written."""
    with opened(path) as file:
        try:
            assert os.pwritev(file, [b"some"], 0, RWF_DONTCACHE) == 4
            return b"some"
        except OSError as error:
            assert error.errno == errno.EOPNOTSUPP, error
        assert refused(lambda: os.pwritev(file, [b"x"], 0, 1 << 30)) == errno.EOPNOTSUPP
    return b""


def check_vectors(path: Path) -> bytes:
    """Many pieces in one call, some empty, over the limits of blocks and pages."""
    pieces = [pattern(100 + number, number * 37 % 5000) for number in range(500)]
    with opened(path) as file:
        assert os.pwritev(file, pieces, 777) == sum(map(len, pieces))
        into = [bytearray(len(piece)) for piece in pieces]
        assert os.preadv(file, into, 777) == sum(map(len, pieces))
        assert [bytes(piece) for piece in into] == pieces
    return bytes(777) + b"".join(pieces)


def check_private(path: Path) -> bytes:
    """A private mapping: what is written there stays there, on pages that are in the cache and on those that are not."""
    data = pattern(8, 50_000)
    path.write_bytes(data)
    with opened(path) as file:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        with mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE) as memory:
            assert memory[:] == data
            memory[100:20_000] = bytes(19_900)
            os.fsync(file)
            assert memory[:] == data[:100] + bytes(19_900) + data[20_000:]
            assert os.pread(file, len(data), 0) == data
    return data


def check_lease(path: Path) -> bytes:
    """Leases: given, told of, broken by whoever opens the file, and not given over an open file."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    path.write_bytes(b"leased")
    with opened(path, os.O_RDONLY) as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        assert fcntl.fcntl(file, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        assert refused(lambda: os.open(path, os.O_WRONLY | os.O_NONBLOCK)) == errno.EWOULDBLOCK
        assert signal.sigtimedwait([signal.SIGIO], 60), "whoever has the lease is not told"
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        with opened(path):
            assert refused(lambda: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)) == errno.EAGAIN
    with opened(path) as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return b"leased"


CHECKS: list[Check] = [
    check_copy_file_range,
    check_splice,
    check_sendfile,
    check_append,
    check_synchronous,
    check_nowait,
    check_nowait_direct,
    check_dontcache,
    check_vectors,
    check_private,
    check_lease,
]


def main() -> None:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: calls.py DIRECTORY, which must exist")
    directory = Path(sys.argv[1])
    expected = {}
    for check in CHECKS:
        path = directory / check.__name__.removeprefix("check_")
        expected[path] = check(path)
        assert path.read_bytes() == expected[path], f"{path.name}: the file in the cache"
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    for path, data in expected.items():
        assert path.read_bytes() == data, f"{path.name}: the file on the disk"


if __name__ == "__main__":
    main()
