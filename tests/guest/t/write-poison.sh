# shellcheck shell=bash
# Work with slab and page poisoning: memory that is used after it was freed, or written past its end, is seen.
# guest: limit=240 disks=64M debug-slab=1

tools=/mnt/src/build/tools

# works KIND BLOCK-SIZE: a workload, with the caches emptied in between; then everything is freed, the module's caches too.
works() {
	local seed mark
	fresh -b "$2"
	for seed in 1 2 3; do
		mkdir "m/$seed"
		$tools/workload run "m/$seed" "journal$seed" "$seed" 80 "$1"
		drop_caches
	done
	again
	for seed in 1 2 3; do
		mark=$(sed -n 's/^mark //p' "journal$seed" | tail -n 1)
		$tools/workload check "m/$seed" "journal$seed" "$mark"
	done
	clean
	[[ $MODULE == rext2 ]] || return 0
	rmmod rext2
	insmod /mnt/src/build/rext2.ko
}

test_mixed() { works mixed 1024; }
test_directories() { works directories 1024; }
test_mapped() { works mapped 4096; }
test_direct() { works direct 2048; }
