# shellcheck shell=bash
# Mount states that change while programs write: unmount, remount, freeze, shutdown, death.
# guest: limit=150 disks=64M

# Works on files of its own below m until the file `stop` is there; durable.ME tells what `fsync` called durable. With a
# second argument the first error is the end, not a failure.
writer=$(cat <<'END'
import errno, os, sys
me, n = sys.argv[1], 0
# The volume, also when it is out of sight: by its path it would be the directory below.
base = os.open("m", os.O_RDONLY)
def sync(name):
    file = os.open(name, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
while not os.path.exists("stop"):
    n += 1
    name = f"{me}-{os.getpid()}-{n}"
    path = f"/proc/self/fd/{base}/{name}"
    data = bytes([97 + n % 26]) * (1 + n * 7919 % 60000)
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(data)
        if n % 4 == 1 and n < 200:
            sync(path)
            os.fsync(base)
            with open(f"durable.{me}", "a") as log:
                print(f"m/{name}", len(data), data[:1].decode(), file=log)
        else:
            os.truncate(path, len(data) // 2)
            os.unlink(path)
    except OSError as error:
        if len(sys.argv) > 2:
            sys.exit(0)
        if error.errno != errno.EROFS:
            raise
END
)

writers() {
	local i
	pids=()
	rm -f stop
	for i in 1 2 3; do
		rm -f durable.$i
		python3 -c "$writer" $i "$@" &
		pids+=($!)
	done
	for i in 1 2 3; do
		until [[ -s durable.$i ]]; do sleep 0.05; done
	done
}

stop_writers() {
	local pid
	touch stop
	for pid in "${pids[@]}"; do wait "$pid" || fail "a writer failed"; done
}

kill_writers() {
	kill -KILL "${pids[@]}"
	wait "${pids[@]}" 2> /dev/null || true
}

# What the writers were told is durable is there.
verify() {
	python3 - durable.* <<'END' || fail "something durable is not there"
import sys
count = 0
for log in sys.argv[1:]:
    for line in open(log):
        name, size, byte = line.split()
        count += 1
        assert open(name, "rb").read() == byte.encode() * int(size), name
assert count
END
}

# Frozen, the volume is one at rest; thawed, everything goes on.
test_freeze() {
	local i
	fresh -b 1024
	writers
	for ((i = 0; i < 5; i++)); do
		fsfreeze -f m
		cp "$DISK1" image
		fsfreeze -u m
		fsck_clean image
	done
	stop_writers
	verify
	clean
}

test_remount_read_only() {
	local i times=0
	fresh -b 1024
	writers
	for ((i = 0; i < 500 && times < 4; i++)); do
		mount -o remount,ro m 2> /dev/null || continue
		times=$((times + 1))
		cp "$DISK1" image
		fsck_clean image
		mount -o remount,rw m
	done
	((times)) || fail "it never became read-only"
	stop_writers
	verify
	clean
}

# Out of sight while programs write, and unmounted when the last of them is gone.
test_unmount() {
	local i
	fresh -b 1024
	writers
	fails_with 'busy' umount m
	umount -l m
	kill_writers
	for ((i = 0; i < 10; i++)); do
		mount_again
		((i)) || verify
		head -c 300k /dev/zero > "m/x$i"
		(cd m && sleep 0.05) &
		umount -l m
		wait $!
	done
	mount_again
	clean
}

# The mount that is going away still has the device: the same volume is mounted again.
mount_again() {
	until mount -t "$FSTYPE" "$DISK1" m 2> /dev/null; do sleep 0.02; done
}

test_killed_again_and_again() {
	local i
	fresh -b 1024
	for ((i = 0; i < 8; i++)); do
		writers
		kill_writers
		verify
	done
	clean
}

# Opens a file, and when it gets SIGUSR1 every way of writing it must fail.
open_writer=$(cat <<'END'
import errno, mmap, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
plain = os.open(sys.argv[1], os.O_RDWR)
direct = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
page[:] = b"x" * 4096
open("ready", "w").close()
signal.sigwait([signal.SIGUSR1])
ways = {
    "write": lambda: os.pwrite(plain, b"x", 0),
    "append": lambda: os.pwrite(plain, b"x", 8192),
    "direct": lambda: os.pwritev(direct, [page], 0),
    "direct append": lambda: os.pwritev(direct, [page], 8192),
    "fallocate": lambda: os.posix_fallocate(plain, 0, 16384),
}
for name, way in ways.items():
    try:
        way()
    except OSError as error:
        if error.errno in (errno.EIO, errno.EROFS):
            continue
        raise
    sys.exit(f"{name}: succeeds")
END
)

# shut_down MODE BLOCK-SIZE: cut off under load; e2fsck makes it whole, and what was durable is there.
shut_down() {
	local pid open
	fresh -b "$2"
	head -c 8k /dev/zero | tr '\0' o > m/open
	sync -f m
	python3 -c "$open_writer" m/open &
	open=$!
	until [[ -e ready ]]; do sleep 0.05; done
	rm ready
	writers end
	python3 -c "
import fcntl, os, struct
fcntl.ioctl(os.open('m', os.O_RDONLY), 0x8004587d, struct.pack('I', $1))"
	fails_with 'Input/output error' touch m/x
	fails_with 'Input/output error' sync -f m
	kill -USR1 "$open"
	wait "$open" || fail "a file that was open is still written"
	for pid in "${pids[@]}"; do wait "$pid" || fail "a writer failed"; done
	umount m
	e2fsck -fy "$DISK1" > fsck.log 2>&1 || (($? < 4)) || fail "$(cat fsck.log)"
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m
	verify
	cmp m/open <(head -c 8k /dev/zero | tr '\0' o)
	umount m
}
test_shutdown_frozen() { shut_down 0 1024; }
test_shutdown_synced() { shut_down 1 4096; }
test_shutdown_at_once() { shut_down 2 1024; }

# Files go while the flusher writes them, to a disk that takes its time: it must not be the one that deletes them.
test_deletion_under_the_flusher() {
	local name size
	size=$(sectors "$DISK1")
	for name in dirty_writeback_centisecs dirty_expire_centisecs; do
		defer sysctl -q -w "vm.$name=$(sysctl -n "vm.$name")"
		sysctl -q -w "vm.$name=1"
	done
	make_volume "$DISK1" -b 1024
	modprobe dm_delay
	dm_disk d "0 $size delay $DISK1 0 0 $DISK1 0 20"
	mount_volume /dev/mapper/d m
	python3 - <<'END'
import os, random, time
chance = random.Random(1)
for number in range(400):
    name = f"m/{number}"
    with open(name, "wb") as file:
        file.write(bytes([number % 251]) * 30_000)
    time.sleep(chance.uniform(0, 0.06))
    os.unlink(name)
END
	clean
}

# freezer FAIL: files without a name are closed, and with that deleted, by as many processes while the volume is frozen again
# and again. With FAIL blocks were chosen for them that were never filled.
freezer=$(cat <<'END'
import fcntl, os, random, subprocess, sys, time
FREEZE, THAW, WORKERS, ROUNDS = 0xC0045877, 0xC0045878, 24, 12
fails = len(sys.argv) > 1
def device(table):
    subprocess.run(["dmsetup", "suspend", "--noflush", "--nolockfs", "d"], check=True)
    subprocess.run(["dmsetup", "load", "d", "--table", table], check=True)
    subprocess.run(["dmsetup", "resume", "d"], check=True)
def work(number, told, tell):
    file = os.open(f"m/{number}", os.O_CREAT | os.O_RDWR)
    os.truncate(file, 100_000)
    os.write(file, b"x" * 20_000)
    os.unlink(f"m/{number}")
    if fails:
        os.fsync(file)
        tell_and_wait(told, tell)
        try:
            os.posix_fallocate(file, 50_000, 20_000)
        except OSError:
            pass
    tell_and_wait(told, tell)
    time.sleep(random.Random(number).uniform(0, 0.7))
def tell_and_wait(told, tell):
    os.write(tell, b"x")
    os.read(told, 1)
base, times = os.open("m", os.O_RDONLY), 0
for _ in range(ROUNDS):
    workers = []
    for number in range(WORKERS):
        told, tell = os.pipe(), os.pipe()
        pid = os.fork()
        if not pid:
            work(number, told[0], tell[1])
            os._exit(0)
        workers.append((pid, told, tell))
    def step():
        for _, _, tell in workers:
            os.read(tell[0], 1)
    def go_on():
        for _, told, _ in workers:
            os.write(told[1], b"x")
    step()
    if fails:
        device(sys.argv[1])
        go_on()
        step()
        device(sys.argv[2])
    os.sync()
    go_on()
    running = {pid for pid, _, _ in workers}
    while running:
        fcntl.ioctl(base, FREEZE, 0)
        fcntl.ioctl(base, THAW, 0)
        times += 1
        running = {pid for pid in running if os.waitpid(pid, os.WNOHANG)[0] == 0}
    for _, told, tell in workers:
        for end in (*told, *tell):
            os.close(end)
print(times, "times frozen")
END
)

test_freeze_while_files_go() {
	fresh -b 1024
	python3 -c "$freezer"
	clean
}

test_freeze_while_files_go_that_failed() {
	allow_kernel 'I/O error|rext2.*(cannot|not written|failed|error)|lost async page write|Buffer I/O'
	local size
	size=$(sectors "$DISK1")
	make_volume "$DISK1" -b 1024
	dm_disk d "0 $size linear $DISK1 0"
	mount_volume /dev/mapper/d m
	python3 -c "$freezer" "0 $size error" "0 $size linear $DISK1 0"
	clean
}
