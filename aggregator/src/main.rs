//! `vitaltwin-aggregator`: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use vitaltwin_aggregator::cli;

fn main() -> ExitCode {
    match cli::run(cli::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vitaltwin-aggregator: {error:#}");
            ExitCode::FAILURE
        }
    }
}
