# shellcheck shell=bash
# Power cuts: all writes of a workload are recorded (dm-log-writes) and replayed to many moments. At each one e2fsck must
# end with a consistent volume, what was synced must be there, and nothing may show what the disk held before.
# guest: limit=600 disks=48M,384M

tools=/mnt/src/build/tools

# stale DEVICE: fills it with a pattern that no file may show.
stale() {
	head -c "$(blockdev --getsize64 "$1")" /dev/zero | tr '\0' '\333' | dd of="$1" bs=1M status=none
}

# record SEED STEPS MKE2FS-ARGUMENT...: works on a fresh volume on DISK1; the log is on DISK2, what was there
# before the workload in base.img, what was done in the file journal.
record() {
	local seed=$1 steps=$2
	shift 2
	stale "$DISK1"
	make_volume "$DISK1" -K "$@"
	dd if="$DISK1" of=base.img bs=1M status=none
	modprobe dm_mod
	modprobe dm_log_writes
	dmsetup create recorded --table "0 $(sectors "$DISK1") log-writes $DISK1 $DISK2"
	defer end_record
	dmsetup mknodes recorded
	dmsetup message recorded 0 mark begin
	mount_volume /dev/mapper/recorded m
	$tools/workload run m journal "$seed" "$steps" recorded
	umount m
	end_record
	fsck_clean "$DISK1"
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

# cut DURABLE SENT MARK SEED: the power fails with the first entries on disk and, of the others that were sent, all or
# about half.
cut() {
	local durable=$1 sent=$2 mark=$3 seed=$4
	where="power cut at $durable to $sent (seed '$seed'), mark $mark"
	cp --sparse=always base.img crash.img
	# shellcheck disable=SC2086 # no seed, no argument
	$tools/replay apply "$DISK2" crash.img "$durable" "$sent" $seed
	repaired crash.img
	mount -t "$FSTYPE" -o loop crash.img c || fail "$where: mount"
	$tools/workload check c journal "$mark" > check.log 2>&1 || {
		cat check.log repair.log
		umount c
		fail "$where"
	}
	umount c
}

# survives COUNT: at about COUNT moments.
survives() {
	local durable sent mark at=0 number=0
	mkdir c
	modprobe loop
	$tools/replay points "$DISK2" begin "$1" > points
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
	((number * 4 >= $1 * 3)) || fail "only $number moments to look at"
}

test_1k_blocks() {
	record 1 45 -b 1024
	survives 30
}

test_4k_blocks() {
	record 2 45 -b 4096
	survives 30
}

# guest: full=1 limit=3600
test_many() {
	local seed
	for seed in {10..20}; do
		record "$seed" 300 -b $((1024 << seed % 3))
		survives 60
		rm -rf c m journal points
	done
}
