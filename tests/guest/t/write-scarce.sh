# shellcheck shell=bash
# Little memory, and none: writers wait, fail or die, and what is on the volume is right.
# guest: limit=200 mem=256 disks=256M

tools=/mnt/src/build/tools

scanned() { awk '/^pgscan_(kswapd|direct) / { sum += $2 } END { print sum }' /proc/vmstat; }

# The whole machine: programs that take memory beside writers that check what they wrote.
test_machine_short_of_memory() {
	local before
	before=$(scanned)
	allow_kernel 'Out of memory|oom-kill|page allocation failure'
	fresh -b 1024
	echo -900 > /proc/self/oom_score_adj
	stress-ng --vm 2 --vm-bytes 60% --vm-keep --oomable > vm.log 2>&1 &
	fio --name=t --directory=m --verify=crc32c --verify_fatal=1 --do_verify=1 --fallocate=none --size=12M --numjobs=3 \
		--rw=randwrite --bs=4k --ioengine=psync --fsync=500 --minimal > fio.log 2>&1 || {
		cat fio.log
		fail "fio"
	}
	kill -TERM $! 2> /dev/null || true
	wait || true
	(($(scanned) - before > 10000)) || fail "memory was not short: $(($(scanned) - before)) pages were looked at"
	clean
}

# Writers that the kernel kills for their memory, in the middle of whatever they do.
test_writers_killed_for_memory() {
	local i killed=0
	allow_kernel 'Memory cgroup out of memory|oom-kill|page allocation failure'
	fresh -b 4096
	cat > hungry.py <<- 'END'
		import os, threading
		def work():
		    for n in range(1000):
		        name = f"m/f{os.getpid()}-{n % 50}"
		        with open(name, "wb") as file:
		            file.write(b"x" * 70000)
		            file.flush()
		            if n % 5 == 0:
		                os.fsync(file.fileno())
		        if n % 7 == 0:
		            os.rename(name, name + "-")
		        if n == 30:
		            begun.set()
		begun = threading.Event()
		threading.Thread(target=work).start()
		begun.wait()
		held = bytearray(b"x" * (64 << 20))
	END
	for ((i = 0; i < 4; i++)); do
		within_memory 24 python3 hungry.py > /dev/null 2>&1 || killed=$((killed + 1))
	done
	((killed == 4)) || fail "only $killed of 4 were killed"
	same "" "$(cat m/f* | tr -d x | head -c 100)" "what killed writers left beside x"
	sync
	clean
}

# More files than the group has room for: their memory is reclaimed while others are written.
test_many_files_in_little_memory() {
	fresh -b 1024
	# shellcheck disable=SC2016
	within_memory 12 bash -c 'for ((i = 0; i < 1500; i++)); do head -c $((i * 13 % 30000)) /dev/zero > m/f$i || exit; done' ||
		fail "writing"
	same "$(seq 0 1499 | awk '{ print $1 * 13 % 30000 " m/f" $1 }')" "$(seq -f 'm/f%g' 0 1499 | xargs stat -c '%s %n')" "sizes"
	rm m/f*
	clean
}

# Pages move in memory while they are written.
moving() {
	fresh -b "$1"
	(while [[ ! -e stop ]]; do
		echo 1 > /proc/sys/vm/compact_memory
		echo 1 > /proc/sys/vm/drop_caches
	done) &
	cat > fsx.toml <<- 'END'
		flen = 400000
		nomsyncafterwrite = true
		[opsize]
		max = 70000
		[weights]
		truncate = 2
		close_open = 1
		invalidate = 1
		fsync = 0.3
		mapread = 4
		mapwrite = 4
		punch_hole = 2
	END
	moved=$(awk '/^pgmigrate_success/ { print $2 }' /proc/vmstat)
	$tools/fsx -q -f fsx.toml -N 2500 -S 7 -P "$PWD" m/file > fsx.log 2>&1 || {
		touch stop
		tail -n 40 fsx.log
		fail "fsx"
	}
	touch stop
	wait
	((moved < $(awk '/^pgmigrate_success/ { print $2 }' /proc/vmstat))) || fail "no page moved"
	clean
}
test_pages_move_1k_blocks() { moving 1024; }
test_pages_move_4k_blocks() { moving 4096; }
