//! Prepared weights, kept from call to call while the tensors they were made of live unchanged.
//!
//! An entry holds `Weak` references to its sources' storage. While a `Weak` stands, Rust's `Arc` neither
//! hands out the content for writing in place nor gives its address to another, so an address that is
//! found again means the same values. An entry whose sources are gone is dropped at the next look.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use burn::tensor::Bytes;

use super::conv::{ConvShape, Fold, Prepared, Way};
use super::simd::{Isa, isa};
use super::tensor::{FlexTensor, slice};

/// What prepared weights depend on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Addresses of the sources' storage.
    sources: Vec<usize>,
    weight: [usize; 4],
    groups: usize,
    way: Way,
    isa: Isa,
    /// Of the folded normalisation, as bits.
    epsilon: u32,
}

struct Entry {
    sources: Vec<Weak<Bytes>>,
    prepared: Arc<Prepared>,
}

static CACHE: Mutex<Option<HashMap<Key, Entry>>> = Mutex::new(None);
/// Whether there are entries: training asks without taking the lock.
static FILLED: AtomicBool = AtomicBool::new(false);

fn cache() -> MutexGuard<'static, Option<HashMap<Key, Entry>>> {
    // Nothing in here panics half-way.
    CACHE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Drops what was prepared from tensors that are gone.
pub(crate) fn sweep() {
    if !FILLED.load(Ordering::Relaxed) {
        return;
    }
    let mut cache = cache();
    if let Some(entries) = cache.as_mut() {
        entries.retain(|_, entry| entry.sources.iter().all(|s| s.strong_count() > 0));
        FILLED.store(!entries.is_empty(), Ordering::Relaxed);
    }
}

/// The weights, the first of `sources`, prepared for convolutions of this shape; `fold` reads what is folded
/// into them from the other sources. `None` where a source is a view, whose storage says too little.
pub(crate) fn prepared(
    shape: &ConvShape,
    sources: &[&FlexTensor],
    epsilon: f32,
    fold: impl FnOnce() -> Option<Fold>,
) -> Option<Arc<Prepared>> {
    let whole = |x: &&FlexTensor| {
        x.as_slice::<f32>()
            .is_some_and(|values| values.len() == x.storage::<f32>().len())
    };
    if !sources.iter().all(whole) {
        return None;
    }
    let weight = sources.first()?;
    let storages: Vec<_> = sources.iter().map(|x| x.data_arc()).collect();
    let key = Key {
        sources: storages.iter().map(|s| Arc::as_ptr(s).addr()).collect(),
        weight: super::tensor::dims::<4>(weight),
        groups: shape.groups,
        way: shape.way(),
        isa: isa(),
        epsilon: epsilon.to_bits(),
    };
    if let Some(entry) = cache().get_or_insert_default().get(&key) {
        return Some(entry.prepared.clone());
    }
    sweep();
    let prepared = Arc::new(Prepared::new(shape, slice(weight), fold()));
    let entry = Entry {
        sources: storages.iter().map(Arc::downgrade).collect(),
        prepared: prepared.clone(),
    };
    cache().get_or_insert_default().insert(key, entry);
    FILLED.store(true, Ordering::Relaxed);
    Some(prepared)
}
