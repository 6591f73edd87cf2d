// SPDX-License-Identifier: GPL-2.0
/*
 * Functions that Rust can call in place of inline functions and macros of the kernel. A call through here is a
 * real call: nothing on a per-block path uses one.
 */
#include "bindings.h"

void rfs_folio_lock(struct folio *folio)
{
	folio_lock(folio);
}

void rfs_folio_get(struct folio *folio)
{
	folio_get(folio);
}

void rfs_folio_put(struct folio *folio)
{
	folio_put(folio);
}

void rfs_folio_zero_range(struct folio *folio, size_t start, size_t len)
{
	folio_zero_range(folio, start, len);
}

bool rfs_folio_is_zero(struct folio *folio, size_t start, size_t len)
{
	while (len) {
		size_t part = min(len, PAGE_SIZE - offset_in_page(start));
		void *bytes = kmap_local_folio(folio, start);
		bool zero = !memchr_inv(bytes, 0, part);

		kunmap_local(bytes);
		if (!zero)
			return false;
		start += part;
		len -= part;
	}
	return true;
}

void rfs_folio_mark_uptodate(struct folio *folio)
{
	folio_mark_uptodate(folio);
}

void rfs_folio_attach_private(struct folio *folio, void *data)
{
	/* A completion may look at the record without a lock: what it holds comes first. */
	smp_wmb();
	folio_attach_private(folio, data);
}

void *rfs_folio_detach_private(struct folio *folio)
{
	return folio_detach_private(folio);
}

void rfs_folio_start_writeback(struct folio *folio)
{
	folio_start_writeback(folio);
}

void rfs_mapping_set_error(struct address_space *mapping, int error)
{
	mapping_set_error(mapping, error);
}

void rfs_mapping_set_large_folios(struct address_space *mapping)
{
	mapping_set_large_folios(mapping);
}

struct folio *rfs_write_begin_folio(struct address_space *mapping, loff_t pos, size_t len, bool nowait)
{
	fgf_t fgp = FGP_WRITEBEGIN | fgf_set_order(len);

	if (nowait)
		fgp |= FGP_NOWAIT;
	return __filemap_get_folio(mapping, pos >> PAGE_SHIFT, fgp, mapping_gfp_mask(mapping));
}

void rfs_filemap_invalidate_lock(struct address_space *mapping)
{
	filemap_invalidate_lock(mapping);
}

void rfs_filemap_invalidate_unlock(struct address_space *mapping)
{
	filemap_invalidate_unlock(mapping);
}

bool rfs_mapping_under_writeback(struct address_space *mapping)
{
	return mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

bool rfs_mapping_dirty(struct address_space *mapping)
{
	return mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

/* Gives a bio that was made without one its device, and associates it with a control group once. */
void rfs_bio_set_dev_wbc(struct bio *bio, struct block_device *bdev, struct writeback_control *wbc)
{
	bio->bi_bdev = bdev;
#ifdef CONFIG_CGROUP_WRITEBACK
	if (wbc->wb) {
		wbc_init_bio(wbc, bio);
		return;
	}
#endif
	bio_associate_blkg(bio);
}

void rfs_bio_fail(struct bio *bio)
{
	bio_io_error(bio);
}

blk_opf_t rfs_wbc_to_write_flags(struct writeback_control *wbc)
{
	return wbc_to_write_flags(wbc);
}

int rfs_blk_status_to_errno(blk_status_t status)
{
	return blk_status_to_errno(status);
}

bool rfs_bdev_write_cache(struct block_device *bdev)
{
	return bdev_write_cache(bdev);
}

u64 rfs_bdev_nr_bytes(struct block_device *bdev)
{
	return bdev_nr_bytes(bdev);
}

errseq_t rfs_bdev_write_errors(struct block_device *bdev)
{
	return READ_ONCE(bdev->bd_mapping->wb_err);
}

bool rfs_bdev_advance_errors(struct block_device *bdev, errseq_t *since)
{
	return errseq_check_and_advance(&bdev->bd_mapping->wb_err, since);
}

int rfs_bdev_write_and_wait(struct block_device *bdev)
{
	int error = filemap_fdatawrite(bdev->bd_mapping);

	filemap_fdatawait_keep_errors(bdev->bd_mapping);
	return error;
}

/*
 * Makes a buffer dirty whose contents are valid, whatever becomes of a write that is on its way: if that fails just now, the
 * buffer counts as not up to date, of which mark_buffer_dirty() would warn.
 */
void rfs_mark_buffer_dirty(struct buffer_head *bh)
{
	struct address_space *mapping = bh->b_folio->mapping;

	set_buffer_uptodate(bh);
	/* Who clears the bit in order to write the buffer then sees what was changed before. */
	smp_mb();
	if (!buffer_dirty(bh) && !test_set_buffer_dirty(bh) && mapping)
		filemap_dirty_folio(mapping, bh->b_folio);
}

void rfs_mmb_mark_buffer_dirty(struct buffer_head *bh, struct mapping_metadata_bhs *mmb)
{
	rfs_mark_buffer_dirty(bh);
	if (!READ_ONCE(bh->b_mmb))
		mmb_mark_buffer_dirty(bh, mmb);
}

/* A buffer whose write failed holds the only copy. */
static bool revive_buffer(struct buffer_head *bh)
{
	if (!buffer_write_io_error(bh) || !buffer_req(bh) || buffer_locked(bh))
		return false;
	rfs_mark_buffer_dirty(bh);
	return true;
}

/* Makes the failed buffers of the folio dirty, and takes references on as many as `found` has room for. */
static unsigned int revive_folio(struct folio *folio, struct buffer_head **found, unsigned int room)
{
	struct buffer_head *bh, *head;
	unsigned int count = 0;

	head = folio_buffers(folio);
	for (bh = head; bh; bh = bh->b_this_page == head ? NULL : bh->b_this_page) {
		if (revive_buffer(bh) && count < room) {
			get_bh(bh);
			found[count++] = bh;
		}
	}
	return count;
}

/* Goes on at page *index, and moves it; the answer is 0 at the end, and otherwise 1 more than the number found. */
unsigned int rfs_bdev_revive_buffers(struct block_device *bdev, pgoff_t *index, struct buffer_head **found,
				     unsigned int room)
{
	struct address_space *mapping = bdev->bd_mapping;
	struct folio_batch batch;
	unsigned int i, count = 0;

	folio_batch_init(&batch);
	if (!filemap_get_folios(mapping, index, -1, &batch))
		return 0;
	for (i = 0; i < folio_batch_count(&batch); i++) {
		struct folio *folio = batch.folios[i];

		/* With the lock its buffers stay. */
		folio_lock(folio);
		if (folio->mapping == mapping)
			count += revive_folio(folio, found + count, room - count);
		folio_unlock(folio);
	}
	folio_batch_release(&batch);
	cond_resched();
	return count + 1;
}

struct buffer_head *rfs_sb_bread(struct super_block *sb, sector_t block)
{
	struct blk_plug *plug = current->plug;
	struct buffer_head *bh = sb_getblk(sb, block);

	if (!bh || buffer_uptodate(bh) || revive_buffer(bh))
		return bh;
	if (!plug) {
		brelse(bh);
		return sb_bread(sb, block);
	}
	/*
	 * The task is about to wait for this block: what it has held back goes first, and the block is read from here
	 * and not by a worker, as it would be if the scheduler emptied the plug.
	 */
	blk_finish_plug(plug);
	if (bh_read(bh, 0) < 0) {
		brelse(bh);
		bh = NULL;
	}
	blk_start_plug(plug);
	return bh;
}

struct buffer_head *rfs_sb_getblk(struct super_block *sb, sector_t block)
{
	return sb_getblk(sb, block);
}

struct buffer_head *rfs_sb_find_get_block(struct super_block *sb, sector_t block)
{
	struct buffer_head *bh = sb_find_get_block(sb, block);

	if (bh && !buffer_uptodate(bh))
		revive_buffer(bh);
	return bh;
}

void rfs_sb_breadahead(struct super_block *sb, sector_t block)
{
	sb_breadahead(sb, block);
}

void rfs_bforget(struct buffer_head *bh)
{
	/* It may be another's block soon, and must not be revived then. */
	clear_buffer_write_io_error(bh);
	__bforget(bh);
}

void rfs_get_bh(struct buffer_head *bh)
{
	get_bh(bh);
}

void rfs_lock_buffer(struct buffer_head *bh)
{
	lock_buffer(bh);
}

/* What a failed write left to be written again is clean too, and valid. */
void rfs_keep_buffer_back(struct buffer_head *bh)
{
	lock_buffer(bh);
	clear_buffer_dirty(bh);
	clear_buffer_write_io_error(bh);
	set_buffer_uptodate(bh);
	unlock_buffer(bh);
}

void rfs_set_buffer_uptodate(struct buffer_head *bh)
{
	set_buffer_uptodate(bh);
}

bool rfs_buffer_uptodate(struct buffer_head *bh)
{
	return buffer_uptodate(bh);
}

bool rfs_buffer_write_io_error(struct buffer_head *bh)
{
	return buffer_write_io_error(bh);
}

/* False, and not locked, if it is clean. */
bool rfs_lock_dirty_buffer(struct buffer_head *bh)
{
	lock_buffer(bh);
	if (!test_clear_buffer_dirty(bh)) {
		unlock_buffer(bh);
		return false;
	}
	set_buffer_req(bh);
	clear_buffer_write_io_error(bh);
	return true;
}

void rfs_end_buffer_write(struct buffer_head *bh, bool ok)
{
	if (ok) {
		set_buffer_uptodate(bh);
	} else {
		mark_buffer_write_io_error(bh);
		clear_buffer_uptodate(bh);
	}
	unlock_buffer(bh);
}

void rfs_bio_join_cgroup(struct bio *bio, struct bio *of)
{
	bio_clone_blkg_association(bio, of);
}

void rfs_bio_add_buffer(struct bio *bio, struct buffer_head *bh)
{
	bio_add_folio_nofail(bio, bh->b_folio, bh->b_size, bh_offset(bh));
}

void rfs_write_buffer(struct buffer_head *bh)
{
	write_dirty_buffer(bh, REQ_SYNC);
}

/* For a block that somebody waits for: as a journal's blocks it does not queue behind what the flusher writes. */
void rfs_write_buffer_now(struct buffer_head *bh)
{
	write_dirty_buffer(bh, REQ_SYNC | REQ_META | REQ_IDLE);
}

bool rfs_current_is_user(uid_t uid)
{
	return uid_eq(current_fsuid(), make_kuid(&init_user_ns, uid));
}

bool rfs_current_in_group(gid_t gid)
{
	return in_group_p(make_kgid(&init_user_ns, gid));
}

void rfs_cond_resched(void)
{
	cond_resched();
}

bool rfs_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

/* Zero for a device that takes no discards. */
u64 rfs_bdev_discard_granularity(struct block_device *bdev)
{
	return bdev_max_discard_sectors(bdev) ? bdev_discard_granularity(bdev) : 0;
}

/* Takes a reference on an inode, one that is being made included, once it has been made dirty. */
static int grab_dirty_inode(struct inode *inode, u64 ino, void *unused)
{
	unsigned int state;
	bool ready;

	if (inode->i_ino != ino)
		return 0;
	spin_lock(&inode->i_lock);
	state = inode_state_read(inode);
	ready = (state & I_DIRTY_INODE) && !(state & (I_FREEING | I_WILL_FREE));
	if (ready)
		__iget(inode);
	spin_unlock(&inode->i_lock);
	return ready ? 1 : -1;
}

struct inode *rfs_find_new_inode(struct super_block *sb, u64 ino)
{
	return find_inode_nowait(sb, ino, grab_dirty_inode, NULL);
}

/* Takes a reference on an inode unless it is being evicted, for which igrab() does not wait. */
static int grab_live_inode(struct inode *inode, u64 ino, void *unused)
{
	if (inode->i_ino != ino)
		return 0;
	return igrab(inode) ? 1 : -1;
}

struct inode *rfs_find_live_inode(struct super_block *sb, u64 ino)
{
	return find_inode_nowait(sb, ino, grab_live_inode, NULL);
}

/* Deleting an inode has to wait. Whoever holds s_umount gets an answer that stays true. */
bool rfs_sb_is_frozen(struct super_block *sb)
{
	return READ_ONCE(sb->s_writers.frozen) >= SB_FREEZE_FS;
}

/* Takes no reference. */
static int ask_for_links(struct inode *inode, u64 ino, void *has_none)
{
	if (inode->i_ino != ino)
		return 0;
	*(bool *)has_none = READ_ONCE(inode->i_nlink) == 0;
	return -1;
}

bool rfs_inode_has_no_links(struct super_block *sb, u64 ino)
{
	bool has_none = false;

	find_inode_nowait(sb, ino, ask_for_links, &has_none);
	return has_none;
}

bool rfs_inode_is_new(struct inode *inode)
{
	return inode_state_read_once(inode) & I_NEW;
}

uid_t rfs_i_uid_read(const struct inode *inode)
{
	return i_uid_read(inode);
}

gid_t rfs_i_gid_read(const struct inode *inode)
{
	return i_gid_read(inode);
}

void rfs_i_uid_write(struct inode *inode, uid_t uid)
{
	i_uid_write(inode, uid);
}

void rfs_i_gid_write(struct inode *inode, gid_t gid)
{
	i_gid_write(inode, gid);
}

void rfs_inode_init_owner_bsd(struct mnt_idmap *idmap, struct inode *inode, const struct inode *dir, umode_t mode)
{
	inode_fsuid_set(inode, idmap);
	inode->i_gid = dir->i_gid;
	inode->i_mode = mode;
}

void *rfs_alloc_inode_sb(struct super_block *sb, struct kmem_cache *cache)
{
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
}

struct kmem_cache *rfs_inode_cache_create(const char *name, unsigned int size, unsigned int align,
					  void (*ctor)(void *))
{
	return kmem_cache_create(name, size, align, SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, ctor);
}

void rfs_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

void rfs_inode_lock_shared(struct inode *inode)
{
	inode_lock_shared(inode);
}

bool rfs_inode_trylock(struct inode *inode)
{
	return inode_trylock(inode);
}

bool rfs_inode_trylock_shared(struct inode *inode)
{
	return inode_trylock_shared(inode);
}

void rfs_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

void rfs_inode_unlock_shared(struct inode *inode)
{
	inode_unlock_shared(inode);
}

int rfs_register_filesystem(struct file_system_type *fs, struct module *owner)
{
	fs->owner = owner;
	return register_filesystem(fs);
}

void rfs_sb_start_intwrite(struct super_block *sb)
{
	sb_start_intwrite(sb);
}

void rfs_sb_end_intwrite(struct super_block *sb)
{
	sb_end_intwrite(sb);
}

void rfs_sb_start_pagefault(struct super_block *sb)
{
	sb_start_pagefault(sb);
}

void rfs_sb_end_pagefault(struct super_block *sb)
{
	sb_end_pagefault(sb);
}

bool rfs_sb_trylock_shared(struct super_block *sb)
{
	return down_read_trylock(&sb->s_umount);
}

void rfs_sb_unlock_shared(struct super_block *sb)
{
	up_read(&sb->s_umount);
}

bool rfs_sb_start_write_trylock(struct super_block *sb)
{
	return sb_start_write_trylock(sb);
}

void rfs_sb_end_write(struct super_block *sb)
{
	sb_end_write(sb);
}

void rfs_init_delayed_work(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

void rfs_queue_later(struct super_block *sb, struct delayed_work *work, unsigned int seconds, bool sooner)
{
	/* Before the mount is complete, and once it ends, nothing is put off. */
	if (!(READ_ONCE(sb->s_flags) & SB_ACTIVE))
		return;
	if (sooner)
		mod_delayed_work(system_dfl_long_wq, work, seconds * HZ);
	else
		queue_delayed_work(system_dfl_long_wq, work, seconds * HZ);
}

bool rfs_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

void rfs_file_accessed(struct file *file)
{
	file_accessed(file);
}

struct folio *rfs_readahead_folio(struct readahead_control *rac)
{
	return readahead_folio(rac);
}

void rfs_bio_for_each_folio(struct bio *bio, rfs_folio_fn fn, void *context)
{
	for (unsigned short i = 0; i < bio->bi_vcnt; i++) {
		const struct bio_vec *segment = &bio->bi_io_vec[i];
		struct folio *folio = page_folio(segment->bv_page), *next;
		size_t offset = segment->bv_offset + PAGE_SIZE * folio_page_idx(folio, segment->bv_page);
		size_t left = segment->bv_len, len;

		/* Most segments lie in one folio, which is no longer ours when its piece has ended. */
		while ((len = folio_size(folio) - offset) < left) {
			next = folio_next(folio);
			fn(folio, offset, len, context);
			folio = next;
			offset = 0;
			left -= len;
		}
		fn(folio, offset, left, context);
	}
}

size_t rfs_iov_iter_count(const struct iov_iter *iter)
{
	return iov_iter_count(iter);
}

void rfs_iov_iter_truncate(struct iov_iter *iter, size_t count)
{
	iov_iter_truncate(iter, count);
}

void rfs_iov_iter_reexpand(struct iov_iter *iter, size_t count)
{
	iov_iter_reexpand(iter, count);
}

unsigned int rfs_memalloc_nofs_save(void)
{
	return memalloc_nofs_save();
}

void rfs_memalloc_nofs_restore(unsigned int flags)
{
	memalloc_nofs_restore(flags);
}

void *rfs_kzalloc_no_fail(size_t size)
{
	return kzalloc(size, GFP_NOFS | __GFP_NOFAIL);
}

ssize_t rfs_generic_write_sync(struct kiocb *iocb, ssize_t count)
{
	return generic_write_sync(iocb, count);
}

void rfs_filemap_invalidate_lock_shared(struct address_space *mapping)
{
	filemap_invalidate_lock_shared(mapping);
}

void rfs_filemap_invalidate_unlock_shared(struct address_space *mapping)
{
	filemap_invalidate_unlock_shared(mapping);
}

struct file *rfs_fault_file(struct vm_fault *fault)
{
	return fault->vma->vm_file;
}

struct folio *rfs_fault_folio(struct vm_fault *fault)
{
	return page_folio(fault->page);
}

loff_t rfs_fault_position(struct vm_fault *fault)
{
	return (loff_t)fault->pgoff << PAGE_SHIFT;
}

vm_fault_t rfs_vmf_fs_error(int error)
{
	return vmf_fs_error(error);
}
