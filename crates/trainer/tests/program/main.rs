//! The program as a user meets it: one test binary for all of it, so that it is linked once.

mod cli;
mod commands;
mod common;
mod detection;
#[cfg(unix)]
mod disk_full;
mod docs;
mod freezing;
mod generation;
mod house;
mod inputs;
mod labels;
mod lessons;
mod new;
mod normalisation;
#[cfg(unix)]
mod refusals;
mod resume;
mod rules;
mod segmentation;
mod stored;
mod using;
mod weights;
