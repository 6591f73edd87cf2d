# shellcheck shell=bash
# Many readers, and little memory.

# 64 readers of one cold page: the disk, which is slow, sees one read.
test_one_read_for_64_readers() {
	mkdir files
	head -c 4096 /dev/urandom > files/page
	make_volume "$DISK1" -b 4096 -d files
	modprobe dm_delay
	dm_disk slow "0 $(sectors "$DISK1") delay $DISK1 0 300"
	mount_volume /dev/mapper/slow m ro
	stat m/page > stat.out
	cat > readers.py <<- 'END'
		import os
		import sys
		import threading

		expected = open("files/page", "rb").read()
		file = os.open("m/page", os.O_RDONLY)
		start = threading.Barrier(64)
		right = []

		def read():
		    start.wait()
		    right.append(os.pread(file, 4096, 0) == expected)

		threads = [threading.Thread(target=read) for _ in range(64)]
		for thread in threads:
		    thread.start()
		for thread in threads:
		    thread.join()
		sys.exit(right != [True] * 64)
	END
	found=$(bios /dev/mapper/slow python3 readers.py)
	same 1 "$(wc -l <<< "$found")" "the number of reads: $found"
}

# More is read than fits, by several at once: pages come and go, and the bytes stay right.
reads_in_little_memory() {
	local number pids=()
	mkdir files
	head -c $((48 << 20)) /dev/urandom > files/large
	make_volume "$DISK1" -b "$1" -d files
	mount_volume "$DISK1" m ro
	sha256sum < m/large > expected
	drop_caches
	for number in 1 2 3; do
		within_memory 20 bash -c 'sha256sum < m/large | cmp - expected' &
		pids+=($!)
	done
	for number in 1 2 3 4 5; do
		sleep 0.5
		echo 3 > /proc/sys/vm/drop_caches
		echo 1 > /proc/sys/vm/compact_memory
	done
	for number in "${pids[@]}"; do
		wait "$number"
	done
	cmp files/large m/large
}
test_reclaim_4k() { reads_in_little_memory 4096; }
test_reclaim_1k() { reads_in_little_memory 1024; }
