//! The command line: reads the arguments, runs one command, turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser;
use trainer::cli::{Cli, run};

fn main() -> ExitCode {
    // Wrong arguments end the process in here, with exit code 2.
    let cli = Cli::parse();
    run(cli)
}
