# shellcheck shell=bash
# Mounting and what a mounted volume says of itself.

test_readable() {
	make_volume "$DISK1"
	mount_volume "$DISK1" m ro
	[[ -d m/lost+found ]]
}
