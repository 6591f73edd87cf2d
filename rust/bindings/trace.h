/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of the page-I/O engine. Positions and lengths in a file are bytes, sectors are 512 bytes, blocks are
 * blocks of the volume; docs/tracing.md explains each event.
 */
#ifndef RFS_TRACE_SYSTEM
#define RFS_TRACE_SYSTEM rext2
/* The events of the file system itself, which other users of the engine do not have. */
#define RFS_TRACE_SPACE
#endif

#undef TRACE_SYSTEM
#define TRACE_SYSTEM RFS_TRACE_SYSTEM

#if !defined(_REXT2_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _REXT2_TRACE_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/tracepoint.h>

#ifndef RFS_TRACE_HELPERS
#define RFS_TRACE_HELPERS
/*
 * The first piece of a bio of the engine. Its folio stays with its file while the bio is ours or in flight: it is locked
 * (reading) or under writeback (writing).
 */
static inline struct folio *rfs_trace_folio(struct bio *bio)
{
	return page_folio(bio->bi_io_vec[0].bv_page);
}

/* The file of a bio of the engine. */
static inline struct inode *rfs_trace_inode(struct bio *bio)
{
	return rfs_trace_folio(bio)->mapping->host;
}

/* Where in its file the bio begins, in bytes. */
static inline u64 rfs_trace_pos(struct bio *bio)
{
	struct bio_vec *first = &bio->bi_io_vec[0];

	return ((u64)page_pgoff(rfs_trace_folio(bio), first->bv_page) << PAGE_SHIFT) + first->bv_offset;
}

/* How long it was when it was sent, in bytes: what is left of it says nothing when it ends. */
static inline u32 rfs_trace_bytes(struct bio *bio)
{
	u32 bytes = 0;
	int i;

	for (i = 0; i < bio->bi_vcnt; i++)
		bytes += bio->bi_io_vec[i].bv_len;
	return bytes;
}

/* What all events begin with: the device of the volume, and the inode. */
#define RFS_ENTRY(fields...) TP_STRUCT__entry(__field(dev_t, dev) __field(u64, ino) fields)
#define RFS_ASSIGN(sb, number, assignments...) TP_fast_assign( \
	__entry->dev = (sb)->s_dev; \
	__entry->ino = number; \
	assignments)
#define RFS_ASSIGN_INODE(inode, assignments...) RFS_ASSIGN((inode)->i_sb, (inode)->i_ino, assignments)
#define RFS_PRINT(format, values...) TP_printk("dev %d,%d ino %llu " format, \
	MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino, values)
#endif

/* In the order of mpage::plan::Reason. */
#define show_mpage_reason(reason) __print_symbolic(reason, \
	{ 0, "not-adjacent" }, { 1, "full" }, { 2, "hole" }, { 3, "boundary" }, \
	{ 4, "eof" }, { 5, "window-end" }, { 6, "gap" })

TRACE_EVENT(mpage_window,
	TP_PROTO(struct inode *inode, u64 pos, u64 len, bool write),
	TP_ARGS(inode, pos, len, write),
	RFS_ENTRY(
		__field(u64, pos)
		__field(u64, len)
		__field(u64, size)
		__field(bool, write)
	),
	RFS_ASSIGN_INODE(inode,
		__entry->pos = pos;
		__entry->len = len;
		__entry->size = i_size_read(inode);
		__entry->write = write;
	),
	RFS_PRINT("%s pos %llu len %llu size %llu",
		  __entry->write ? "write" : "read", __entry->pos, __entry->len, __entry->size)
);

TRACE_EVENT(mpage_map,
	TP_PROTO(struct inode *inode, u64 first, u64 len, u64 disk, bool hole, bool boundary),
	TP_ARGS(inode, first, len, disk, hole, boundary),
	RFS_ENTRY(
		__field(u64, first)
		__field(u64, len)
		__field(u64, disk)
		__field(bool, hole)
		__field(bool, boundary)
	),
	RFS_ASSIGN_INODE(inode,
		__entry->first = first;
		__entry->len = len;
		__entry->disk = disk;
		__entry->hole = hole;
		__entry->boundary = boundary;
	),
	RFS_PRINT("block %llu count %llu disk %llu%s%s",
		  __entry->first, __entry->len, __entry->disk,
		  __entry->hole ? " hole" : "", __entry->boundary ? " boundary" : "")
);

TRACE_EVENT(mpage_bio,
	TP_PROTO(struct inode *inode, struct bio *bio, u32 folios, u8 reason, bool write),
	TP_ARGS(inode, bio, folios, reason, write),
	RFS_ENTRY(
		__field(u64, sector)
		__field(u64, pos)
		__field(u32, bytes)
		__field(u32, folios)
		__field(u8, reason)
		__field(bool, write)
	),
	RFS_ASSIGN_INODE(inode,
		__entry->sector = bio->bi_iter.bi_sector;
		__entry->pos = rfs_trace_pos(bio);
		__entry->bytes = bio->bi_iter.bi_size;
		__entry->folios = folios;
		__entry->reason = reason;
		__entry->write = write;
	),
	RFS_PRINT("%s sector %llu bytes %u folios %u reason %s pos %llu",
		  __entry->write ? "write" : "read", __entry->sector,
		  __entry->bytes, __entry->folios, show_mpage_reason(__entry->reason), __entry->pos)
);

TRACE_EVENT(mpage_end,
	TP_PROTO(struct bio *bio),
	TP_ARGS(bio),
	RFS_ENTRY(
		__field(u64, pos)
		__field(u32, bytes)
		__field(int, error)
		__field(bool, write)
	),
	RFS_ASSIGN_INODE(rfs_trace_inode(bio),
		__entry->pos = rfs_trace_pos(bio);
		__entry->bytes = rfs_trace_bytes(bio);
		__entry->error = blk_status_to_errno(bio->bi_status);
		__entry->write = op_is_write(bio_op(bio));
	),
	RFS_PRINT("%s pos %llu bytes %u error %d",
		  __entry->write ? "write" : "read", __entry->pos, __entry->bytes, __entry->error)
);

TRACE_EVENT(mpage_per_block,
	TP_PROTO(struct inode *inode, u64 pos, u64 len, bool write),
	TP_ARGS(inode, pos, len, write),
	RFS_ENTRY(
		__field(u64, pos)
		__field(u64, len)
		__field(bool, write)
	),
	RFS_ASSIGN_INODE(inode,
		__entry->pos = pos;
		__entry->len = len;
		__entry->write = write;
	),
	RFS_PRINT("%s folio pos %llu size %llu", __entry->write ? "write" : "read", __entry->pos, __entry->len)
);

#ifdef RFS_TRACE_SPACE

TRACE_EVENT(reserve_blocks,
	TP_PROTO(struct inode *inode, u64 first, u64 len, u64 total),
	TP_ARGS(inode, first, len, total),
	RFS_ENTRY(
		__field(u64, first)
		__field(u64, len)
		__field(u64, total)
	),
	RFS_ASSIGN_INODE(inode,
		__entry->first = first;
		__entry->len = len;
		__entry->total = total;
	),
	RFS_PRINT("block %llu count %llu total %llu", __entry->first, __entry->len, __entry->total)
);

TRACE_EVENT(alloc_blocks,
	TP_PROTO(struct super_block *sb, u64 ino, u32 goal, u32 want, u32 disk, u32 len, bool reserved),
	TP_ARGS(sb, ino, goal, want, disk, len, reserved),
	RFS_ENTRY(
		__field(u32, goal)
		__field(u32, want)
		__field(u32, disk)
		__field(u32, len)
		__field(bool, reserved)
	),
	RFS_ASSIGN(sb, ino,
		__entry->goal = goal;
		__entry->want = want;
		__entry->disk = disk;
		__entry->len = len;
		__entry->reserved = reserved;
	),
	RFS_PRINT("goal %u want %u disk %u count %u%s",
		  __entry->goal, __entry->want, __entry->disk, __entry->len, __entry->reserved ? " reserved" : "")
);

TRACE_EVENT(commit_blocks,
	TP_PROTO(struct inode *inode, u32 extents, u32 made, u32 links),
	TP_ARGS(inode, extents, made, links),
	RFS_ENTRY(
		__field(u32, extents)
		__field(u32, made)
		__field(u32, links)
	),
	RFS_ASSIGN_INODE(inode,
		__entry->extents = extents;
		__entry->made = made;
		__entry->links = links;
	),
	RFS_PRINT("extents %u pointer-blocks %u links %u", __entry->extents, __entry->made, __entry->links)
);

TRACE_EVENT(damage,
	TP_PROTO(struct super_block *sb, u64 ino, u64 block),
	TP_ARGS(sb, ino, block),
	RFS_ENTRY(__field(u64, block)),
	RFS_ASSIGN(sb, ino, __entry->block = block;),
	RFS_PRINT("block %llu", __entry->block)
);

#endif

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
