# shellcheck shell=bash
# Names: made, moved, removed; what stays of a file without one; attributes and times.
# guest: limit=120 disks=512M

# A tree of every kind of file, made on the volume, is there after a new mount.
test_kinds() {
	fresh -b 1024
	cp /etc/passwd m/file
	mkdir -p m/a/b/c/d
	ln m/file m/a/link
	ln -s short m/symlink
	ln -s "$(printf 'x%.0s' {1..59})" m/fast
	ln -s "$(printf 'y%.0s' {1..60})" m/slow
	ln -s "$(printf 'z%.0s' {1..1000})" m/long
	mknod m/null c 1 3
	mknod m/large b 300 70000
	mkfifo m/pipe
	chmod 4755 m/file
	chown 1000:70000 m/file
	touch -d '2100-02-03 04:05:06.789' m/a/b
	mkdir m/set-gid
	chown :70000 m/set-gid
	chmod 2777 m/set-gid
	mkdir m/set-gid/inner
	same 70000:2755 "$(stat -c %g:%a m/set-gid/inner)" "a directory in a set-gid directory"
	manifest m > before
	again
	manifest m > after
	cmp before after || fail "$(diff before after)"
	same '2100-02-03 04:05:06.789000000' "$(TZ=UTC stat -c %y m/a/b | cut -d+ -f1 | sed 's/ *$//')" "a time past 2038"
	rm -r m/*
	same lost+found "$(ls -A m 2> /dev/null | tr -d '\n')lost+found" "what is left"
	clean
}

# rename(2) with its flags.
test_rename() {
	fresh
	mkdir m/a m/b m/a/inner
	echo one > m/one
	echo two > m/two
	mv m/one m/a/
	same one "$(cat m/a/one)" "a moved file"
	mv -f m/two m/a/one
	same two "$(cat m/a/one)" "a replaced file"
	mv m/a/inner m/b/inner
	same 2:3 "$(stat -c %h m/a):$(stat -c %h m/b)" "links of the directories"
	python3 - <<'EOF'
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def rename(old, new, flags):
    ctypes.set_errno(0)
    libc.renameat2(-100, old.encode(), -100, new.encode(), flags)
    return ctypes.get_errno()
open("m/x", "w").write("x")
open("m/y", "w").write("y")
assert rename("m/x", "m/y", 1) == errno.EEXIST
assert rename("m/x", "m/y", 2) == 0
assert open("m/x").read() == "y" and open("m/y").read() == "x"
assert rename("m/x", "m/b", 2) == 0          # a file for a directory
assert open("m/b").read() == "y"
assert rename("m/b", "m/x", 2) == 0
assert rename("m/y", "m/moved", 4) == 0      # whiteout
assert rename("m/b", "m/b/inner", 0) == errno.EINVAL
assert rename("m/y", "m/b", 0) == errno.EISDIR
# Directories change their places: "..", and with it the links of those above.
os.makedirs("m/c/deep/below")
os.makedirs("m/e/one")
os.makedirs("m/e/two")
assert rename("m/c/deep", "m/e/one", 2) == 0
assert os.listdir("m/c/deep") == [] and os.listdir("m/e/one") == ["below"]
assert rename("m/c/deep", "m/moved", 2) == 0  # a directory goes, a file comes
assert rename("m/c/deep", "m/moved", 2) == 0
assert rename("m/c", "m/c/deep", 2) == errno.EINVAL
assert rename("m/c/deep", "m/c", 2) == errno.EINVAL
for name, inside, links in ("m/c", "m/c/deep", 3), ("m/e", "m/e/one", 4):
    assert os.stat(f"{inside}/..").st_ino == os.stat(name).st_ino and os.stat(name).st_nlink == links, name
EOF
	same 'character special file 0:0' "$(stat -c '%F %t:%T' m/y)" "a whiteout"
	mkdir m/full
	touch m/full/f m/full/g
	fails_with 'Directory not empty' mv -T m/b m/full
	again
	same 'x two' "$(cat m/moved) $(cat m/a/one)" "after a new mount"
	clean
}

# A file without a name lives until it is closed; what is open at a power cut is taken back at the next mount.
test_without_a_name() {
	local free
	fresh -b 1024
	free=$(stat -f -c %f m)
	(
		exec 5<> m/open
		rm m/open
		head -c 300k /dev/zero >&5
		sync
		echo end >&5
	)
	sync
	same "$free" "$(stat -f -c %f m)" "free blocks after the last close"
	exec 6<> m/cut
	head -c 500k /dev/zero >&6
	rm m/cut
	sync
	cp --sparse=always "$DISK1" cut.img
	exec 6>&-
	clean
	modprobe loop
	mkdir c
	mount -t "$FSTYPE" -o loop cut.img c
	same "$free" "$(stat -f -c %f c)" "free blocks after the orphan was taken back"
	umount c
	fsck_clean cut.img
}

# A file on the list of orphans that has a name after all was being truncated: what is behind its end goes at the mount.
test_cut_short() {
	local number free
	fresh -b 1024
	head -c 5000 /dev/urandom > m/kept
	sync -f m
	free=$(stat -f -c %f m)
	head -c 300000 /dev/urandom > m/cut
	number=$(stat -c %i m/cut)
	head -c 4096 m/cut > before
	umount m
	debugfs -w -R "set_inode_field <$number> size 4096" "$DISK1" > debugfs.log 2>&1
	debugfs -w -R "set_super_value last_orphan $number" "$DISK1" > debugfs.log 2>&1
	mount_volume "$DISK1" m
	cmp before m/cut || fail "the contents before the end"
	same 8 "$(stat -c %b m/cut)" "sectors of the file that was cut"
	sync -f m
	same $((free - 4)) "$(stat -f -c %f m)" "free blocks"
	clean
}

# O_TMPFILE: no name, and nothing left of it, unless it is given one; then it lasts like any other, also beyond a power cut.
test_tmpfile() {
	local free
	fresh -b 1024
	free=$(stat -f -c '%f %d' m)
	python3 - <<'EOF'
import errno, os, subprocess
top = os.open("m", os.O_RDONLY)
def tmpfile(flags=0):
    return os.open("m", os.O_TMPFILE | os.O_RDWR | flags, 0o640)
def enter(file, name):
    os.link(f"/proc/self/fd/{file}", name, src_dir_fd=top, follow_symlinks=True)
open_, named, closed, private = tmpfile(), tmpfile(), tmpfile(), tmpfile(os.O_EXCL)
for file in open_, named, closed, private:
    os.write(file, b"x" * 300000)
    assert os.fstat(file).st_nlink == 0
os.close(closed)
os.sync()
assert os.listdir("m") == ["lost+found"], os.listdir("m")
enter(named, "m/named")
enter(named, "m/again")
try:
    enter(private, "m/private")
    raise AssertionError("a file made with O_EXCL got a name")
except OSError as error:
    assert error.errno == errno.ENOENT, error
os.write(named, b"end")
os.fsync(named)
os.fsync(top)
assert os.fstat(named).st_nlink == 2 and os.fstat(open_).st_nlink == 0
# What the disk has of them now, one of them open.
subprocess.run(["dd", f"if={os.environ['DISK1']}", "of=cut.img", "bs=4M", "iflag=direct", "conv=sparse", "status=none"], check=True)
assert os.pread(open_, 300001, 0) == b"x" * 300000
EOF
	rm m/again
	again
	cmp m/named <(head -c 300000 /dev/zero | tr '\0' x; printf end)
	rm m/named
	same "$free" "$(stat -f -c '%f %d' m)" "free blocks and inodes in the end"
	clean
	e2fsck -fy cut.img > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	fsck_clean cut.img
	modprobe loop
	mkdir c
	mount -t "$FSTYPE" -o loop cut.img c
	same 'again lost+found named 2' "$(LC_ALL=C ls c | paste -s -d ' ') $(stat -c %h c/named)" "names and links after a power cut"
	cmp c/named <(head -c 300000 /dev/zero | tr '\0' x; printf end)
	rm c/named c/again
	same "$free" "$(stat -f -c '%f %d' c)" "free blocks and inodes after a power cut"
	umount c
}

# guest: limit=240
test_many_in_one_directory() {
	fresh -b 1024 -N 20000
	python3 - <<'EOF'
import os
os.mkdir("m/d")
names = [f"m/d/{'n' * (i % 60)}{i}" for i in range(10000)]
for name in names:
    os.close(os.open(name, os.O_CREAT | os.O_EXCL, 0o600))
assert len(os.listdir("m/d")) == 10000
for name in names[::2]:
    os.unlink(name)
for name in names[1::4]:
    os.rename(name, name + "-renamed")
EOF
	again
	same 5000 "$(find m/d -type f | wc -l)" "files left"
	same 2500 "$(find m/d -name '*-renamed' | wc -l)" "files renamed"
	rm -r m/d
	clean
}

test_deep_tree() {
	fresh -b 1024
	python3 - <<'EOF'
import os
top = os.open("m", os.O_RDONLY)
for i in range(1000):
    os.mkdir("deep", dir_fd=top)
    below = os.open("deep", os.O_RDONLY, dir_fd=top)
    os.close(top)
    top = below
EOF
	again
	rm -r m/deep
	clean
}

# shown ATTRIBUTE BITS: statx shows the attribute while it is set.
shown() {
	chattr "+$1" m/f
	same "$2" "$(xfs_io -r -c 'statx -r' m/f | sed -n 's/^stat.attributes = //p')" "what statx shows with $1"
	chattr "-$1" m/f
	same 0 "$(($(xfs_io -r -c 'statx -r' m/f | sed -n 's/^stat.attributes = //p')))" "what statx shows without $1"
}

test_attributes() {
	fresh
	echo text > m/f
	chattr +i m/f
	fails_with 'Operation not permitted' rm m/f
	fails_with 'Operation not permitted' sh -c 'echo more >> m/f'
	chattr -i +a m/f
	echo more >> m/f
	fails_with 'Operation not permitted' sh -c 'echo new > m/f'
	chattr -a +dsSA m/f
	again
	same 'sSdA' "$(lsattr m/f | cut -d' ' -f1 | tr -d -)" "attributes"
	same $'text\nmore' "$(cat m/f)" "the file"
	chattr +D m
	mkdir m/d
	chattr -dsSA m/f
	shown c 0x4
	shown d 0x40
	shown a 0x20
	shown i 0x10
	clean
}

test_remount() {
	fresh
	echo one > m/f
	mount -o remount,ro m
	fails_with 'Read-only file system' touch m/g
	fsck_clean "$DISK1"
	mount -o remount,rw m
	echo two >> m/f
	same $'one\ntwo' "$(cat m/f)" "the file"
	clean
}

test_no_inodes_left() {
	local made
	fresh -N 128
	made=$(python3 - <<'EOF'
import errno, os
made = 0
for again in range(3):
    names = []
    try:
        while True:
            name = f"m/{made}"
            os.close(os.open(name, os.O_CREAT | os.O_EXCL))
            made += 1
            names.append(name)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    for name in names:
        os.unlink(name)
print(made)
EOF
	)
	((made % 3 == 0 && made >= 300)) || fail "made $made files in three rounds"
	clean
}
