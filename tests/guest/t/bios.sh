# shellcheck shell=bash
# Which bios reading costs: the exact list that reaches the disk, taken from the block layer's trace, against the
# list that follows from the file's layout. The disk is memory, its read-ahead window larger than each file.

here=${BASH_SOURCE[0]%/*}/..

# volume MiB BLOCK-SIZE [MKE2FS-ARGUMENT...]: a volume on /dev/bios; the files come from the directory `files`.
volume() {
	null_disk bios "$1"
	echo 65536 > /sys/block/bios/queue/read_ahead_kb
	make_volume /dev/bios -b "$2" -d files "${@:3}"
	block_size=$2
}

# planned FILE: the bios that its layout asks for.
planned() { debugfs -R "stat /$1" /dev/bios 2> /dev/null | python3 "$here/blockmap.py" "$block_size"; }

# A bio holds 256 pieces of memory. If none of them are neighbours, that is 1 MiB, and a longer run takes several
# bios: these count as one.
joined() {
	awk 'NR > 1 && $2 == start + length_ && last >= 2048 { length_ += $3; last = $3; next }
		NR > 1 { print "R", start, length_ }
		{ start = $2; length_ = last = $3 }
		END { if (NR) print "R", start, length_ }' | sed 's/^R  *$//'
}

# cold FILE: mounts, knows the file's inode, and nothing of its contents.
cold() {
	mount_volume /dev/bios m ro
	stat "m/$1" > stat.out
}

# reads_as_planned FILE: one call reads it all, right, and with just those bios.
reads_as_planned() {
	local expected found
	expected=$(planned "$1")
	cold "$1"
	found=$(bios /dev/bios xfs_io -r -c "pread -b 64m 0 64m" "m/$1")
	same "$(joined <<< "$expected")" "$(joined <<< "$found")" "the bios of reading $1"
	cmp "files/$1" "m/$1"
	umount m
}

make_file() {
	mkdir -p files
	head -c "$2" /dev/urandom > "files/$1"
}

test_direct_blocks_only() {
	make_file one 4096
	make_file all $((12 * 4096))
	volume 16 4096
	reads_as_planned one
	reads_as_planned all
	same 1 "$(planned all | wc -l)" "the number of bios"
}

# Blocks 0 to 11, the indirect block, the rest: as they lie on the disk.
test_twelfth_block() {
	make_file file $((20 * 4096))
	volume 16 4096
	reads_as_planned file
	same 3 "$(planned file | wc -l)" "the number of bios"
}

test_contiguous_4k() {
	make_file file $((8 << 20))
	volume 32 4096
	reads_as_planned file
}

test_contiguous_2k() {
	make_file file $((3 << 20))
	volume 16 2048
	reads_as_planned file
}

test_contiguous_1k() {
	make_file file $((3 << 20))
	volume 16 1024
	reads_as_planned file
}

# A tail costs one bio with whole blocks, and what lies behind the end reads as zeros.
test_odd_tail() {
	local size
	for size in 1 511 4095 5000 10000 49153; do
		make_file tail-$size $size
	done
	volume 16 1024
	for size in 1 511 4095 5000 10000 49153; do
		reads_as_planned tail-$size
	done
	mount_volume /dev/bios m ro
	xfs_io -r -c "mmap -r 0 4096" -c "mread -v 511 3585" m/tail-511 > page.out
	# The bytes without offsets and text column: nothing but zeros.
	same "" "$(sed -E 's/^[0-9a-f]+: *//; s/  .*//' page.out | tr -d '0 \n')" "what lies behind the end of the file"
}

# A hole ends a bio although the blocks on both sides of it are neighbours on the disk, and costs none.
test_holes() {
	mkdir files
	for block in 0 1 2 5 6 14 15 16 40 200 201; do
		head -c 4096 /dev/urandom | dd of=files/sparse bs=4096 seek=$block conv=notrunc status=none
	done
	truncate -s 2M files/sparse
	truncate -s 2M files/nothing
	volume 16 4096
	reads_as_planned sparse
	reads_as_planned nothing
	same "" "$(planned nothing)" "the bios of a hole"
}

test_holes_1k() {
	mkdir files
	for block in 0 1 2 5 6 14 15 16 40 200 201 300; do
		head -c 1024 /dev/urandom | dd of=files/sparse bs=1024 seek=$block conv=notrunc status=none
	done
	truncate -s 400K files/sparse
	volume 16 1024
	reads_as_planned sparse
}

# fragmented_file BLOCK-SIZE BLOCKS RUN GAP: `files/file` on blocks of which RUN are next to each other.
fragmented_file() {
	local blocks=$2 block first
	mkdir -p files
	head -c $((blocks * $1)) /dev/urandom > files/file
	cp files/file .
	null_disk bios 64
	echo 65536 > /sys/block/bios/queue/read_ahead_kb
	make_volume /dev/bios -b "$1"
	block_size=$1
	first=$(debugfs -R "ffb 1" /dev/bios 2> /dev/null | grep -oE '[0-9]+' | tail -n 1)
	for ((block = first; block < first + blocks * 3; block += $3 + $4)); do
		echo "setb $block $4"
	done > take
	sed 's/setb/freeb/' take > give
	{
		cat take
		echo "write file file"
		cat give
	} > commands
	debugfs -w -f commands /dev/bios > debugfs.log 2>&1
	fsck_clean /dev/bios
}

test_fragmented_4k() {
	fragmented_file 4096 300 1 1
	(($(planned file | wc -l) >= 300)) || fail "the file is not fragmented"
	reads_as_planned file
}

test_fragmented_runs_of_5() {
	fragmented_file 4096 500 5 2
	(($(planned file | wc -l) >= 100)) || fail "the file is not fragmented"
	reads_as_planned file
}

# Folios whose blocks are scattered.
test_fragmented_1k() {
	fragmented_file 1024 700 1 1
	(($(planned file | wc -l) >= 700)) || fail "the file is not fragmented"
	reads_as_planned file
}

test_fragmented_1k_runs_of_3() {
	fragmented_file 1024 700 3 1
	reads_as_planned file
}

# Each random read costs one bio of its block; the indirect block is read once.
test_random_4k() {
	local offset commands=() expected=()
	make_file file $((4 << 20))
	volume 16 4096
	mapfile -t disk < <(file_blocks_4k)
	for offset in 700 3 999 12 500 1023 4; do
		commands+=(-c "pread $((offset * 4096)) 4096")
		expected+=("R $((disk[offset] * 8)) 8")
	done
	# The first of them behind the twelfth block needs the indirect block before it.
	expected=("R $(($(indirect_block file) * 8)) 8" "${expected[@]}")
	cold file
	found=$(bios /dev/bios xfs_io -r -c "fadvise -r" "${commands[@]}" m/file)
	same "$(printf '%s\n' "${expected[@]}")" "$found" "the bios of random reads"
}

# file_blocks_4k [FILE]: the disk block of each file block, without the indirect ones.
file_blocks_4k() {
	debugfs -R "stat /${1:-file}" /dev/bios 2> /dev/null | tr -d '\n' | grep -oE '\([0-9]+(-[0-9]+)?\):[0-9]+(-[0-9]+)?' |
		sed -E 's/.*:([0-9]+)-([0-9]+)/\1 \2/; s/.*:([0-9]+)$/\1 \1/' |
		while read -r first last; do seq "$first" "$last"; done
}

# The disk block of a file's indirect block.
indirect_block() {
	debugfs -R "stat /$1" /dev/bios 2> /dev/null | grep -oE '\(IND\):[0-9]+' | sed -n '1s/.*://p'
}

# in_small_calls FILE LENGTH START:END...: the bios of reading LENGTH bytes in calls of 4 KiB, with a window of at most
# 128 KiB, are those of these file blocks. Where the twelfth block is behind us, the indirect block comes first.
in_small_calls() {
	local file=$1 length=$2 range start end expected=() indirect disk
	shift 2
	mapfile -t disk < <(file_blocks_4k "$file")
	indirect=$(indirect_block "$file")
	for range in "$@"; do
		start=${range%:*} end=${range#*:}
		((start != 12)) || expected+=("R $((indirect * 8)) 8")
		expected+=("R $((disk[start] * 8)) $(((end - start) * 8))")
	done
	cold "$file"
	same "$(printf '%s\n' "${expected[@]}")" "$(bios /dev/bios xfs_io -r -c "pread -b 4k 0 $length" "m/$file")" \
		"the bios of $length bytes of $file"
	cmp -n "$length" "files/$file" "m/$file"
	umount m
}

# Windows grow, and take what the page cache would leave to the next one to end on a round number; but not past the
# end of the file, and not for who has stopped reading.
test_small_calls() {
	make_file file $((128 * 4096))
	make_file end $((20 * 4096 - 100))
	make_file round $((32 * 4096))
	volume 16 4096
	echo 128 > /sys/block/bios/queue/read_ahead_kb
	in_small_calls file $((128 * 4096)) 0:4 4:12 12:32 32:64 64:96 96:128
	in_small_calls file $((2 * 4096)) 0:4 4:12
	in_small_calls file $((5 * 4096)) 0:4 4:12 12:32
	in_small_calls file $((13 * 4096)) 0:4 4:12 12:32 32:64
	in_small_calls end $((20 * 4096 - 100)) 0:4 4:12 12:20
	in_small_calls round $((32 * 4096)) 0:4 4:12 12:32
}

# Nothing that is in memory is read again.
test_warm() {
	make_file file $((2 << 20))
	volume 16 4096
	cold file
	cat m/file > /dev/null
	same "" "$(bios /dev/bios cmp files/file m/file)" "the bios of a warm read"
}
