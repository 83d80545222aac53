//! `vitaltwin-agent`: arguments in, exit code out. Everything else is in the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use vitaltwin_agent::cli;

fn main() -> ExitCode {
    match cli::main(cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // A closed standard error is no reason to fail differently.
            let _closed = writeln!(std::io::stderr(), "vitaltwin-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
