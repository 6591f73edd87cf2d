# shellcheck shell=bash
# The device fails: who syncs is told, once; nothing hangs, and what is left can be repaired.
# guest: limit=90 disks=128M

failing() { printf '0 %s error' "$(sectors "$DISK1")"; }
working() { printf '0 %s linear %s 0' "$(sectors "$DISK1")" "$DISK1"; }

fresh() {
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
	fresh "$1"
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
	umount m
	fsck_clean "$DISK1"
}
test_error_1k_blocks() { fails_to_write 1024 "$(failing)"; }
test_error_4k_blocks() { fails_to_write 4096 "$(failing)"; }

# It works again, and what could not be written can be written anew.
test_error_and_back() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	fresh 4096
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
	fresh 1024
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
	fresh 1024
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
