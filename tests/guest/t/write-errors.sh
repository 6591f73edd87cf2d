# shellcheck shell=bash
# Errors that are told once, memory that fails, pages that move, a device that is taken away.
# guest: limit=120 disks=128M append=numa=fake=2

errors='I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'

failing() { printf '0 %s error' "$(sectors "$DISK1")"; }
working() { printf '0 %s linear %s 0' "$(sectors "$DISK1")" "$DISK1"; }

# Whoever has the file open is told once, whoever opens it after that not at all; of the volume the same holds.
test_errors_are_told_once() {
	allow_kernel "$errors"
	make_volume "$DISK1" -b 4096
	dm_disk d "$(working)"
	mount_volume /dev/mapper/d m
	python3 - "$(failing)" "$(working)" <<'EOF' || fail "errors of fsync and syncfs"
import ctypes, errno, mmap, os, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def fault(table):
    subprocess.run(["dmsetup", "suspend", "--noflush", "--nolockfs", "d"], check=True)
    subprocess.run(["dmsetup", "load", "d", "--table", table], check=True)
    subprocess.run(["dmsetup", "resume", "d"], check=True)
def told(call, times=3):
    """What each of so many calls says."""
    results = []
    for _ in range(times):
        try:
            call()
            results.append(0)
        except OSError as error:
            results.append(error.errno)
    return results
def syncfs(file):
    if libc.syncfs(file):
        raise OSError(ctypes.get_errno(), "syncfs")
ONCE, NEVER = [errno.EIO, 0, 0], [0, 0, 0]
def broken(name):
    """A file of which three descriptors are open, and some of it was not written."""
    files = [os.open(name, os.O_CREAT | os.O_RDWR) for _ in range(3)]
    os.write(files[0], b"x" * 1000000)
    os.fsync(files[0])
    os.pwrite(files[0], b"y" * 500000, 0)
    fault(sys.argv[1])
    # The flusher's part; to wait for it by a call would be to be told.
    libc.sync_file_range(files[0], ctypes.c_long(0), ctypes.c_long(0), 2)
    while "nr_writeback 0\n" not in open("/proc/vmstat").read():
        time.sleep(0.02)
    fault(sys.argv[2])
    return files
tops = [os.open("m", os.O_RDONLY) for _ in range(2)]
one, two, three = broken("m/file")
assert told(lambda: os.fsync(one)) == ONCE
late = os.open("m/file", os.O_RDWR)
assert told(lambda: os.fsync(late)) == NEVER
assert told(lambda: os.fdatasync(two)) == ONCE
memory = mmap.mmap(three, 4096)
assert told(memory.flush) == ONCE
assert told(lambda: syncfs(tops[0])) == ONCE
assert told(lambda: syncfs(os.open("m", os.O_RDONLY))) == NEVER
assert told(lambda: syncfs(tops[1])) == ONCE
# An error of which nobody knows is told to the first who asks, though he came later.
for file in broken("m/unseen"):
    os.close(file)
first, second = (os.open("m/unseen", os.O_RDONLY) for _ in range(2))
assert told(lambda: os.fsync(first)) == ONCE
EOF
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

# A page whose memory fails is read again, if the disk has it; if not, its program dies, and who syncs is told, once.
test_memory_fails() {
	allow_kernel 'Memory failure|hardware memory corruption|HWPoison'
	fresh -b 1024
	python3 - <<'EOF' || fail "memory that fails"
import errno, mmap, os, signal
POISON = 100
def corrupted():
    return next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("HardwareCorrupted"))
data = os.urandom(16 << 10)
file = os.open("m/f", os.O_CREAT | os.O_RDWR)
os.write(file, data)
os.fsync(file)
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
before = corrupted()
memory = mmap.mmap(file, 16 << 10, prot=mmap.PROT_READ)
assert memory[:] == data
memory.madvise(POISON, 4096, 4096)
assert corrupted() == before + 4
assert memory[:] == data and os.pread(file, 16 << 10, 0) == data
memory.close()
# Written and not yet on the disk: in a page of its own.
one = os.open("m/one", os.O_CREAT | os.O_RDWR)
os.write(one, data[:4096])
os.fsync(one)
child = os.fork()
if child == 0:
    memory = mmap.mmap(one, 4096)
    memory[0:4] = b"lost"
    memory.madvise(POISON)
    os._exit(memory[0] & 0)
status = os.waitpid(child, 0)[1]
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS, status
assert corrupted() == before + 8
for expected in errno.EIO, 0:
    try:
        os.fsync(one)
        got = 0
    except OSError as error:
        got = error.errno
    assert got == expected, (got, expected)
assert os.pread(one, 4096, 0) == data[:4096]
os.pwrite(one, b"new", 0)
os.fsync(one)
EOF
	again
	same new "$(head -c 3 m/one)" "what was written later"
	clean
}

# The very pages of a file move to other memory, clean, dirty, and half of them, while it is written; nothing changes in it.
moved() {
	fresh -b "$1"
	python3 - <<'EOF' || fail "pages that move"
import ctypes, mmap, os, random, threading
libc, chance, size = ctypes.CDLL(None, use_errno=True), random.Random(1), 1 << 20
data = bytearray(chance.randbytes(size))
file = os.open("m/f", os.O_CREAT | os.O_RDWR)
os.write(file, data)
os.fsync(file)
memory = mmap.mmap(file, size)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
count = size // 4096
def move(node):
    """Has all pages moved to a node; gives what became of each: the node, or minus an error number."""
    assert sum(memory[::4096]) >= 0
    pages = (ctypes.c_void_p * count)(*(start + at * 4096 for at in range(count)))
    nodes, status = (ctypes.c_int * count)(*[node] * count), (ctypes.c_int * count)()
    libc.syscall(279, 0, ctypes.c_ulong(count), pages, nodes, status, 2)
    return list(status)
def change():
    for _ in range(60):
        at, length = chance.randrange(size - 9000), chance.randrange(1, 9000)
        piece = chance.randbytes(length)
        data[at:at + length] = piece
        if chance.random() < 0.5:
            os.pwrite(file, piece, at)
        else:
            memory[at:at + length] = piece
for round in range(12):
    change()
    # Somebody may look at a page at the moment.
    for attempt in range(20):
        there = move(round % 2)
        if there == [round % 2] * count:
            break
    else:
        raise AssertionError((round, set(there)))
    print(round, "attempts", attempt + 1)
    assert memory[:] == data, round
    if round % 3 == 2:
        os.fsync(file)
syncing = threading.Thread(target=lambda: [os.fsync(file) for _ in range(20)])
syncing.start()
round = 0
while syncing.is_alive():
    change()
    move(round % 2)
    round += 1
syncing.join()
assert memory[:] == data
os.fsync(file)
open("expected", "wb").write(data)
EOF
	cmp expected m/f
	again
	cmp expected m/f
	clean
}
test_pages_move_1k_blocks() { moved 1024; }
test_pages_move_4k_blocks() { moved 4096; }

# The disk is taken away under programs that write: they are told, the volume can be unmounted, and what was there
# before that was announced is on it when it comes back.
test_disk_taken_away() {
	local i pids=() power=/sys/kernel/config/nullb/away/power
	allow_kernel "$errors"
	null_disk away 128
	make_volume /dev/away -b 1024
	mount_volume /dev/away m
	cp -a /etc/default m/synced
	sync
	head -c 2M /dev/urandom > before
	cp before m/before
	for i in 1 2 3; do
		python3 - "m/w$i" <<- 'END' > "end$i" &
			import errno, os, sys
			n = 0
			try:
			    while True:
			        n += 1
			        file = os.open(f"{sys.argv[1]}-{n % 50}", os.O_CREAT | os.O_RDWR | os.O_TRUNC)
			        os.write(file, b"x" * 30000)
			        if n % 3 == 0:
			            os.fsync(file)
			        os.close(file)
			except OSError as error:
			    print(errno.errorcode[error.errno])
		END
		pids+=($!)
	done
	until [[ -e m/w1-9 && -e m/w2-9 && -e m/w3-9 ]]; do sleep 0.05; done
	echo 0 > "$power"
	for i in 1 2 3; do
		wait "${pids[i - 1]}"
		same EIO "$(cat "end$i")" "what a writer was told"
	done
	fails_with 'Input/output error' sh -c 'echo new > m/new && sync m/new'
	umount m
	echo 1 > "$power"
	e2fsck -fy /dev/away > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	fsck_clean /dev/away
	mount_volume /dev/away m
	same_tree /etc/default m/synced
	cmp before m/before
	umount m
}
