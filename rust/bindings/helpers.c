// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel that Rust cannot call: one line each, no
 * logic, sorted by name.
 */
#include <linux/interval_tree_generic.h>
#include "helpers.h"

/* The kernel has these with CONFIG_INTERVAL_TREE only, which nobody can ask for. */
#define COHFS_FIRST(node) ((node)->start)
#define COHFS_LAST(node) ((node)->last)
INTERVAL_TREE_DEFINE(struct interval_tree_node, rb, unsigned long, __subtree_last,
		     COHFS_FIRST, COHFS_LAST,, cohfs_interval_tree)

#ifdef CONFIG_LOCKDEP
static struct lockdep_map cohfs_gate_map = STATIC_LOCKDEP_MAP_INIT("cohfs_gate", &cohfs_gate_map);
#endif

struct inode *cohfs_alloc_inode_sb(struct super_block *sb, struct kmem_cache *cache, gfp_t gfp)
{
	return alloc_inode_sb(sb, cache, gfp);
}

unsigned int cohfs_bdev_discard_granularity(struct block_device *bdev)
{
	return bdev_discard_granularity(bdev);
}

unsigned int cohfs_bdev_dma_alignment(struct block_device *bdev)
{
	return bdev_dma_alignment(bdev);
}

unsigned int cohfs_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

unsigned int cohfs_bdev_max_discard_sectors(struct block_device *bdev)
{
	return bdev_max_discard_sectors(bdev);
}

u64 cohfs_bdev_nr_bytes(struct block_device *bdev)
{
	return bdev_nr_bytes(bdev);
}

void cohfs_blk_crypto_submit_bio(struct bio *bio)
{
	blk_crypto_submit_bio(bio);
}

bool cohfs_buffer_uptodate(const struct buffer_head *bh)
{
	return buffer_uptodate(bh);
}

bool cohfs_buffer_write_io_error(const struct buffer_head *bh)
{
	return buffer_write_io_error(bh);
}

void cohfs_cache_no_acl(struct inode *inode)
{
	cache_no_acl(inode);
}

bool cohfs_capable(int cap)
{
	return capable(cap);
}

void cohfs_clear_buffer_write_io_error(struct buffer_head *bh)
{
	clear_buffer_write_io_error(bh);
}

void cohfs_cond_resched(void)
{
	cond_resched();
}

kuid_t cohfs_current_fsuid(void)
{
	return current_fsuid();
}

bool cohfs_dir_emit(struct dir_context *ctx, const char *name, int namelen, u64 ino, unsigned int type)
{
	return dir_emit(ctx, name, namelen, ino, type);
}

bool cohfs_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

void cohfs_file_accessed(struct file *file)
{
	file_accessed(file);
}

bool cohfs_file_is_sync(const struct file *file)
{
	return file->f_flags & O_DSYNC || IS_SYNC(file->f_mapping->host);
}

bool cohfs_fileattr_has_fsx(const struct file_kattr *fa)
{
	return fileattr_has_fsx(fa);
}

void cohfs_filemap_invalidate_lock(struct address_space *mapping)
{
	filemap_invalidate_lock(mapping);
}

void cohfs_filemap_invalidate_lock_shared(struct address_space *mapping)
{
	filemap_invalidate_lock_shared(mapping);
}

void cohfs_filemap_invalidate_unlock(struct address_space *mapping)
{
	filemap_invalidate_unlock(mapping);
}

void cohfs_filemap_invalidate_unlock_shared(struct address_space *mapping)
{
	filemap_invalidate_unlock_shared(mapping);
}

unsigned long cohfs_find_next_zero_bit_le(const void *addr, unsigned long size, unsigned long offset)
{
	return find_next_zero_bit_le(addr, size, offset);
}

int cohfs_finish_open_simple(struct file *file, int error)
{
	return finish_open_simple(file, error);
}

void cohfs_folio_get(struct folio *folio)
{
	folio_get(folio);
}

bool cohfs_folio_has_private(const struct folio *folio)
{
	return folio_has_private(folio);
}

pgoff_t cohfs_folio_index(const struct folio *folio)
{
	return folio->index;
}

void cohfs_folio_lock(struct folio *folio)
{
	folio_lock(folio);
}

bool cohfs_folio_mapped(const struct folio *folio)
{
	return folio_mapped(folio);
}

struct address_space *cohfs_folio_mapping(const struct folio *folio)
{
	return folio->mapping;
}

bool cohfs_folio_maybe_dma_pinned(struct folio *folio)
{
	return folio_maybe_dma_pinned(folio);
}

ssize_t cohfs_folio_mkwrite_check_truncate(const struct folio *folio, const struct inode *inode)
{
	return folio_mkwrite_check_truncate(folio, inode);
}

unsigned long cohfs_folio_nr_pages(const struct folio *folio)
{
	return folio_nr_pages(folio);
}

loff_t cohfs_folio_pos(const struct folio *folio)
{
	return folio_pos(folio);
}

void cohfs_folio_put(struct folio *folio)
{
	folio_put(folio);
}

size_t cohfs_folio_size(const struct folio *folio)
{
	return folio_size(folio);
}

bool cohfs_folio_test_dirty(const struct folio *folio)
{
	return folio_test_dirty(folio);
}

bool cohfs_folio_test_uptodate(const struct folio *folio)
{
	return folio_test_uptodate(folio);
}

bool cohfs_folio_test_writeback(const struct folio *folio)
{
	return folio_test_writeback(folio);
}

void cohfs_gate_acquire(void)
{
	lock_map_acquire(&cohfs_gate_map);
}

void cohfs_gate_acquire_read(void)
{
	lock_map_acquire_read(&cohfs_gate_map);
}

void cohfs_gate_release(void)
{
	lock_map_release(&cohfs_gate_map);
}

ssize_t cohfs_generic_write_sync(struct kiocb *iocb, ssize_t count)
{
	return generic_write_sync(iocb, count);
}

void cohfs_get_bh(struct buffer_head *bh)
{
	get_bh(bh);
}

u32 cohfs_get_random_u32_below(u32 ceil)
{
	return get_random_u32_below(ceil);
}

gid_t cohfs_i_gid_read(const struct inode *inode)
{
	return i_gid_read(inode);
}

void cohfs_i_gid_write(struct inode *inode, gid_t gid)
{
	i_gid_write(inode, gid);
}

loff_t cohfs_i_size_read(const struct inode *inode)
{
	return i_size_read(inode);
}

void cohfs_i_size_write(struct inode *inode, loff_t size)
{
	i_size_write(inode, size);
}

uid_t cohfs_i_uid_read(const struct inode *inode)
{
	return i_uid_read(inode);
}

void cohfs_i_uid_write(struct inode *inode, uid_t uid)
{
	i_uid_write(inode, uid);
}

bool cohfs_in_group_p(kgid_t gid)
{
	return in_group_p(gid);
}

time64_t cohfs_inode_get_atime_sec(const struct inode *inode)
{
	return inode_get_atime_sec(inode);
}

time64_t cohfs_inode_get_ctime_sec(const struct inode *inode)
{
	return inode_get_ctime_sec(inode);
}

time64_t cohfs_inode_get_mtime_sec(const struct inode *inode)
{
	return inode_get_mtime_sec(inode);
}

bool cohfs_inode_is_new(struct inode *inode)
{
	return inode_state_read_once(inode) & I_NEW;
}

void cohfs_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

void cohfs_inode_lock_shared(struct inode *inode)
{
	inode_lock_shared(inode);
}

void cohfs_inode_set_atime(struct inode *inode, time64_t sec, long nsec)
{
	inode_set_atime(inode, sec, nsec);
}

void cohfs_inode_set_ctime(struct inode *inode, time64_t sec, long nsec)
{
	inode_set_ctime(inode, sec, nsec);
}

void cohfs_inode_set_mtime(struct inode *inode, time64_t sec, long nsec)
{
	inode_set_mtime(inode, sec, nsec);
}

void cohfs_inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode_set_mtime_to_ts(inode, ts);
}

bool cohfs_inode_trylock(struct inode *inode)
{
	return inode_trylock(inode);
}

bool cohfs_inode_trylock_shared(struct inode *inode)
{
	return inode_trylock_shared(inode);
}

void cohfs_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

void cohfs_inode_unlock_shared(struct inode *inode)
{
	inode_unlock_shared(inode);
}

bool cohfs_iocb_is_dsync(const struct kiocb *iocb)
{
	return iocb_is_dsync(iocb);
}

void cohfs_iomap_bio_read_folio(struct folio *folio, const struct iomap_ops *ops)
{
	iomap_bio_read_folio(folio, ops);
}

void cohfs_iomap_bio_readahead(struct readahead_control *rac, const struct iomap_ops *ops)
{
	iomap_bio_readahead(rac, ops);
}

bool cohfs_iov_iter_extract_will_pin(const struct iov_iter *iter)
{
	return iov_iter_extract_will_pin(iter);
}

void cohfs_iov_iter_truncate(struct iov_iter *iter, u64 count)
{
	iov_iter_truncate(iter, count);
}

bool cohfs_is_dirsync(const struct inode *inode)
{
	return IS_DIRSYNC(inode);
}

bool cohfs_is_sync(const struct inode *inode)
{
	return IS_SYNC(inode);
}

bool cohfs_is_sync_kiocb(struct kiocb *iocb)
{
	return is_sync_kiocb(iocb);
}

void *cohfs_kmap_local_folio(struct folio *folio, size_t offset)
{
	return kmap_local_folio(folio, offset);
}

struct kmem_cache *cohfs_kmem_cache_create(const char *name, unsigned int size, slab_flags_t flags, void (*ctor)(void *))
{
	return kmem_cache_create(name, size, 0, flags, ctor);
}

void cohfs_kunmap_local(const void *addr)
{
	kunmap_local(addr);
}

void cohfs_lock_buffer(struct buffer_head *bh)
{
	lock_buffer(bh);
}

bool cohfs_mapping_mapped(const struct address_space *mapping)
{
	return mapping_mapped(mapping);
}

void cohfs_mapping_set_error(struct address_space *mapping, int error)
{
	mapping_set_error(mapping, error);
}

void cohfs_mapping_set_large_folios(struct address_space *mapping)
{
	mapping_set_large_folios(mapping);
}

void cohfs_memalloc_nofs_restore(unsigned int flags)
{
	memalloc_nofs_restore(flags);
}

unsigned int cohfs_memalloc_nofs_save(void)
{
	return memalloc_nofs_save();
}

void *cohfs_memscan(void *addr, int c, size_t size)
{
	return memscan(addr, c, size);
}

dev_t cohfs_new_decode_dev(u32 dev)
{
	return new_decode_dev(dev);
}

u32 cohfs_new_encode_dev(dev_t dev)
{
	return new_encode_dev(dev);
}

dev_t cohfs_old_decode_dev(u16 dev)
{
	return old_decode_dev(dev);
}

u16 cohfs_old_encode_dev(dev_t dev)
{
	return old_encode_dev(dev);
}

bool cohfs_old_valid_dev(dev_t dev)
{
	return old_valid_dev(dev);
}

struct folio *cohfs_page_folio(struct page *page)
{
	return page_folio(page);
}

void cohfs_panic(const char *id)
{
	panic("cohfs: %s is damaged, and errors=panic is in force\n", id);
}

void cohfs_percpu_counter_add(struct percpu_counter *fbc, s64 amount)
{
	percpu_counter_add(fbc, amount);
}

int cohfs_percpu_counter_compare(struct percpu_counter *fbc, s64 rhs)
{
	return percpu_counter_compare(fbc, rhs);
}

void cohfs_percpu_counter_destroy(struct percpu_counter *fbc)
{
	percpu_counter_destroy(fbc);
}

int cohfs_percpu_counter_init(struct percpu_counter *fbc, s64 amount, gfp_t gfp)
{
	return percpu_counter_init(fbc, amount, gfp);
}

s64 cohfs_percpu_counter_read_positive(struct percpu_counter *fbc)
{
	return percpu_counter_read_positive(fbc);
}

void cohfs_percpu_counter_set(struct percpu_counter *fbc, s64 amount)
{
	percpu_counter_set(fbc, amount);
}

s64 cohfs_percpu_counter_sum_positive(struct percpu_counter *fbc)
{
	return percpu_counter_sum_positive(fbc);
}

int cohfs_posix_acl_chmod(struct mnt_idmap *idmap, struct dentry *dentry, umode_t mode)
{
	return posix_acl_chmod(idmap, dentry, mode);
}

int cohfs_posix_acl_create(struct inode *dir, umode_t *mode, struct posix_acl **default_acl, struct posix_acl **acl)
{
	return posix_acl_create(dir, mode, default_acl, acl);
}

void cohfs_posix_acl_release(struct posix_acl *acl)
{
	posix_acl_release(acl);
}

bool cohfs_printk_ratelimit(void)
{
	return printk_ratelimit();
}

void cohfs_ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}

size_t cohfs_readahead_length(struct readahead_control *rac)
{
	return readahead_length(rac);
}

loff_t cohfs_readahead_pos(struct readahead_control *rac)
{
	return readahead_pos(rac);
}

struct buffer_head *cohfs_sb_bread(struct super_block *sb, sector_t block)
{
	return sb_bread(sb, block);
}

void cohfs_sb_breadahead(struct super_block *sb, sector_t block)
{
	sb_breadahead(sb, block);
}

void cohfs_sb_end_intwrite(struct super_block *sb)
{
	sb_end_intwrite(sb);
}

void cohfs_sb_end_pagefault(struct super_block *sb)
{
	sb_end_pagefault(sb);
}

struct buffer_head *cohfs_sb_find_get_block(struct super_block *sb, sector_t block)
{
	return sb_find_get_block(sb, block);
}

struct buffer_head *cohfs_sb_getblk(struct super_block *sb, sector_t block)
{
	return sb_getblk(sb, block);
}

bool cohfs_sb_rdonly(const struct super_block *sb)
{
	return sb_rdonly(sb);
}

long cohfs_sb_remove_count(const struct super_block *sb)
{
	return atomic_long_read(&sb->s_remove_count);
}

void cohfs_sb_start_intwrite(struct super_block *sb)
{
	sb_start_intwrite(sb);
}

void cohfs_sb_start_pagefault(struct super_block *sb)
{
	sb_start_pagefault(sb);
}

int cohfs_security_inode_init_security(struct inode *inode, struct inode *dir, const struct qstr *qstr, initxattrs fn)
{
	return security_inode_init_security(inode, dir, qstr, fn, NULL);
}

void cohfs_set_buffer_uptodate(struct buffer_head *bh)
{
	set_buffer_uptodate(bh);
}

void cohfs_set_delayed_call(struct delayed_call *call, void (*fn)(void *), void *arg)
{
	set_delayed_call(call, fn, arg);
}

void cohfs_set_inode_metadata_writeback(struct inode *inode)
{
	set_inode_metadata_writeback(inode);
}

bool cohfs_test_and_clear_bit_le(unsigned int nr, void *addr)
{
	return test_and_clear_bit_le(nr, addr);
}

bool cohfs_test_and_set_bit_le(unsigned int nr, void *addr)
{
	return test_and_set_bit_le(nr, addr);
}

vm_fault_t cohfs_vmf_fs_error(int err)
{
	return vmf_fs_error(err);
}
