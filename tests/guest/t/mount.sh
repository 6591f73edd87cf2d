# shellcheck shell=bash
# Mounting, what a mounted volume says of itself, and what is refused.

test_readable() {
	make_volume "$DISK1"
	mount_volume "$DISK1" m ro
	[[ -d m/lost+found ]]
}

# statfs counts as e2fsprogs does.
test_statfs() {
	local size fields
	for size in 1024 4096; do
		make_volume "$DISK1" -b $size -m 5
		mount_volume "$DISK1" m ro,minixdf
		fields=$(dumpe2fs -h "$DISK1" 2> /dev/null)
		field() { sed -nE "s/^$1: +//p" <<< "$fields"; }
		same "$(field 'Block count') $(field 'Free blocks') $(($(field 'Free blocks') - $(field 'Reserved block count'))) \
$(field 'Inode count') $(field 'Free inodes') $size 255" "$(stat -f -c '%b %f %a %c %d %S %l' m)" "statfs"
		umount m
		mount_volume "$DISK1" m ro
		(($(stat -f -c %b m) < $(field 'Block count'))) || fail "the overhead is not left out"
		same "$(field 'Free blocks')" "$(stat -f -c %f m)" "free blocks"
		umount m
	done
}

# sb= finds a backup of the superblock, counted in KiB, when the first one is gone.
test_backup_superblock() {
	make_volume "$DISK1" -b 1024
	dd if=/dev/zero of="$DISK1" bs=1024 seek=1 count=1 conv=notrunc status=none
	mkdir m
	! mount -t "$FSTYPE" -o ro "$DISK1" m 2> /dev/null || fail "mounted without a superblock"
	mount_volume "$DISK1" m ro,sb=8193
	[[ -d m/lost+found ]]
	umount m
	make_volume "$DISK1" -b 4096
	dd if=/dev/zero of="$DISK1" bs=1024 seek=1 count=1 conv=notrunc status=none
	mount_volume "$DISK1" m ro,sb=131072
	[[ -d m/lost+found ]]
}

test_options() {
	local option
	make_volume "$DISK1"
	for option in errors=continue errors=remount-ro; do
		mount_volume "$DISK1" m ro,$option
		umount m
	done
	mkdir -p m
	for option in errors=perhaps sb=x nosuchoption; do
		! mount -t "$FSTYPE" -o "ro,$option" "$DISK1" m 2> mount.err || fail "the option $option was taken"
	done
}

# Not ext2, or nothing at all.
test_not_ext2() {
	mkdir m
	dd if=/dev/urandom of="$DISK1" bs=1M count=2 status=none
	! mount -t "$FSTYPE" -o ro "$DISK1" m 2> mount.err || fail "mounted random bytes"
	truncate -s 0 empty
	truncate -s 1K tiny
	for file in empty tiny; do
		! mount -t "$FSTYPE" -o ro,loop $file m 2> mount.err || fail "mounted the $file device"
	done
}

# What the volume needs and the driver has not is named in the log.
test_unsupported_features() {
	local feature
	[[ $MODULE == rext2 ]] || skip "ext4 has them"
	mkdir m
	for feature in extents 64bit,extents inline_data flex_bg metadata_csum,extents bigalloc,extents; do
		mke2fs -q -F -t ext2 -O "$feature" "$DISK1" > mke2fs.log 2>&1
		! mount -t "$FSTYPE" -o ro "$DISK1" m 2> mount.err || fail "mounted a volume with $feature"
		case $feature in
		extents | *,extents) logged 'not mounted: .*extent' ;;
		*) logged "not mounted: .*${feature%%,*}" ;;
		esac > logged.out || fail "the log does not name $feature"
	done
}

# A volume longer than its device.
test_truncated_device() {
	mkdir m
	truncate -s 16M image
	mke2fs -q -F -t ext2 image
	truncate -s 8M image
	! mount -t "$FSTYPE" -o ro,loop image m 2> mount.err || fail "mounted half a volume"
	[[ $MODULE != rext2 ]] || logged 'not mounted: .*device of' > logged.out
}

# Until it can write, asking for a writable mount gives a read-only one, and says so.
test_read_write() {
	[[ $MODULE == rext2 ]] || skip "ext4 can write"
	make_volume "$DISK1"
	mount_volume "$DISK1" m rw
	if grep -q " $WORK/m $FSTYPE rw" /proc/self/mounts; then
		echo test > m/file
		clean
	else
		logged 'mounted read-only' > logged.out || fail "the log does not say that the mount is read-only"
		fails_with "Read-only" touch m/file
	fi
}

# header FIELD: what the superblock on the disk says, past all caches.
header() {
	dd if="${2:-$DISK1}" of=header.img iflag=direct bs=4096 count=32 status=none
	dumpe2fs -h header.img 2> /dev/null | sed -nE "s/^$1: +//p"
}

# state EXPECTED-STATE EXPECTED-COUNT WHEN
state() { same "$1, $2" "$(header 'Filesystem state'), $(header 'Mount count')" "state and number of mounts $3"; }

# The superblock says that the volume is in use, and how often it was, from before the first change until after the last.
test_state() {
	local before
	make_volume "$DISK1" -b 1024
	state clean 0 "of a new volume"
	same n/a "$(header 'Last mount time')" "the last mount of a new volume"
	head -c 64k "$DISK1" > before
	mount_volume "$DISK1" m ro
	cmp -n 65536 before "$DISK1" || fail "a read-only mount changed the volume"
	umount m
	cmp -n 65536 before "$DISK1" || fail "the end of a read-only mount changed the volume"
	mount_volume "$DISK1" m
	state 'not clean' 1 "while it is written"
	[[ $(header 'Last mount time') == *"$(date +%Y)" ]] || fail "the time of the mount is $(header 'Last mount time')"
	head -c 1M /dev/urandom > m/f
	sync
	state 'not clean' 1 "after sync"
	fsfreeze -f m
	state clean 1 "while it is frozen"
	fsfreeze -u m
	state 'not clean' 1 "thawed"
	mount -o remount,ro m
	state clean 1 "read-only"
	mount -o remount,rw m
	state 'not clean' 2 "writable again"
	dd if="$DISK1" of=image bs=4M iflag=direct conv=sparse status=none
	rm m/f
	before=$(stat -f -c '%f %d' m)
	umount m
	state clean 2 "in the end"
	same "$before" "$(header 'Free blocks') $(header 'Free inodes')" "free blocks and inodes"
	fsck_clean "$DISK1"
	# As the power cut would have left it: in use, and that stays so until e2fsck has looked at it.
	modprobe loop
	mount_volume image c loop
	logged 'not cleanly unmounted.*e2fsck' > logged.out || fail "the log does not ask for e2fsck"
	umount c
	same 'not clean, 3' "$(header 'Filesystem state' image), $(header 'Mount count' image)" "the state after an unclean end and a mount"
	e2fsck -p image > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	same 'clean, 0' "$(header 'Filesystem state' image), $(header 'Mount count' image)" "the state after e2fsck"
}

# What the superblock knows that asks for e2fsck: errors, too many mounts, too long a time.
test_check_is_due() {
	[[ $MODULE == rext2 ]] || skip "ext4 says so in other words"
	make_volume "$DISK1" -b 1024
	mount_volume "$DISK1" m
	umount m
	! logged 'running e2fsck' > logged.out || fail "e2fsck is asked for without a reason"
	tune2fs -c 2 "$DISK1" > out
	mount_volume "$DISK1" m
	umount m
	! logged 'running e2fsck' > logged.out || fail "e2fsck is asked for too early"
	mount_volume "$DISK1" m
	umount m
	logged 'mounted often' > logged.out || fail "the log does not say that there were many mounts"
	tune2fs -c 0 -i 1d -T 20200101 "$DISK1" > out
	mount_volume "$DISK1" m
	umount m
	logged 'long ago' > logged.out || fail "the log does not say that the last check is long ago"
	tune2fs -E force_fsck "$DISK1" > out
	mount_volume "$DISK1" m
	state 'not clean with errors' 5 "of a volume with errors, in use"
	umount m
	logged 'it has errors' > logged.out || fail "the log does not say that the volume has errors"
	state 'clean with errors' 5 "of a volume with errors"
	mount_volume "$DISK1" m ro
	umount m
	e2fsck -fy "$DISK1" > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	state clean 0 "after e2fsck"
}
