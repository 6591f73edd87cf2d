# shellcheck shell=bash
# What the harness must notice; `check` in this directory knows which of these has to fail, and how.
# guest: mem=1024 smp=1 disks=8M,16M

test_passes() { true; }

test_fails() {
	echo "output of the failing test"
	false
	echo "not reached"
}

test_skips() { skip "for no reason"; }

test_warns() { echo "<4>WARNING: CPU: 0 PID: 1 at a test" > /dev/kmsg; }

test_warns_as_expected() {
	allow_kernel "WARNING: .* at a test"
	echo "<4>WARNING: CPU: 0 PID: 1 at a test" > /dev/kmsg
}

test_takes_down_after_failing() {
	truncate -s 8M image
	mke2fs -q -t ext2 image
	mkdir m
	mount -t tmpfs none m
	defer umount "$WORK/m"
	false
}

# guest: limit=3
test_hangs() { sleep 1000; }

test_after_the_hang() { true; }

test_leaves_a_mount() {
	mkdir m
	mount -t tmpfs none m
}

test_panics() {
	echo c > /proc/sysrq-trigger
	sleep 1000
}

test_after_the_panic() {
	[[ $REXT2_DISKS == "/dev/vda /dev/vdb" && $DISK2 == /dev/vdb ]]
	[[ $(nproc) == 1 && $(blockdev --getsize64 "$DISK2") == $((16 << 20)) ]]
}
