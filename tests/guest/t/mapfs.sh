# shellcheck shell=bash
# The sample file system, which is also the bench of the page-I/O engine: volumes of random layout are read, and
# the bios in the trace have to be those that the planner predicts in user space. See samples/mapfs/README.md.

# guest: limit=240

SEEDS=4

# The module and the tool, as the kernel build left them.
tool() { /mnt/src/build/samples/mapfs/tool/mapfs-tool "$@"; }

load() {
	insmod /mnt/src/build/mapfs.ko
	defer rmmod mapfs
}

# mount_mapfs DIRECTORY: mounts the volume on DISK1.
mount_mapfs() {
	mkdir -p "$1"
	mount -t mapfs "$DISK1" "$1"
	defer umount_if_mounted "$1"
}

# readahead KiB: the window of the mounted volume's device.
readahead() { echo "$1" > "/sys/block/${DISK1##*/}/queue/read_ahead_kb"; }

# read_traced CMD...: runs CMD with nothing of the volume in memory; the trace has to be as predicted. Adds the summary
# to the file `summary`.
read_traced() {
	local dev
	dev=$(device_number "$DISK1")
	echo 1 > /proc/sys/vm/drop_caches
	traced "mapfs:mpage_window dev==$dev" "mapfs:mpage_map dev==$dev" "mapfs:mpage_bio dev==$dev" \
		"filemap:mm_filemap_add_to_page_cache s_dev==$dev" "block:block_bio_queue dev==$dev" -- "$@"
	tool check "$DISK1" trace | tee -a summary
}

# reason NAME: some bio so far was sent for it.
reason() { grep -q -- " $1=" summary || fail "no bio was sent for $1"; }

cat_all() { cat m/* > /dev/null; }

# Small calls: large ones make their own windows, whatever the device's is.
small_reads() {
	local file
	for file in m/*; do
		dd if="$file" of=/dev/null bs=4k status=none
	done
}

# Single pages in any order, each through readahead of its own.
pread_random() {
	python3 - m <<'END'
import os, random, sys
random.seed(1)
for name in sorted(os.listdir(sys.argv[1])):
    file = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
    pages = list(range((os.fstat(file).st_size + 4095) // 4096))
    random.shuffle(pages)
    for page in pages[:64]:
        os.pread(file, 4096, page * 4096)
END
}

# One page at a time through faults, without readahead: read_folio alone.
fault_random() {
	local file size
	for file in m/{adjacent,holes,shuffled}-2; do
		size=$(stat -c %s "$file")
		((size >= 4096)) || continue
		fio --name=fault --filename="$file" --readonly --ioengine=mmap --rw=randread --bs=4k \
			--io_size=$((size < 262144 ? size / 4096 * 4096 : 262144)) --randseed=1 --thread > fio.log 2>&1 ||
			{ cat fio.log; return 1; }
	done
}

# read_at_windows READER KiB...: everything, with windows of so many KiB.
read_at_windows() {
	local reader=$1 window
	shift
	for window; do
		readahead "$window"
		read_traced "$reader"
		tool verify "$DISK1" m
	done
}

test_random_layouts() {
	local seed
	load
	for ((seed = 0; seed < SEEDS; seed++)); do
		tool random $seed > layout
		tool make layout "$DISK1"
		mount_mapfs m
		read_at_windows small_reads 12 128
		read_at_windows cat_all 4096
		umount m
	done
	for seed in not-adjacent hole boundary eof window-end; do
		reason $seed
	done
}

test_single_pages() {
	local seed
	load
	for seed in 1 2 3; do
		tool random $seed > layout
		tool make layout "$DISK1"
		mount_mapfs m
		read_traced pread_random
		tool verify "$DISK1" m
		umount m
	done
}

test_faults() {
	load
	tool random 5 > layout
	tool make layout "$DISK1"
	mount_mapfs m
	readahead 0
	read_traced fault_random
	tool verify "$DISK1" m
}

# The device holds something else, or a table that lies: one line, and the right errno.
test_hostile_volumes() {
	load
	printf 'block-size 1024\nfile a 5000\nrun 0 64 2\nrun 3 70 2\n' > layout
	tool make layout "$DISK1"
	refused 0 'XXXX' 'wrong fs type' 'it is no mapfs volume'
	refused 28 '\x20\0\0\0' 'Structure needs cleaning' 'the block size is not'
	refused 8 '\xff\xff\xff\xff\xff\xff\xff\x7f' 'Structure needs cleaning' 'larger than its device'
	refused 16 '\xff\xff\xff\xff' 'Structure needs cleaning' 'more files or runs'
	refused 32 '/' 'Structure needs cleaning' "a file's name"
	refused 48 '\xff\xff\xff\xff\xff\xff\xff\xff' 'Structure needs cleaning' 'a file is larger'
	refused 56 '\x03' 'Structure needs cleaning' 'more runs than the table'
	refused 96 '\x01' 'Structure needs cleaning' 'a run overlaps'
	refused 72 '\0' 'Structure needs cleaning' 'outside the volume or on its table'
}

# refused OFFSET BYTES ERROR LOG: with these bytes at that place the volume is not mounted. Then it is as before.
refused() {
	mkdir -p m
	printf '%b' "$2" | dd of="$DISK1" bs=1 seek="$1" conv=notrunc status=none
	fails_with "$3" mount -t mapfs "$DISK1" m
	logged "mapfs: .*not mounted: .*$4"
	tool make layout "$DISK1"
}

# Both modules have the engine's events, each under its own name.
test_beside_rext2() {
	local system
	load
	for system in mapfs "$MODULE"; do
		[[ -d /sys/kernel/tracing/events/$system/mpage_bio ]] || fail "there is no event $system:mpage_bio"
	done
}
