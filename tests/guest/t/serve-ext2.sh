# shellcheck shell=bash
# The type name of the C driver, on request, in a guest of their own: ext4 has not taken it yet.
# guest: mem=1024 disks=64M

load() {
	rmmod rext2
	insmod /mnt/src/build/rext2.ko "$@"
}

test_name_is_free() {
	[[ $MODULE == rext2 ]] || skip "a parameter of rext2"
	! grep -qw ext2 /proc/filesystems || fail "somebody has loaded ext4"
	load serve_ext2=1
	make_volume "$DISK1"
	mkdir m
	mount -t ext2 "$DISK1" m
	echo text > m/file
	same rext2 "$(lsmod | awk '$1 == "rext2" && $3 > 0 { print $1 }')" "the module in use"
	clean
	load
}

test_name_is_taken() {
	[[ $MODULE == rext2 ]] || skip "a parameter of rext2"
	modprobe ext4
	grep -qw ext2 /proc/filesystems || fail "ext4 does not serve ext2"
	rmmod rext2
	fails_with 'Device or resource busy' insmod /mnt/src/build/rext2.ko serve_ext2=1
	insmod /mnt/src/build/rext2.ko
	fresh
	clean
}
