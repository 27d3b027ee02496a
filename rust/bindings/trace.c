// SPDX-License-Identifier: GPL-2.0
/* The tracepoints, and their one-line wrappers for Rust. */
#include "helpers.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void cohfs_trace_gate_enter(const struct inode *inode, u64 pos, u64 len, bool waited)
{
	trace_cohfs_gate_enter(inode, pos, len, waited);
}

void cohfs_trace_gate_leave(const struct inode *inode, u64 pos, u64 len, bool waited)
{
	trace_cohfs_gate_leave(inode, pos, len, waited);
}

void cohfs_trace_invalidate(const struct inode *inode, u64 first, u64 last, u64 removed, u64 busy)
{
	trace_cohfs_invalidate(inode, first, last, removed, busy);
}

void cohfs_trace_through_cache(const struct inode *inode, u64 pos, u64 len)
{
	trace_cohfs_through_cache(inode, pos, len, false);
}

void cohfs_trace_turn(const struct inode *inode, u64 pos, u64 len, bool waited)
{
	trace_cohfs_turn(inode, pos, len, waited);
}
