# shellcheck shell=bash
# The device fails: who syncs is told, once; nothing hangs, and what is left can be repaired.
# guest: limit=90 disks=128M

failing() { printf '0 %s error' "$(sectors "$DISK1")"; }
working() { printf '0 %s linear %s 0' "$(sectors "$DISK1")" "$DISK1"; }

prepare() {
	make_volume "$DISK1" -b "$1"
	dm_disk d "$(working)"
	mount_volume /dev/mapper/d m
}

repaired() {
	local status=0
	e2fsck -fy "$DISK1" > fsck.log 2>&1 || status=$?
	((status < 4)) || fail "e2fsck -fy: $(cat fsck.log)"
	fsck_clean "$DISK1"
}

fails_to_write() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	prepare "$1"
	head -c 2M /dev/urandom > m/before
	sync
	sha256sum m/before > sum
	python3 - "$2" <<'EOF' || fail "errors of fsync"
import errno, os, subprocess, sys
def fault(table):
    subprocess.run(["dmsetup", "suspend", "--noflush", "--nolockfs", "d"], check=True)
    subprocess.run(["dmsetup", "load", "d", "--table", table], check=True)
    subprocess.run(["dmsetup", "resume", "d"], check=True)
def sync(file):
    try:
        os.fsync(file)
        return 0
    except OSError as error:
        return error.errno
one = os.open("m/file", os.O_CREAT | os.O_RDWR)
two = os.open("m/file", os.O_RDWR)
assert sync(one) == 0
os.write(one, b"x" * 1000000)
fault(sys.argv[1])
assert sync(one) == errno.EIO
assert sync(two) == errno.EIO
print(os.pread(one, 10, 0))
EOF
	dm_change d "$(working)"
	umount m || fail "umount"
	run_deferred
	cd "$WORK"
	repaired
	mount_volume "$DISK1" m
	sha256sum -c sum
	clean
}
test_error_1k_blocks() { fails_to_write 1024 "$(failing)"; }
test_error_4k_blocks() { fails_to_write 4096 "$(failing)"; }

# A bad place in the middle of the disk costs what was to be written there, and a bio at the most on each side.
test_bad_place() {
	local all
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	all=$(sectors "$DISK1")
	prepare 4096
	head -c 96M /dev/zero | tr '\0' x > m/file
	dm_change d "0 100000 linear $DISK1 0
100000 64 error
100064 $((all - 100064)) linear $DISK1 100064"
	fails_with 'Input/output error' sync m/file
	dm_change d "$(working)"
	drop_caches
	python3 - <<'EOF'
data = open("m/file", "rb").read()
lost = data.count(0)
assert len(data) == 96 << 20 and data.count(b"x") + lost == len(data), lost
assert 64 * 512 <= lost <= 32 << 20, lost
print(lost >> 10, "KiB lost")
EOF
	head -c 96M /dev/zero | tr '\0' y > m/file
	sync m/file
	drop_caches
	cmp m/file <(head -c 96M /dev/zero | tr '\0' y)
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

# Contents that were written stay, though others of the same pass were not: each bio answers for its own.
test_bad_overwrite() {
	local block all
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	all=$(sectors "$DISK1")
	prepare 4096
	head -c 1M /dev/zero | tr '\0' a > m/file
	sync
	block=$(file_blocks "$DISK1" /file | sed -n 1p)
	xfs_io -c 'pwrite -S 0x62 0 32k' -c 'pwrite -S 0x63 1m 64k' m/file > out
	dm_change d "0 $((block * 8)) linear $DISK1 0
$((block * 8)) 64 error
$((block * 8 + 64)) $((all - block * 8 - 64)) linear $DISK1 $((block * 8 + 64))"
	fails_with 'Input/output error' sync m/file
	dm_change d "$(working)"
	drop_caches
	cmp <(tail -c 64k m/file) <(head -c 64k /dev/zero | tr '\0' c) || fail "what was appended is lost"
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

# What fails before anything is written keeps no space: a block that cannot be read in order to change a part of it, and
# blocks that cannot be zeroed.
test_failures_keep_no_space() {
	local free
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	prepare 1024
	xfs_io -f -c 'pwrite 0 1k' -c 'truncate 32m' m/f > out
	drop_caches
	stat m/f > out
	# The bitmaps are in memory.
	xfs_io -f -c 'pwrite 0 1k' -c fsync m/other > out
	free=$(stat -f -c %f m)
	dm_change d "$(failing)"
	fails_with 'Input/output error' xfs_io -c 'pwrite -b 10k 100 10k' m/f
	same "$free" "$(stat -f -c %f m)" "free blocks after a write that failed"
	fails_with 'Input/output error' xfs_io -c 'falloc 0 20m' m/f
	same "$free" "$(stat -f -c %f m)" "free blocks after a fallocate that failed"
	dm_change d "$(working)"
	umount m || true
	run_deferred
	cd "$WORK"
	repaired
}

# It works again, and what could not be written can be written anew.
test_error_and_back() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	prepare 4096
	head -c 1M /dev/urandom > m/f
	dm_change d "$(failing)"
	fails_with 'Input/output error' sync m/f
	dm_change d "$(working)"
	head -c 1M /dev/urandom > new
	cp new m/f
	sync m/f
	drop_caches
	cmp new m/f
	umount m || true
	run_deferred
	cd "$WORK"
	repaired
}

# The device goes while programs write, and the volume is unmounted.
test_gone_while_busy() {
	local i
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	prepare 1024
	for i in 1 2 3; do
		(
			set +e
			for ((n = 0; n < 200; n++)); do
				head -c 50k /dev/zero > "m/f$i-$n" || break
				((n % 5)) || sync "m/f$i-$n" || break
				((n % 3)) || rm "m/f$i-$n" || break
			done
		) 2> /dev/null &
	done
	until [[ -e m/f1-8 ]]; do sleep 0.05; done
	dm_change d "$(failing)"
	wait
	umount m || fail "umount"
	run_deferred
	cd "$WORK"
	repaired
}

# Killed in the middle: what was written stays in order.
test_killed_writers() {
	local i pids=()
	prepare 1024
	for i in 1 2 3; do
		dd if=/dev/zero of="m/k$i" bs=3000 count=10000 oflag=append conv=notrunc status=none &
		pids+=($!)
	done
	until [[ -s m/k1 && -s m/k2 && -s m/k3 ]]; do sleep 0.02; done
	kill -KILL "${pids[@]}"
	wait || true
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

# flakey FEATURE...: all the time.
flakey() { printf '0 %s flakey %s 0 0 1 %s' "$(sectors "$DISK1")" "$DISK1" "$*"; }

# The device says yes and writes nothing: what was durable before stays, and the volume can be repaired.
writes_dropped() {
	modprobe dm_flakey
	prepare "$1"
	cp -a /etc/default m/before
	sync
	dm_change d "$(flakey 1 drop_writes)"
	cp -r /etc/default m/later
	head -c 3M /dev/urandom > m/random
	mv m/later m/renamed
	rm -r m/renamed/* m/random
	ln -s x m/link
	sync
	umount m
	run_deferred
	cd "$WORK"
	repaired
	mount_volume "$DISK1" m
	same_tree /etc/default m/before
	clean
}
test_writes_dropped_1k_blocks() { writes_dropped 1024; }
test_writes_dropped_4k_blocks() { writes_dropped 4096; }

# Metadata that could not be written is written when the device works again: nothing is lost for good but contents, of
# which their writers were told.
metadata_comes_later() {
	local i
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	modprobe dm_flakey
	prepare "$1"
	mkdir m/old
	for ((i = 0; i < 30; i++)); do head -c 3000 /dev/zero > "m/old/f$i"; done
	sync
	dm_change d "$(flakey 1 error_writes)"
	for ((i = 0; i < 30; i++)); do
		mkdir "m/new$i"
		touch "m/new$i/f"
		ln -s /x "m/old/l$i"
		rm "m/old/f$i"
	done
	! sync -f m || fail "no error from sync"
	# What was changed must not come back from the disk as it was.
	echo 3 > /proc/sys/vm/drop_caches
	links=$(seq -f 'l%g' 0 29 | LC_ALL=C sort)
	same "$links" "$(LC_ALL=C ls m/old)" "names after failed writes"
	head -c 100k /dev/zero > m/more || true
	! sync m/more || fail "no error from fsync"
	dm_change d "$(working)"
	# The kernel tells of what happened before, once.
	sync -f m || true
	sync -f m || fail "sync fails on a device that works"
	head -c 500k /dev/urandom > copy
	cp copy m/copy
	umount m
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m
	cmp copy m/copy
	same "$links" "$(LC_ALL=C ls m/old)" "names on disk"
	same 30 "$(find m/new* -type f | wc -l)" "files on disk"
	umount m
}
test_metadata_comes_later_1k_blocks() { metadata_comes_later 1024; }
test_metadata_comes_later_4k_blocks() { metadata_comes_later 4096; }

# `fsync` does not say yes while metadata is lost that the kernel wrote on its own account.
test_fsync_knows_of_lost_metadata() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	modprobe dm_flakey
	prepare 1024
	mkdir m/dir
	sync
	head -c 200k /dev/urandom > data
	cp data m/dir/file
	sync -d m/dir/file
	chmod 640 m/dir/file
	dm_change d "$(flakey 1 error_writes)"
	# The block of the directory is in the device's cache.
	fails_with 'Input/output error' sync /dev/mapper/d
	fails_with 'Input/output error' sync m/dir
	fails_with 'Input/output error' sync m/dir
	dm_change d "$(working)"
	sync m/dir || fail "fsync fails on a device that works"
	# Here the power fails.
	dm_change d "$(flakey 1 drop_writes)"
	umount m
	run_deferred
	cd "$WORK"
	repaired
	mount_volume "$DISK1" m
	cmp data m/dir/file
	umount m
}

# The device works now and then. What `fsync` called durable is there in the end.
test_errors_come_and_go() {
	local name
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	modprobe dm_flakey
	prepare 1024
	python3 - "$(working)" "$(flakey 1 error_writes)" <<'END' > turns || fail "writers"
import os, subprocess, sys, threading
durable = {}
def write(name, data):
    # What fails half way may leave anything.
    durable.pop(name, None)
    try:
        with open(name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        directory = os.open("m", os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        return False
    durable[name] = data
    return True
def work(me):
    for n in range(120):
        name = f"m/w{me}-{n % 7}"
        try:
            if n % 5 == 4:
                durable.pop(name, None)
                os.unlink(name)
        except OSError:
            pass
        write(name, f"{me} {n} ".encode() * (50 + n * 97 % 3000))
def fault(table):
    subprocess.run(["dmsetup", "suspend", "--noflush", "--nolockfs", "d"], check=True)
    subprocess.run(["dmsetup", "load", "d", "--table", table], check=True)
    subprocess.run(["dmsetup", "resume", "d"], check=True)
threads = [threading.Thread(target=work, args=(me,)) for me in range(3)]
for thread in threads:
    thread.start()
turn = 0
while any(thread.is_alive() for thread in threads):
    turn += 1
    fault(sys.argv[1 + turn % 2])
fault(sys.argv[1])
# It works for good now, and there may be errors yet to be told.
for me in range(3):
    assert any(write(f"m/last{me}", b"in the end") for attempt in range(5))
os.makedirs("expected")
for name, data in durable.items():
    open("expected/" + name[2:], "wb").write(data)
print(turn)
END
	(($(cat turns) > 4)) || fail "only $(cat turns) changes of the device"
	umount m || fail "umount"
	run_deferred
	cd "$WORK"
	repaired
	mount_volume "$DISK1" m
	for name in expected/*; do
		cmp "$name" "m/${name#*/}" || fail "$name is not what fsync called durable"
	done
	umount m
}

# A device that becomes read-only under a volume that is written, and back.
test_read_only_device() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O|read-only'
	prepare 1024
	head -c 1M /dev/urandom > before
	cp before m/
	sync
	blockdev --setro /dev/mapper/d
	# The block layer lets writes through or not; nobody hangs.
	cp before m/after || true
	sync -f m || true
	mount -o remount,ro m || fail "cannot become read-only"
	fails_with 'Read-only' touch m/x
	fails_with '' mount -o remount,rw m
	blockdev --setrw /dev/mapper/d
	mount -o remount,rw m
	cp before m/again
	sync m/again m
	umount m
	run_deferred
	cd "$WORK"
	repaired
	mount_volume "$DISK1" m
	cmp before m/before
	cmp before m/again
	umount m
}

# A device that promised more space than it has.
test_full_device() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O|out of data|thin'
	modprobe dm_thin_pool
	dm_disk meta "0 8192 linear $DISK1 0"
	dm_disk data "0 32768 linear $DISK1 8192"
	dd if=/dev/zero of=/dev/mapper/meta bs=4k count=1 status=none
	dm_disk pool "0 32768 thin-pool /dev/mapper/meta /dev/mapper/data 128 0 1 error_if_no_space"
	dmsetup message pool 0 'create_thin 0'
	dm_disk thin '0 131072 thin /dev/mapper/pool 0'
	make_volume /dev/mapper/thin
	mount_volume /dev/mapper/thin m
	head -c 2M /dev/urandom > before
	cp before m/
	sync
	dd if=/dev/zero of=m/large bs=1M count=32 status=none || true
	! sync m/large 2> error || fail "no error from fsync"
	cmp before m/before
	rm m/large
	# More for the pool.
	dm_change data "0 196608 linear $DISK1 8192"
	dm_change pool "0 196608 thin-pool /dev/mapper/meta /dev/mapper/data 128 0 1 error_if_no_space"
	sync -f m || true
	cp before m/again
	sync m/again m
	drop_caches
	cmp before m/again
	umount m
	e2fsck -fy /dev/mapper/thin > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	fsck_clean /dev/mapper/thin
	mount_volume /dev/mapper/thin m
	cmp before m/before
	cmp before m/again
	umount m
}

# damaged OPTIONS: a file whose blocks the bitmap calls free is deleted, so that damage is found while writing.
damaged() {
	local block
	fresh -b 1024
	head -c 20k /dev/zero > m/f
	head -c 20k /dev/zero > m/g
	umount m
	block=$(file_blocks "$DISK1" /f | sed -n 1p)
	debugfs -w -R "freeb $block" "$DISK1" 2> /dev/null
	mount_volume "$DISK1" m "$1"
	exec 9<> m/g
	rm m/f
	sync -f m || true
	logged "rext2.*${DISK1##*/}: .*block" || fail "the log says nothing"
}

whole_again() {
	[[ $(dumpe2fs -h "$DISK1" 2> /dev/null) == *'with errors'* ]] || fail "the volume does not say that it has errors"
	e2fsck -fy "$DISK1" > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	fsck_clean "$DISK1"
}

test_damage_found_while_writing() {
	damaged errors=continue
	exec 9>&-
	touch m/still
	sync -f m
	umount m
	whole_again
}

test_damage_stops_writing() {
	damaged errors=remount-ro
	logged 'no more writing' || fail "the log does not say that writing has ended"
	fails_with 'Read-only' touch m/x
	fails_with 'Read-only' rm m/g
	# As is a file that was open.
	fails_with 'Read-only' bash -c 'echo x >&9'
	exec 9>&-
	cmp m/g <(head -c 20k /dev/zero)
	umount m
	whole_again
}
