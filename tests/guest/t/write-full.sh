# shellcheck shell=bash
# Volumes without space: every block can be used, none twice, and what was deleted can be used again.
# guest: limit=150 disks=24M

# fill NAME STEP: writes STEP bytes at a time until the volume is full; prints how many bytes went in.
# The value of each byte follows from its place, so going on after a short write is no damage.
fill() {
	python3 - "$1" "$2" <<'EOF'
import errno, os, sys
name, step = sys.argv[1], int(sys.argv[2])
file = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
done = 0
try:
    while True:
        value, into = done // step % 255 + 1, done % step
        done += os.write(file, bytes([value]) * (step - into))
except OSError as error:
    assert error.errno == errno.ENOSPC, error
os.fsync(file)
assert os.fstat(file).st_size == done, (os.fstat(file).st_size, done)
print(done)
EOF
}

# filled NAME STEP BYTES: what `fill` wrote is there.
filled() {
	python3 - "$1" "$2" "$3" <<'EOF'
import sys
name, step, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = open(name, "rb").read()
assert len(data) == size, (len(data), size)
for at in range(0, size, step):
    piece, value = data[at:at + step], at // step % 255 + 1
    if piece != bytes([value]) * len(piece):
        wrong = next(i for i, byte in enumerate(piece) if byte != value)
        sys.exit(f"{name}: byte {at + wrong} is {piece[wrong]} instead of {value}")
EOF
}

full_volume() {
	local size=$1 round bytes before after
	fresh -b "$size" -m 0
	before=$(stat -f -c %f m)
	for round in 1 2 3; do
		bytes=$(fill m/full $((size * 13)))
		# All but the pointer blocks, and those that may have been needed.
		((bytes * 100 / size >= before * 97)) || fail "round $round: $bytes bytes fit into $before blocks of $size"
		after=$(stat -f -c %f m)
		((after * 100 <= before * 3)) || fail "$after blocks are still free"
		fails_with 'No space left' dd if=/dev/zero of=m/more bs=64k count=$((before * size / 65536)) status=none
		rm m/more
		again
		filled m/full $((size * 13)) "$bytes"
		rm m/full
		same "$before" "$(stat -f -c %f m)" "free blocks after deleting"
	done
	clean
}
test_full_1k_blocks() { full_volume 1024; }
test_full_4k_blocks() { full_volume 4096; }

# Many writers that come to the end at the same time: no success is lost.
test_full_with_writers() {
	fresh -b 1024 -m 0
	local i
	for i in 1 2 3 4 5 6; do fill "m/f$i" $((700 * i)) > "bytes$i" & done
	wait
	for i in 1 2 3 4 5 6; do filled "m/f$i" $((700 * i)) "$(< "bytes$i")"; done
	clean
	mount_volume "$DISK1" m ro
	for i in 1 2 3 4 5 6; do filled "m/f$i" $((700 * i)) "$(< "bytes$i")"; done
}

# A hole of a mapping without space is a SIGBUS at the access, and fallocate gives back what it took.
test_full_otherwise() {
	local free
	fresh -b 1024 -m 0
	free=$(stat -f -c %f m)
	fails_with 'No space left' fallocate -l 100M m/large
	rm -f m/large
	same "$free" "$(stat -f -c %f m)" "free blocks after a fallocate that failed"
	truncate -s 10M m/holes
	fill m/full 5000 > bytes
	python3 - <<'EOF' || fail "a mapping was written on a full volume"
import mmap, os, signal
child = os.fork()
if child == 0:
    memory = mmap.mmap(os.open("m/holes", os.O_RDWR), 10 << 20)
    assert memory[5000] == 0
    for at in range(0, 1 << 20, 4096):
        memory[at] = 1
    os._exit(0)
status = os.waitpid(child, 0)[1]
assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS, status
EOF
	filled m/full 5000 "$(< bytes)"
	clean
}

# leave COUNT: as many blocks are free, the rest is in full.
leave() {
	fill m/full 65536 > bytes
	truncate -s -$(($1 * $(stat -f -c %s m))) m/full
	sync
}

# A write into a hole of a file that is in the cache in large folios takes the blocks that there are, and says how many.
test_last_blocks() {
	fresh -b 1024 -m 0
	truncate -s 4M m/holes
	cat m/holes > /dev/null
	leave 14
	python3 - <<'EOF' || fail "the last blocks"
import errno, mmap, os
file = os.open("m/holes", os.O_RDWR)
# A page of a mapping needs four blocks and one of pointers, its folio more than there are.
memory = mmap.mmap(file, 1 << 20)
memory[500000] = 7
memory.flush()
free = os.statvfs("m").f_bfree
assert 4 <= free <= 10, free
wrote = os.pwrite(file, b"x" * 65536, 0)
assert 1024 <= wrote <= free * 1024 and wrote % 1024 == 0, (wrote, free)
try:
    os.pwrite(file, b"x" * 65536, 200 << 10)
    assert False, "more was written than fits"
except OSError as error:
    assert error.errno == errno.ENOSPC, error
os.fsync(file)
data = os.pread(file, 1 << 20, 0)
assert data == b"x" * wrote + bytes(500000 - wrote) + b"\7" + bytes((1 << 20) - 500001)
EOF
	clean
}

# A write that puts nothing into the file takes no space: the copy fails after space was set aside.
nothing_written() {
	local free
	fresh -b "$1" -m 0
	xfs_io -f -c 'pwrite -b 64k 0 64k' -c 'truncate 8m' m/f > out
	sync
	free=$(stat -f -c %f m)
	python3 - <<'EOF' || fail "writes from bad addresses"
import ctypes, errno, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
pwrite = libc.pwrite
pwrite.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]
pwrite.restype = ctypes.c_ssize_t
file = os.open("m/f", os.O_RDWR)
free = os.statvfs("m").f_bfree
for at in range(32):
    assert pwrite(file, 4096, 200000, at << 18) == -1 and ctypes.get_errno() == errno.EFAULT
assert os.statvfs("m").f_bfree == free, (os.statvfs("m").f_bfree, free)
# Of this one a page can be read, and nothing behind it.
memory = mmap.mmap(-1, 1 << 20)
memory[:] = b"y" * len(memory)
base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
assert libc.mprotect(ctypes.c_void_p(base + 4096), ctypes.c_size_t(len(memory) - 4096), 0) == 0
for at in (1 << 20, 3 << 20):
    assert pwrite(file, base, 200000, at) == 4096, ctypes.get_errno()
os.fsync(file)
EOF
	# Two pages, and their pointer blocks.
	((free - $(stat -f -c %f m) <= 2 * 4096 / $1 + 4)) || fail "$((free - $(stat -f -c %f m))) blocks are gone"
	same "$(head -c 4096 /dev/zero | tr '\0' y | sha256sum)" "$(dd if=m/f bs=4k skip=768 count=1 status=none | sha256sum)" "what was copied"
	clean
}
test_nothing_written_1k_blocks() { nothing_written 1024; }
test_nothing_written_4k_blocks() { nothing_written 4096; }

# A page of a mapping that just fits into the free space is written, though its folio does not.
test_page_of_a_folio() {
	fresh -b 1024 -m 0
	truncate -s 4M m/holes
	cat m/holes > /dev/null
	leave 24
	python3 - <<'EOF' || fail "a page of a large folio"
import mmap, os, struct
file = os.open("m/holes", os.O_RDWR)
memory = mmap.mmap(file, 4 << 20)
pages = len(memory) // 4096
base = next(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "/m/holes" in line)
pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
flags = os.open("/proc/kpageflags", os.O_RDONLY)
def tail(page):
    # The kernel may take a page out of the mapping at any time.
    for attempt in range(100):
        assert memory[page * 4096] == 0
        entry, = struct.unpack("<Q", os.pread(pagemap, 8, (base // 4096 + page) * 8))
        if entry >> 63:
            break
    else:
        assert False, f"page {page} is not mapped"
    return struct.unpack("<Q", os.pread(flags, 8, (entry & (1 << 55) - 1) * 8))[0] >> 16 & 1
for page in range(pages):
    assert memory[page * 4096] == 0
tails = [tail(page) for page in range(pages)]
# The last page of a folio of 64 KiB at the least.
last = next(page for page in range(16, pages) if all(tails[page - 14:page + 1]))
while last + 1 < pages and tails[last + 1]:
    last += 1
before = os.statvfs("m").f_bfree
memory[last * 4096] = 7
memory.flush()
os.fsync(file)
free = os.statvfs("m").f_bfree
# Four blocks, and those of pointers.
assert before - 8 <= free <= before - 4, (before, free)
memory[last * 4096 + 1] = 9
memory.flush()
open("page", "w").write(str(last))
EOF
	again
	python3 - <<'EOF' || fail "the page on disk"
last = int(open("page").read())
expected = bytearray(4 << 20)
expected[last * 4096:last * 4096 + 2] = b"\7\11"
assert open("m/holes", "rb").read() == expected
EOF
	clean
}

# Of a block that is written in part, what lies behind the end of the file shows in no mapping.
test_behind_the_end() {
	local block
	fresh -b 4096
	printf 'short' > m/f
	umount m
	block=$(file_blocks "$DISK1" /f | sed -n 1p)
	printf 'left over' | dd of="$DISK1" bs=1 seek=$((block * 4096 + 100)) conv=notrunc status=none
	mount_volume "$DISK1" m
	python3 - <<'EOF' || fail "bytes behind the end of a file"
import ctypes, os
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
file = os.open("m/f", os.O_RDWR)
assert os.pwrite(file, b"S", 0) == 1
PROT_READ, MAP_SHARED = 1, 1
memory = libc.mmap(None, ctypes.c_size_t(4096), PROT_READ, MAP_SHARED, file, ctypes.c_long(0))
page = ctypes.string_at(memory, 4096)
assert page == b"Short" + bytes(4091), page.strip(b"\0")
EOF
	clean
}

# in_use BLOCK WORD: the volume's bitmap says so on the disk.
in_use() { debugfs -R "testb $1" "$DISK1" 2> /dev/null | grep "$2" > /dev/null; }

# What was deleted is free on the disk some time later, though nobody syncs; and nothing of that comes in the way of a freeze,
# a change to read-only, and the end of the mount.
test_freed_by_itself() {
	local block i
	fresh -b 1024 -m 0
	xfs_io -f -c 'pwrite -b 64k 0 1m' -c fsync m/f > out
	block=$(xfs_io -r -c 'fiemap -v' m/f | awk '/^ *0:/ { split($3, at, "."); print at[1] / 2 }')
	in_use "$block" 'marked in use' || fail "block $block is not in use"
	rm m/f
	in_use "$block" 'marked in use' || fail "block $block is given out before the disk knows that it is free"
	for ((i = 0; i < 120; i++)); do
		in_use "$block" 'not in use' && break
		sleep 1
	done
	((i < 120)) || fail "block $block does not become free"
	for i in 1 2 3 4; do
		xfs_io -f -c 'pwrite -b 64k 0 8m' m/f > out
		rm m/f
		case $i in
			1) fsfreeze -f m && fsfreeze -u m ;;
			2) mount -o remount,ro m && mount -o remount,rw m ;;
			3) umount m && mount_volume "$DISK1" m ;;
		esac
	done
	clean
}

restore() { echo "$1" > /proc/sys/vm/dirty_writeback_centisecs; }

# What is written counts as used before anything of it is on the disk: pointer blocks included, so that later steps need no more.
test_reserved_at_once() {
	defer restore "$(cat /proc/sys/vm/dirty_writeback_centisecs)"
	echo 0 > /proc/sys/vm/dirty_writeback_centisecs
	fresh -b 1024 -m 0
	sync
	python3 - <<'EOF'
import mmap, os
def free():
    volume = os.statvfs("m")
    assert volume.f_bfree == volume.f_bavail
    return volume.f_bfree
def takes(least, most, what):
    """So many blocks at once, and not one more when it is durable."""
    before = free()
    what()
    taken = before - free()
    assert least <= taken <= most, (taken, least, most)
    os.fsync(file)
    assert before - free() <= taken, "more was taken than was set aside"
    return before - free()
file = os.open("m/f", os.O_CREAT | os.O_RDWR)
os.fsync(file)
# 1024 blocks, of them 756 behind a double indirect block: five pointer blocks.
assert takes(1029, 1050, lambda: os.pwrite(file, bytes(1 << 20), 0)) == 1029
assert takes(0, 0, lambda: os.pwrite(file, b"x" * 5000, 7000)) == 0
os.ftruncate(file, 4 << 20)
memory = mmap.mmap(file, 4 << 20)
def touch():
    memory[3 << 20] = 1
assert takes(5, 8, touch) == 5
before = free()
os.pwrite(file, bytes(1 << 19), 2 << 20)
assert free() <= before - 512
os.ftruncate(file, 2 << 20)
assert free() >= before, "a truncation gives back what nobody has written yet"
EOF
	clean
}

# exhausted USER GROUP [OTHER-GROUP]: such a user writes until there is no space; prints how much is left.
exhausted() {
	local options=(--reuid "$1" --regid "$2" --clear-groups)
	[[ -z ${3:-} ]] || options=(--reuid "$1" --regid "$2" --groups "$3")
	fails_with 'No space left' setpriv "${options[@]}" dd if=/dev/zero of=m/f bs=16k status=none
	sync
	stat -f -c %f m
	rm m/f
}

# The blocks kept for the administrator: root has them, and the user and the group that an option or the superblock names.
test_kept_blocks() {
	local kept left user options
	fresh -b 1024 -m 10
	chmod 777 m
	kept=$(dumpe2fs -h "$DISK1" 2> /dev/null | sed -n 's/^Reserved block count: *//p')
	same "$(($(stat -f -c %f m) - kept))" "$(stat -f -c %a m)" "blocks for everybody"
	while IFS='|' read -r options user; do
		umount m
		mount_volume "$DISK1" m "$options"
		# shellcheck disable=SC2086
		left=$(exhausted 65534 65534)
		((left >= kept && left <= kept + 30)) || fail "$options: nobody left $left blocks, of which $kept are kept"
		# shellcheck disable=SC2086
		left=$(exhausted $user)
		((left <= 30)) || fail "$options: $user left $left blocks"
	done <<- 'END'
		defaults|0 0
		resuid=1000|1000 65534
		resgid=2000|1000 2000
		resgid=2000|1000 65534 2000
		resuid=1000,resgid=2000|0 65534
	END
	umount m
	tune2fs -u 3000 -g 4000 "$DISK1" > out
	mount_volume "$DISK1" m
	left=$(exhausted 3000 65534)
	((left <= 30)) || fail "the user of the superblock left $left blocks"
	left=$(exhausted 1000 4000)
	((left <= 30)) || fail "the group of the superblock left $left blocks"
	left=$(exhausted 1000 3000)
	((left >= kept)) || fail "a stranger left $left blocks"
	clean
}

# After a crash the descriptors may be older than the bitmaps: what they say is free is not promised to anybody.
test_counts_after_a_crash() {
	local free
	fresh -b 1024
	head -c 5M /dev/zero > m/f
	sync -f m
	free=$(stat -f -c %f m)
	umount m
	printf '%s\n' 'set_super_value state 0' 'set_block_group 0 free_blocks_count 8000' |
		debugfs -w -f - "$DISK1" > debugfs.log 2>&1
	[[ $(dumpe2fs "$DISK1" 2> /dev/null) == *'8000 free blocks'* ]] || fail "$(cat debugfs.log)"
	mount_volume "$DISK1" m
	same "$free" "$(stat -f -c %f m)" "free blocks"
	umount m
	e2fsck -fy "$DISK1" > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
}
