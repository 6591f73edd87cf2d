# shellcheck shell=bash
# A file tree with everything in it that the format can say, to be put on a volume by `mke2fs -d`.

# Sizes on both sides of every limit: block, direct blocks, single indirect, for 1, 2 and 4 KiB blocks.
TREE_SIZES=(
	0 1 59 60 61 511 512 513 1023 1024 1025 2047 2048 2049 4095 4096 4097
	12287 12288 12289 24575 24576 24577 49151 49152 49153
	274431 274432 274433 1073151 1073152 1073153 1500000 4243455 4243456 4243457
)

make_tree() {
	local tree=$1
	mkdir -p "$tree"/{empty,deep/a/b/c/d/e/f,many}
	tree_files "$tree"
	tree_names "$tree"
	tree_links "$tree"
	tree_special "$tree"
	tree_owners "$tree"
	tree_times "$tree"
}

tree_files() {
	local size
	for size in "${TREE_SIZES[@]}"; do
		head -c "$size" /dev/urandom > "$1/size-$size"
	done
	echo deepest > "$1/deep/a/b/c/d/e/f/file"
	truncate -s 3M "$1/all-hole"
	truncate -s 5M "$1/sparse"
	for size in 0 13 300 1000; do
		head -c 4096 /dev/urandom | dd of="$1/sparse" bs=4096 seek=$size conv=notrunc status=none
	done
}

tree_names() {
	local number name
	printf -v name '%0255d' 7
	echo long > "$1/$name"
	echo short > "$1/n"
	echo "umlaut" > "$1/Größe"
	echo blank > "$1/with a blank"
	echo high > "$1/"$'\xff\xfe'
	for ((number = 0; number < 500; number++)); do
		echo $number > "$1/many/file-$number"
	done
}

# A target of up to 59 bytes lies in the inode.
tree_links() {
	local length target
	for length in 1 58 59 60 61 255 1000; do
		printf -v target '%0*d' $length 0
		ln -s "$target" "$1/symlink-$length"
	done
	ln -s size-1025 "$1/symlink-to-file"
	for length in 1 2 3; do
		ln "$1/size-4097" "$1/many/hard-$length"
	done
}

tree_special() {
	mknod "$1/null" c 1 3
	mknod "$1/old-block" b 7 255
	mknod "$1/new-block" b 259 70000
	mkfifo "$1/fifo"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1/socket"
}

tree_owners() {
	local mode
	for mode in 0000 0400 0755 1777 2755 4711 7777; do
		echo $mode > "$1/mode-$mode"
		chmod $mode "$1/mode-$mode"
		mkdir -m $mode "$1/directory-$mode"
	done
	echo 1 > "$1/owner-1000"
	chown 1000:1001 "$1/owner-1000"
	echo 1 > "$1/owner-large"
	chown 70000:4000000000 "$1/owner-large"
	chown -h 65534:65533 "$1/symlink-59"
}

# The times that fit without the extra bits of a 256-byte inode, which mke2fs does not write.
tree_times() {
	local time
	for time in -2147483648 -1 0 1 2147483647; do
		echo "$time" > "$1/time$time"
		touch -d "@$time" "$1/time$time"
	done
	# Directories got their times from what was made in them; whole seconds are what mke2fs copies.
	find "$1" ! -name 'time*' -exec touch -h -d @1234567890 {} +
}
