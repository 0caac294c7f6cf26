//! Whether the fast paths are taken at all.

use std::sync::atomic::{AtomicU8, Ordering};

/// Which implementation the kernel functions choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The fast path wherever one is compiled in for the tensor's device; Burn's operator elsewhere.
    #[default]
    Fast,
    /// Burn's operator everywhere: for comparison and for finding faults.
    Burn,
}

static MODE: AtomicU8 = AtomicU8::new(0);

/// Sets the mode for the whole process.
pub fn set_mode(mode: Mode) {
    MODE.store(mode as u8, Ordering::Relaxed);
}

/// The mode of the process; [`Mode::Fast`] unless [`set_mode`] said otherwise.
pub fn mode() -> Mode {
    match MODE.load(Ordering::Relaxed) {
        0 => Mode::Fast,
        _ => Mode::Burn,
    }
}
