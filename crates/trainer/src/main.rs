//! The command line: reads the arguments, runs one command, turns its end into an exit code.

use std::process::ExitCode;

use trainer::cli::{parse, run};

fn main() -> ExitCode {
    // Wrong arguments end the process in here, with exit code 2.
    run(parse())
}
