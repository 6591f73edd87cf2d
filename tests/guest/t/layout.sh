# shellcheck shell=bash
# Where a file's blocks and holes are: SEEK_HOLE and SEEK_DATA, FIEMAP, FIBMAP; files up to the format's limits.

# The ranges of a sparse file in blocks: data, first and last.
sparse_file() {
	local block
	for block in "${@:2}"; do
		head -c 4096 /dev/urandom | dd of="$1" bs=4096 seek="$block" conv=notrunc status=none
	done
}

# ranges FILE: "data OFFSET" and "hole OFFSET" lines.
ranges() { xfs_io -r -c "seek -a -r 0" "$1" | sed '1{/Whence/d}' | awk '{ print tolower($1), $2 }'; }

test_seek() {
	local size
	mkdir files
	sparse_file files/sparse 0 1 5 11 12 14 1035 1036 3000
	truncate -s 20M files/sparse
	truncate -s 3M files/nothing
	head -c 70000 /dev/urandom > files/dense
	for size in 1024 4096; do
		make_volume "$DISK1" -b $size -d files
		mount_volume "$DISK1" m ro
		same "$(ranges files/sparse)" "$(ranges m/sparse)" "data and holes"
		same "$(ranges files/nothing)" "$(ranges m/nothing)" "data and holes of a file without data"
		same "$(ranges files/dense)" "$(ranges m/dense)" "data and holes of a file without holes"
		fails_with "No such device or address" python3 -c 'import os; os.lseek(os.open("m/sparse", 0), 30 << 20, os.SEEK_DATA)'
		umount m
	done
}

# The runs of a file's data as debugfs knows them: "first file block, first disk block, blocks".
runs_on_disk() {
	debugfs -R "stat /$1" "$DISK1" 2> /dev/null | tr -d '\n' | grep -oE '\([0-9]+(-[0-9]+)?\):[0-9]+(-[0-9]+)?' |
		sed -E 's/[():]+/ /g; s/([0-9]+)-[0-9]+/\1 &/g' |
		awk '{ if (NF == 2) print $1, $2, 1; else { split($2, l, "-"); print $1, $3, l[2] - l[1] + 1 } }' |
		awk 'NR > 1 && $1 == f + n && $2 == d + n { n += $3; next } NR > 1 { print f, d, n }
			{ f = $1; d = $2; n = $3 } END { if (NR) print f, d, n }'
}

# The same as FIEMAP says, in blocks of $1 bytes.
runs_by_fiemap() {
	xfs_io -r -c "fiemap -v" "$2" | awk -v sectors=$(($1 / 512)) '/^ +[0-9]+:/ && !/hole/ {
		split($2, file, /[^0-9]+/); split($3, disk, /[^0-9]+/)
		printf "%d %d %d\n", file[2] / sectors, disk[1] / sectors, $4 / sectors }' |
		awk 'NR > 1 && $1 == f + n && $2 == d + n { n += $3; next } NR > 1 { print f, d, n }
			{ f = $1; d = $2; n = $3 } END { if (NR) print f, d, n }'
}

test_fiemap() {
	local size file
	mkdir files
	sparse_file files/sparse 0 1 5 11 12 14 1035 1036 3000
	head -c $((6 << 20)) /dev/urandom > files/dense
	for size in 1024 4096; do
		make_volume "$DISK1" -b $size -d files
		mount_volume "$DISK1" m ro
		for file in sparse dense; do
			same "$(runs_on_disk $file)" "$(runs_by_fiemap $size m/$file)" "the runs of $file with $size-byte blocks"
		done
		umount m
	done
}

# FIBMAP, block for block.
test_bmap() {
	mkdir files
	sparse_file files/sparse 0 1 5 11 12 14 1035
	make_volume "$DISK1" -b 4096 -d files
	mount_volume "$DISK1" m ro
	runs_on_disk sparse > runs
	python3 - <<- 'END'
		import fcntl
		import struct
		import sys

		expected = {}
		for line in open("runs"):
		    first, disk, count = map(int, line.split())
		    expected.update({first + index: disk + index for index in range(count)})
		with open("m/sparse", "rb") as file:
		    for block in range(1040):
		        found = struct.unpack("i", fcntl.ioctl(file, 1, struct.pack("i", block)))[0]
		        if found != expected.get(block, 0):
		            sys.exit(f"block {block} is at {found}, not {expected.get(block, 0)}")
	END
}

# large_file BLOCK-SIZE SIZE OFFSET...: data at these offsets of a file of that size reads back, and all else is a hole.
large_file() {
	local offset size=$2
	mkdir -p files
	rm -f files/large
	truncate -s "$size" files/large
	for offset in "${@:3}"; do
		head -c 4096 /dev/urandom | dd of=files/large bs=4096 seek=$((offset / 4096)) conv=notrunc status=none
	done
	make_volume "$DISK1" -b "$1" -d files
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m ro
	same "$size" "$(stat -c %s m/large)" "the size"
	same "$(ranges files/large)" "$(ranges m/large)" "data and holes"
	for offset in "${@:3}"; do
		cmp <(dd if=files/large bs=4096 skip=$((offset / 4096 - (offset > 0))) count=3 status=none) \
			<(dd if=m/large bs=4096 skip=$((offset / 4096 - (offset > 0))) count=3 status=none)
	done
	umount m
}

# On both sides of 2, 4 and 8 GiB, in and behind the triple-indirect tree.
test_large_file_4k() {
	large_file 4096 $((40 << 30)) 0 $((12 << 12)) $((1036 << 12)) $(((2 << 30) - 4096)) $((2 << 30)) $(((4 << 30) - 4096)) \
		$((4 << 30)) $((8 << 30)) $(((40 << 30) - 4096))
}

test_large_file_1k() {
	large_file 1024 $((16 << 30)) 0 $((12 << 12)) $((67 << 20)) $((4 << 30)) $(((16 << 30) - 4096))
}

# What is too far for the format is refused by size, and the largest file can be read at its end.
test_largest_file_1k() {
	large_file 1024 $((16 << 30)) $(((16 << 30) - 8192))
}
