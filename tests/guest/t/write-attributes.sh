# shellcheck shell=bash
# What attributes, and the mount options that say the same of all files, do: not only that they are kept.
# guest: limit=120 disks=64M

working() { printf '0 %s linear %s 0' "$(sectors "$DISK1")" "$DISK1"; }

restore() { echo "$1" > /proc/sys/vm/dirty_writeback_centisecs; }

# prepare OPTIONS: a volume that the kernel does not write on its own.
prepare() {
	defer restore "$(cat /proc/sys/vm/dirty_writeback_centisecs)"
	echo 0 > /proc/sys/vm/dirty_writeback_centisecs
	modprobe dm_flakey
	make_volume "$DISK1" -b 1024
	dm_disk d "$(working)"
	mount_volume /dev/mapper/d m "$1"
	mkdir m/d m/plain
	echo old > m/d/file
	echo old > m/d/moves
	echo old > m/d/goes
	echo old > m/plain/file
	sync
}

# No later write reaches the disk; then the volume is repaired and looked at.
power_fails() {
	dm_change d "0 $(sectors "$DISK1") flakey $DISK1 0 0 1 1 drop_writes"
	umount m
	run_deferred
	cd "$WORK"
	e2fsck -fy "$DISK1" > fsck.log 2>&1 || (($? < 4)) || fail "e2fsck -fy: $(cat fsck.log)"
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m ro
}

# Every way of changing names, in a directory.
names() {
	mkdir "$1/made"
	touch "$1/touched"
	ln -s target "$1/symlink"
	ln -s "$(printf 'x%.0s' {1..300})" "$1/long"
	mkfifo "$1/pipe"
	ln "$1/file" "$1/link"
	mv "$1/moves" "$1/moved"
	rm "$1/goes"
	mkdir "$1/not"
	rmdir "$1/not"
}

names_are_there() {
	same 'file link long made moved pipe symlink touched' "$(LC_ALL=C ls m/d | paste -s -d ' ')" "the names after a power cut"
	same "$(printf 'x%.0s' {1..300})" "$(readlink m/d/long)" "a long symbolic link"
	same 'fifo 2 old' "$(stat -c %F m/d/pipe) $(stat -c %h m/d/file) $(cat m/d/moved)" "kind, links and contents"
}

# Each change of a directory with +D is on the disk when the call returns; that of another one is not, or this could not fail.
test_dirsync_attribute() {
	prepare defaults
	chattr +D m/d
	sync
	names m/d
	mkdir m/plain/lost
	power_fails
	names_are_there
	same file "$(ls m/plain)" "names in a directory without the attribute"
}

test_dirsync_option() {
	prepare dirsync
	names m/d
	echo lost > m/plain/file
	power_fails
	names_are_there
	[[ $(cat m/plain/file) != lost ]] || fail "dirsync made contents durable"
}

# written DIRECTORY: contents and attributes of the file in it change, by each call that can.
written() {
	python3 - "$1/file" <<'EOF'
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(file, b"x" * 5000, 0)
os.pwrite(file, b"y" * 10, 90000)
os.ftruncate(file, 95000)
os.fchmod(file, 0o604)
EOF
}

written_is_there() {
	same '95000 604' "$(stat -c '%s %a' m/d/file)" "size and mode after a power cut"
	cmp m/d/file <(head -c 5000 /dev/zero | tr '\0' x; head -c 85000 /dev/zero; echo -n yyyyyyyyyy; head -c 4990 /dev/zero)
}

test_sync_attribute() {
	prepare defaults
	chattr +S m/d/file
	sync
	written m/d
	written m/plain
	power_fails
	written_is_there
	[[ $(stat -c %s m/plain/file) != 95000 ]] || fail "a file without the attribute was written"
}

test_sync_option() {
	prepare sync
	names m/d
	written m/d
	power_fails
	names_are_there
	written_is_there
}

# The time of access: kept, but not for files with +A, nor below a directory with it.
test_noatime() {
	fresh
	umount m
	mount_volume "$DISK1" m strictatime
	mkdir m/d
	chattr +A m/d
	echo text | tee m/d/inherits m/f > m/with
	chattr +A m/with
	touch -a -d '2001-02-03' m/f m/with m/d/inherits
	cat m/f m/with m/d/inherits > out
	[[ $(stat -c %x m/f) != 2001* ]] || fail "the time of access is not kept"
	same '2001-02-03 2001-02-03' "$(stat -c %x m/with m/d/inherits | cut -c 1-10 | paste -s -d ' ')" "the times of access with +A"
	clean
}

# A file takes over those attributes of its directory that mean something for its kind.
test_inherited() {
	fresh
	mkdir m/d
	chattr +sudSADT m/d
	touch m/d/file
	mkdir m/d/sub
	mkfifo m/d/pipe
	again
	same 'suSdA' "$(lsattr m/d/file | cut -d ' ' -f 1 | tr -d -)" "of a file"
	same 'suSDdA' "$(lsattr -d m/d/sub | cut -d ' ' -f 1 | tr -d -)" "of a directory"
	clean
}

# Immutable and append-only hold for every call, and for root.
test_immutable() {
	fresh
	mkdir m/fixed m/grows
	echo text | tee m/fixed/f m/grows/f m/i > m/a
	chattr +i m/i m/fixed
	chattr +a m/a m/grows
	python3 - <<'EOF'
import errno, os
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == errno.EPERM, (call, arguments, error)
    else:
        raise AssertionError((call, arguments))
for name in "m/i", "m/a":
    refused(os.truncate, name, 1)
    refused(os.open, name, os.O_RDWR)
    refused(os.rename, name, "m/x")
    refused(os.unlink, name)
    refused(os.link, name, "m/x")
    refused(os.chmod, name, 0o777)
    refused(os.chown, name, 1, 1)
    refused(os.utime, name, (1, 1))
refused(os.open, "m/i", os.O_WRONLY | os.O_APPEND)
file = os.open("m/a", os.O_WRONLY | os.O_APPEND)
os.write(file, b"more")
refused(os.ftruncate, file, 0)
for directory in "m/fixed", "m/grows":
    refused(os.unlink, f"{directory}/f")
    refused(os.rename, f"{directory}/f", "m/x")
refused(os.mkdir, "m/fixed/d")
refused(os.rename, "m/grows", "m/x")
os.mkdir("m/grows/d")
os.truncate("m/fixed/f", 2)
EOF
	again
	same $'text\nmore' "$(cat m/a)" "what was appended"
	same te "$(cat m/fixed/f)" "a file in an immutable directory"
	chattr -i m/i m/fixed
	chattr -a m/a m/grows
	rm -r m/i m/a m/fixed m/grows
	clean
}

# The group of a new file is that of its directory, or of who makes it: by option, or by what the superblock says.
test_groups() {
	local options expected name number=0
	make_volume "$DISK1"
	mount_volume "$DISK1" m
	mkdir m/d m/s
	chown 1:70000 m/d m/s
	chmod 777 m/d
	chmod 2777 m/s
	while read -r options expected; do
		umount m
		tune2fs -o "${options%%,*}" "$DISK1" > out
		mount_volume "$DISK1" m "${options#*,}"
		name=f$((++number))
		(
			cd m
			setpriv --reuid 1000 --regid 2000 --clear-groups bash -c "umask 022; touch d/$name s/$name; mkdir d/$name.d s/$name.d"
		)
		umount m
		mount_volume "$DISK1" m
		same "$expected" "$(stat -c %u:%g:%a m/{d,s}/"$name"{,.d} | paste -s -d ' ')" "owners with $options"
	done <<- 'END'
		^bsdgroups,defaults 1000:2000:644 1000:2000:755 1000:70000:644 1000:70000:2755
		^bsdgroups,grpid 1000:70000:644 1000:70000:755 1000:70000:644 1000:70000:755
		^bsdgroups,bsdgroups 1000:70000:644 1000:70000:755 1000:70000:644 1000:70000:755
		bsdgroups,defaults 1000:70000:644 1000:70000:755 1000:70000:644 1000:70000:755
		bsdgroups,nogrpid 1000:2000:644 1000:2000:755 1000:70000:644 1000:70000:2755
		bsdgroups,sysvgroups 1000:2000:644 1000:2000:755 1000:70000:644 1000:70000:2755
	END
	clean
}

# The project of a file, handed on by directories with +P; what belongs to another project cannot be moved there.
test_projects() {
	fresh
	mkdir m/p m/q
	chattr -p 42 m/p
	chattr -p 4000000000 m/q
	chattr +P m/p m/q
	touch m/p/f m/outside
	mkdir m/p/sub
	echo text > m/p/sub/g
	python3 - <<'EOF'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def result(call, *arguments):
    try:
        call(*arguments)
        return 0
    except OSError as error:
        return error.errno
def exchange(one, other):
    return 0 if libc.renameat2(-100, one.encode(), -100, other.encode(), 2) == 0 else ctypes.get_errno()
assert result(os.rename, "m/outside", "m/p/x") == errno.EXDEV
assert result(os.link, "m/outside", "m/p/x") == errno.EXDEV
assert result(os.rename, "m/p/f", "m/q/f") == errno.EXDEV
assert result(os.rename, "m/p/sub", "m/q/sub") == errno.EXDEV
assert exchange("m/outside", "m/p/f") == errno.EXDEV
assert exchange("m/p/f", "m/outside") == errno.EXDEV
assert result(os.rename, "m/p/f", "m/p/sub/f") == 0
assert result(os.link, "m/p/sub/f", "m/p/link") == 0
assert result(os.link, "m/p/link", "m/free") == 0
EOF
	again
	same '42 42 42 42 0 4000000000' \
		"$(lsattr -pd m/p m/p/link m/p/sub m/p/sub/g m/outside m/q | awk '{ print $1 }' | paste -s -d ' ')" "projects"
	clean
	# There is no place for it in an inode of 128 bytes.
	fresh -I 128
	touch m/f
	fails_with 'Operation not supported' chattr -p 42 m/f
	clean
}

# The version of a file, which NFS knows it by: its owner sets it.
test_version() {
	fresh
	echo text > m/f
	chattr -v 4000000000 m/f
	fails_with 'Operation not permitted' setpriv --reuid 1000 --regid 1000 --clear-groups chattr -v 5 m/f
	python3 - <<'EOF'
import fcntl, os, struct
GET, SET = 0x80087601, 0x40087602
file = os.open("m/f", os.O_RDONLY)
def version(number):
    return struct.unpack("I", fcntl.ioctl(file, number, bytes(4)))[0]
assert version(GET) == 4000000000, version(GET)
fcntl.ioctl(file, SET, struct.pack("I", 77))
assert version(GET) == 77
EOF
	again
	same 77 "$(lsattr -v m/f | awk '{ print $1 }')" "the version on disk"
	mount -o remount,ro m
	fails_with 'Read-only file system' chattr -v 6 m/f
	clean
}
