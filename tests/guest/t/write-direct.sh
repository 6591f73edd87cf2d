# shellcheck shell=bash
# Writing past the page cache where a file has no blocks yet: holes, and past the end.
# guest: limit=150 disks=32M

# On a disk whose old bytes must not show.
prepare() {
	head -c "$(blockdev --getsize64 "$DISK1")" /dev/zero | tr '\0' Z | dd of="$DISK1" bs=1M status=none
	fresh -K -m 0 -b "$1"
	mkdir -p ref
}

# twice FILE OPERATION...: past the cache on the volume, through it on the file in memory.
twice() {
	local file=$1 operation arguments=()
	shift
	for operation; do arguments+=(-c "$operation"); done
	xfs_io -f "${arguments[@]}" "ref/$file" > out
	xfs_io -f -d "${arguments[@]}" "m/$file" > out || fail "$file: $*"
}

# Nothing of the file is in the page cache.
uncached() { same "" "$(xfs_io -r -c "mmap -r 0 $(stat -c %s "m/$1")" -c mincore "m/$1")" "pages of $1 in the page cache"; }

each_size() {
	local size
	for size in 1024 4096; do
		prepare "$size"
		"$@"
		settled
		umount m
		rm -rf ref
	done
}

new_blocks() {
	twice appended 'pwrite -S 1 -b 64k 0 1m' 'pwrite -S 2 -b 4k 1m 64k'
	twice sparse 'pwrite -S 3 -b 4k 5m 4k' 'pwrite -S 4 -b 16k 100k 48k' 'pwrite -S 5 -b 4k 0 4k' 'pwrite -S 6 -b 1m 4m 2m'
	twice holes 'truncate 10m' 'pwrite -S 7 -b 8k 8m 64k' 'pwrite -S 8 -b 512k 3m 6m'
	twice punched 'pwrite -S 9 -b 1m 0 2m' 'fpunch 100k 300k' 'pwrite -S 10 -b 4k 200k 8k' 'pwrite -S 11 -b 1m 0 1m'
	local name
	for name in appended sparse holes punched; do uncached $name; done
}
test_new_blocks() { each_size new_blocks; }

# In units of the device's sector, smaller than a block: what surrounds the bytes written reads as zeroes.
sectors_of_blocks() {
	twice one 'pwrite -S 1 -b 512 512 512'
	twice past-end 'pwrite -S 2 -b 512 0 512' 'pwrite -S 3 -b 512 512 512' 'pwrite -S 4 -b 512 5120 512' 'pwrite -S 5 -b 1536 9728 1536'
	twice in-holes 'truncate 100k' 'pwrite -S 6 -b 512 1024 512' 'pwrite -S 7 -b 2560 10752 2560' 'pwrite -S 8 -b 512 1536 512'
	twice over-end 'pwrite -S 9 -b 4k 0 8k' 'truncate 5000' 'pwrite -S 10 -b 512 5120 512' 'pwrite -S 11 -b 512 4608 512'
	twice grown 'pwrite -S 12 -b 512 0 512' 'truncate 8k'
	drop_caches
}
test_sectors() { each_size sectors_of_blocks; }

# Between cached, dirty pages and pages of a mapping.
mixed() {
	local file
	for file in ref m; do
		xfs_io -f -c 'truncate 1m' -c 'pwrite -S 1 10k 10k' "$file/f" > out
		xfs_io -d -c 'pwrite -S 2 -b 16k 12k 32k' "$file/f" > out 2>&1 || xfs_io -c 'pwrite -S 2 -b 16k 12k 32k' "$file/f" > out
		xfs_io -c 'mmap 0 1m' -c 'mread 0 1m' -c 'mwrite -S 3 100k 1k' "$file/f" > out
		xfs_io -d -c 'pwrite -S 4 -b 4k 96k 12k' "$file/f" > out 2>&1 || xfs_io -c 'pwrite -S 4 -b 4k 96k 12k' "$file/f" > out
		xfs_io -c 'pwrite -S 5 300001 5' -c 'truncate 310000' "$file/f" > out
		xfs_io -d -c 'pwrite -S 6 -b 4k 320k 4k' "$file/f" > out 2>&1 || xfs_io -c 'pwrite -S 6 -b 4k 320k 4k' "$file/f" > out
	done
}
test_mixed() { each_size mixed; }

# direct_fill NAME STEP: direct writes until the volume is full; prints how many bytes went in.
direct_fill() {
	python3 - "$1" "$2" <<'EOF'
import errno, mmap, os, sys
name, step = sys.argv[1], int(sys.argv[2])
file = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_DIRECT)
memory = mmap.mmap(-1, step)
done = 0
try:
    while True:
        for at in range(0, step, 512):
            memory[at:at + 512] = bytes([(done + at) // 512 % 251 + 1]) * 512
        wrote = os.writev(file, [memoryview(memory)[:step]])
        assert wrote > 0 and wrote % 512 == 0, wrote
        done += wrote
except OSError as error:
    assert error.errno == errno.ENOSPC, error
os.fsync(file)
assert os.fstat(file).st_size == done, (os.fstat(file).st_size, done)
print(done)
EOF
}

# Every block can be used, and a success is one.
full() {
	local before bytes
	before=$(stat -f -c %f m)
	bytes=$(direct_fill m/full "$1")
	((bytes >= before * $(stat -f -c %s m) * 97 / 100)) || fail "$bytes bytes fit into $before blocks"
	drop_caches
	python3 -c '
import sys
data = open("m/full", "rb").read()
assert len(data) == int(sys.argv[1]), len(data)
assert all(data[at:at + 512] == bytes([at // 512 % 251 + 1]) * 512 for at in range(0, len(data), 512))' "$bytes"
	rm m/full
	same "$before" "$(stat -f -c %f m)" "free blocks after deleting"
	clean
}
test_full_1k_blocks() { prepare 1024 && full 1048576; }
test_full_4k_blocks() { prepare 4096 && full 196608; }

# A write that fails leaves nothing behind: no block, no size, no bytes of somebody else's.
test_errors() {
	local working failing free
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	prepare 1024
	xfs_io -f -c 'pwrite -S 1 0 100k' -c 'truncate 8m' -c fsync m/f > out
	umount m
	working="0 $(sectors "$DISK1") linear $DISK1 0"
	failing="0 $(sectors "$DISK1") error"
	dm_disk d "$working"
	mount_volume /dev/mapper/d m
	xfs_io -d -c 'pwrite -S 2 -b 64k 1m 64k' -c fsync m/f > out
	sync
	free=$(stat -f -c %f m)
	dm_change d "$failing"
	fails_with 'Input/output error' xfs_io -d -c 'pwrite -S 3 -b 64k 2m 64k' m/f
	fails_with 'Input/output error' xfs_io -d -c 'pwrite -S 4 -b 64k 8m 64k' m/f
	dm_change d "$working"
	same 8388608 "$(stat -c %s m/f)" "the size after a write past the end failed"
	same "$free" "$(stat -f -c %f m)" "free blocks after writes that failed"
	xfs_io -d -c 'pwrite -S 5 -b 64k 3m 64k' -c fsync m/f > out
	truncate -s 8m ref/f
	xfs_io -f -c 'pwrite -S 1 0 100k' -c 'truncate 8m' -c 'pwrite -S 2 1m 64k' -c 'pwrite -S 5 3m 64k' ref/f > out
	drop_caches
	cmp ref/f m/f
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

# The same while somebody reads the hole through a mapping.
test_errors_beside_a_reader() {
	local free
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	modprobe dm_delay
	prepare 1024
	xfs_io -f -c 'pwrite -S 1 0 100k' -c 'truncate 8m' -c fsync m/f > out
	umount m
	dm_disk below "0 $(sectors "$DISK1") linear $DISK1 0"
	dm_disk d "0 $(sectors "$DISK1") delay /dev/mapper/below 0 0 /dev/mapper/below 0 1000"
	mount_volume /dev/mapper/d m
	xfs_io -d -c 'pwrite -S 2 -b 64k 1m 64k' -c fsync m/f > out
	sync
	free=$(stat -f -c %f m)
	dm_change below "0 $(sectors "$DISK1") error"
	python3 - <<'EOF' || fail "a direct write beside a reader"
import errno, mmap, os, threading
file = os.open("m/f", os.O_RDWR | os.O_DIRECT)
memory = mmap.mmap(os.open("m/f", os.O_RDWR), 8 << 20)
source = mmap.mmap(-1, 65536)
source[:] = b"z" * 65536
said = []
def write():
    try:
        os.lseek(file, 2 << 20, os.SEEK_SET)
        said.append(os.writev(file, [source]))
    except OSError as error:
        said.append(-error.errno)
thread = threading.Thread(target=write)
thread.start()
seen = 0
while thread.is_alive():
    for at in range(0, 65536, 4096):
        assert memory[(2 << 20) + at] == 0
        seen += 1
thread.join()
assert said == [-errno.EIO], said
assert seen >= 16, seen
EOF
	dm_change below "0 $(sectors "$DISK1") linear $DISK1 0"
	same "$free" "$(stat -f -c %f m)" "free blocks after a write that failed"
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

# Who must not wait is told so where pointers have to be read first, and served where they are known.
test_nowait() {
	prepare 1024
	xfs_io -f -c 'pwrite -S 1 -b 64k 0 1m' m/f > out
	again
	python3 - <<'EOF' || fail "RWF_NOWAIT"
import errno, mmap, os
file = os.open("m/f", os.O_RDWR | os.O_DIRECT)
memory = mmap.mmap(-1, 4096)
def now(at):
    # A queue that is full is a reason to wait as well.
    for attempt in range(1000):
        try:
            return os.preadv(file, [memory], at, os.RWF_NOWAIT)
        except OSError as error:
            assert error.errno == errno.EAGAIN, error
    return -errno.EAGAIN
assert now(4096) == 4096
assert now(500 << 10) == -errno.EAGAIN
assert os.preadv(file, [memory], 500 << 10) == 4096 and memory[:] == b"\1" * 4096
assert now(504 << 10) == 4096 and memory[:] == b"\1" * 4096
EOF
	clean
}

# With O_DSYNC a write that has returned stays, though nobody syncs and the volume is cut off from its device.
test_dsync() {
	allow_kernel 'rext2.*(shut|cannot|error)'
	prepare 1024
	touch m/f m/g m/h
	xfs_io -c fsync m
	xfs_io -d -s -c 'pwrite -S 1 -b 64k 0 1m' -c 'pwrite -S 2 -b 4k 5m 4k' m/f > out
	# Over blocks that are on their way.
	xfs_io -c 'pwrite -S 3 0 64k' -c 'sync_range -w -a -b 0 64k' m/g > out
	xfs_io -d -s -c 'pwrite -S 4 -b 64k 0 64k' m/g > out
	fio --name=t --filename=m/h --rw=write --bs=16k --size=256k --ioengine=io_uring --iodepth=4 --direct=1 --sync=dsync --fallocate=none \
		--buffer_pattern=0x07 --minimal > fio.log || fail "$(cat fio.log)"
	cp m/f ref/f
	cp m/g ref/g
	cp m/h ref/h
	xfs_io -x -c 'shutdown' m
	umount m
	e2fsck -fy "$DISK1" > fsck.log || (($? < 4)) || fail "$(cat fsck.log)"
	mount_volume "$DISK1" m
	settled
}

verifications() {
	prepare "$1"
	fio_verified --direct=1 --rw=randwrite --bs=4k --size=6M --ioengine=io_uring --iodepth=16
	fio_verified --direct=1 --rw=randwrite --bsrange=512-16k --blockalign=512 --size=4M --ioengine=psync
	fio_verified --direct=1 --rw=randwrite --bs=8k --size=4M --ioengine=libaio --iodepth=8 --numjobs=4
	fio_verified --direct=1 --rw=randwrite --bs=4k --filename=many --size=2M --offset_increment=2M --ioengine=io_uring --iodepth=8 --numjobs=4
	fio_verified --direct=1 --rw=write --bs=128k --size=8M --ioengine=io_uring --iodepth=8
	clean
}
test_fio_1k_blocks() { verifications 1024; }
test_fio_4k_blocks() { verifications 4096; }
