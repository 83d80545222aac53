//! The soak: `cargo run --release -p e2e --bin soak -- --hours 2 --speed 100 --seed 1`.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    match e2e::soak::run(e2e::soak::Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the soak broke off: {error:#}");
            ExitCode::from(2)
        }
    }
}
