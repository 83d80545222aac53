//! `vitaltwin-aggregator`: arguments in, exit code out.

use std::process::ExitCode;

use vitaltwin_aggregator::cli;

/// A centre runs for months, and what lives long in it (twins, histories) lies between what lives for a
/// message. The system's allocator then keeps pages that are almost empty: a soak of two hours grew without
/// holding more. This one keeps sizes apart and gives pages back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(cli::Args::typed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", cli::called());
            ExitCode::FAILURE
        }
    }
}
