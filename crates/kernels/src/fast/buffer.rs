//! The memory of results, kept between steps.
//!
//! A training step asks for the same few sizes again and again. Taken from the system each time, every
//! large buffer costs its page faults anew, which for an operation bound by memory is as much as the
//! operation. So a buffer that is dropped waits here for the next request of its size class. Before
//! a new block is made, waiting ones are given back where more than a quarter above what was once in use would be held.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard};

use memmap2::MmapMut;

/// Bytes to which buffers are aligned: a cache line, and the widest vector.
pub(crate) const ALIGN: usize = 64;
/// Elements below which the system's allocator serves as well.
const SMALL: usize = 1 << 13;

/// Elements from which on a block is pages of its own: they go back to the system when it is freed, whatever else the
/// allocator keeps beside them.
const PAGES: usize = 1 << 16;

/// A block of memory.
pub(super) struct Block {
    pointer: NonNull<f32>,
    /// Elements.
    capacity: usize,
    /// The pages, unless the memory is the allocator's.
    pages: Option<MmapMut>,
}

// SAFETY: a block owns its memory and has no ties to a thread.
unsafe impl Send for Block {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Block {}

impl Block {
    fn layout(capacity: usize) -> Layout {
        Layout::array::<f32>(capacity)
            .and_then(|layout| layout.align_to(ALIGN))
            .expect("a tensor fits into the address space")
    }

    /// Zeros.
    pub(super) fn new(capacity: usize) -> Self {
        let layout = Self::layout(capacity);
        // Where the system has no pages to give, the allocator says so.
        let mut pages = (capacity >= PAGES)
            .then(|| MmapMut::map_anon(layout.size()).ok())
            .flatten();
        let pointer = match &mut pages {
            Some(pages) => pages.as_mut_ptr(),
            // SAFETY: the capacity, and so the layout, is not of size zero.
            None => unsafe { alloc_zeroed(layout) },
        };
        match NonNull::new(pointer.cast()) {
            Some(pointer) => Block {
                pointer,
                capacity,
                pages,
            },
            None => handle_alloc_error(layout),
        }
    }

    /// All elements.
    pub(super) fn elements(&mut self) -> &mut [f32] {
        // SAFETY: the block holds that many elements, which were zero before anything was written.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.capacity) }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.pages.is_none() {
            // SAFETY: the block was allocated with this layout.
            unsafe { dealloc(self.pointer.as_ptr().cast(), Self::layout(self.capacity)) };
        }
    }
}

/// Blocks that wait, by capacity, and how much there is.
struct Store {
    waiting: BTreeMap<usize, Vec<Block>>,
    /// Elements of all blocks, waiting or not.
    held: usize,
    /// Elements asked for and not given back, rounded up to their classes.
    used: usize,
    most_used: usize,
}

impl Store {
    /// Takes a waiting block of this capacity; where a new one would hold more than was ever used, a larger one.
    fn take(&mut self, capacity: usize) -> Option<Block> {
        if let Some(block) = self.waiting.get_mut(&capacity).and_then(Vec::pop) {
            return Some(block);
        }
        if self.held + capacity <= self.most_used {
            return None;
        }
        let larger = self.waiting.range_mut(capacity..);
        larger.filter_map(|(_, class)| class.pop()).next()
    }

    /// Takes the largest blocks out until no more is held than `limit`, as far as blocks wait.
    fn trim(&mut self, limit: usize) -> Vec<Block> {
        let mut freed = Vec::new();
        while self.held > limit
            && let Some(mut class) = self.waiting.last_entry()
        {
            match class.get_mut().pop() {
                Some(block) => {
                    self.held -= block.capacity;
                    freed.push(block);
                }
                None => drop(class.remove()),
            }
        }
        freed
    }

    /// What may be held: somewhat more than was ever used, so that a block that served a smaller request is not given
    /// back and asked for again in every step.
    fn limit(&self) -> usize {
        self.most_used + self.most_used / 4
    }
}

static STORE: Mutex<Store> = Mutex::new(Store {
    waiting: BTreeMap::new(),
    held: 0,
    used: 0,
    most_used: 0,
});

fn store() -> MutexGuard<'static, Store> {
    // Nothing in here panics half-way.
    STORE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The capacity that serves `len` elements: rounded up to an eighth of the next power of two.
fn class(len: usize) -> usize {
    if len < SMALL {
        return len.max(1);
    }
    let step = len.next_power_of_two() / 16;
    len.next_multiple_of(step)
}

/// Elements of unspecified content, until written.
pub struct Buffer {
    block: Option<Block>,
    len: usize,
}

impl Buffer {
    /// Room for `len` elements. Their content is unspecified, and reading it before writing is a
    /// mistake of the caller.
    ///
    /// # Safety
    /// The elements are written before they are read.
    pub(crate) unsafe fn new(len: usize) -> Self {
        let capacity = class(len);
        if len < SMALL {
            return Buffer {
                block: Some(Block::new(capacity)),
                len,
            };
        }
        let (waiting, freed) = {
            let mut store = store();
            store.used += capacity;
            store.most_used = store.most_used.max(store.used);
            let waiting = store.take(capacity);
            let mut freed = Vec::new();
            if waiting.is_none() {
                let limit = store.limit().saturating_sub(capacity);
                freed = store.trim(limit);
                store.held += capacity;
            }
            (waiting, freed)
        };
        drop(freed);
        Buffer {
            block: Some(waiting.unwrap_or_else(|| Block::new(capacity))),
            len,
        }
    }

    /// Zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        // SAFETY: filled at once.
        let mut buffer = unsafe { Buffer::new(len) };
        buffer.fill(0.0);
        buffer
    }

    /// The address of the first element.
    pub(crate) fn pointer(&self) -> *mut f32 {
        self.block
            .as_ref()
            .map_or(std::ptr::null_mut(), |block| block.pointer.as_ptr())
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} elements)", self.len)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the block holds at least `len` elements, which have been written (`new`).
        unsafe { std::slice::from_raw_parts(self.pointer(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the block is this buffer's alone.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        if self.len < SMALL {
            return;
        }
        let mut store = store();
        store.used -= class(self.len);
        store.waiting.entry(block.capacity).or_default().push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_aligned() {
        let first = Buffer::zeros(100_000);
        let address = first.pointer();
        assert_eq!(address as usize % ALIGN, 0);
        drop(first);
        let again = Buffer::zeros(99_999);
        assert!(again.iter().all(|v| *v == 0.0) && again.len() == 99_999);
        drop(again);
    }

    #[test]
    fn classes_waste_little() {
        for len in [1, 100, SMALL, SMALL + 1, 100_000, 1 << 20, (1 << 20) + 1] {
            assert!(class(len) >= len && class(len) as f64 <= len as f64 * 1.13);
        }
    }
}
