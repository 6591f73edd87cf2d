/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prototypes of helpers.c: inline functions and macros of the kernel that Rust cannot call. Each does what its
 * name says and nothing more; see the kernel function of the same name for its rules.
 */
#ifndef _REXT2_HELPERS_H
#define _REXT2_HELPERS_H

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/iomap.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include <linux/writeback.h>

/* Constants whose macros bindgen cannot read. */
static const unsigned int RFS_SB_RDONLY = SB_RDONLY;
static const unsigned int RFS_SB_SILENT = SB_SILENT;
static const unsigned int RFS_GFP_NOFS = (__force unsigned int)GFP_NOFS;
static const unsigned int RFS_GFP_NOWAIT = (__force unsigned int)GFP_NOWAIT;
static const unsigned int RFS_IOCB_NOWAIT = (__force unsigned int)IOCB_NOWAIT;
static const unsigned int RFS_IOCB_DSYNC = (__force unsigned int)IOCB_DSYNC;
static const unsigned int RFS_FOP_BUFFER_RASYNC = (__force unsigned int)FOP_BUFFER_RASYNC;
static const unsigned int RFS_FMODE_CAN_ODIRECT = (__force unsigned int)FMODE_CAN_ODIRECT;
static const unsigned int RFS_FMODE_NOWAIT = (__force unsigned int)FMODE_NOWAIT;

/* Folios and the page cache. */
void rfs_folio_lock(struct folio *folio);
void rfs_folio_get(struct folio *folio);
void rfs_folio_put(struct folio *folio);
void rfs_folio_zero_range(struct folio *folio, size_t start, size_t len);
bool rfs_folio_is_zero(struct folio *folio, size_t start, size_t len);
void rfs_folio_mark_uptodate(struct folio *folio);
void rfs_folio_attach_private(struct folio *folio, void *data);
void *rfs_folio_detach_private(struct folio *folio);
void rfs_folio_start_writeback(struct folio *folio);
void *rfs_kzalloc_no_fail(size_t size);
void rfs_mapping_set_error(struct address_space *mapping, int error);
void rfs_mapping_set_large_folios(struct address_space *mapping);
struct folio *rfs_write_begin_folio(struct address_space *mapping, loff_t pos, size_t len, bool nowait);
void rfs_filemap_invalidate_lock(struct address_space *mapping);
void rfs_filemap_invalidate_unlock(struct address_space *mapping);
bool rfs_mapping_dirty(struct address_space *mapping);
bool rfs_mapping_under_writeback(struct address_space *mapping);

struct folio *rfs_readahead_folio(struct readahead_control *rac);

/* Bios. */
typedef void (*rfs_folio_fn)(struct folio *folio, size_t offset, size_t len, void *context);
void rfs_bio_for_each_folio(struct bio *bio, rfs_folio_fn fn, void *context);
void rfs_bio_set_dev_wbc(struct bio *bio, struct block_device *bdev, struct writeback_control *wbc);
void rfs_bio_join_cgroup(struct bio *bio, struct bio *of);
void rfs_bio_fail(struct bio *bio);
blk_opf_t rfs_wbc_to_write_flags(struct writeback_control *wbc);
int rfs_blk_status_to_errno(blk_status_t status);
bool rfs_bdev_write_cache(struct block_device *bdev);
u64 rfs_bdev_nr_bytes(struct block_device *bdev);
bool rfs_bdev_read_only(struct block_device *bdev);
u64 rfs_bdev_discard_granularity(struct block_device *bdev);

/* Buffers. */
errseq_t rfs_bdev_write_errors(struct block_device *bdev);
bool rfs_bdev_advance_errors(struct block_device *bdev, errseq_t *since);
int rfs_bdev_write_and_wait(struct block_device *bdev);
unsigned int rfs_bdev_revive_buffers(struct block_device *bdev, pgoff_t *index, struct buffer_head **found,
				     unsigned int room);
struct buffer_head *rfs_sb_bread(struct super_block *sb, sector_t block);
struct buffer_head *rfs_sb_getblk(struct super_block *sb, sector_t block);
struct buffer_head *rfs_sb_find_get_block(struct super_block *sb, sector_t block);
void rfs_sb_breadahead(struct super_block *sb, sector_t block);
void rfs_bforget(struct buffer_head *bh);
void rfs_get_bh(struct buffer_head *bh);
void rfs_lock_buffer(struct buffer_head *bh);
void rfs_keep_buffer_back(struct buffer_head *bh);
void rfs_set_buffer_uptodate(struct buffer_head *bh);
void rfs_mark_buffer_dirty(struct buffer_head *bh);
void rfs_mmb_mark_buffer_dirty(struct buffer_head *bh, struct mapping_metadata_bhs *mmb);
bool rfs_buffer_uptodate(struct buffer_head *bh);
bool rfs_buffer_write_io_error(struct buffer_head *bh);
bool rfs_lock_dirty_buffer(struct buffer_head *bh);
void rfs_end_buffer_write(struct buffer_head *bh, bool ok);
void rfs_bio_add_buffer(struct bio *bio, struct buffer_head *bh);
void rfs_write_buffer(struct buffer_head *bh);
void rfs_write_buffer_now(struct buffer_head *bh);

/* The current task. */
bool rfs_current_is_user(uid_t uid);
bool rfs_current_in_group(gid_t gid);
void rfs_cond_resched(void);
bool rfs_fatal_signal_pending(void);

/* Inodes. */
struct inode *rfs_find_new_inode(struct super_block *sb, u64 ino);
struct inode *rfs_find_live_inode(struct super_block *sb, u64 ino);
bool rfs_sb_is_frozen(struct super_block *sb);
bool rfs_inode_has_no_links(struct super_block *sb, u64 ino);
bool rfs_inode_is_new(struct inode *inode);
uid_t rfs_i_uid_read(const struct inode *inode);
gid_t rfs_i_gid_read(const struct inode *inode);
void rfs_i_uid_write(struct inode *inode, uid_t uid);
void rfs_i_gid_write(struct inode *inode, gid_t gid);
void rfs_inode_init_owner_bsd(struct mnt_idmap *idmap, struct inode *inode, const struct inode *dir, umode_t mode);
void *rfs_alloc_inode_sb(struct super_block *sb, struct kmem_cache *cache);
struct kmem_cache *rfs_inode_cache_create(const char *name, unsigned int size, unsigned int align,
					  void (*ctor)(void *));
size_t rfs_iov_iter_count(const struct iov_iter *iter);
void rfs_iov_iter_truncate(struct iov_iter *iter, size_t count);
void rfs_iov_iter_reexpand(struct iov_iter *iter, size_t count);
unsigned int rfs_memalloc_nofs_save(void);
void rfs_memalloc_nofs_restore(unsigned int flags);
ssize_t rfs_generic_write_sync(struct kiocb *iocb, ssize_t count);
void rfs_filemap_invalidate_lock_shared(struct address_space *mapping);
void rfs_filemap_invalidate_unlock_shared(struct address_space *mapping);
struct file *rfs_fault_file(struct vm_fault *fault);
struct folio *rfs_fault_folio(struct vm_fault *fault);
loff_t rfs_fault_position(struct vm_fault *fault);
vm_fault_t rfs_vmf_fs_error(int error);
void rfs_file_accessed(struct file *file);
void rfs_inode_lock(struct inode *inode);
void rfs_inode_lock_shared(struct inode *inode);
bool rfs_inode_trylock(struct inode *inode);
bool rfs_inode_trylock_shared(struct inode *inode);
void rfs_inode_unlock(struct inode *inode);
void rfs_inode_unlock_shared(struct inode *inode);

/* Names, calls that are macros, and the iomap iterator, whose body is an inline function. */
int rfs_register_filesystem(struct file_system_type *fs, struct module *owner);
bool rfs_sb_trylock_shared(struct super_block *sb);
void rfs_sb_unlock_shared(struct super_block *sb);
bool rfs_sb_start_write_trylock(struct super_block *sb);
void rfs_sb_end_write(struct super_block *sb);
void rfs_init_delayed_work(struct delayed_work *work, work_func_t func);
void rfs_queue_later(struct super_block *sb, struct delayed_work *work, unsigned int seconds, bool sooner);
void rfs_sb_start_intwrite(struct super_block *sb);
void rfs_sb_end_intwrite(struct super_block *sb);
void rfs_sb_start_pagefault(struct super_block *sb);
void rfs_sb_end_pagefault(struct super_block *sb);

#endif
