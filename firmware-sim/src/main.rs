//! `firmware-sim`: plays the wearables around one gateway machine. Arguments in, one command run, exit code out.

mod cli;

fn main() -> anyhow::Result<()> {
    cli::main()
}
