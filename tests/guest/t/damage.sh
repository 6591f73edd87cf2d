# shellcheck shell=bash
# Volumes on which one field lies: what needs it fails with the right error and one line in the log, the rest works.
# guest: limit=300

# make_image DIRECTORY: `clean`, a volume of 1 KiB blocks with a file, a directory, two symlinks; inodes 12 and up.
make_image() {
	mkdir -p "$1" source/directory
	head -c 300000 /dev/urandom > source/victim
	echo good > source/good
	echo inner > source/directory/file
	ln -s good source/short
	ln -s "$(printf '%0100d' 0)" source/long
	mke2fs -q -F -t ext2 -b 1024 -d source "$1/clean" 8M
}

needs_rext2() { [[ $MODULE == rext2 ]] || skip "messages and errors are those of rext2"; }

# poke OFFSET WIDTH VALUE: changes a number in `image`, little-endian.
poke() {
	python3 -c 'import sys; offset, width, value = (int(word, 0) for word in sys.argv[1:])
with open("image", "r+b") as file: file.seek(offset); file.write(value.to_bytes(width, "little"))' "$@"
}

# refused PATTERN WHAT: `image` is not mounted, and the log says why.
refused() {
	if mount -t "$FSTYPE" -o ro,loop image m 2> mount.err; then
		fail "mounted although $2"
	fi
	logged "not mounted: .*($1)" > logged.out || {
		dmesg | tail -n 3
		fail "the log does not say '$1' where $2"
	}
	dmesg -C
	echo "<5>rext2-test: begin $TEST" > /dev/kmsg
}

# lies OFFSET WIDTH PATTERN VALUE...: each value in that field of `image` is refused.
lies() {
	local value
	for value in "${@:4}"; do
		cp --sparse=always fixture/clean image
		poke "$1" "$2" "$value"
		refused "$3" "the $2 bytes at $1 are $value"
	done
}

test_superblock() {
	needs_rext2
	fixture fixture make_image
	mkdir m
	lies $((1024 + 0)) 4 's_inodes_count|inodes' 0 0xffffffff
	lies $((1024 + 4)) 4 'blocks|group' 0 0xffffffff 1000000
	lies $((1024 + 8)) 4 s_r_blocks_count 0xffffffff
	lies $((1024 + 12)) 4 s_free_blocks_count 0xffffffff
	lies $((1024 + 16)) 4 s_free_inodes_count 0xffffffff
	lies $((1024 + 20)) 4 s_first_data_block 0 7 0xffffffff
	lies $((1024 + 24)) 4 's_log_block_size|block size|fragments' 1 3 99 0xffffffff
	lies $((1024 + 28)) 4 's_log_cluster_size|fragments' 5
	lies $((1024 + 32)) 4 's_blocks_per_group|group|s_inodes_count' 0 7 0xffffffff
	lies $((1024 + 40)) 4 's_inodes_per_group|inodes' 0 0xffffffff
	lies $((1024 + 56)) 2 'magic' 0 0xffff
	lies $((1024 + 76)) 4 'revision' 2 0xffffffff
	lies $((1024 + 84)) 4 's_first_ino' 0 0xffffffff
	lies $((1024 + 88)) 2 's_inode_size' 0 100 192 65535
	lies $((1024 + 96)) 4 'features' 0xffffffff
}

# The first group's descriptor lies in block 2.
test_group_descriptor() {
	needs_rext2
	fixture fixture make_image
	mkdir m
	lies 2048 4 'block bitmap|overlap' 0 1 0xffffffff
	lies 2052 4 'inode bitmap|overlap' 0 1 0xffffffff
	lies 2056 4 'inode table|overlap' 0 1 0xffffffff 8190
	lies 2060 2 'group 0: 65535' 0xffff
	lies 2062 2 'group 0: 65535' 0xffff
}

# with_field FIELD VALUE PATH CMD...: with that field of the inode changed, CMD says that the volume needs cleaning,
# the log names the inode, and other files are not affected.
with_field() {
	local field=$1 value=$2 path=$3 ino
	shift 3
	cp --sparse=always fixture/clean image
	ino=$(debugfs -R "stat $path" image 2> /dev/null | sed -nE 's/^Inode: ([0-9]+).*/\1/p')
	debugfs -w -R "set_inode_field $path $field $value" image > debugfs.log 2>&1
	same 1 "$(wc -l < debugfs.log)" "what debugfs says of $field: $(< debugfs.log)"
	echo "$path: $field = $value"
	mount -t "$FSTYPE" -o ro,loop image m
	fails_with "Structure needs cleaning" "$@"
	same good "$(cat m/good)" "another file"
	umount m
	logged "inode $ino\b" > logged.out || fail "the log does not name inode $ino, of which $field is $value"
	dmesg -C
	echo "<5>rext2-test: begin $TEST" > /dev/kmsg
}

test_inode() {
	needs_rext2
	fixture fixture make_image
	mkdir m
	with_field mode 0150644 /victim cat m/victim
	with_field mode 0 /victim cat m/victim
	with_field links_count 0 /victim cat m/victim
	with_field flags 0x80000 /victim cat m/victim
	with_field size 0x7fffffff00000000 /victim cat m/victim
	with_field extra_isize 3 /victim cat m/victim
	with_field extra_isize 999 /victim cat m/victim
	with_field file_acl 99999 /victim cat m/victim
	with_field size 100 /directory ls m/directory
	with_field size 0 /directory ls m/directory
	with_field size 0 /short readlink -v m/short
	with_field size 59 /short readlink -v m/short
	with_field size 5000 /long readlink -v m/long
}

# Pointers to blocks that are none, or hold metadata.
test_block_pointers() {
	local block
	needs_rext2
	fixture fixture make_image
	mkdir m
	for block in 1 2 8192 99999 4294967295; do
		with_field 'block[0]' $block /victim cat m/victim
		with_field 'block[IND]' $block /victim cat m/victim
		with_field 'block[DIND]' $block /victim cat m/victim
		with_field 'block[0]' $block /directory ls m/directory
		with_field 'block[0]' $block /long readlink -v m/long
	done
}

# entry OFFSET WIDTH VALUE: the same in the block of /directory, of which the entries are at 0, 12 and 24.
bad_entry() {
	local block
	cp --sparse=always fixture/clean image
	block=$(debugfs -R "bmap /directory 0" image 2> /dev/null)
	poke $((block * 1024 + $1)) "$2" "$3"
	mount -t "$FSTYPE" -o ro,loop image m
	fails_with "Structure needs cleaning" ls m/directory
	same good "$(cat m/good)" "another file"
	umount m
	logged "directory" > logged.out || fail "the log says nothing of the entry"
}

test_directory_entries() {
	local length
	needs_rext2
	fixture fixture make_image
	mkdir m
	for length in 0 1 8 13 1004 2000 65535; do
		bad_entry 28 2 $length
	done
	bad_entry 24 4 99999
	bad_entry 24 4 0xffffffff
	bad_entry 30 1 255
	bad_entry 33 1 0x2f
}

# The list of inodes without a name leads in a circle, of one, two or three: the mount comes to an end, and says so.
test_orphans_in_a_circle() {
	local length number
	needs_rext2
	truncate -s 4M clean
	make_volume clean
	mkdir m
	for number in 12 13 14 15; do
		echo $number > $number
		debugfs -w -R "write $number file$number" clean > debugfs.log 2>&1
	done
	for length in 1 2 3; do
		cp clean image
		debugfs -w -R "set_super_value last_orphan 12" image > debugfs.log 2>&1
		for ((number = 12; number <= 12 + length; number++)); do
			debugfs -w -R "set_inode_field <$number> dtime $((number < 12 + length ? number + 1 : 13))" image > debugfs.log 2>&1
		done
		mount -t "$FSTYPE" -o loop,errors=continue image m
		logged "list of orphans: comes back to inode" > logged.out || fail "the log says nothing of the circle"
		umount m
	done
}

# walk: everything that can be asked of a volume, whatever comes of it.
walk() {
	timeout 60 find m -ls > walk.out 2>&1 || (($? != 124))
	timeout 60 find m -type f -exec cat {} + > walk.out 2>&1 || (($? != 124))
	timeout 60 find m -exec getfattr -d {} + > walk.out 2>&1 || (($? != 124))
}

# Volumes with a few random bytes in their metadata: whatever is refused, nothing breaks or hangs.
test_random_damage() {
	local seed mounted=0
	fixture fixture make_image
	mkdir m
	allow_kernel 'EXT4-fs'
	for ((seed = 1; seed <= 40; seed++)); do
		cp --sparse=always fixture/clean image
		python3 - $seed <<- 'END'
			import random
			import sys

			dice = random.Random(int(sys.argv[1]))
			with open("image", "r+b") as file:
			    for _ in range(dice.randrange(1, 60)):
			        # Mostly bitmaps, inodes, directories and indirect blocks, now and then the superblock.
			        file.seek(dice.randrange(1024, 4096) if dice.randrange(20) == 0 else dice.randrange(4096, 700 * 1024))
			        file.write(bytes([dice.choice((0, 1, 0x7F, 0xFF, dice.randrange(256)))]))
		END
		if mount -t "$FSTYPE" -o ro,loop image m 2> mount.err; then
			mounted=$((mounted + 1))
			walk
			umount m
		fi
	done
	((mounted >= 10)) || fail "only $mounted of the damaged volumes were mounted"
}
