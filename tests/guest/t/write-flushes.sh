# shellcheck shell=bash
# How often the device is told to store durably what it has (docs/durability.md says how often that is right): not less,
# or a power cut takes what was synced, and not more, because nothing else costs as much.
# guest: limit=120 disks=16M

# A disk with a volatile cache; it knows writes that are durable when they end (FUA).
cached_disk() {
	local directory=/sys/kernel/config/nullb/$1
	[[ -d /sys/kernel/config/nullb ]] || modprobe null_blk nr_devices=0
	mkdir "$directory"
	defer remove_null_disk "$1"
	echo 64 > "$directory/size"
	echo 1 > "$directory/memory_backed"
	echo "${2:-16}" > "$directory/cache_size"
	echo 1 > "$directory/fua"
	echo 0 > "$directory/irqmode"
	echo 1 > "$directory/power"
}

# The kernel writes nothing on its own while a test counts.
quiet() {
	defer restore "$(cat /proc/sys/vm/dirty_writeback_centisecs)"
	echo 0 > /proc/sys/vm/dirty_writeback_centisecs
}
restore() { echo "$1" > /proc/sys/vm/dirty_writeback_centisecs; }

prepare() {
	cached_disk d "$@"
	quiet
	make_volume /dev/d
	mount_volume /dev/d m
	head -c 64k /dev/urandom > m/f
	mkdir m/dir
	sync
}

# flushes FLUSHES FUA CMD...: so many of both it takes.
flushes() {
	local expected="$1 flushes, $2 FUA"
	shift 2
	traced "block:block_bio_queue dev==$(device_number /dev/d)" -- "$@" || fail "$*"
	! grep -q 'CPU:.*LOST' trace || fail "the trace lost events"
	same "$expected" "$(counted)" "$*"
}

# What the trace has of both.
counted() {
	sed -nE 's/.*block_bio_queue: [0-9]+,[0-9]+ ([A-Z]+) .*/\1/p' trace |
		awk '/^F/ { flushes++ } /^F?[WD]F/ { fua++ } END { print flushes + 0 " flushes, " fua + 0 " FUA" }'
}

# in_file FLAGS CODE: Python CODE with the file open as f.
in_file() {
	python3 -c "
import mmap, os
f = os.open('m/f', os.O_RDWR | $1)
$2"
}

test_fsync() {
	prepare
	# The kernel may have written what fsync finds clean, and the device may not have stored it.
	flushes 1 0 in_file 0 'os.fsync(f)'
	flushes 1 0 in_file 0 'os.pwrite(f, b"a" * 8192, 4096); os.fsync(f)'
	flushes 1 0 in_file 0 'os.pwrite(f, b"a" * 8192, 4096); os.fdatasync(f)'
	# The contents first, then what points to them.
	flushes 2 0 in_file 0 'os.pwrite(f, b"b" * 4096, 65536); os.fsync(f)'
	flushes 2 0 in_file 0 'os.pwrite(f, b"c" * 4096, 1 << 26); os.fdatasync(f)'
	flushes 1 0 in_file 0 'os.ftruncate(f, 5000); os.fsync(f)'
	# Into the block that is there.
	flushes 1 0 in_file 0 'os.pwrite(f, b"d" * 100, 5000); os.fsync(f)'
	flushes 1 0 in_file 0 'm = mmap.mmap(f, 4096); m[0:3] = b"abc"; m.flush()'
	flushes 1 0 in_file 0 'os.fchmod(f, 0o600); os.fsync(f)'
	flushes 0 0 in_file 0 'os.pwrite(f, b"e" * 8192, 0); os.ftruncate(f, 100)'
}

test_names() {
	prepare
	flushes 1 0 sync m/dir
	# Two for the file, one for its name.
	flushes 3 0 bash -c 'echo a > m/dir/a; sync m/dir/a m/dir'
	# As many as one: the blocks of the new directories with one flush, what points to them with the other.
	# shellcheck disable=SC2016
	flushes 2 0 bash -c 'for ((i = 0; i < 50; i++)); do mkdir m/dir/d$i; done; sync m/dir'
	flushes 1 0 bash -c 'mv m/dir/a m/dir/b; sync m/dir'
	flushes 1 0 bash -c 'rm m/dir/b; sync m/dir'
}

test_sync() {
	prepare
	flushes 1 0 sync
	# shellcheck disable=SC2016
	flushes 2 0 bash -c 'for ((i = 0; i < 100; i++)); do head -c 20000 /dev/zero > m/dir/f$i; done; sync'
	# shellcheck disable=SC2016
	flushes 1 0 bash -c 'for ((i = 0; i < 100; i++)); do echo a 1<> m/dir/f$i; done; sync'
	flushes 1 0 bash -c 'rm -r m/dir; sync'
	flushes 2 0 bash -c 'cp -r /etc/default m/; sync -f m'
}

test_durable_writes() {
	prepare
	flushes 1 0 in_file os.O_DSYNC 'os.pwrite(f, b"a" * 4096, 4096)'
	flushes 2 0 in_file os.O_DSYNC 'os.pwrite(f, b"b" * 4096, 65536)'
	flushes 1 0 in_file os.O_SYNC 'os.pwrite(f, b"c" * 4096, 8192)'
	flushes 0 0 in_file os.O_DIRECT 'os.pwrite(f, mmap.mmap(-1, 8192), 4096)'
	# No flush: the device is asked to store this write durably.
	flushes 0 1 "${durable_write[@]}"
	# What leads to the file was sent to the device, which did not store it durably yet.
	chattr +S m/f
	flushes 0 0 chmod 600 m/f
	flushes 1 0 "${durable_write[@]}"
	flushes 0 1 "${durable_write[@]}"
	# Nor does a file that was read anew know what the device has stored.
	drop_caches
	flushes 1 0 "${durable_write[@]}"
	flushes 0 1 "${durable_write[@]}"
}

durable_write=(in_file 'os.O_DIRECT | os.O_DSYNC' 'os.pwrite(f, mmap.mmap(-1, 8192), 4096)')

# delays MILLISECONDS: the table of a disk whose flushes take so long.
delays() { printf '0 %s delay /dev/d 0 0 /dev/d 0 0 /dev/d 0 %s' "$(sectors /dev/d)" "$1"; }

# await FLUSHES PID: until the trace has so many, or the process has ended.
await() {
	# shellcheck disable=SC2154
	until (($(grep -c 'block_bio_queue: [0-9,]* F' "$instance/trace") >= $1)) || ! kill -0 "$2" 2> /dev/null; do
		sleep 0.05
	done
}

# An fsync has written what leads to the file, and its flush is on its way.
while_flushing() {
	local first second
	dm_change d "$(delays 600000)"
	in_file 0 'os.ftruncate(f, 70000); os.fsync(f)' &
	first=$!
	await 1 $first
	"${durable_write[@]}" &
	second=$!
	await 2 $second
	dm_change d "$(delays 0)"
	wait $first
	wait $second
}

# A durable write must not take that for durable already.
test_durable_write_beside_fsync() {
	cached_disk d
	quiet
	make_volume /dev/d
	modprobe dm_delay
	dm_disk d "$(delays 0)"
	mount_volume /dev/mapper/d m
	head -c 64k /dev/urandom > m/f
	sync m/f
	traced "block:block_bio_queue dev==$(device_number /dev/mapper/d)" -- while_flushing
	same "2 flushes, 0 FUA" "$(counted)" "what two calls sent"
	umount m
	run_deferred
}

test_no_volatile_cache() {
	prepare 0
	flushes 0 0 in_file 0 'os.pwrite(f, b"a" * 100000, 0); os.fsync(f)'
	flushes 0 0 in_file 'os.O_DIRECT | os.O_DSYNC' 'os.pwrite(f, mmap.mmap(-1, 8192), 4096)'
	flushes 0 0 bash -c 'cp -r /etc/default m/; sync; rm -r m/default; sync'
	flushes 0 0 umount m
	fsck_clean /dev/d
}

# A mount says that the volume is in use, and that is durable before anything else; the end of it, that it is at rest.
test_mount() {
	prepare
	umount m
	flushes 1 0 mount -t "$FSTYPE" /dev/d m
	flushes 3 0 umount m
	flushes 0 0 mount -t "$FSTYPE" -o ro /dev/d m
	flushes 0 0 umount m
	fsck_clean /dev/d
}
