/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads. Constants that are casts or macros are invisible to it, so they
 * are given a name of their own, COHFS_CONST_<name>.
 */
#include <linux/types.h>
#include <linux/errseq.h>
#include <linux/exportfs.h>
#include <linux/falloc.h>
#include <linux/filelock.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/seq_file.h>
#include <linux/statfs.h>
#include "helpers.h"

const unsigned int COHFS_CONST_ATTR_MODE = ATTR_MODE;
const unsigned int COHFS_CONST_ATTR_SIZE = ATTR_SIZE;
const fmode_t COHFS_CONST_FMODE_CAN_ODIRECT = FMODE_CAN_ODIRECT;
const fmode_t COHFS_CONST_FMODE_WRITE = FMODE_WRITE;
const gfp_t COHFS_CONST_GFP_KERNEL = GFP_KERNEL;
const gfp_t COHFS_CONST_GFP_NOFS = GFP_NOFS;
const slab_flags_t COHFS_CONST_INODE_CACHE_FLAGS = SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT;
const int COHFS_CONST_IOCB_APPEND = IOCB_APPEND;
const int COHFS_CONST_IOCB_ATOMIC = IOCB_ATOMIC;
const int COHFS_CONST_IOCB_DIRECT = IOCB_DIRECT;
const int COHFS_CONST_IOCB_DSYNC = IOCB_DSYNC;
const int COHFS_CONST_IOCB_HIPRI = IOCB_HIPRI;
const int COHFS_CONST_IOCB_NOWAIT = IOCB_NOWAIT;
const int COHFS_CONST_IOCB_SYNC = IOCB_SYNC;
const int COHFS_CONST_I_DIRTY = I_DIRTY;
const unsigned long COHFS_CONST_SB_NOATIME = SB_NOATIME;
/* Without them it only says that the umask is not to be taken off. */
const unsigned long COHFS_CONST_SB_POSIXACL = IS_ENABLED(CONFIG_FS_POSIX_ACL) ? SB_POSIXACL : 0;
const unsigned long COHFS_CONST_SB_RDONLY = SB_RDONLY;
const unsigned long COHFS_CONST_SB_SILENT = SB_SILENT;
const unsigned long COHFS_CONST_SB_SYNCHRONOUS = SB_SYNCHRONOUS;
