# shellcheck shell=bash
# Programs that load a file system and check what comes back: fsx, fio, stress-ng, and those that people use.
# guest: limit=240 disks=512M

tools=/mnt/src/build/tools

# exercise BLOCK-SIZE OPERATIONS SEED WEIGHT...: fsx, with these weights beside those of reading and writing. Files of even
# seeds are small, where most of what is special about a block map lies.
exercise() {
	local size=$1 operations=$2 seed=$3 length=400000
	((seed % 2)) || length=70000
	shift 3
	{
		printf 'flen = %d\nnomsyncafterwrite = true\n[opsize]\nmax = %d\n[weights]\ntruncate = 2\n' $length $((length / 6))
		printf '%s\n' "$@"
	} > fsx.toml
	[[ -e m ]] && mountpoint -q m || fresh -b "$size"
	$tools/fsx -q -f fsx.toml -N "$operations" -S "$seed" -P "$PWD" "m/file$seed" > fsx.log 2>&1 || {
		tail -n 40 fsx.log
		fail "fsx -S $seed, $size-byte blocks"
	}
}

cached=('close_open = 1' 'invalidate = 1' 'fsync = 0.5' 'mapread = 0' 'mapwrite = 0' 'sendfile = 1' 'copy_file_range = 1')
mapped=('close_open = 1' 'invalidate = 1' 'fdatasync = 0.5' 'mapread = 4' 'mapwrite = 4' 'posix_fadvise = 1')
holes=('close_open = 1' 'invalidate = 1' 'fsync = 0.3' 'posix_fallocate = 2' 'punch_hole = 3')

exercises() {
	local seed
	for seed in 1 2 3 4; do
		exercise "$1" 2800 "$seed" "${cached[@]}"
		exercise "$1" 2800 "1$seed" "${mapped[@]}"
		exercise "$1" 2800 "2$seed" "${holes[@]}"
	done
	clean
}
test_fsx_1k_blocks() { exercises 1024; }
test_fsx_2k_blocks() { exercises 2048; }
test_fsx_4k_blocks() { exercises 4096; }

# The same file cached, direct and mapped.
mixtures() {
	local seed
	fresh -b "$1"
	for seed in 1 2 3 4; do python3 /mnt/src/tests/guest/mixed.py "m/mixed$seed" 1500 $((seed + $1)); done
	clean
}
test_mixed_1k_blocks() { mixtures 1024; }
test_mixed_2k_blocks() { mixtures 2048; }
test_mixed_4k_blocks() { mixtures 4096; }

# guest: full=1 limit=3600
test_fsx_many() {
	local size seed
	for size in 1024 2048 4096; do
		for seed in {100..111}; do
			exercise "$size" 3000 "$seed" "${cached[@]}"
			exercise "$size" 3000 "1$seed" "${mapped[@]}"
			exercise "$size" 3000 "2$seed" "${holes[@]}"
		done
		clean
	done
}

verifications() {
	fresh -b "$1"
	fio_verified --rw=write --bs=128k --size=6M --ioengine=psync --end_fsync=1
	fio_verified --rw=randwrite --bs=4k --ioengine=psync --numjobs=4 --size=2M --fsync=64
	fio_verified --rw=randwrite --bs=1k --ioengine=mmap --size=2M
	fio_verified --rw=randwrite --bs=4k --ioengine=io_uring --iodepth=8 --size=4M
	fio_verified --rw=randwrite --bs=4k --ioengine=io_uring --iodepth=8 --direct=1 --size=4M
	fio_verified --rw=write --bs=64k --size=6M --ioengine=psync --direct=1
	clean
}
test_fio_1k_blocks() { verifications 1024; }
test_fio_4k_blocks() { verifications 4096; }

# With less memory than files.
test_stress() {
	local name least count
	fresh -b 1024
	# By time: when one of them has done so many operations as it was to do, the others end too.
	within_memory 96 stress-ng --temp-path "$PWD/m" --hdd 2 --hdd-bytes 24M --dentry 1 --rename 1 --link 1 --symlink 1 --aiol 1 --fallocate 1 \
		--fallocate-bytes 8M --mmap 1 --mmap-file --mmap-bytes 8M --iomix 1 --iomix-bytes 8M --timeout 30 --metrics-brief --verify > stress.log 2>&1 || {
		cat stress.log
		fail "stress-ng"
	}
	# Each of them did something, however busy the machine is.
	for least in hdd:50 dentry:100 rename:20 link:1 symlink:1 aiol:10 fallocate:1 mmap:1 iomix:100; do
		name=${least%:*}
		count=$(awk -v name="$name" '$2 == "metrc:" && $4 == name { print $5 }' stress.log)
		((count >= ${least#*:})) || fail "stress-ng $name: only ${count:-no} operations: $(cat stress.log)"
	done
	clean
}

# 20,000 files in 200 directories, with links, symbolic links, owners and times.
many_files() {
	python3 - "$1" <<'EOF'
import os, random, sys
chance, kinds = random.Random(1), [0o600, 0o644, 0o755, 0o4711]
os.chdir(sys.argv[1])
data = chance.randbytes(8192)
for number in range(20000):
    directory = f"{number % 20}/{number // 20 % 10}"
    if number < 200:
        os.makedirs(directory)
    name = f"{directory}/file-{number}{'n' * (number % 90)}"
    if number % 50 == 7:
        os.symlink("x" * chance.randrange(1, 200), name)
        continue
    if number % 50 == 8:
        os.link(last, name)
        continue
    at = chance.randrange(4096)
    with open(name, "wb") as file:
        file.write(data[at:at + chance.randrange(4097)])
    os.chmod(name, kinds[number % 4])
    os.chown(name, number % 3 * 70000, number % 5)
    os.utime(name, ns=(1, chance.randrange(1 << 60)))
    last = name
EOF
}

# rsync writes them; they are there on the disk, and a second run finds nothing to do, not even to an owner or a time.
# guest: limit=300
test_rsync() {
	mkdir ref
	many_files ref
	fresh -b 1024
	rsync -aH ref/ m/tree/
	again
	diff -r --no-dereference ref m/tree
	same "" "$(rsync -aH --itemize-changes ref/ m/tree/)" "what a second run does"
	clean
}

test_sqlite() {
	local i mode
	fresh -b 1024
	for mode in delete wal; do
		{
			echo "PRAGMA journal_mode=$mode; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB); "
			for ((i = 0; i < 60; i++)); do echo "INSERT INTO t(b) SELECT randomblob(2000) FROM generate_series(1,20); DELETE FROM t WHERE a % 7 = $((i % 7));"; done
			echo "VACUUM; PRAGMA integrity_check;"
		} | sqlite3 "m/$mode.db" > sqlite.log 2>&1 || { cat sqlite.log; fail "sqlite3"; }
		same ok "$(tail -n 1 sqlite.log)" "integrity"
	done
	again
	same ok "$(sqlite3 m/delete.db 'PRAGMA integrity_check')" "integrity after a new mount"
	same ok "$(sqlite3 m/wal.db 'PRAGMA integrity_check')" "integrity after a new mount"
	clean
}

test_git() {
	local i
	export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
	fresh
	git config --global user.email a@example.org
	git config --global user.name a
	git config --global --add safe.directory '*'
	git init -q m/repository
	cd m/repository
	for i in 1 2 3; do
		cp -r /etc/default "d$i"
		seq $((i * 1000)) > numbers
		git add -A
		git commit -qm "$i"
	done
	git repack -qad
	cd ../..
	drop_caches
	git -C m/repository fsck --full --strict
	git clone -q m/repository m/clone
	same "$(git -C m/repository rev-parse HEAD)" "$(git -C m/clone rev-parse HEAD)" "the clone"
	same "" "$(git -C m/repository status --porcelain)" "the status"
	clean
}

# A volume in a file of the volume.
test_loop() {
	local loop
	fresh
	modprobe loop
	truncate -s 64M m/image
	loop=$(loop_disk m/image)
	defer losetup -d "$loop"
	make_volume "$loop" -b 1024
	mount_volume "$loop" inner
	head -c 5M /dev/urandom > inner/random
	sum=$(sha256sum < inner/random)
	umount inner
	fsck_clean "$loop"
	mount_volume "$loop" inner
	same "$sum" "$(sha256sum < inner/random)" "a file in the inner volume"
	umount inner
	run_deferred
	cd "$WORK"
	fsck_clean "$DISK1"
}

test_swap() {
	fresh
	dd if=/dev/zero of=m/swap bs=1M count=48 status=none
	chmod 600 m/swap
	mkswap m/swap > out
	swapon m/swap
	defer swapoff_if_on
	same 1 "$(grep -c /m/swap /proc/swaps)" "swap files in use"
	fails_with 'Text file busy' truncate -s 0 m/swap
	within_memory 24 python3 -c 'b = [bytearray(b"%d" % i) * 4096 for i in range(1000, 2600)]; assert all(x == b"%d" % i * 4096 for i, x in enumerate(b, 1000))' ||
		fail "what was swapped out came back different"
	swapoff m/swap
	clean
}

swapoff_if_on() { ! grep -q /m/swap /proc/swaps || swapoff "$WORK/m/swap"; }

# A module loaded from the volume.
test_module() {
	local file
	fresh
	file=$(modinfo -n dummy)
	cp "$file" m/
	drop_caches
	insmod "m/${file##*/}"
	rmmod dummy
	clean
}
