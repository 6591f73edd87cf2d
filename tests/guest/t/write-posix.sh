# shellcheck shell=bash
# What POSIX says of the calls that change names, owners, permissions and times: pjdfstest.
# guest: limit=400 disks=128M,16M

# Those that make the file system read-only are run by themselves: others leave files open that nobody can make read-only.
read_only=('::erofs_')

# All others but link::link_count_max, which makes as many names in one directory as a file may have.
others=(chmod:: chown:: ftruncate:: mkdir:: mkfifo:: mknod:: open:: posix_fallocate:: rename:: rmdir:: symlink:: truncate:: unlink::
	utimensat:: link::share link::remove link::changed link::unchanged link::e)

# volumes BLOCK-SIZE: two of them, and the users that the tests become.
volumes() {
	make_volume "$DISK1" -b "$1"
	make_volume "$DISK2" -b "$1"
	mount_volume "$DISK1" m
	mount_volume "$DISK2" other
	id tests > /dev/null 2>&1 || useradd --user-group tests
}

# passes REMOUNT PATTERN...: runs those tests of pjdfstest, prints which were skipped, and how many passed.
passes() {
	printf '[features]\nposix_fallocate = {}\nrename_ctime = {}\nutime_now = {}\nutimensat = {}\n' > posix.toml
	printf '[settings]\nnaptime = 0.1\nallow_remount = %s\n' "$1" >> posix.toml
	shift
	NO_COLOR=1 /mnt/src/build/tools/pjdfstest -c posix.toml -p "$PWD/m" -s "$PWD/other" "$@" > posix.log 2>&1 || {
		grep -E -A 3 'FAILED|^Error|Summary' posix.log
		fail "pjdfstest $*"
	}
	sed -nE 's/^([a-z_:]+) +skipped$/\1/p' posix.log
	sed -nE 's/^Summary: 0 failed, ([0-9]+) skipped, ([0-9]+) passed.*/\1 skipped, \2 passed/p' posix.log
}

both_clean() {
	umount m
	umount other
	fsck_clean "$DISK1"
	fsck_clean "$DISK2"
}

posix() {
	volumes "$1"
	passes false "${others[@]}"
	passes true "${read_only[@]}"
	both_clean
}
test_posix_4k_blocks() { posix 4096; }

# As many names as a file may have, in one directory.
test_posix_link_count_max() {
	volumes 4096
	passes false link_count_max
	both_clean
}

# As many names as a file may have, in many directories, and not one more.
test_most_links() {
	fresh -b 4096
	python3 - <<'END'
import errno, os
most = 32000
open("m/file", "w").close()
for directory in range(128):
    os.mkdir(f"m/d{directory}")
for number in range(1, most):
    os.link("m/file", f"m/d{number // 250}/{number}")
assert os.stat("m/file").st_nlink == most
try:
    os.link("m/file", "m/more")
    raise SystemExit("a file has too many names")
except OSError as error:
    assert error.errno == errno.EMLINK, error
assert not os.path.exists("m/more")
os.unlink("m/d0/1")
os.link("m/file", "m/more")
END
	clean
}

# guest: full=1
test_posix_1k_blocks() { posix 1024; }
