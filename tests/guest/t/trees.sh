# shellcheck shell=bash
# Trees put on volumes of every kind by mke2fs, compared file by file with their source.
# guest: limit=90

# shellcheck source=../tree.sh
. "${BASH_SOURCE[0]%/*}/../tree.sh"

# same_on_volume LAST-SECOND MKE2FS-ARGUMENT...
same_on_volume() {
	local last=$1
	shift
	make_tree tree "$last"
	make_volume "$DISK1" -d tree "$@"
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m ro
	same_tree tree m
	umount m
	fsck_clean "$DISK1"
}

old=2147483647
far=7000000000

test_1k_blocks() { same_on_volume $far -b 1024 -I 256; }
test_2k_blocks() { same_on_volume $far -b 2048 -I 256; }
test_4k_blocks() { same_on_volume $far -b 4096 -I 256; }
test_1k_blocks_128_byte_inodes() { same_on_volume $old -b 1024 -I 128; }
test_4k_blocks_128_byte_inodes() { same_on_volume $old -b 4096 -I 128; }
test_1k_byte_inodes() { same_on_volume $far -b 4096 -I 1024; }
test_revision_0() { same_on_volume $old -b 1024 -r 0 -I 128 -O none; }
test_no_filetype() { same_on_volume $far -O ^filetype; }
test_no_sparse_super() { same_on_volume $far -b 1024 -O ^sparse_super,^resize_inode; }
test_no_resize_inode() { same_on_volume $far -O ^resize_inode; }
test_no_ext_attr() { same_on_volume $far -O ^ext_attr; }
test_no_dir_index() { same_on_volume $far -O ^dir_index; }
test_meta_bg_1k_blocks() { same_on_volume $far -b 1024 -O meta_bg,^resize_inode; }
test_meta_bg_4k_blocks() { same_on_volume $far -b 4096 -O meta_bg,^resize_inode; }
test_small_groups() { same_on_volume $far -b 1024 -g 256 -O ^resize_inode 64M; }

# A directory that e2fsck has given a hash index reads the same.
test_hash_index() {
	make_tree tree $far
	make_volume "$DISK1" -b 1024 -d tree
	e2fsck -fyD "$DISK1" > fsck.log || (($? == 1))
	debugfs -R "htree_dump /many" "$DISK1" 2>&1 | grep -q "Root node dump" || fail "no directory has an index"
	mount_volume "$DISK1" m ro
	same_tree tree m
}

# Extended attributes on the volume do not disturb reading.
test_with_attributes() {
	make_tree tree $far
	setfattr -n user.colour -v blue tree/size-4097 tree/deep
	setfacl -m u:1000:rw tree/size-1025
	make_volume "$DISK1" -d tree
	mount_volume "$DISK1" m ro
	setfacl -b tree/size-1025
	same_tree tree m
}
