# shellcheck shell=bash
# Files changed in every way that a program can, compared with the same done to a file in memory (tmpfs).
# guest: limit=150

# prepare BLOCK-SIZE [MKE2FS-ARGUMENT...]: an empty volume on m, an empty directory in memory in ref.
prepare() {
	local size=$1
	shift
	fresh -b "$size" "$@"
	mkdir -p ref
}

# twice FILE OPERATION...: the xfs_io operations on both files.
twice() {
	local file=$1 directory operation arguments=()
	shift
	for operation; do arguments+=(-c "$operation"); done
	for directory in ref m; do
		xfs_io -f "${arguments[@]}" "$directory/$file" > "$directory.out" 2>&1 || {
			cat "$directory.out"
			fail "$file: $* ($directory)"
		}
	done
}

each_size() {
	local size
	for size in 1024 2048 4096; do
		prepare "$size"
		"$@"
		settled
		umount m
		rm -rf ref
	done
}

overwrites() {
	twice seq 'pwrite -S 1 -b 64k 0 1m' 'pwrite -S 2 1000 5000' 'pwrite -S 3 262100 100'
	twice small 'pwrite -S 4 0 1' 'pwrite -S 5 1 1022' 'pwrite -S 6 1023 2' 'pwrite -S 7 4095 2'
	twice append 'pwrite -S 8 0 100' 'pwrite -S 9 100 1' fsync 'pwrite -S 10 101 5000' fsync 'pwrite -S 11 5101 99'
	twice sparse 'pwrite -S 12 5m 10' 'pwrite -S 13 100k 3k' 'pwrite -S 14 70m 4k' 'pwrite -S 15 1 1'
	twice rewritten 'pwrite -S 16 0 300k' fsync 'pwrite -S 17 10k 200k' fsync 'pwrite -S 18 299k 2k'
	twice backwards 'pwrite -S 19 60k 4k' 'pwrite -S 20 50k 4k' 'pwrite -S 21 40k 4k' 'pwrite -S 22 1k 1k' fsync
}
test_overwrite() { each_size overwrites; }

truncates() {
	twice cut 'pwrite -S 1 0 100k' 'truncate 50001' 'truncate 200k'
	twice cut-synced 'pwrite -S 2 0 100k' fsync 'truncate 50001' 'truncate 200k' fsync 'truncate 51000' 'pwrite -S 3 90k 10'
	twice to-nothing 'pwrite -S 4 0 10m' fsync 'truncate 0' 'pwrite -S 5 0 10'
	twice inside-block 'pwrite -S 6 0 5000' fsync 'truncate 4500' 'truncate 4600' 'pwrite -S 7 4700 10'
	twice grown 'truncate 10m' 'pwrite -S 8 9m 10' 'truncate 3m'
	twice indirect 'pwrite -S 9 0 2m' fsync 'truncate 12k' 'pwrite -S 10 12k 1k' 'truncate 13k' 'truncate 300k'
	twice double 'pwrite -S 11 66m 1m' fsync 'truncate 66m' 'pwrite -S 12 1m 1k'
}
test_truncate() { each_size truncates; }

# past_end FILE COUNT OPERATION...: the file is COUNT bytes of 5, and then zeroes. (tmpfs cannot say so: there what a
# mapping holds past the end does show.)
past_end() {
	local file=past-end-$1 count=$2 operation arguments=()
	shift 2
	for operation; do arguments+=(-c "$operation"); done
	xfs_io -f "${arguments[@]}" "m/$file" > out || fail "$file: $*"
	head -c "$count" /dev/zero | tr '\0' '\5' > "ref/$file"
	truncate -s "$(stat -c %s "m/$file")" "ref/$file"
}

# What a mapping holds past the end of a file shows nowhere when the file grows over it.
mapped() {
	twice shared 'pwrite -S 1 0 100k' 'mmap 0 100k' 'mwrite -S 2 5000 20000' 'msync -s' 'mwrite -S 3 90000 5000'
	past_end cut 100 'pwrite -S 4 0 100' fsync 'mmap 0 4096' 'mwrite -S 5 0 4096' 'truncate 8192'
	past_end written 100 'pwrite -S 4 0 100' fsync 'mmap 0 4096' 'mwrite -S 5 0 4096' 'pwrite -S 0 9000 10'
	past_end synced 100 'pwrite -S 4 0 100' 'mmap 0 4096' 'mwrite -S 5 0 4096' 'msync -s' fsync 'truncate 4000'
	past_end again 1500 'pwrite -S 4 0 1500' 'mmap 0 4096' 'mwrite -S 5 0 4096' fsync 'mwrite -S 5 0 4096' 'pwrite -S 0 1500 10' 'pwrite -S 0 4000 10'
	past_end allocated 100 'pwrite -S 4 0 100' fsync 'mmap 0 4096' 'mwrite -S 5 0 4096' 'falloc 0 9000'
	past_end allocated-far 100 'pwrite -S 4 0 100' fsync 'mmap 0 4096' 'mwrite -S 5 0 4096' 'falloc 9000 1000'
	past_end zeroed 100 'pwrite -S 4 0 100' fsync 'mmap 0 4096' 'mwrite -S 5 0 4096' 'fzero 3000 9000'
	past_end after-cut 10001 'pwrite -S 5 0 64k' 'mmap 0 64k' 'mwrite -S 5 0 64k' 'truncate 10001' 'mwrite -S 5 8192 3000' 'truncate 64k'
	twice hole 'truncate 1m' 'mmap 0 1m' 'mwrite -S 6 300000 10' 'mwrite -S 7 0 1' 'msync -s'
	twice hole-later 'truncate 1m' 'mmap 0 1m' 'mwrite -S 8 300000 10' 'pwrite -S 9 300005 10' 'mwrite -S 10 300010 3'
}
test_mmap() { each_size mapped; }

direct() {
	local file
	# Past the cache on both sides, so that both see the same lengths.
	for file in ref m; do
		xfs_io -f -d -c 'pwrite -S 1 -b 1m 0 4m' -c 'pwrite -S 2 -b 4k 8k 16k' -c 'pwrite -S 3 -b 64k 4m 64k' \
			-c 'truncate 10m' -c 'pwrite -S 4 -b 8k 8m 64k' -c 'pwrite -S 5 -b 512k 3m 6m' "$file/direct" > out || fail "direct $file"
		# Over a cached, dirty page.
		xfs_io -f -c 'pwrite -S 6 0 64k' "$file/mixed" > out
		xfs_io -d -c 'pwrite -S 7 -b 4k 4k 8k' "$file/mixed" > out
		xfs_io -c 'pwrite -S 8 5000 10' "$file/mixed" > out
		xfs_io -d -c 'pwrite -S 9 -b 4k 60k 8k' -c 'pwrite -S 10 -b 4k 128k 4k' "$file/mixed" > out
		# In the last block, which the file does not fill.
		xfs_io -f -c 'pwrite -S 11 0 100' -c fsync "$file/tail" > out
		xfs_io -d -c 'pwrite -S 12 -b 4k 0 4k' "$file/tail" > out
	done
	dd if=m/direct iflag=direct bs=64k status=none | cmp - ref/direct || fail "direct reads differ"
}
test_direct() { each_size direct; }

# In units of the device's sector, smaller than a block.
test_direct_sectors() {
	prepare 4096
	xfs_io -f -c 'pwrite -S 1 0 64k' -c fsync m/f > out
	xfs_io -f -c 'pwrite -S 1 0 64k' -c fsync ref/f > out
	xfs_io -d -c 'pwrite -S 2 -b 512 512 512' -c 'pwrite -S 3 -b 1024 5120 3072' m/f > out
	xfs_io -c 'pwrite -S 2 -b 512 512 512' -c 'pwrite -S 3 -b 1024 5120 3072' ref/f > out
	settled
	xfs_io -d -c 'pwrite -S 2 -b 100 50 100' m/f > out 2>&1 && fail "an unaligned direct write succeeded"
	grep -q 'Invalid argument' out
}

allocates() {
	twice allocate 'falloc 0 100k' 'pwrite -S 1 50k 10k' 'falloc 90k 200k'
	twice kept 'pwrite -S 2 0 1m' 'truncate 2m' 'falloc -k 500k 1m'
	twice punched 'pwrite -S 3 0 1m' 'fpunch 100k 200k' fsync 'fpunch 500001 3' 'fpunch 600001 100000' 'fpunch 1000k 1m'
	twice punched-dirty 'pwrite -S 4 0 64k' fsync 'pwrite -S 5 0 64k' 'fpunch 5000 30000' 'pwrite -S 6 8k 1k'
	twice punched-mapped 'pwrite -S 7 0 64k' 'mmap 0 64k' 'mwrite -S 8 0 64k' 'fpunch 4k 8k' 'mwrite -S 9 6k 100'
	twice punched-indirect 'pwrite -S 10 0 6m' fsync 'fpunch 12k 5m' 'pwrite -S 11 2m 1k'
	# tmpfs does not know zero-range: the same is said there with a hole.
	xfs_io -f -c 'pwrite -S 10 0 1m' -c 'fzero 100k 200k' -c fsync -c 'fzero 500001 100' -c 'fzero -k 900k 50k' -c 'fzero 1000k 100k' m/zeroed > out || fail fzero
	xfs_io -f -c 'pwrite -S 10 0 1m' -c 'fpunch 100k 200k' -c 'fpunch 500001 100' -c 'fpunch 900k 50k' -c 'fpunch 1000k 24k' -c 'truncate 1100k' ref/zeroed > out
}
test_fallocate() { each_size allocates; }

# A fallocate that fails, or is killed, leaves the file its size and no block past its end.
test_fallocate_that_fails() {
	local size before
	for size in 1024 4096; do
		prepare "$size"
		xfs_io -f -c 'pwrite -S 1 0 10000' -c fsync m/f > out
		before=$(stat -c '%s %b' m/f)
		fails_with 'No space left' fallocate -l 2G m/f
		fails_with 'File too large' bash -c 'trap "" XFSZ; ulimit -f 100; fallocate -l 10M m/f'
		timeout -s KILL 0.3 fallocate -l 700M m/killed || true
		same "$before" "$(stat -c '%s %b' m/f)" "size and sectors after fallocate failed"
		xfs_io -f -c 'falloc 0 1m' m/f > out || fail "fallocate after it failed"
		clean
	done
}

# Blocks given by fallocate hold zeroes, whatever they held before.
test_allocated_blocks_are_zeroes() {
	head -c 64M /dev/zero | tr '\0' Z | dd of="$DISK1" bs=1M status=none
	prepare 1024 -K
	fallocate -l 20M m/f
	truncate -s 20M ref/f
	(($(stat -c %b m/f) >= 40960)) || fail "fallocate gave only $(stat -c %b m/f) sectors"
	drop_caches
	settled
}

appends() {
	local i file
	for file in ref m; do
		for ((i = 0; i < 60; i++)); do
			printf '%0*d' $((i * 37)) $i >> $file/log
			((i % 16)) || sync -d $file/log
		done
	done
}
test_append() { each_size appends; }

# Holes and data are where they were put.
test_holes() {
	prepare 1024
	xfs_io -f -c 'pwrite -S 1 1m 1k' -c 'pwrite -S 1 3m 2k' -c 'truncate 8m' m/f > out
	same $'Whence\tResult\nDATA\t1048576\nHOLE\t1049600\nDATA\t3145728\nHOLE\t3147776' \
		"$(xfs_io -r -c 'seek -a -r 1' m/f | sed '/^HOLE\t1$/d')" "holes"
	(($(stat -c %b m/f) <= 24)) || fail "the holes take space"
	clean
}

# As large as the format and this block size let a file be.
test_largest_file() {
	local size limit
	for size in 1024 4096; do
		prepare "$size"
		# 12 direct blocks and three trees; with 4 KiB blocks the count of sectors in 32 bits comes first.
		limit=$(((12 + size / 4 + (size / 4) ** 2 + (size / 4) ** 3) * size))
		((size == 1024)) || limit=$((2 ** 41))
		xfs_io -f -c "pwrite -S 1 $((limit - size)) 10" -c 'pwrite -S 2 0 10' -c fsync m/f > out 2>&1 ||
			((size == 4096)) || fail "the last block cannot be written"
		truncate -s 0 m/f
		clean
	done
}
