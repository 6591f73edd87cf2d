# shellcheck shell=bash
# Power cuts: all writes of a workload are recorded (dm-log-writes) and replayed to many moments. At each one e2fsck must
# end with a consistent volume, what was synced must be there, and nothing may show what the disk held before.
# guest: limit=600 disks=8M,384M

tools=/mnt/src/build/tools

# stale DEVICE: fills it with a pattern that no file may show.
stale() {
	head -c "$(blockdev --getsize64 "$1")" /dev/zero | tr '\0' '\333' | dd of="$1" bs=1M status=none
}

# What is left free of the volume, in bytes; nothing for all of it.
left=

# How many threads sync all the time what the workload changes.
syncers=0

# leave BYTES: fills the volume but for so much.
leave() {
	mount_volume "$DISK1" m
	head -c $(($(stat -f -c '%f * %S' m) - $1)) /dev/zero > m/ballast
	umount m
}

# record KIND SEED STEPS MKE2FS-ARGUMENT...: works on a fresh volume on DISK1; the log is on DISK2, what was there
# before the workload in base.img, what was done in the file journal.
record() {
	local kind=$1 seed=$2 steps=$3
	shift 3
	stale "$DISK1"
	begin_record "$@"
	$tools/workload run m journal "$seed" "$steps" "$kind" recorded $syncers
	umount m
	end_record
	fsck_clean "$DISK1"
}

# begin_record MKE2FS-ARGUMENT...: mounts a fresh volume, of which everything is recorded.
begin_record() {
	make_volume "$DISK1" -K "$@"
	[[ ! $left ]] || leave "$left"
	dd if="$DISK1" of=base.img bs=1M status=none
	modprobe dm_mod
	modprobe dm_log_writes
	dmsetup create recorded --table "0 $(sectors "$DISK1") log-writes $DISK1 $DISK2"
	defer end_record
	dmsetup mknodes recorded
	dmsetup message recorded 0 mark begin
	mount_volume /dev/mapper/recorded m
}

end_record() {
	[[ ! -e /dev/mapper/recorded ]] || dmsetup remove --retry recorded
}

# repaired IMAGE: e2fsck makes it consistent, and has nothing to do then.
repaired() {
	local status=0
	e2fsck -fy "$1" > repair.log 2>&1 || status=$?
	((status < 4)) || {
		cat repair.log
		fail "$where: e2fsck -fy: status $status"
	}
	e2fsck -fn "$1" > again.log 2>&1 || {
		cat repair.log again.log
		fail "$where: e2fsck -fn finds something after e2fsck -fy"
	}
}

# power_cut FROM TO [SEED]: the volume as these entries leave it, repaired, at c.
power_cut() {
	cp base.img crash.img
	$tools/replay apply "$DISK2" crash.img "$@"
	repaired crash.img
	mount -t "$FSTYPE" -o loop crash.img c || fail "$where: mount"
}

# cut_behind MARK WHERE: the power fails as soon as that mark is in the log. WHERE is for messages.
cut_behind() {
	local durable
	durable=$($tools/replay list "$DISK2" | awk -v mark="$1" '$NF == mark { print $1 }')
	where=$2
	power_cut 0 "$durable"
}

# cut DURABLE SENT MARK SEED: the power fails with the first entries on disk and, of the others that were sent, all or
# about half.
cut() {
	local durable=$1 sent=$2 mark=$3 seed=$4
	where="power cut at $durable to $sent (seed '$seed'), mark $mark"
	# shellcheck disable=SC2086 # no seed, no argument
	power_cut "$durable" "$sent" $seed
	$tools/workload check c journal "$mark" > check.log 2>&1 || {
		cat check.log repair.log
		umount c
		fail "$where"
	}
	umount c
}

# survives COUNT LEAST [FLUSHES]: at every flush, or about FLUSHES of them, and about COUNT moments between, which must be LEAST
# at least.
survives() {
	local durable sent mark at=0 number=0
	mkdir -p c
	modprobe loop
	$tools/replay points "$DISK2" begin "$1" "${@:3}" > points
	while read -r durable sent mark; do
		[[ $mark != begin ]] || mark=0
		[[ $mark != dm-log-writes-end ]] || continue
		$tools/replay apply "$DISK2" base.img "$at" "$durable"
		at=$durable
		number=$((number + 1))
		((sent > durable)) || cut "$durable" "$sent" "$mark" ""
		((sent == durable)) || cut "$durable" "$sent" "$mark" $number
	done < points
	echo "$number moments"
	((number >= $2)) || fail "only $number moments to look at"
}

# In each run, 50 moments at least; the others with `make test-full`.
test_mixed_1k_blocks() {
	record mixed 1 24 -b 1024
	survives 8 20
}
test_directories_4k_blocks() {
	record directories 2 24 -b 4096
	survives 8 20
}

# Two threads sync the volume and its files all the time.
test_synced_2k_blocks() {
	syncers=2
	record mixed 3 24 -b 2048
	survives 8 17 12
}

# moved FROM TO: a directory moves, and the one that it moves to is made durable.
moved() {
	mkdir "m/$1/moves"
	echo before > "m/$1/moves/before"
	sync -f m
	mv "m/$1/moves" "m/$2/"
	echo after > "m/$2/moves/after"
	sync "m/$2/moves/after" "m/$2/moves" "m/$2"
	dmsetup message recorded 0 mark "in-$2"
	rm -r "m/$2/moves"
}

# ... and is there after a power cut, and not where it was, whichever e2fsck sees first.
test_moved_directory() {
	local place
	begin_record -b 1024
	mkdir m/a m/b c
	moved a b
	moved b a
	umount m
	end_record
	modprobe loop
	for place in a b; do
		cut_behind "in-$place" "power cut behind fsync of $place"
		same "$(printf '%s\n' $place/moves/{after:after,before:before})" "$(cd c && grep -r . | sort)" "files, $where,"
		umount c
	done
}

end_slow() {
	[[ ! -e /dev/mapper/slow ]] || dmsetup remove --retry slow
}

# Of two syncs at the same time each waits until all is durable, also the one that finds everything taken in hand by the
# other. The disk takes its time, and the power fails as soon as the first of them has returned.
test_two_syncs() {
	local size sync file
	begin_record -b 1024
	umount m
	size=$(sectors "$DISK1")
	modprobe dm_delay
	dmsetup create slow --table "0 $size delay /dev/mapper/recorded 0 0 /dev/mapper/recorded 0 300 /dev/mapper/recorded 0 600"
	defer end_slow
	dmsetup mknodes slow
	mount_volume /dev/mapper/slow m
	mkdir m/d c
	sync -f m
	for file in {1..20}; do
		head -c 30k /dev/zero | tr '\0' x > "m/d/$file"
	done
	sync -f m &
	sync=$!
	sync -f m &
	wait -n $sync $!
	dmsetup message recorded 0 mark synced
	wait
	umount m
	end_slow
	end_record
	modprobe loop
	cut_behind synced "power cut behind the first of two syncs"
	for file in {1..20}; do
		cmp "c/d/$file" <(head -c 30k /dev/zero | tr '\0' x) || fail "$where: file $file"
	done
	umount c
}

# A file that was linked to a name in another directory, and to a third that went at once, and has lost its old name, is
# there after a power cut when only the directory of the old name was made durable.
test_linked_elsewhere() {
	local old new
	begin_record -b 1024
	mkdir m/{a,b,c} c
	touch m/{a,b,c}/first
	for old in a b; do
		echo "of $old" > m/$old/file
		sync -f m
		new=b
		[[ $old == a ]] || new=a
		ln m/$old/file m/c/third
		ln m/$old/file m/$new/linked
		rm m/c/third m/$old/file
		sync m/$old
		dmsetup message recorded 0 mark "lost-$old"
		sync -f m
		rm m/$new/linked
	done
	umount m
	end_record
	modprobe loop
	for old in a b; do
		cut_behind "lost-$old" "power cut behind fsync of $old"
		same "of $old" "$(cat c/{a,b}/linked 2> cat.err || true)" "the file, $where,"
		umount c
	done
}

# The fsync of a directory writes what its names lead to: inodes, also those of files that were made in another one, and the
# blocks of long symbolic links.
test_new_files_from_elsewhere() {
	local long
	long=$(printf 'x%.0s' {1..300})
	begin_record -b 1024
	mkdir m/{a,b} c
	sync -f m
	touch m/a/{linked,exchanged,moved}
	ln m/a/linked m/b/linked
	mkdir m/b/exchanged
	mv -T --exchange m/a/exchanged m/b/exchanged
	mv m/a/moved m/b/moved
	ln -s "$long" m/b/symlink
	sync m/b
	dmsetup message recorded 0 mark durable
	umount m
	end_record
	modprobe loop
	cut_behind durable "power cut behind fsync of b"
	same "$(printf '%s regular empty file\n' c/b/{exchanged,linked,moved})" "$(stat -c '%n %F' c/b/[elm]*)" "files, $where,"
	same "$long" "$(readlink c/b/symlink)" "the symbolic link, $where,"
	umount c
}

# guest: full=1 limit=3000

# each KIND MKE2FS-ARGUMENT...: block sizes and seeds; alone, and with others that sync. Of eight kinds that makes 504
# moments at least.
each() {
	local kind=$1 size seed=10
	shift
	for size in 1024 4096 2048; do
		seed=$((seed + 1))
		record "$kind" $seed 60 -b $size "$@"
		survives 13 21 30
		syncers=$((syncers + 1))
	done
}
test_mixed() { each mixed; }
test_append() { each append; }
test_replace() { each replace; }
test_holes() { each holes; }
# So small that what was deleted is used again.
test_reuse() {
	left=1200000
	each reuse
}
test_directories() { each directories; }
test_mapped() { each mapped; }
test_direct() { each direct; }
