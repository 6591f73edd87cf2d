# shellcheck shell=bash
# Free blocks are made known to the device, those in use never; and where blocks are chosen.
# guest: limit=120 disks=32M

# A disk of 64 MiB on a file of which only what was written takes space: $disk and the file back/image.
thin() {
	mkdir back
	mount -t tmpfs none back
	defer umount "$PWD/back"
	truncate -s 64M back/image
	modprobe loop
	disk=$(loop_disk back/image)
	defer losetup -d "$disk"
}

# Space that the disk takes, in KiB.
taken() { du -k back/image | cut -f 1; }

fill() {
	local i
	mkdir m/keep m/go
	for ((i = 0; i < 40; i++)); do
		head -c 300k /dev/urandom > "m/keep/f$i"
		head -c 300k /dev/urandom > "m/go/f$i"
	done
	manifest m/keep > kept
	sync
}

kept() {
	drop_caches
	manifest m/keep > found
	cmp kept found || fail "a block in use was discarded"
}

trims() {
	local before after
	thin
	make_volume "$disk" -b "$1"
	mount_volume "$disk" m
	fill
	before=$(taken)
	rm -r m/go
	fstrim m
	after=$(taken)
	((before - after > 10000)) || fail "the disk took $before KiB and takes $after"
	kept
	# Parts of the volume, and only long rows.
	fstrim -o 8M -l 16M m
	fstrim -m 1M m
	fails_with 'Invalid argument' fstrim -o 1G m
	kept
	umount m
	fsck_clean "$disk"
}
test_trim_1k_blocks() { trims 1024; }
test_trim_4k_blocks() { trims 4096; }

# With the option what is deleted is made known, when it can be used again.
test_discard_option() {
	local before after
	thin
	make_volume "$disk"
	mount_volume "$disk" m discard
	fill
	before=$(taken)
	rm -r m/go
	sync
	after=$(taken)
	((before - after > 10000)) || fail "the disk took $before KiB and takes $after"
	kept
	truncate -s 100k m/keep/f*
	manifest m/keep > kept
	sync
	((after - $(taken) > 7000)) || fail "truncated files still take their space"
	kept
	umount m
	fsck_clean "$disk"
}

# While files come and go. A block that was just chosen must not be discarded any more.
under_load() {
	thin
	make_volume "$disk" -b 1024
	mount_volume "$disk" m "$1"
	(while [[ ! -e stop ]]; do fstrim m || exit; done) &
	fio --name=t --directory=m --verify=crc32c --verify_fatal=1 --do_verify=1 --fallocate=none --size=4M --numjobs=3 \
		--rw=randwrite --bs=2k --loops=2 --unlink_each_loop=1 --ioengine=psync --fsync=100 --minimal > fio.log 2>&1 || {
		touch stop
		cat fio.log
		fail "fio"
	}
	touch stop
	wait
	umount m
	fsck_clean "$disk"
}
test_trim_under_load() { under_load nodiscard; }
test_discard_under_load() { under_load discard; }

# A device that does not want to know.
test_no_discard() {
	null_disk d 32
	make_volume /dev/d
	mount_volume /dev/d m discard
	same 0 "$(cat /sys/block/d/queue/discard_max_bytes)" "discards of the device"
	fails_with 'not supported' fstrim m
	head -c 1M /dev/zero > m/f
	rm m/f
	sync
	umount m
	fsck_clean /dev/d
}

# On a disk array large files begin at stripes.
test_stripes() {
	local first i
	fresh -b 1024 -E stride=16,stripe_width=64
	for i in 1 2 3 4; do
		head -c 100 /dev/zero > "m/small$i"
		head -c 1M /dev/zero > "m/f$i"
		sync
	done
	umount m
	for i in 1 2 3 4; do
		first=$(file_blocks "$DISK1" "/f$i" | sed -n 1p)
		((first % 64 == 0)) || fail "file $i begins at block $first"
	done
	fsck_clean "$DISK1"
}

# What was deleted can be used, and is counted as free, without `sync`.
test_space_comes_back() {
	local i free
	fresh -b 1024
	head -c 300k /dev/zero > m/f
	rm m/f
	sync
	free=$(stat -f -c %f m)
	for ((i = 0; i < 8; i++)); do
		head -c $((free * 1024 * 8 / 10)) /dev/zero > m/f || fail "round $i: no space"
		rm m/f
		same "$free" "$(stat -f -c %f m)" "free blocks in round $i"
	done
	clean
}
