# shellcheck shell=bash
# Coming and going: nothing may be left of a mount or of the module.

# guest: limit=400
test_100_mounts() {
	local number users
	make_volume "$DISK1"
	mkdir m
	users=$(module_users)
	for ((number = 0; number < 100; number++)); do
		mount -t "$FSTYPE" -o ro "$DISK1" m
		ls -lR m > ls.out
		umount m
	done
	same "$users" "$(module_users)" "the users of the module"
	# A cache that is not empty when the module goes makes the kernel complain.
	if [[ $MODULE == rext2 ]]; then
		rmmod rext2
		insmod /mnt/src/build/rext2.ko
	fi
}

test_failing_mounts_leave_nothing() {
	local number users
	dd if=/dev/urandom of="$DISK1" bs=1M count=1 status=none
	mkdir m
	users=$(module_users)
	for ((number = 0; number < 50; number++)); do
		! mount -t "$FSTYPE" -o ro "$DISK1" m 2> mount.err || fail "mounted random bytes"
	done
	same "$users" "$(module_users)" "the users of the module"
}

test_100_loads() {
	local number
	[[ $MODULE == rext2 ]] || skip "needs the module under test"
	make_volume "$DISK1"
	mkdir m
	rmmod rext2
	for ((number = 0; number < 100; number++)); do
		insmod /mnt/src/build/rext2.ko
		if ((number % 10 == 0)); then
			mount -t rext2 -o ro "$DISK1" m
			ls m > ls.out
			umount m
		fi
		rmmod rext2
	done
	same "" "$(grep rext2 /proc/slabinfo || true)" "caches of the unloaded module"
	insmod /mnt/src/build/rext2.ko
}

test_no_unload_while_mounted() {
	[[ $MODULE == rext2 ]] || skip "needs the module under test"
	make_volume "$DISK1"
	mount_volume "$DISK1" m ro
	fails_with "in use" rmmod rext2
	[[ -d m/lost+found ]]
}

# The volume is busy while something of it is in use, and free afterwards.
test_busy() {
	make_volume "$DISK1"
	mount_volume "$DISK1" m ro
	exec 8< m/lost+found
	fails_with "busy" umount m
	exec 8<&-
	umount m
}
