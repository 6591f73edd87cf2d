# shellcheck shell=bash
# Ways of writing: calls that move bytes between files, flags of single calls, I/O that others wait for.
# guest: limit=240 disks=512M

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

# Several jobs at a time, and others that compare what comes back while they write.
asynchronous() {
	fresh -b "$1"
	fio_verified --verify_backlog=64 --rw=randwrite --bs=4k-16k --ioengine=io_uring --iodepth=16 --direct=1 --numjobs=4 --size=3M --verify_async=2
	fio_verified --verify_backlog=64 --rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --direct=1 --numjobs=2 --size=3M --verify_async=2
	fio_verified --verify_backlog=64 --rw=randwrite --bs=4k-16k --ioengine=io_uring --iodepth=16 --numjobs=4 --size=3M --fsync=40
	fio_verified --verify_backlog=64 --rw=randwrite --bs=1k-9k --ioengine=mmap --numjobs=4 --size=2M
	fio_verified --verify_backlog=64 --rw=randwrite --bs=4k --ioengine=pvsync2 --numjobs=2 --size=1M --sync=dsync
	fio_verified --verify_backlog=64 --rw=write --bs=32k --ioengine=splice --numjobs=2 --size=3M
	clean
}
test_asynchronous_1k_blocks() { asynchronous 1024; }
test_asynchronous_4k_blocks() { asynchronous 4096; }
