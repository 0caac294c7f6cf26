//! Work over threads, and the memory the kernels keep between calls.
//!
//! Every kernel cuts its work into tasks whose results do not depend on one another: no sum crosses a
//! task unless it is taken afterwards in the order of the tasks. So the bits are the same for any number
//! of threads, whatever thread takes which task.

use std::cell::RefCell;

use rayon::prelude::*;

use super::buffer::{Block, Buffer};

/// Threads that will share the work.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs `task` for each of `0..count`, on several threads where `work` (scalar operations, or elements
/// for work bound by memory) is worth the handing over.
pub(crate) fn for_each(count: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    const WORTH_IT: usize = 1 << 15;
    if count <= 1 || work < WORTH_IT || threads() == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// A pointer to a buffer that tasks write at places of their own.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: a plain address; each use states why its accesses are disjoint from those of other tasks.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The buffer from element `index` on.
    #[inline(always)]
    pub(crate) fn skip(self, index: usize) -> Self {
        Shared(self.0.wrapping_add(index))
    }

    /// The address of element `index`.
    #[inline(always)]
    pub(crate) fn at(self, index: usize) -> *mut f32 {
        self.0.wrapping_add(index)
    }
}

impl From<&mut [f32]> for Shared {
    fn from(slice: &mut [f32]) -> Self {
        Shared(slice.as_mut_ptr())
    }
}

/// The buffer of a result: allocated, not yet written.
pub(crate) struct Output(Buffer);

impl Output {
    /// Room for `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        // SAFETY: nothing reads the elements before `finish`, whose contract is that they are written.
        Output(unsafe { Buffer::new(len) })
    }

    /// Where to write.
    pub(crate) fn shared(&mut self) -> Shared {
        Shared(self.0.pointer())
    }

    /// The finished buffer.
    ///
    /// # Safety
    /// Every element has been written.
    pub(crate) unsafe fn finish(self) -> Buffer {
        self.0
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with a buffer of `len` elements of unspecified content, aligned to 64 bytes, which the
/// thread keeps for the next call. Calls may nest.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let kept = SCRATCH.with(|kept| {
        let mut kept = kept.borrow_mut();
        // The smallest that is large enough, else the largest, which another takes the place of.
        kept.sort_by_key(Block::capacity);
        let place = kept.iter().position(|block| block.capacity() >= len);
        let place = place.or(kept.len().checked_sub(1))?;
        Some(kept.swap_remove(place))
    });
    let enough = kept.filter(|block| block.capacity() >= len);
    // An eighth more, for the next request may be a little larger.
    let mut block = enough.unwrap_or_else(|| Block::new((len + len / 8).max(1024)));
    let result = f(&mut block.elements()[..len]);
    SCRATCH.with(|kept| kept.borrow_mut().push(block));
    result
}
