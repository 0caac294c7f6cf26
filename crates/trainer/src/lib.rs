//! The command line of Firesight: arguments in, words and exit codes out. All that it does, the crate [`firesight`] does
//! for a library's user too.
//!
//! ```
//! use clap::Parser;
//!
//! assert!(trainer::cli::Cli::try_parse_from(["trainer", "train", "digits.toml", "--set", "epochs=3"]).is_ok());
//! assert!(trainer::cli::Cli::try_parse_from(["trainer", "predict"]).is_err()); // no run is named
//! ```

pub mod cli;
mod console;
mod terminal;
