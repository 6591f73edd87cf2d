// SPDX-License-Identifier: GPL-2.0

//! Real volumes: made by `mke2fs` and read here, written here and checked by `e2fsck`.

mod common;
mod images;
mod shapes;
mod writers;
