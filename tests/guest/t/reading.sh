# shellcheck shell=bash
# The ways in which a program can read, on files of every shape: all must give the same bytes.

# make_files DIRECTORY: one of each shape; `dense` needs double-indirect blocks even with 4 KiB blocks.
make_files() {
	local block
	mkdir -p "$1"
	head -c $((9 << 20)) /dev/urandom > "$1/dense"
	head -c 100001 /dev/urandom > "$1/odd"
	: > "$1/empty"
	for block in 0 3 11 12 13 200 1035 1036 1037 3000; do
		head -c 4096 /dev/urandom | dd of="$1/sparse" bs=4096 seek=$block conv=notrunc status=none
	done
	truncate -s $((4000 * 4096 + 77)) "$1/sparse"
}

# volume BLOCK-SIZE: the files at m.
volume() {
	fixture files make_files
	make_volume "$DISK1" -b "$1" -d files
	mount_volume "$DISK1" m ro
}

# every_block_size FUNCTION
every_block_size() {
	local size
	for size in 1024 2048 4096; do
		volume $size
		"$1"
		umount m
	done
}

compare_files() {
	local file
	for file in dense odd empty sparse; do
		cmp "files/$file" "m/$file"
	done
}
test_read() { every_block_size compare_files; }

# Every file in calls of every size, from a cold cache.
calls_of_all_sizes() {
	local size
	for size in 1 1000 4096 65537 1048576; do
		drop_caches
		if ((size > 1)); then cmp files/dense <(dd if=m/dense bs=$size status=none); fi
		cmp files/odd <(dd if=m/odd bs=$size status=none)
	done
}
# guest: limit=150
test_calls_of_all_sizes() { every_block_size calls_of_all_sizes; }

random_reads() {
	python3 - <<- 'END'
		import os
		import random
		import sys

		dice = random.Random(20)
		for name in ("dense", "odd", "sparse"):
		    theirs, ours = (os.open(f"{where}/{name}", os.O_RDONLY) for where in ("files", "m"))
		    size = os.fstat(ours).st_size
		    for _ in range(300):
		        offset, length = dice.randrange(size + 5000), dice.choice((1, 100, 4096, 5000, 70000))
		        if os.pread(theirs, length, offset) != os.pread(ours, length, offset):
		            sys.exit(f"{name}: {length} bytes at {offset} differ")
	END
}
test_random_reads() { every_block_size random_reads; }

mapped_reads() {
	python3 - <<- 'END'
		import mmap
		import random
		import sys

		dice = random.Random(30)
		for name in ("dense", "odd", "sparse"):
		    with open(f"files/{name}", "rb") as theirs, open(f"m/{name}", "rb") as ours:
		        expected = theirs.read()
		        view = mmap.mmap(ours.fileno(), 0, prot=mmap.PROT_READ)
		        for _ in range(200):
		            offset = dice.randrange(len(expected))
		            if view[offset : offset + 9000] != expected[offset : offset + 9000]:
		                sys.exit(f"{name}: mapped bytes at {offset} differ")
		        if view[:] != expected:
		            sys.exit(f"{name}: the whole mapping differs")
	END
}
test_mmap() { every_block_size mapped_reads; }

# A private mapping may be written; the file does not change.
test_mmap_private() {
	volume 4096
	python3 - <<- 'END'
		import mmap
		with open("m/odd", "rb") as file:
		    view = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
		    view[0:5000] = bytes(5000)
	END
	cmp files/odd m/odd
}

direct_reads() {
	local size
	for size in 4096 65536 1048576; do
		drop_caches
		cmp files/dense <(dd if=m/dense bs=$size iflag=direct status=none)
		cmp files/sparse <(dd if=m/sparse bs=$size iflag=direct status=none)
		cmp files/odd <(dd if=m/odd bs=$size iflag=direct status=none)
	done
}
test_direct() { every_block_size direct_reads; }

# Sectors are the unit of direct reads on a device of 512-byte sectors; others fail with EINVAL.
test_direct_alignment() {
	volume 4096
	cmp <(dd if=files/dense bs=512 skip=7 count=3 status=none) <(dd if=m/dense bs=512 skip=7 count=3 iflag=direct status=none)
	fails_with "Invalid argument" dd if=m/dense bs=100 count=1 iflag=direct
}

# Direct and cached readers of one file see the same.
test_direct_beside_cached() {
	local pid pids=()
	volume 1024
	for pid in 1 2; do
		cmp files/dense <(dd if=m/dense bs=64k iflag=direct status=none) &
		pids+=($!)
		cmp files/dense <(dd if=m/dense bs=64k status=none) &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

sent_and_spliced() {
	python3 - <<- 'END'
		import os
		import sys

		for name in ("dense", "odd", "sparse"):
		    expected = open(f"files/{name}", "rb").read()
		    source = os.open(f"m/{name}", os.O_RDONLY)
		    target = os.open("sent", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
		    while os.sendfile(target, source, None, 1 << 20):
		        pass
		    if open("sent", "rb").read() != expected:
		        sys.exit(f"{name}: sendfile gave other bytes")
		    reader, writer = os.pipe()
		    os.lseek(source, 0, os.SEEK_SET)
		    found = bytearray()
		    while count := os.splice(source, writer, 1 << 16):
		        found += os.read(reader, count)
		        while len(found) < os.lseek(source, 0, os.SEEK_CUR):
		            found += os.read(reader, 1 << 16)
		    if found != expected:
		        sys.exit(f"{name}: splice gave other bytes")
	END
}
test_sendfile_and_splice() { every_block_size sent_and_spliced; }

# Hints change what is read ahead, never what is read.
test_hints() {
	local hint
	volume 4096
	for hint in "fadvise -s" "fadvise -r" "fadvise -w 0 4m" "fadvise -n 0 0" "fadvise -d 0 0" "mmap -r 0 9m" "madvise -w"; do
		drop_caches
		xfs_io -r -c "$hint" m/dense > hint.out 2>&1 || true
		cmp files/dense m/dense
	done
	xfs_io -r -c "mmap -r 0 9m" -c "madvise -w 0 9m" -c "mread 0 9m" -c "madvise -d 0 9m" -c "mread 0 9m" m/dense > hint.out
	cmp files/dense m/dense
}

# Many readers, cached, direct, mapped and asynchronous, each checking what it reads.
# guest: limit=150
test_fio_verify() {
	mkdir f
	fio --name=data --filename=f/data --size=24m --bs=4k --rw=write --verify=crc32c --do_verify=0 --verify_state_save=0 > fio.log
	make_volume "$DISK1" -b 1024 -d f
	mount_volume "$DISK1" m ro
	local engine
	for engine in psync mmap libaio io_uring; do
		drop_caches
		fio --readonly --name=data --filename=m/data --size=24m --bs=4k --rw=read --ioengine=$engine --iodepth=8 \
			--verify=crc32c --verify_only --verify_state_load=0 --allow_file_create=0 > fio.log 2>&1 || {
			cat fio.log
			fail "fio with $engine"
		}
	done
}

# Past the end there is nothing; a directory is no file.
test_ends() {
	volume 4096
	same 0 "$(dd if=m/odd bs=4096 skip=100 status=none | wc -c)" "bytes past the end"
	same 0 "$(wc -c < m/empty)" "bytes of an empty file"
	fails_with "Is a directory" dd if=m/lost+found of=/dev/null
	fails_with "Read-only file system" touch m/new
	fails_with "Read-only file system" dd if=/dev/zero of=m/odd conv=notrunc count=1
}
