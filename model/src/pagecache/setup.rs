// SPDX-License-Identifier: GPL-2.0

//! What a world starts with, and what is wrong with it on purpose.

/// The world before the first step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Pages of the file.
    pub(crate) pages: usize,
    /// Processes that map the file, shared and writable.
    pub(crate) mappers: usize,
    /// Whether a block is as small as a cell. A folio then knows which of its cells are dirty, as
    /// iomap does for a folio of several blocks; else it is dirty as a whole.
    pub(crate) small_blocks: bool,
    /// What is cached.
    pub(crate) cached: Cached,
    /// Whether every mapper has every cached page mapped, for reading.
    pub(crate) mapped: bool,
    /// Whether the file system will not release the private state of what is cached.
    pub(crate) private: bool,
    /// Whether some direct write is strict, so that fillers look for gates. Elsewhere they would
    /// find none, and the look is left out.
    pub(crate) gates: bool,
    /// What does not work as it should.
    pub(crate) breakage: Option<Breakage>,
}

impl Setup {
    /// One page, one mapper, nothing cached, nothing broken.
    pub(crate) const PLAIN: Self = Self {
        pages: 1,
        mappers: 1,
        small_blocks: false,
        cached: Cached::Nothing,
        mapped: false,
        private: false,
        gates: false,
        breakage: None,
    };
}

/// What is cached at first, all of it clean and as on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cached {
    /// Nothing.
    Nothing,
    /// A folio for each page.
    Pages,
    /// One folio for all pages.
    LargeFolio,
}

/// A step left out of the kernel or of the chain. The explorer has to notice each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breakage {
    /// `remove` does not look at the dirty flag.
    RemoveIgnoresDirty,
    /// `remove` does not look for pins.
    RemoveIgnoresPins,
    /// There is no redirty gate.
    NoGate,
    /// The remover looks for dirtiers before it says that it is removing.
    GateLooksFirst,
    /// The remover looks at the dirty flag before it looks for dirtiers.
    GateAsksDirtyFirst,
    /// A fault unlocks the folio before the page-table entry is in, as in 2004.
    FaultMapsUnlocked,
    /// `unmap` does nothing.
    NoUnmap,
    /// `wait_writeback` does not wait.
    NoWaitWriteback,
    /// `lock_in` does not look whether the folio still belongs to the mapping.
    NoRecheck,
    /// A fault does not take `invalidate_lock` to create a folio.
    FaultIgnoresInvalidateLock,
    /// Whoever fills a folio does not look for gates.
    FillIgnoresGates,
    /// Whoever finds a gate waits for it with the folio locked.
    FillWaitsLocked,
    /// `page_mkwrite` does not look for gates.
    FaultIgnoresGates,
    /// A buffered write does not wait for direct writes.
    WriteIgnoresGates,
    /// A direct write touches the memory it writes from while it holds its gate.
    SourceInsideGate,
    /// The transfer of a direct write runs under `invalidate_lock`.
    TransferUnderInvalidateLock,
}
