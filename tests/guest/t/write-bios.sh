# shellcheck shell=bash
# Which bios writing costs: as few as the layout allows, pointer blocks and inode included.
# guest: limit=120

fresh() {
	null_disk bios 256
	make_volume /dev/bios -b 4096 -N 512
	mount_volume /dev/bios m
	sync
}

# written CMD...: the bios that write, "SECTOR SECTORS", in order; their list is left in the file `written.list` too.
written() { bios /dev/bios "$@" | sed -n 's/^W //p' | tee written.list; }

# total: how many bios `written` found, and their sectors.
total() { awk '{ sectors += $2 } END { print NR, sectors }' written.list; }

# in_file CODE: Python CODE with m/file open as f; it is made if it is not there.
in_file() {
	python3 -c "
import os
f = os.open('m/file', os.O_RDWR | os.O_CREAT)
$1"
}

# 64 MiB: data, 17 pointer blocks in a row, the block of the inode table.
new_file() {
	local count sectors
	fresh
	written in_file "
data = os.urandom($1)
for at in range(0, 64 << 20, $1):
    os.pwrite(f, data, at)
os.fsync(f)" > written.out
	read -r count sectors <<< "$(total)"
	same $((131072 + 17 * 8 + 8)) "$sectors" "the sectors written"
	((count <= $2)) || { cat written.list && fail "$count bios for a new file in calls of $1"; }
	# Together: what leads to the data is the last but one, the inode the last.
	same "136 8" "$(tail -n 2 written.list | cut -d ' ' -f 2 | paste -s -d ' ')" "the last bios"
	umount m
	fsck_clean /dev/bios
}

test_new_file_128k_calls() { new_file $((128 << 10)) 4; }

# The folios grow with the file; the first are small.
test_new_file_4k_calls() { new_file $((4 << 10)) 5; }

# A bio for each piece, begun small; the one that turns out long grows, to 256 pieces of memory at most.
test_overwrite_in_pieces() {
	local first
	fresh
	head -c 4m /dev/urandom > m/file
	cp m/file expected
	head -c 4m /dev/urandom > new
	drop_caches
	first=$(($(file_blocks /dev/bios file | sed -n 1p) * 8))
	written in_file "
new = open('new', 'rb').read()
expected = os.open('expected', os.O_WRONLY)
for block in [0, 2, 5, *range(16, 500), 600, 602]:
    for file in f, expected:
        os.pwrite(file, new[block << 12:(block + 1) << 12], block << 12)
os.fsync(f)" > written.out
	same "0 8
16 8
40 8
$((16 * 8)) $((256 * 8))
$(((16 + 256) * 8)) $((228 * 8))
$((600 * 8)) 8
$((602 * 8)) 8" "$(head -n -1 written.list | awk -v first="$first" '{ print $1 - first, $2 }')" "the bios"
	drop_caches
	cmp m/file expected
	umount m
	fsck_clean /dev/bios
}

# Blocks that are in the file already are written where they are: no two of them next to each other on the disk.
test_overwrite_in_fragments() {
	local block first
	null_disk bios 64
	make_volume /dev/bios -b 4096
	first=$(debugfs -R "ffb 1" /dev/bios 2> /dev/null | grep -oE '[0-9]+' | tail -n 1)
	for ((block = first; block < first + 900; block += 2)); do
		echo "setb $block"
	done > take
	head -c $((300 * 4096)) /dev/urandom > file
	{ cat take && echo "write file file" && sed 's/setb/freeb/' take; } > commands
	debugfs -w -f commands /dev/bios > debugfs.log 2>&1
	mount_volume /dev/bios m
	drop_caches
	head -c $((300 * 4096)) /dev/urandom > new
	written dd if=new of=m/file bs=128k conv=notrunc,fsync status=none > written.out
	# A bio a block, and the inode.
	same "301 $((301 * 8))" "$(total)" "bios and their sectors"
	drop_caches
	cmp m/file new
	umount m
	fsck_clean /dev/bios
}

# reads_of OFFSET BYTES BLOCK...: a write there to the file, which is not in memory, reads these of its blocks and no others.
reads_of() {
	local offset=$1 bytes=$2 expected
	shift 2
	drop_caches
	one_write=(dd if=zzz bs="$bytes" count=1 seek="$offset" oflag=seek_bytes conv=notrunc status=none)
	"${one_write[@]}" of=expected
	bios /dev/bios "${one_write[@]}" of=m/file > all
	expected=$(for block; do
		sed -n "$((block + 1))p" blocks
	done)
	# What lies in the file's blocks, block by block; the rest is what leads there.
	same "$expected" "$(awk -v size=$((size / 512)) '
		NR == FNR { mine[$1] = 1; next }
		/^R/ { for (at = $2; at < $2 + $3; at += size) if (at / size in mine) print at / size }' blocks all)" \
		"what a write of $bytes bytes at $offset reads"
}

# Whole blocks are written without a look at what was there; of others those are read that the write has a part of.
what_is_read() {
	local size=$1 one_write
	head -c 64k /dev/zero | tr '\0' z > zzz
	null_disk bios 64
	make_volume /dev/bios -b "$size"
	mount_volume /dev/bios m
	head -c 256k /dev/urandom | tee expected > m/file
	sync
	# Without the block of pointers, which follows the first twelve.
	file_blocks /dev/bios file | sed 13d > blocks
	same $((262144 / size)) "$(wc -l < blocks)" "blocks of the file"
	reads_of 0 $((4 * size))
	reads_of $((5 * size)) "$size"
	reads_of 131072 65536
	reads_of $((8 * size - 50)) 100 7 8
	reads_of $((20 * size + 1)) $((4 * size)) 20 24
	reads_of $((30 * size)) $((size - 1)) 30
	reads_of $((40 * size + 10)) 10 40
	reads_of 262143 1 $((262144 / size - 1))
	# Where there was nothing there is nothing to read.
	reads_of 262200 100
	drop_caches
	cmp expected m/file
	umount m
	fsck_clean /dev/bios
}
test_what_is_read_1k_blocks() { what_is_read 1024; }
test_what_is_read_4k_blocks() { what_is_read 4096; }
