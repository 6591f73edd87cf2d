# shellcheck shell=bash
# Trees put on volumes of every kind by mke2fs, compared file by file with their source.
# guest: limit=90

# shellcheck source=../tree.sh
. "${BASH_SOURCE[0]%/*}/../tree.sh"

# same_on_volume MKE2FS-ARGUMENT...
same_on_volume() {
	fixture tree make_tree
	make_volume "$DISK1" -d tree "$@"
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m ro
	same_tree tree m
	clean
}

test_1k_blocks() { same_on_volume -b 1024 -I 256; }
test_2k_blocks() { same_on_volume -b 2048 -I 256; }
test_4k_blocks() { same_on_volume -b 4096 -I 256; }
test_1k_blocks_128_byte_inodes() { same_on_volume -b 1024 -I 128; }
test_4k_blocks_128_byte_inodes() { same_on_volume -b 4096 -I 128; }
test_1k_byte_inodes() { same_on_volume -b 4096 -I 1024; }

# The first revision has no features, and no field for them.
test_revision_0() {
	fixture tree make_tree
	make_volume "$DISK1" -b 1024 -I 128 -O none -d tree
	debugfs -w -R "set_super_value rev_level 0" "$DISK1" > debugfs.log 2>&1
	fsck_clean "$DISK1"
	dumpe2fs -h "$DISK1" 2> /dev/null | grep '^Filesystem revision #: *0' > /dev/null || fail "the volume is not of revision 0"
	mount_volume "$DISK1" m ro
	same_tree tree m
}

test_no_filetype() { same_on_volume -O ^filetype; }
test_no_sparse_super() { same_on_volume -b 1024 -O ^sparse_super,^resize_inode; }
test_no_resize_inode() { same_on_volume -O ^resize_inode; }
test_no_ext_attr() { same_on_volume -O ^ext_attr; }
test_no_dir_index() { same_on_volume -O ^dir_index; }
test_meta_bg_1k_blocks() { same_on_volume -b 1024 -O meta_bg,^resize_inode; }
test_meta_bg_4k_blocks() { same_on_volume -b 4096 -O meta_bg,^resize_inode; }
test_small_groups() { same_on_volume -b 1024 -g 1024 -O ^resize_inode; }

# A directory that e2fsck has given a hash index reads the same.
test_hash_index() {
	fixture tree make_tree
	make_volume "$DISK1" -b 1024 -d tree
	e2fsck -fyD "$DISK1" > fsck.log || (($? == 1))
	debugfs -R "htree_dump /many" "$DISK1" 2>&1 | grep "Root node dump" > /dev/null || fail "no directory has an index"
	mount_volume "$DISK1" m ro
	same_tree tree m
}

# Extended attributes on the volume do not disturb reading.
test_with_attributes() {
	fixture tree make_tree
	cp -a tree/. attributes
	setfattr -n user.colour -v blue attributes/size-4097 attributes/deep
	setfattr -n user.shape -v "$(printf '%0500d' 0)" attributes/size-1025
	make_volume "$DISK1" -d attributes
	mount_volume "$DISK1" m ro
	same_tree attributes m
}

# set_times IMAGE PATH FIELD SECONDS NANOSECONDS: as debugfs writes them, extra bits included.
set_times() {
	debugfs -w -f - "$1" > debugfs.log 2>&1 <<- END
		set_inode_field $2 $3 @$4
		set_inode_field $2 $3_extra $((($5 << 2) | ((($4 + 2147483648) >> 32) & 3)))
	END
}

# Seconds from 1901 to 2446, nanoseconds, and the time of creation.
test_far_times() {
	local time field number
	local times=(-2147483648 -2 0 2147483647 2147483648 4294967295 4294967296 6442450944 15032385535)
	mkdir files
	for number in "${!times[@]}"; do
		echo > "files/$number"
	done
	make_volume "$DISK1" -I 256 -d files
	for number in "${!times[@]}"; do
		for field in atime mtime ctime crtime; do
			set_times "$DISK1" "/$number" $field "${times[number]}" 123456789
		done
	done
	mount_volume "$DISK1" m ro
	python3 - "${times[@]}" <<- 'END'
		import os
		import sys

		for number, second in enumerate(sys.argv[1:]):
		    found = os.stat(f"m/{number}")
		    expected = int(second) * 10**9 + 123456789
		    if {found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns} != {expected}:
		        sys.exit(f"{second}: found {found}, expected {expected}")
	END
	# The time of creation in whole seconds: stat rounds down.
	for number in "${!times[@]}"; do
		time=${times[number]}
		same "$time" "$(stat -c %W "m/$number")" "the time of creation"
	done
}
