//! The benches: `cargo run --release -p e2e --bin bench -- latency|agent|centre|throughput|neighbour|fanout|history`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Figures beside the limit or peer of the same run. Build all programs in the same profile first:
/// `cargo build --release --workspace --bins`.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Clone, Debug, Subcommand)]
enum Bench {
    /// D-Bus signal to alert at a gRPC subscriber.
    Latency {
        /// Alerts a transport.
        #[arg(long, default_value_t = 400)]
        samples: usize,
    },
    /// Memory, CPU, wake-ups and writes of an agent with 10 and 40 devices, an ECG, a backlog; beside peers.
    Agent {
        /// Seconds to look at.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only the cases whose names contain this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// The centre with many patients: readings a second, latency at half load, an hour's backlog, memory, a restart;
    /// beside mosquitto alone and beside decoding with a map. With a page of curves.
    Centre {
        /// Patients of each round; multiples of 250.
        #[arg(long, default_values_t = [1000, 10_000, 100_000])]
        patients: Vec<usize>,
        /// Readings of each rate, all patients together.
        #[arg(long, default_value_t = 4_000_000)]
        readings: usize,
        /// The round whose patients were also cut off for an hour.
        #[arg(long, default_value_t = 10_000)]
        backlog: usize,
        /// Where the page goes.
        #[arg(long, default_value = "target/bench/centre.html")]
        page: PathBuf,
    },
    /// Readings a second through the aggregator, and where the time goes.
    Throughput {
        /// Messages of 320 readings a gateway.
        #[arg(long, default_value_t = 4000)]
        messages: usize,
    },
    /// What one gateway that sends as fast as it is let costs the others, with what it may send limited and without.
    Neighbour {
        /// Batches of each of the others.
        #[arg(long, default_value_t = 400)]
        rounds: usize,
        /// Messages of 320 readings of the neighbour, at most.
        #[arg(long, default_value_t = 6000)]
        messages: usize,
    },
    /// Messages a second to many readers, beside raw tonic in the same shape.
    Fanout {
        /// Streams and the connections that they share, "streams/connections".
        #[arg(long, value_parser = shape, default_values = ["1000/1000", "10000/100"])]
        shapes: Vec<(usize, usize)>,
        /// Seconds to look at, for each side of each shape.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Bytes a reading on disk in history, beside the information in them; a day by the minute, a year.
    History {
        /// Hours of the patients whose bytes are counted.
        #[arg(long, default_value_t = 48)]
        hours: i64,
        /// Days of the patient who is asked about.
        #[arg(long, default_value_t = 365)]
        days: i64,
    },
    /// The raw server of `fanout`, started by it.
    #[command(hide = true)]
    FanoutRaw {
        /// The centre whose certificate it shows.
        dir: PathBuf,
    },
}

fn shape(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(streams, connections)| {
        Some((streams.parse().ok()?, connections.parse().ok()?))
    });
    let fits =
        |(streams, connections): &(usize, usize)| *connections > 0 && streams % connections == 0;
    parts.filter(fits).ok_or_else(|| {
        "two numbers, as in 10000/100: streams, and the connections that share them evenly".into()
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Options::parse().bench {
        Bench::Latency { samples } => e2e::bench::latency::run(samples).await,
        Bench::Agent { seconds, only } => e2e::bench::agent::run(seconds, &only).await,
        Bench::History { hours, days } => e2e::bench::history::run(hours, days).await,
        Bench::Centre {
            patients,
            readings,
            backlog,
            page,
        } => {
            let plan = e2e::bench::centre::Plan {
                patients,
                readings,
                backlog,
            };
            e2e::bench::centre::run(&plan, &page).await
        }
        Bench::Throughput { messages } => e2e::bench::throughput::run(messages).await,
        Bench::Neighbour { rounds, messages } => e2e::bench::neighbour::run(rounds, messages).await,
        Bench::Fanout { shapes, seconds } => e2e::bench::fanout::run(&shapes, seconds).await,
        Bench::FanoutRaw { dir } => e2e::bench::fanout::raw::serve(&dir).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
