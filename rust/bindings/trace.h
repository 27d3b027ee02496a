/* SPDX-License-Identifier: GPL-2.0 */
/* What /sys/kernel/tracing/events/cohfs shows. Ranges are in bytes of the file, or in pages. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM cohfs

#if !defined(COHFS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define COHFS_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(cohfs_range,
	TP_PROTO(const struct inode *inode, u64 pos, u64 len, bool waited),
	TP_ARGS(inode, pos, len, waited),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, pos)
		__field(u64, len)
		__field(bool, waited)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->pos = pos;
		__entry->len = len;
		__entry->waited = waited;
	),
	TP_printk("dev %d:%d ino %llu pos %llu len %llu waited %d",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->pos, __entry->len, __entry->waited)
);

/* A direct write has closed its range. */
DEFINE_EVENT(cohfs_range, cohfs_gate_enter,
	TP_PROTO(const struct inode *inode, u64 pos, u64 len, bool waited),
	TP_ARGS(inode, pos, len, waited));

/* The range of a direct write is open again. */
DEFINE_EVENT(cohfs_range, cohfs_gate_leave,
	TP_PROTO(const struct inode *inode, u64 pos, u64 len, bool waited),
	TP_ARGS(inode, pos, len, waited));

/* Whoever fills a folio or makes it dirty has his turn, while direct writes are in flight. */
DEFINE_EVENT(cohfs_range, cohfs_turn,
	TP_PROTO(const struct inode *inode, u64 pos, u64 len, bool waited),
	TP_ARGS(inode, pos, len, waited));

/* A direct write goes through the page cache, because a folio could not be moved. */
DEFINE_EVENT(cohfs_range, cohfs_through_cache,
	TP_PROTO(const struct inode *inode, u64 pos, u64 len, bool waited),
	TP_ARGS(inode, pos, len, waited));

/* A walk has removed the folios of a range, or not all of them. */
TRACE_EVENT(cohfs_invalidate,
	TP_PROTO(const struct inode *inode, u64 first, u64 last, u64 removed, u64 busy),
	TP_ARGS(inode, first, last, removed, busy),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(u64, ino)
		__field(u64, first)
		__field(u64, last)
		__field(u64, removed)
		__field(u64, busy)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->first = first;
		__entry->last = last;
		__entry->removed = removed;
		__entry->busy = busy;
	),
	TP_printk("dev %d:%d ino %llu pages %llu..=%llu removed %llu busy %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->first, __entry->last, __entry->removed, __entry->busy)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
