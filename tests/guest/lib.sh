# shellcheck shell=bash
# For the tests that run in the guest; `one` sources it before the test's file.
#
# A test is a function test_NAME in tests/guest/t/FILE.sh; it fails when it returns non-zero or a command fails
# (`set -e`). Comment lines "# guest: KEY=VALUE ..." set, before the first function, for the whole file:
#   mem=MiB smp=N disks=SIZE,SIZE… append=KERNEL-ARGUMENT debug-slab=1   what to boot: such tests share a guest
#   limit=SECONDS                                                        for each test (180)
# and directly above a function its own limit. Tests of one guest run one after the other, in a directory of
# their own, on the disks $DISK1, $DISK2 …; what they mount or set up through this file is taken down afterwards.

# --- verdicts -----------------------------------------------------------------------------------

# Ends the test as failed.
fail() {
	echo "failed: $*" >&2
	exit 1
}

# Ends the test as neither passed nor failed.
skip() {
	echo "$*"
	exit 77
}

# same EXPECTED ACTUAL WHAT
same() {
	[[ $1 == "$2" ]] && return
	diff -u --label expected --label found <(printf '%s\n' "$1") <(printf '%s\n' "$2") || true
	fail "$3 is not as expected"
}

# fails_with TEXT CMD...: CMD must fail and say TEXT.
fails_with() {
	local text=$1 output
	shift
	output=$("$@" 2>&1) && fail "succeeded, but should say '$text': $*"
	[[ $output == *"$text"* ]] || fail "should say '$text': $*: $output"
}

# The kernel log is read after each test: this expects lines in it that would fail the test.
allow_kernel() { printf '\n\036allow %s\n' "$1"; }

# logged REGEX: the kernel log of this test so far has such a line. Prints the lines.
logged() {
	dmesg | sed -n "/rext2-test: begin ${TEST//\//\\/}\$/,\$p" | grep -E -- "$1"
}

# --- taking down --------------------------------------------------------------------------------

deferred=()

# Runs a command at the end of the test, last one first.
defer() { deferred=("$(printf '%q ' "$@")" "${deferred[@]}"); }

run_deferred() {
	local command status=0
	cd /
	for command in "${deferred[@]}"; do
		eval "$command" || {
			echo "failed: taking down: $command"
			status=1
		}
	done
	deferred=()
	return $status
}

# --- block devices ------------------------------------------------------------------------------

# null_disk NAME MiB [BLOCK-SIZE [MAX-SECTORS]]: a disk in memory, /dev/NAME, on which a bio costs only processor time.
null_disk() {
	local directory=/sys/kernel/config/nullb/$1
	[[ -d /sys/kernel/config/nullb ]] || modprobe null_blk nr_devices=0
	mkdir "$directory"
	defer remove_null_disk "$1"
	echo "$2" > "$directory/size"
	echo "${3:-512}" > "$directory/blocksize"
	echo 1 > "$directory/memory_backed"
	echo 0 > "$directory/irqmode"
	echo "${4:-0}" > "$directory/max_sectors"
	echo 1 > "$directory/power"
}

remove_null_disk() {
	echo 0 > "/sys/kernel/config/nullb/$1/power"
	rmdir "/sys/kernel/config/nullb/$1"
}

# loop_disk FILE: a disk on a file; prints its name.
loop_disk() {
	losetup --show --find --direct-io=off "$1"
}

# dm_disk NAME TABLE: /dev/mapper/NAME with that device-mapper table.
dm_disk() {
	modprobe dm_mod
	dmsetup create "$1" --table "$2" || return
	dmsetup mknodes "$1"
	defer dmsetup remove --retry "$1"
}

# dm_change NAME TABLE: gives it another table under its users' feet.
dm_change() {
	dmsetup suspend --noflush --nolockfs "$1"
	dmsetup load "$1" --table "$2"
	dmsetup resume "$1"
}

# The sectors of a device.
sectors() { blockdev --getsz "$1"; }

# --- volumes ------------------------------------------------------------------------------------

# make_volume DEVICE MKE2FS-ARGUMENT...: a volume with the features that mke2fs gives an ext2 volume.
make_volume() {
	local device=$1
	shift
	mke2fs -q -F -t ext2 -E lazy_itable_init=0 "$@" "$device" > mke2fs.log 2>&1 || {
		cat mke2fs.log
		fail "mke2fs $* $device"
	}
}

# mount_volume DEVICE DIRECTORY [OPTIONS]: mounts with the driver under test until the end of the test.
mount_volume() {
	mkdir -p "$2"
	mount -t "$FSTYPE" -o "${3:-defaults}" "$1" "$2" || return
	defer umount_if_mounted "$2"
}

# fill_volume DEVICE CMD...: runs CMD... DIRECTORY on the volume, mounted read-write by the kernel's ext4 driver.
fill_volume() {
	local device=$1 directory=$WORK/filled
	shift
	modprobe ext4
	mkdir -p "$directory"
	mount -t ext4 "$device" "$directory"
	"$@" "$directory"
	umount "$directory"
}

# By its full name: the directory of the test has gone when this runs.
umount_if_mounted() {
	mountpoint -q "$WORK/$1" || return 0
	umount "$WORK/$1"
}

# The volume must be what e2fsck calls clean; unmounted.
fsck_clean() {
	local status=0
	e2fsck -fn "$1" > fsck.log 2>&1 || status=$?
	((status == 0)) && return
	cat fsck.log
	fail "e2fsck -fn $1: status $status"
}

# fresh MKE2FS-ARGUMENT...: a new volume on DISK1, mounted at m.
fresh() {
	make_volume "$DISK1" "$@"
	mount_volume "$DISK1" m
}

# The volume at m is done with: it must be clean.
clean() {
	umount m
	fsck_clean "$DISK1"
}

# The volume at m, found clean, is mounted again.
again() {
	clean
	mount_volume "$DISK1" m
}

# Everything read from now on comes from the disk.
drop_caches() {
	sync
	echo 3 > /proc/sys/vm/drop_caches
}

# --- comparing ----------------------------------------------------------------------------------

# Everything that a tree shows of itself: kind, mode, owner, links, size, time, target or device, and contents.
# The sizes of directories are left out: each file system counts its own way.
manifest() {
	(
		cd "$1" || exit
		find . -mindepth 1 -path ./lost+found -prune -o -type d -printf '%P\t%y %m %U %G %n - %T@\n' \
			-o \( -type b -o -type c \) -printf '%P\t%y %m %U %G %n - %T@ ' -exec stat -c %t:%T {} \; \
			-o -printf '%P\t%y %m %U %G %n %s %T@ %l\n' | LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z | xargs -0 --no-run-if-empty sha256sum
	)
}

# same_tree EXPECTED FOUND
same_tree() {
	manifest "$1" > expected.manifest
	manifest "$2" > found.manifest
	[[ -s expected.manifest ]] || fail "there is nothing to compare in $1"
	cmp -s expected.manifest found.manifest && return
	diff -u expected.manifest found.manifest | head -n 40 || true
	fail "the trees $1 and $2 differ"
}

# same_files EXPECTED FOUND WHEN: each file of directory EXPECTED is in FOUND, with the same bytes.
same_files() {
	local name
	for name in "$1"/*; do
		cmp "$name" "$2/${name##*/}" || fail "${name##*/}: differs $3"
		same "$(stat -c %s "$name")" "$(stat -c %s "$2/${name##*/}")" "the size of ${name##*/} $3"
	done
}

# settled: the files of ref are in m, in the cache and on disk.
settled() {
	same_files ref m "before the volume is unmounted"
	again
	same_files ref m "on disk"
}

# fixture NAME CMD...: CMD... DIRECTORY makes a directory that all tests of this guest share and none may change;
# it is there as NAME.
fixture() {
	local directory=/tmp/fixtures/$1
	if [[ ! -e $directory.complete ]]; then
		mkdir -p "$directory"
		"${@:2}" "$directory"
		touch "$directory.complete"
	fi
	ln -sfn "$directory" "$1"
}

# --- tracing ------------------------------------------------------------------------------------

# The device as block tracepoints number it.
device_number() {
	local major minor
	read -r major minor < <(lsblk -n -d -o MAJ:MIN "$1" | tr : ' ')
	echo $((major << 20 | minor))
}

# traced EVENT... -- CMD...: runs CMD, leaves the trace in the file `trace`. An event is SYSTEM:NAME, and may be
# followed by a filter: 'block:block_bio_queue dev==1'.
traced() {
	local instance=/sys/kernel/tracing/instances/test.$BASHPID event name status=0
	mkdir "$instance"
	echo 8192 > "$instance/buffer_size_kb"
	while [[ $1 != -- ]]; do
		event=$1
		name=${event%% *}
		[[ $event == *' '* ]] && echo "${event#* }" > "$instance/events/${name/://}/filter"
		echo 1 > "$instance/events/${name/://}/enable"
		shift
	done
	shift
	"$@" > traced.out 2>&1 || status=$?
	((status == 0)) || cat traced.out >&2
	echo 0 > "$instance/tracing_on"
	cat "$instance/trace" > trace
	rmdir "$instance"
	return $status
}

# bios DEVICE CMD...: runs CMD, prints each bio that reached the device, "R|W SECTOR SECTORS", in order.
bios() {
	local device=$1
	shift
	traced "block:block_bio_queue dev==$(device_number "$device")" -- "$@" || return
	! grep -q 'CPU:.*LOST' trace || fail "the trace lost events"
	sed -nE 's/.*block_bio_queue: [0-9]+,[0-9]+ ([RWDF])[A-Z]* ([0-9]+) \+ ([0-9]+) .*/\1 \2 \3/p' trace
}

# file_blocks DEVICE PATH: the disk block of each block of a file, as debugfs finds them, data only, one a line.
file_blocks() {
	debugfs -R "blocks $2" "$1" 2> /dev/null | tr -s ' ' '\n' | sed '/^$/d'
}

# --- load ---------------------------------------------------------------------------------------

# fio_verified ARGUMENT...: fio writes files in m, reads back what it wrote, and they go.
fio_verified() {
	fio --name=t --directory=m --verify=crc32c --verify_fatal=1 --do_verify=1 --fallocate=none --randrepeat=1 --minimal "$@" \
		> fio.log 2>&1 || {
		cat fio.log
		fail "fio $*"
	}
	rm -f m/t.*
}

# --- processes ----------------------------------------------------------------------------------

# within_memory MiB CMD...: runs CMD in a control group with so much memory.
within_memory() {
	local group=/sys/fs/cgroup/test.$BASHPID limit=$1 status=0
	shift
	echo +memory > /sys/fs/cgroup/cgroup.subtree_control
	mkdir "$group"
	echo "${limit}M" > "$group/memory.max"
	(
		echo "$BASHPID" > "$group/cgroup.procs"
		"$@"
	) || status=$?
	rmdir "$group"
	return $status
}

# How many hold the module.
module_users() { cat "/sys/module/$MODULE/refcnt"; }
