# shellcheck shell=bash
# Devices that fail: the right error, for exactly those who need what cannot be read.

# A volume with the files before, victim and after, on a device of which parts can fail.
set_up() {
	local name
	mkdir files
	for name in before victim after; do
		head -c $((64 << 10)) /dev/urandom > files/$name
	done
	make_volume "$DISK1" -b 4096 -d files
	dm_disk faulty "$(healthy)"
	mount_volume /dev/mapper/faulty m ro
}

healthy() { echo "0 $(sectors "$DISK1") linear $DISK1 0"; }

# failing SECTOR SECTORS: a table in which these fail.
failing() {
	local end=$(($1 + $2))
	printf '0 %d linear %s 0\n%d %d error\n%d %d linear %s %d\n' "$1" "$DISK1" "$1" "$2" \
		$end $(($(sectors "$DISK1") - end)) "$DISK1" $end
}

# The sector of block $2 of file $1.
sector_of() { echo $(($(debugfs -R "bmap /$1 $2" "$DISK1" 2> /dev/null) * 8)); }

test_one_block_fails() {
	local sector
	set_up
	allow_kernel 'I/O error|Buffer I/O'
	sector=$(sector_of victim 5)
	drop_caches
	dm_change faulty "$(failing "$sector" 8)"
	cmp files/before m/before
	cmp files/after m/after
	fails_with "Input/output error" dd if=m/victim of=part bs=4096 skip=5 count=1
	cmp <(head -c 20480 files/victim) <(dd if=m/victim bs=4096 count=5 status=none)
	cmp <(tail -c +24577 files/victim) <(dd if=m/victim bs=4096 skip=6 status=none)
	dm_change faulty "$(healthy)"
	cmp files/victim m/victim
}

# The indirect block fails: the first twelve blocks do not need it.
test_indirect_block_fails() {
	local block
	set_up
	allow_kernel 'I/O error|Buffer I/O'
	block=$(debugfs -R "stat /victim" "$DISK1" 2> /dev/null | grep -oE '\(IND\):[0-9]+')
	drop_caches
	dm_change faulty "$(failing $((${block#*:} * 8)) 8)"
	cmp <(head -c 49152 files/victim) <(dd if=m/victim bs=4096 count=12 status=none)
	fails_with "Input/output error" dd if=m/victim of=part bs=4096 skip=12 count=1
	dm_change faulty "$(healthy)"
	cmp files/victim m/victim
}

test_mapped_page_fails() {
	local sector status=0
	set_up
	allow_kernel 'I/O error|Buffer I/O'
	sector=$(sector_of victim 5)
	drop_caches
	dm_change faulty "$(failing "$sector" 8)"
	xfs_io -r -c "mmap -r 0 64k" -c "mread 20k 4k" m/victim > mread.out 2>&1 || status=$?
	same $((128 + 7)) "$status" "the status of a program that touches the page (SIGBUS)"
	dm_change faulty "$(healthy)"
	cmp files/victim m/victim
}

test_direct_read_fails() {
	local sector
	set_up
	allow_kernel 'I/O error|Buffer I/O'
	sector=$(sector_of victim 5)
	dm_change faulty "$(failing "$sector" 8)"
	fails_with "Input/output error" dd if=m/victim of=part bs=64k iflag=direct count=1
	cmp files/after <(dd if=m/after bs=64k iflag=direct status=none)
	dm_change faulty "$(healthy)"
	cmp files/victim <(dd if=m/victim bs=64k iflag=direct status=none)
}

# Everything fails, then works again: no error sticks.
test_whole_device_fails() {
	set_up
	allow_kernel 'I/O error|Buffer I/O|cannot read|error'
	umount m
	mount_volume /dev/mapper/faulty m ro
	dm_change faulty "0 $(sectors "$DISK1") error"
	! cat m/before m/victim m/after > all 2> cat.err || fail "read from a dead device"
	fails_with "Input/output error" ls m/lost+found
	dm_change faulty "$(healthy)"
	cmp files/before m/before
	cmp files/victim m/victim
	ls m/lost+found > ls.out
}

test_mount_of_failing_device() {
	set_up
	umount m
	allow_kernel 'I/O error|Buffer I/O|cannot read|unable to read'
	dm_change faulty "0 $(sectors "$DISK1") error"
	! mount -t "$FSTYPE" -o ro /dev/mapper/faulty m 2> mount.err || fail "mounted a dead device"
	dm_change faulty "$(healthy)"
	mount_volume /dev/mapper/faulty m ro
	cmp files/after m/after
}
