# shellcheck shell=bash
# Ways of writing: calls that move bytes between files, flags of single calls, I/O that others wait for.
# guest: limit=240 disks=512M

fresh() {
	make_volume "$DISK1" "$@"
	mount_volume "$DISK1" m
}

clean() {
	umount m
	fsck_clean "$DISK1"
}

calls() {
	fresh -b "$1"
	python3 /mnt/src/tests/guest/calls.py m
	clean
}
test_calls_1k_blocks() { calls 1024; }
test_calls_2k_blocks() { calls 2048; }
test_calls_4k_blocks() { calls 4096; }

# A call with RWF_DSYNC has its bytes on the disk when it returns; one without leaves them in memory.
test_synchronous_call() {
	local block
	fresh
	xfs_io -f -c 'pwrite -S 1 0 64k' -c fsync m/f > out
	bios "$DISK1" xfs_io -c 'pwrite -S 2 0 4k' m/f > lazy
	! grep -q ^W lazy || fail "a write without the flag went to the disk at once: $(cat lazy)"
	bios "$DISK1" xfs_io -c 'pwrite -V 1 -D -S 3 8k 4k' m/f > prompt
	block=$(file_blocks "$DISK1" /f | sed -n 3p)
	grep -qx "W $((block * 8)) 8" prompt || fail "block $block was not written: $(cat prompt)"
	same 4096 "$(dd if="$DISK1" bs=4096 skip="$block" count=1 iflag=direct status=none | tr -dc '\003' | wc -c)" "bytes on the disk"
	clean
}

# verified OPTION...: fio writes, several jobs at a time, and others compare what comes back while it does.
verified() {
	fio --name=t --directory=m --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_backlog=64 --fallocate=none --randrepeat=1 \
		--minimal "$@" > fio.log 2>&1 || {
		cat fio.log
		fail "fio $*"
	}
	rm -f m/*.0
}

asynchronous() {
	fresh -b "$1"
	verified --rw=randwrite --bs=4k-16k --ioengine=io_uring --iodepth=16 --direct=1 --numjobs=4 --size=3M --verify_async=2
	verified --rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --direct=1 --numjobs=2 --size=3M --verify_async=2
	verified --rw=randwrite --bs=4k-16k --ioengine=io_uring --iodepth=16 --numjobs=4 --size=3M --fsync=40
	verified --rw=randwrite --bs=1k-9k --ioengine=mmap --numjobs=4 --size=2M
	verified --rw=randwrite --bs=4k --ioengine=pvsync2 --numjobs=2 --size=1M --sync=dsync
	verified --rw=write --bs=32k --ioengine=splice --numjobs=2 --size=3M
	clean
}
test_asynchronous_1k_blocks() { asynchronous 1024; }
test_asynchronous_4k_blocks() { asynchronous 4096; }
