//! SIGINT and SIGTERM: the first finishes the step and saves, the second quits at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which signal asked for the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C; exit code 130.
    Interrupt,
    /// The `kill` command's default; exit code 143.
    Terminate,
}

impl Signal {
    /// The exit code that tells a shell of the signal.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Whether a stop was asked for.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl StopSignal {
    /// Listens to the process's signals from now on.
    ///
    /// # Errors
    /// Where the system refuses the handler.
    pub fn listen() -> io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let signals = Self::default();
        for (signal, flag) in [(SIGINT, &signals.interrupt), (SIGTERM, &signals.terminate)] {
            // In this order: the exit happens only where the flag is set already.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(flag),
            )?;
            signal_hook::flag::register(signal, Arc::clone(flag))?;
        }
        Ok(signals)
    }

    /// The signal that came, if one did.
    pub fn received(&self) -> Option<Signal> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(Signal::Interrupt)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(Signal::Terminate)
        } else {
            None
        }
    }

    /// Asks for a stop from within the process.
    pub fn raise(&self, signal: Signal) {
        match signal {
            Signal::Interrupt => self.interrupt.store(true, Ordering::Relaxed),
            Signal::Terminate => self.terminate.store(true, Ordering::Relaxed),
        }
    }
}
