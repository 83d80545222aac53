//! `vitaltwin-agent doctor`: looks at everything that the agent needs, and says in plain words what to do.
//!
//! * [`judge`]: PURE. From facts to findings.
//! * `look`: gathers the facts: reads files, asks D-Bus, calls the centre.
//!
//! Promises: it changes nothing (but for a file that it writes and removes to see that the folder can be
//! written); no finding holds a measured value, a device's address or anything that names a patient, so the
//! whole report can be read aloud on the telephone.

pub mod judge;
mod look;

use std::path::Path;

use proto::clock::Clock;
pub use proto::report::{Finding, Report, Verdict};

/// How far it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything, the centre's doors among it.
    Centre,
    /// This machine: for an agent that has a line, or spares it.
    Here,
}

/// Looks at everything within its reach.
pub async fn examine(dir: &Path, clock: Clock, reach: Reach) -> Report {
    let config = look::config(dir);
    let options = config.as_ref().ok().cloned().unwrap_or_default();
    let identity = look::identity(dir);
    let now = clock.now();
    let status = crate::status::Status::read(dir).ok();
    let centre = match &identity {
        Ok(identity) if reach == Reach::Centre => look::centre(identity, &options, clock).await,
        Ok(_) | Err(_) => Vec::new(),
    };
    let mut findings = vec![
        judge::config(&config),
        judge::folder(&look::folder(dir)),
        judge::disk(look::free(dir), &options),
        judge::identity(&identity),
    ];
    if let Ok(identity) = &identity {
        findings.push(judge::certificate(look::not_after(identity), now));
    }
    let offset = centre.iter().find_map(|door| door.clock_offset);
    let last = status.as_ref().map(|status| status.written_us);
    // Against the centre's clock, which is not asked from here.
    if reach == Reach::Centre {
        let last = last.map(vitals::Time::from_micros);
        findings.push(judge::clock(now, last, offset));
    }
    findings.push(judge::radio(
        &look::radio(options.adapter.as_deref()).await,
        look::is_blocked(),
    ));
    findings.extend(centre.iter().map(judge::centre));
    // An agent that asks of itself runs; looking at its lock could keep the next one out.
    let running = reach == Reach::Here || look::is_running(dir);
    findings.push(judge::agent(running, status.as_ref(), now));
    findings.push(judge::buffer(
        status.as_ref(),
        look::set_aside(dir),
        &options,
    ));
    Report::of(findings)
}
