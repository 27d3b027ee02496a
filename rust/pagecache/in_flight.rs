// SPDX-License-Identifier: GPL-2.0

//! The ranges of one file that somebody has claimed, in the order in which they came.
//!
//! This is the mechanism only: a claim enters, waits until no elder claim is in its way, begins, and
//! leaves. Which claims are in each other's way is for `coherency::gates` to say.
//!
//! Nobody can wait in a circle here, for a claim waits for elder ones only. A claim may leave in
//! interrupt context, where asynchronous I/O ends.
//!
//! # Lock order
//!
//! The spinlock is a leaf; interrupts are off under it.
//!
//! C headers: [`include/linux/interval_tree.h`](srctree/include/linux/interval_tree.h)

use super::{
    ByteRange,
    Host,
    PageRange, //
};
use crate::bindings;
use core::{
    cell::Cell,
    iter,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    container_of,
    new_condvar,
    new_spinlock_irq,
    num::casts::arch::u64_as_usize,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        barrier::smp_mb,
        CondVar,
        SpinLockIrq, //
    },
    types::Opaque, //
};
use pin_init::{
    pin_data,
    pin_init, //
};

/// What somebody wants to do with a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Write it on the device, around the page cache.
    Write,
    /// Read it from the device into the page cache, or make it dirty there.
    Fill,
}

/// A range and what it is claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What for.
    pub(crate) purpose: Purpose,
    /// The range, in bytes.
    pub(crate) range: ByteRange,
}

/// The claims of one file.
///
/// # Invariants
///
/// It is the `in_flight` of a [`Host`].
#[pin_data]
pub(crate) struct InFlight {
    /// Number of claims that entered and have not left.
    count: Atomic<u32>,
    #[pin]
    set: SpinLockIrq<Set>,
    /// Woken when a claim leaves while somebody waits.
    #[pin]
    left: CondVar,
}

/// The claims by the pages that they touch.
///
/// # Invariants
///
/// Each node of the tree is in a [`Node`] that stays where it is until it is removed.
struct Set {
    root: Opaque<bindings::rb_root_cached>,
    /// The ticket of the next claim. A cell, for the tree must not be moved.
    next: Cell<u64>,
    /// How many wait for others to leave.
    waiting: Cell<u32>,
}

// SAFETY: The tree is only reached under the spinlock.
unsafe impl Send for Set {}

/// A claim in the tree.
#[repr(C)]
struct Node {
    tree: Opaque<bindings::interval_tree_node>,
    claim: Claim,
    /// Smaller than that of every claim that came later.
    ticket: u64,
    /// Nothing elder is in its way. Changed under the spinlock.
    begun: bool,
}

impl Node {
    /// Makes one that is in no tree yet.
    fn new(claim: Claim) -> Self {
        let pages = claim.range.pages();
        Self {
            tree: Opaque::new(bindings::interval_tree_node {
                start: u64_as_usize(pages.first()),
                last: u64_as_usize(pages.last()),
                ..pin_init::zeroed()
            }),
            claim,
            ticket: 0,
            begun: false,
        }
    }
}

impl Set {
    /// Returns the claims that touch `pages`.
    fn over(&self, pages: PageRange) -> impl Iterator<Item = &Node> {
        let root = self.root.get();
        let (first, last) = (u64_as_usize(pages.first()), u64_as_usize(pages.last()));
        // SAFETY: The tree is sound, by the type invariants, and borrowed with `self`.
        let start = unsafe { bindings::cohfs_interval_tree_iter_first(root, first, last) };
        iter::successors(NonNull::new(start), move |node| {
            // SAFETY: As above; `node` is in the tree.
            let next =
                unsafe { bindings::cohfs_interval_tree_iter_next(node.as_ptr(), first, last) };
            NonNull::new(next)
        })
        // SAFETY: Every node of the tree is in a `Node`, by the type invariants.
        .map(|node| unsafe { &*container_of!(Opaque::cast_from(node.as_ptr()), Node, tree) })
    }
}

impl InFlight {
    /// Returns the inode whose claims they are.
    fn inode(&self) -> *mut bindings::inode {
        // SAFETY: Embedded in a `Host`, by the type invariants.
        unsafe { &*container_of!(ptr::from_ref(self), Host, in_flight) }.as_raw()
    }

    /// Initialises it in place.
    ///
    /// # Safety
    ///
    /// `this` points to the `in_flight` of a [`Host`] that nobody uses yet and that does not move.
    pub(super) unsafe fn init_once(this: *mut Self) {
        let init = pin_init!(Self {
            count: Atomic::new(0),
            // INVARIANT: An empty tree is all zeroes (`RB_ROOT_CACHED`).
            set <- new_spinlock_irq!(
                Set { root: Opaque::zeroed(), next: Cell::new(0), waiting: Cell::new(0) },
                "cohfs_in_flight"
            ),
            left <- new_condvar!("cohfs_in_flight"),
        });
        // SAFETY: By our requirements.
        unsafe { pin_init::raw_init(this, init) };
    }

    /// Says whether there is no claim at all. A moment later there may be one.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Orders what the caller added to the page cache before what it asks here next: whoever enters
    /// a claim that it does not see will see what was added.
    pub(crate) fn order_after_adding(&self) {
        // Pairs with the `Full` in `enter`: each side writes its own word, then reads the other's.
        smp_mb(Full);
    }

    /// Says whether a claim over `pages` for `purpose` has begun and not left.
    pub(crate) fn has_begun(&self, pages: PageRange, purpose: Purpose) -> bool {
        !self.is_empty()
            && self
                .set
                .lock()
                .over(pages)
                .any(|node| node.begun && node.claim.purpose == purpose)
    }

    /// Calls `visit` with each claim that has entered and not left, and whether it has begun.
    ///
    /// # Context
    ///
    /// Under a spinlock with interrupts off: `visit` is short and does not sleep.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Claim, bool)) {
        if !self.is_empty() {
            let set = self.set.lock();
            set.over(PageRange::ALL)
                .for_each(|node| visit(&node.claim, node.begun));
        }
    }

    /// Enters a claim, and waits until no elder one is in its way. `in_the_way(claim, elder)` says
    /// whether `elder`, which touches some page of it, is.
    ///
    /// # Context
    ///
    /// May sleep, until the I/O of elder claims is done.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn enter(
        &self,
        claim: Claim,
        in_the_way: impl Fn(&Claim, &Claim) -> bool,
    ) -> Result<Entry<'_>> {
        let node = KBox::into_raw(KBox::new(Node::new(claim), GFP_KERNEL)?);
        // SAFETY: A box is never null.
        let node = unsafe { NonNull::new_unchecked(node) };
        // SAFETY: Nobody else knows of it, and the box stays until the entry is dropped.
        let waited = unsafe { self.join(node, in_the_way) };
        Ok(Entry {
            set: self,
            node,
            waited,
        })
    }

    /// As [`Self::enter`], for as long as `run` takes, which learns whether the claim had to wait. It
    /// needs no memory.
    ///
    /// # Context
    ///
    /// As [`Self::enter`].
    pub(crate) fn during<R>(
        &self,
        claim: Claim,
        in_the_way: impl Fn(&Claim, &Claim) -> bool,
        run: impl FnOnce(bool) -> R,
    ) -> R {
        let place = Opaque::new(Node::new(claim));
        // SAFETY: Not null.
        let node = unsafe { NonNull::new_unchecked(place.get()) };
        // SAFETY: Nobody else knows of it, and it stays in this frame, which is left after `leave`.
        let waited = unsafe { self.join(node, in_the_way) };
        let result = run(waited);
        // SAFETY: It joined just now.
        unsafe { self.leave(node, waited) };
        result
    }

    /// Puts a claim among the others, and waits until no elder one is in its way. Returns whether it
    /// had to.
    ///
    /// # Safety
    ///
    /// `node` is valid and known to nobody else, and stays where it is until it has left.
    unsafe fn join(
        &self,
        node: NonNull<Node>,
        in_the_way: impl Fn(&Claim, &Claim) -> bool,
    ) -> bool {
        // SAFETY: By our requirements.
        let claim = unsafe { (*node.as_ptr()).claim };
        let pages = claim.range.pages();
        let mut set = self.set.lock();
        let ticket = set.next.get();
        // OVERFLOW: 2^64 claims take centuries.
        set.next.set(ticket + 1);
        // SAFETY: Ours alone until it is in the tree.
        unsafe { (*node.as_ptr()).ticket = ticket };
        // SAFETY: Not in a tree yet, and it stays where it is, by our requirements.
        // INVARIANT: The node is in a `Node`.
        unsafe {
            bindings::cohfs_interval_tree_insert(
                Opaque::cast_into(&raw const (*node.as_ptr()).tree),
                set.root.get(),
            )
        };
        // Whoever finds the count zero from here on has done what he did before it.
        let others = self.count.fetch_add(1, Full);
        let has_to_wait = |set: &Set| {
            set.over(pages)
                .any(|other| other.ticket < ticket && in_the_way(&claim, &other.claim))
        };
        let mut waited = false;
        // LOCKING: The count only changes under the spinlock.
        while others > 0 && has_to_wait(&set) {
            waited = true;
            // OVERFLOW: There are not as many tasks.
            set.waiting.set(set.waiting.get() + 1);
            self.left.wait(&mut set);
            // OVERFLOW: Counted above.
            set.waiting.set(set.waiting.get() - 1);
        }
        // SAFETY: Under the spinlock; nobody holds a reference to the node without it.
        unsafe { (*node.as_ptr()).begun = true };
        drop(set);
        let (pos, len) = (claim.range.pos(), claim.range.len());
        // SAFETY: The inode is in memory as long as its claims are.
        unsafe {
            match claim.purpose {
                Purpose::Write => bindings::cohfs_trace_gate_enter(self.inode(), pos, len, waited),
                Purpose::Fill => bindings::cohfs_trace_turn(self.inode(), pos, len, waited),
            }
        }
        waited
    }

    /// Takes a claim out again. May be called in any context.
    ///
    /// # Safety
    ///
    /// `node` has joined, and not left.
    unsafe fn leave(&self, node: NonNull<Node>, waited: bool) {
        let set = self.set.lock();
        // SAFETY: In the tree, by our requirements.
        unsafe {
            bindings::cohfs_interval_tree_remove(
                Opaque::cast_into(&raw const (*node.as_ptr()).tree),
                set.root.get(),
            )
        };
        self.count.fetch_sub(1, Relaxed);
        let somebody_waits = set.waiting.get() > 0;
        drop(set);
        if somebody_waits {
            self.left.notify_all();
        }
        // SAFETY: Valid, by our requirements, and known to nobody else any more.
        let Claim { purpose, range } = unsafe { (*node.as_ptr()).claim };
        if purpose == Purpose::Write {
            let (pos, len) = (range.pos(), range.len());
            // SAFETY: The inode is in memory as long as its claims are.
            unsafe { bindings::cohfs_trace_gate_leave(self.inode(), pos, len, waited) };
        }
    }
}

/// A claim that has entered; it leaves when this is dropped, in any context.
///
/// # Invariants
///
/// The node is in the tree of `set` and from a [`KBox`].
#[must_use = "the claim leaves when the entry is dropped"]
pub(crate) struct Entry<'a> {
    set: &'a InFlight,
    node: NonNull<Node>,
    waited: bool,
}

// SAFETY: The node is only touched under the spinlock, or when it is out of the tree.
unsafe impl Send for Entry<'_> {}

impl Entry<'_> {
    /// Says whether it had to wait for an elder one.
    pub(crate) fn has_waited(&self) -> bool {
        self.waited
    }

    /// Returns the same claim without a limit to its life.
    ///
    /// # Safety
    ///
    /// The file whose claim it is stays in memory until the result is dropped.
    pub(crate) unsafe fn outlive(self) -> Entry<'static> {
        // SAFETY: By our requirements; the types differ in nothing else.
        unsafe { core::mem::transmute(self) }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        // SAFETY: In the tree, by the type invariants.
        unsafe { self.set.leave(self.node, self.waited) };
        // SAFETY: From a box, by the type invariants, and no longer in the tree.
        drop(unsafe { KBox::from_raw(self.node.as_ptr()) });
    }
}
