# shellcheck shell=bash
# How the requests are marked that carry a file's contents: waited for or not, on whose account, and how long they will live.
# guest: limit=120

restore() { echo "$1" > /proc/sys/vm/dirty_writeback_centisecs; }

# A file of 1 MiB on a disk in memory, its blocks in the file `blocks`; the kernel writes nothing on its own.
prepare() {
	defer restore "$(cat /proc/sys/vm/dirty_writeback_centisecs)"
	echo 0 > /proc/sys/vm/dirty_writeback_centisecs
	null_disk r 64
	make_volume /dev/r -b 4096
	mount_volume /dev/r m
	head -c 1M /dev/zero > m/file
	sync
	# Without the block of pointers, which follows the first twelve.
	file_blocks /dev/r file | sed 13d > blocks
	same 256 "$(wc -l < blocks)" "blocks of the file"
}

# in_file CODE: Python CODE with m/file open as f.
in_file() {
	python3 -c "
import ctypes, fcntl, mmap, os, struct
f = os.open('m/file', os.O_RDWR)
def start_writing():
    assert ctypes.CDLL(None).sync_file_range(f, ctypes.c_long(0), ctypes.c_long(0), 2) == 0
$1"
}

# marked MARKS CODE: the bios into the file's blocks have these marks, S for "somebody waits".
marked() {
	traced "block:block_bio_queue dev==$(device_number /dev/r)" -- in_file "$2"
	! grep -q 'CPU:.*LOST' trace || fail "the trace lost events"
	same "$1" "$(sed -nE 's/.*block_bio_queue: [0-9]+,[0-9]+ ([A-Z]+) ([0-9]+) \+ .*/\1 \2/p' trace |
		awk 'NR == FNR { mine[$1] = 1; next } $2 / 8 in mine { print $1 }' blocks - | sort -u | paste -s -d ' ')" "the marks of bios after $2"
}

# What somebody waits for is marked as such, what only has to be written some time is not.
test_waited_for() {
	prepare
	marked WS 'os.pwrite(f, bytes(100000), 0); os.fsync(f)'
	marked W 'os.pwrite(f, bytes(100000), 8192); start_writing()'
	marked WS 'm = mmap.mmap(f, 4096); m[0:3] = b"abc"; m.flush()'
	marked WS 'os.pwritev(f, [b"d" * 4096], 4096, os.RWF_DSYNC)'
	umount m
	fsck_clean /dev/r
}

# wbytes of the control group on the disk
accounted() { sed -nE "s/^$(lsblk -n -d -o MAJ:MIN /dev/r | tr -d ' ') .*wbytes=([0-9]+).*/\1/p" "$1/io.stat"; }

# What is written later, by the kernel, is on the account of the group that dirtied it.
test_control_group() {
	local group=/sys/fs/cgroup/test.$BASHPID
	prepare
	echo '+memory +io' > /sys/fs/cgroup/cgroup.subtree_control
	mkdir "$group" "$group.other"
	defer rmdir "$group" "$group.other"
	(
		echo "$BASHPID" > "$group/cgroup.procs"
		dd if=/dev/zero of=m/new bs=64k count=128 status=none
	)
	(
		echo "$BASHPID" > "$group.other/cgroup.procs"
		sync
	)
	(($(accounted "$group") >= 8 << 20)) || fail "the group that wrote 8 MiB has '$(cat "$group/io.stat")'"
	(($(accounted "$group.other" || echo 0) < 8 << 20)) || fail "the group that called sync has '$(cat "$group.other/io.stat")'"
	umount m
	fsck_clean /dev/r
}

# What F_SET_RW_HINT says of a file goes with its bios, those of the page cache and direct ones.
test_lifetime() {
	prepare
	defer umount --quiet /sys/kernel/debug/tracing
	cat > load.py <<- 'END'
		import fcntl, mmap, os, struct
		def hinted(hint, flags, at):
		    file = os.open("m/file", os.O_RDWR | flags)
		    fcntl.fcntl(file, 1024 + 12, struct.pack("Q", hint))
		    memory = mmap.mmap(-1, 8192)
		    os.pwrite(file, memory, at)
		    os.fsync(file)
		hinted(2, 0, 0)
		hinted(5, 0, 40960)
		hinted(4, os.O_DIRECT, 81920)
	END
	# shellcheck disable=SC2016 # bpftrace's own variables
	bpftrace -c 'python3 load.py' -e 'kprobe:submit_bio {
		$bio = (struct bio *)arg0;
		printf("%d %d\n", $bio->bi_iter.bi_sector, (uint64)$bio->bi_write_hint);
	}' > bpftrace.out
	same "0 2
10 5
20 4" "$(awk 'NR == FNR { mine[$1] = NR - 1; next } $1 / 8 in mine { print mine[$1 / 8], $2 }' blocks bpftrace.out)" "blocks and hints"
	umount m
	fsck_clean /dev/r
}
