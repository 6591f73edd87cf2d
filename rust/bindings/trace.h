/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of the page-I/O engine. Positions and lengths in a file are bytes, sectors are 512 bytes, blocks are
 * blocks of the volume; docs/tracing.md explains each event.
 */
#ifndef RFS_TRACE_SYSTEM
#define RFS_TRACE_SYSTEM rext2
#endif

#undef TRACE_SYSTEM
#define TRACE_SYSTEM RFS_TRACE_SYSTEM

#if !defined(_REXT2_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _REXT2_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

/* In the order of mpage::plan::Reason. */
#define show_mpage_reason(reason) __print_symbolic(reason, \
	{ 0, "not-adjacent" }, { 1, "full" }, { 2, "hole" }, { 3, "boundary" }, \
	{ 4, "eof" }, { 5, "window-end" }, { 6, "gap" })

TRACE_EVENT(mpage_window,
	TP_PROTO(struct inode *inode, u64 pos, u64 len, bool write),
	TP_ARGS(inode, pos, len, write),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, pos)
		__field(u64, len)
		__field(u64, size)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->pos = pos;
		__entry->len = len;
		__entry->size = i_size_read(inode);
		__entry->write = write;
	),
	TP_printk("dev %d,%d ino %llu %s pos %llu len %llu size %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->write ? "write" : "read",
		  __entry->pos, __entry->len, __entry->size)
);

TRACE_EVENT(mpage_map,
	TP_PROTO(struct inode *inode, u64 first, u64 len, u64 disk, bool hole, bool boundary),
	TP_ARGS(inode, first, len, disk, hole, boundary),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, first)
		__field(u64, len)
		__field(u64, disk)
		__field(bool, hole)
		__field(bool, boundary)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->first = first;
		__entry->len = len;
		__entry->disk = disk;
		__entry->hole = hole;
		__entry->boundary = boundary;
	),
	TP_printk("dev %d,%d ino %llu block %llu count %llu disk %llu%s%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->first, __entry->len, __entry->disk,
		  __entry->hole ? " hole" : "", __entry->boundary ? " boundary" : "")
);

TRACE_EVENT(mpage_bio,
	TP_PROTO(struct inode *inode, u64 sector, u32 bytes, u32 folios, u8 reason, bool write),
	TP_ARGS(inode, sector, bytes, folios, reason, write),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, sector)
		__field(u32, bytes)
		__field(u32, folios)
		__field(u8, reason)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->sector = sector;
		__entry->bytes = bytes;
		__entry->folios = folios;
		__entry->reason = reason;
		__entry->write = write;
	),
	TP_printk("dev %d,%d ino %llu %s sector %llu bytes %u folios %u reason %s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->write ? "write" : "read", __entry->sector,
		  __entry->bytes, __entry->folios, show_mpage_reason(__entry->reason))
);

TRACE_EVENT(mpage_per_block,
	TP_PROTO(struct inode *inode, u64 pos, u64 len, bool write),
	TP_ARGS(inode, pos, len, write),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, pos)
		__field(u64, len)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->pos = pos;
		__entry->len = len;
		__entry->write = write;
	),
	TP_printk("dev %d,%d ino %llu %s folio pos %llu size %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->write ? "write" : "read", __entry->pos, __entry->len)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
