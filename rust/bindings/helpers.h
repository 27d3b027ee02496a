/* SPDX-License-Identifier: GPL-2.0 */
/* Prototypes of helpers.c, for the compiler and for bindgen. */
#ifndef COHFS_HELPERS_H
#define COHFS_HELPERS_H

#include <linux/blk-crypto.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/fileattr.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/interval_tree.h>
#include <linux/iomap.h>
#include <linux/kdev_t.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/percpu_counter.h>
#include <linux/posix_acl_xattr.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xattr.h>

struct inode *cohfs_alloc_inode_sb(struct super_block *sb, struct kmem_cache *cache, gfp_t gfp);
unsigned int cohfs_bdev_discard_granularity(struct block_device *bdev);
unsigned int cohfs_bdev_dma_alignment(struct block_device *bdev);
unsigned int cohfs_bdev_logical_block_size(struct block_device *bdev);
unsigned int cohfs_bdev_max_discard_sectors(struct block_device *bdev);
u64 cohfs_bdev_nr_bytes(struct block_device *bdev);
void cohfs_blk_crypto_submit_bio(struct bio *bio);
bool cohfs_buffer_uptodate(const struct buffer_head *bh);
bool cohfs_buffer_write_io_error(const struct buffer_head *bh);
void cohfs_cache_no_acl(struct inode *inode);
bool cohfs_capable(int cap);
void cohfs_clear_buffer_write_io_error(struct buffer_head *bh);
void cohfs_cond_resched(void);
kuid_t cohfs_current_fsuid(void);
bool cohfs_dir_emit(struct dir_context *ctx, const char *name, int namelen, u64 ino, unsigned int type);
bool cohfs_fatal_signal_pending(void);
void cohfs_file_accessed(struct file *file);
bool cohfs_file_is_sync(const struct file *file);
bool cohfs_fileattr_has_fsx(const struct file_kattr *fa);
void cohfs_filemap_invalidate_lock(struct address_space *mapping);
void cohfs_filemap_invalidate_lock_shared(struct address_space *mapping);
void cohfs_filemap_invalidate_unlock(struct address_space *mapping);
void cohfs_filemap_invalidate_unlock_shared(struct address_space *mapping);
unsigned long cohfs_find_next_zero_bit_le(const void *addr, unsigned long size, unsigned long offset);
int cohfs_finish_open_simple(struct file *file, int error);
void cohfs_folio_get(struct folio *folio);
bool cohfs_folio_has_private(const struct folio *folio);
pgoff_t cohfs_folio_index(const struct folio *folio);
void cohfs_folio_lock(struct folio *folio);
bool cohfs_folio_mapped(const struct folio *folio);
struct address_space *cohfs_folio_mapping(const struct folio *folio);
bool cohfs_folio_maybe_dma_pinned(struct folio *folio);
ssize_t cohfs_folio_mkwrite_check_truncate(const struct folio *folio, const struct inode *inode);
unsigned long cohfs_folio_nr_pages(const struct folio *folio);
loff_t cohfs_folio_pos(const struct folio *folio);
void cohfs_folio_put(struct folio *folio);
size_t cohfs_folio_size(const struct folio *folio);
bool cohfs_folio_test_dirty(const struct folio *folio);
bool cohfs_folio_test_uptodate(const struct folio *folio);
bool cohfs_folio_test_writeback(const struct folio *folio);
void cohfs_gate_acquire(void);
void cohfs_gate_acquire_read(void);
void cohfs_gate_release(void);
ssize_t cohfs_generic_write_sync(struct kiocb *iocb, ssize_t count);
void cohfs_get_bh(struct buffer_head *bh);
u32 cohfs_get_random_u32_below(u32 ceil);
gid_t cohfs_i_gid_read(const struct inode *inode);
void cohfs_i_gid_write(struct inode *inode, gid_t gid);
loff_t cohfs_i_size_read(const struct inode *inode);
void cohfs_i_size_write(struct inode *inode, loff_t size);
uid_t cohfs_i_uid_read(const struct inode *inode);
void cohfs_i_uid_write(struct inode *inode, uid_t uid);
bool cohfs_in_group_p(kgid_t gid);
time64_t cohfs_inode_get_atime_sec(const struct inode *inode);
time64_t cohfs_inode_get_ctime_sec(const struct inode *inode);
time64_t cohfs_inode_get_mtime_sec(const struct inode *inode);
bool cohfs_inode_is_new(struct inode *inode);
void cohfs_inode_lock(struct inode *inode);
void cohfs_inode_lock_shared(struct inode *inode);
void cohfs_inode_set_atime(struct inode *inode, time64_t sec, long nsec);
void cohfs_inode_set_ctime(struct inode *inode, time64_t sec, long nsec);
void cohfs_inode_set_mtime(struct inode *inode, time64_t sec, long nsec);
void cohfs_inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts);
bool cohfs_inode_trylock(struct inode *inode);
bool cohfs_inode_trylock_shared(struct inode *inode);
void cohfs_inode_unlock(struct inode *inode);
void cohfs_inode_unlock_shared(struct inode *inode);
void cohfs_interval_tree_insert(struct interval_tree_node *node, struct rb_root_cached *root);
struct interval_tree_node *cohfs_interval_tree_iter_first(struct rb_root_cached *root, unsigned long start, unsigned long last);
struct interval_tree_node *cohfs_interval_tree_iter_next(struct interval_tree_node *node, unsigned long start, unsigned long last);
void cohfs_interval_tree_remove(struct interval_tree_node *node, struct rb_root_cached *root);
struct interval_tree_node *cohfs_interval_tree_subtree_search(struct interval_tree_node *node, unsigned long start, unsigned long last);
bool cohfs_iocb_is_dsync(const struct kiocb *iocb);
void cohfs_iomap_bio_read_folio(struct folio *folio, const struct iomap_ops *ops);
void cohfs_iomap_bio_readahead(struct readahead_control *rac, const struct iomap_ops *ops);
bool cohfs_iov_iter_extract_will_pin(const struct iov_iter *iter);
void cohfs_iov_iter_truncate(struct iov_iter *iter, u64 count);
bool cohfs_is_dirsync(const struct inode *inode);
bool cohfs_is_sync(const struct inode *inode);
bool cohfs_is_sync_kiocb(struct kiocb *iocb);
void *cohfs_kmap_local_folio(struct folio *folio, size_t offset);
struct kmem_cache *cohfs_kmem_cache_create(const char *name, unsigned int size, slab_flags_t flags, void (*ctor)(void *));
void cohfs_kunmap_local(const void *addr);
void cohfs_lock_buffer(struct buffer_head *bh);
bool cohfs_mapping_mapped(const struct address_space *mapping);
void cohfs_mapping_set_error(struct address_space *mapping, int error);
void cohfs_mapping_set_large_folios(struct address_space *mapping);
void cohfs_memalloc_nofs_restore(unsigned int flags);
unsigned int cohfs_memalloc_nofs_save(void);
void *cohfs_memscan(void *addr, int c, size_t size);
dev_t cohfs_new_decode_dev(u32 dev);
u32 cohfs_new_encode_dev(dev_t dev);
dev_t cohfs_old_decode_dev(u16 dev);
u16 cohfs_old_encode_dev(dev_t dev);
bool cohfs_old_valid_dev(dev_t dev);
struct folio *cohfs_page_folio(struct page *page);
void cohfs_panic(const char *id);
void cohfs_percpu_counter_add(struct percpu_counter *fbc, s64 amount);
int cohfs_percpu_counter_compare(struct percpu_counter *fbc, s64 rhs);
void cohfs_percpu_counter_destroy(struct percpu_counter *fbc);
int cohfs_percpu_counter_init(struct percpu_counter *fbc, s64 amount, gfp_t gfp);
s64 cohfs_percpu_counter_read_positive(struct percpu_counter *fbc);
void cohfs_percpu_counter_set(struct percpu_counter *fbc, s64 amount);
s64 cohfs_percpu_counter_sum_positive(struct percpu_counter *fbc);
int cohfs_posix_acl_chmod(struct mnt_idmap *idmap, struct dentry *dentry, umode_t mode);
int cohfs_posix_acl_create(struct inode *dir, umode_t *mode, struct posix_acl **default_acl, struct posix_acl **acl);
void cohfs_posix_acl_release(struct posix_acl *acl);
bool cohfs_printk_ratelimit(void);
void cohfs_ratelimit_default_init(struct ratelimit_state *rs);
size_t cohfs_readahead_length(struct readahead_control *rac);
loff_t cohfs_readahead_pos(struct readahead_control *rac);
struct buffer_head *cohfs_sb_bread(struct super_block *sb, sector_t block);
void cohfs_sb_breadahead(struct super_block *sb, sector_t block);
void cohfs_sb_end_intwrite(struct super_block *sb);
void cohfs_sb_end_pagefault(struct super_block *sb);
struct buffer_head *cohfs_sb_find_get_block(struct super_block *sb, sector_t block);
struct buffer_head *cohfs_sb_getblk(struct super_block *sb, sector_t block);
bool cohfs_sb_rdonly(const struct super_block *sb);
long cohfs_sb_remove_count(const struct super_block *sb);
void cohfs_sb_start_intwrite(struct super_block *sb);
void cohfs_sb_start_pagefault(struct super_block *sb);
int cohfs_security_inode_init_security(struct inode *inode, struct inode *dir, const struct qstr *qstr, initxattrs fn);
void cohfs_set_buffer_uptodate(struct buffer_head *bh);
void cohfs_set_delayed_call(struct delayed_call *call, void (*fn)(void *), void *arg);
void cohfs_set_inode_metadata_writeback(struct inode *inode);
bool cohfs_test_and_clear_bit_le(unsigned int nr, void *addr);
bool cohfs_test_and_set_bit_le(unsigned int nr, void *addr);
void cohfs_trace_gate_enter(const struct inode *inode, u64 pos, u64 len, bool waited);
void cohfs_trace_gate_leave(const struct inode *inode, u64 pos, u64 len, bool waited);
void cohfs_trace_invalidate(const struct inode *inode, u64 first, u64 last, u64 removed, u64 busy);
void cohfs_trace_through_cache(const struct inode *inode, u64 pos, u64 len);
void cohfs_trace_turn(const struct inode *inode, u64 pos, u64 len, bool waited);
vm_fault_t cohfs_vmf_fs_error(int err);

#endif
