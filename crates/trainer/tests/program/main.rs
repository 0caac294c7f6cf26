//! The program as a user meets it: one test binary for all of it, so that it is linked once.

mod cli;
mod common;
mod detection;
#[cfg(unix)]
mod disk_full;
mod generation;
mod inputs;
mod resume;
mod segmentation;
