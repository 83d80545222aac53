//! Observations from a file through the production fold, as fast as it goes: how models are judged, here and by others.
//!
//! * [`input`]: PURE. A line to what the fold takes.
//! * [`output`]: PURE. What the fold says, as lines.
//! * this file: one twin per patient, and what stands between a file and a fold: a stream, contexts, numbers.
//!
//! Promises: each observation is one event of `twin::step` at its own known time, deadlines between them fire as live;
//! the same input gives the same output, byte for byte; a line that is refused is counted and hides no other, and the
//! first few are told with their number and reason. Known times of one patient must not go back; where they do, the twin's own time stands in, and
//! it is counted. Must not know: files, the journal.

pub mod input;
pub mod output;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};

use serde_json::Value;
use twin::event::{Assigned, Batch};
use twin::signal::Counts;
use twin::view::BeatView;
use twin::{Change, Effect, Event, Twin};
use vitals::{ContextId, GatewayId, Kind, Reading, SourceId, StreamId, Time, Wave, Waveform};

use input::{Line, What};
use output::Type;

/// Longest line, octets: minutes of a waveform.
const LONGEST: u64 = 8 << 20;
/// Refused lines that are told one by one; the others are counted.
const TOLD: u64 = 20;

/// What became of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that are not empty.
    pub lines: u64,
    /// Readings, blocks of ECG and light, and context given to the fold.
    pub taken: u64,
    /// Of these readings, those that the fold set aside: stamped in the future or more than a year before they were known.
    pub quarantined: u64,
    /// Blocks of other waveforms: read and passed over, because no model reads them here.
    pub waveforms: u64,
    /// What became of electrocardiograms, over all sources.
    pub ecg: Counts,
    /// What became of light, over all sources.
    pub ppg: Counts,
    /// Their samples without a number.
    pub samples_missing: u64,
    /// Their blocks that the fold set aside, as readings above.
    pub blocks_quarantined: u64,
    /// Lines refused.
    pub refused: u64,
    /// Lines whose known time lay before that of the patient's line before.
    pub known_went_back: u64,
    /// Patients.
    pub patients: u64,
    /// Lines written.
    pub written: u64,
}

/// One patient.
struct Player {
    twin: Twin,
    context: ContextId,
    number: u64,
    sources: BTreeMap<String, SourceId>,
    sequences: BTreeMap<(SourceId, Kind), u64>,
    /// Numbers of blocks.
    blocks: BTreeMap<(SourceId, Wave), u64>,
    /// What was written last of each forecast: when it was made, and why there was none.
    forecasts: BTreeMap<Kind, (Time, &'static str)>,
}

/// All of them.
struct Stage<'w, W> {
    out: &'w mut W,
    only: &'w [Type],
    players: BTreeMap<String, Player>,
    summary: Summary,
    effects: Vec<Effect>,
}

/// Reads all lines, and writes what the fold says about them. `only`: types of lines to write; none: all. `refused`
/// hears of refused lines: the line's number and why.
///
/// # Errors
/// When the input cannot be read or the output not be written.
pub fn run(
    mut input: impl BufRead,
    out: &mut impl Write,
    only: &[Type],
    mut refused: impl FnMut(u64, &str),
) -> io::Result<Summary> {
    let mut stage = Stage {
        out,
        only,
        players: BTreeMap::new(),
        summary: Summary::default(),
        effects: Vec::new(),
    };
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        let got = (&mut input).take(LONGEST).read_until(b'\n', &mut line)?;
        if got == 0 {
            break;
        }
        number += 1;
        let whole = line.ends_with(b"\n") || (got as u64) < LONGEST;
        if !whole {
            input.skip_until(b'\n')?;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        stage.summary.lines += 1;
        let parsed = if whole {
            input::parse(&line).map_err(|refused| refused.to_string())
        } else {
            Err(format!("line: must be at most {LONGEST} octets"))
        };
        match parsed {
            Ok(line) => stage.take(line)?,
            Err(why) => {
                stage.summary.refused += 1;
                if stage.summary.refused <= TOLD {
                    refused(number, &why);
                }
            }
        }
    }
    stage.last_beats()?;
    stage.scoreboards()?;
    stage.out.flush()?;
    for player in stage.players.values() {
        for (_, _, counts) in player.twin.ecg_counts() {
            stage.summary.ecg.add(&counts);
        }
        for (_, _, counts) in player.twin.ppg_counts() {
            stage.summary.ppg.add(&counts);
        }
        stage.summary.blocks_quarantined += player.twin.counters().blocks_quarantined;
    }
    stage.summary.patients = stage.players.len() as u64;
    let streams = stage
        .players
        .values()
        .flat_map(|player| player.twin.gateways());
    stage.summary.quarantined = streams.map(|stream| stream.counters.quarantined).sum();
    Ok(stage.summary)
}

impl<W: Write> Stage<'_, W> {
    fn take(&mut self, line: Line) -> io::Result<()> {
        let Line {
            patient,
            known,
            what,
        } = line;
        let count = self.players.len() as u64;
        let player = self.players.entry(patient.clone()).or_insert_with(|| {
            let mut player = Player::new(count + 1);
            player.begin(known, &mut self.effects);
            player
        });
        if known < player.twin.known() {
            self.summary.known_went_back += 1;
        }
        if let What::Block { missing, .. } = &what {
            self.summary.samples_missing += missing;
        }
        let beat = match &what {
            What::Reading {
                kind: Kind::RrInterval,
                effective,
                ..
            } => Some(*effective),
            What::Reading { .. } | What::Block { .. } | What::Waveform | What::Context(_) => None,
        };
        let Some(event) = player.event(what, known) else {
            self.summary.waveforms += 1;
            return Ok(());
        };
        self.summary.taken += 1;
        twin::step(&mut player.twin, &event, known, &mut self.effects);
        self.tell(&patient, beat)
    }

    /// What a waveform still holds back for what would follow: nothing does.
    fn last_beats(&mut self) -> io::Result<()> {
        let due = |(patient, player): (&String, &Player)| {
            Some((player.twin.beats_deadline()?, patient.clone()))
        };
        let due: Vec<(Time, String)> = self.players.iter().filter_map(due).collect();
        for (at, patient) in due {
            if let Some(player) = self.players.get_mut(&patient) {
                twin::step(&mut player.twin, &Event::Tick, at, &mut self.effects);
                // The time that passes is made up: it makes no state.
                self.effects
                    .retain(|effect| !matches!(effect, Effect::TwinChanged));
                self.tell(&patient, None)?;
            }
        }
        Ok(())
    }

    /// Only where it is asked for: it is about all that was, and no change.
    fn scoreboards(&mut self) -> io::Result<()> {
        if !self.only.contains(&Type::Scoreboard) {
            return Ok(());
        }
        let line = |(patient, player): (&String, &Player)| {
            let board = player.twin.scoreboard();
            output::scoreboard(patient, player.twin.known(), &board)
        };
        let lines: Vec<Value> = self.players.iter().map(line).collect();
        lines.iter().try_for_each(|line| self.write(line))
    }

    /// Writes what the last step said.
    fn tell(&mut self, patient: &str, beat: Option<Time>) -> io::Result<()> {
        let mut effects = std::mem::take(&mut self.effects);
        let mut changed = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::TwinChanged => changed = true,
                // There are no people in a replay: whom a centre would call says nothing about the models.
                Effect::Alert(change)
                    if matches!(change.what, Change::Called | Change::Unanswered) => {}
                Effect::Beat(beat) => self.tell_beat(patient, &beat)?,
                Effect::Alert(change) => {
                    let (of, line) = output::alert(patient, &change);
                    if self.wants(of) {
                        self.write(&line)?;
                    }
                }
            }
        }
        self.effects = effects;
        let (state, rhythm, forecast) = (
            changed && self.wants(Type::State),
            self.wants(Type::Rhythm),
            changed && self.wants(Type::Forecast),
        );
        let Some(player) = self.players.get_mut(patient) else {
            return Ok(());
        };
        let known = player.twin.known();
        let mut lines = Vec::new();
        if let Some(effective) = beat.filter(|_| rhythm) {
            let view = player.twin.rhythm();
            lines.push(output::rhythm(patient, known, effective, &view));
        }
        if forecast {
            lines.extend(player.forecasts(patient, known));
        }
        if state {
            lines.push(output::state(patient, known, &player.twin));
        }
        lines.iter().try_for_each(|line| self.write(line))
    }

    /// A beat, and what the rhythm model says at it.
    fn tell_beat(&mut self, patient: &str, view: &BeatView) -> io::Result<()> {
        let Some(player) = self.players.get(patient) else {
            return Ok(());
        };
        let known = player.twin.known();
        let named = player.sources.iter().find(|(_, of)| **of == view.source);
        let source = named.map_or("", |(name, _)| name.as_str());
        let beat = output::beat(patient, known, source, view);
        let rhythm = view
            .rhythm
            .map(|rhythm| output::rhythm(patient, known, view.beat.at, &rhythm));
        if self.wants(Type::Beat) {
            self.write(&beat)?;
        }
        match rhythm {
            Some(line) if self.wants(Type::Rhythm) => self.write(&line),
            Some(_) | None => Ok(()),
        }
    }

    fn wants(&self, of: Type) -> bool {
        self.only.is_empty() || self.only.contains(&of)
    }

    fn write(&mut self, line: &Value) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, line)?;
        self.out.write_all(b"\n")?;
        self.summary.written += 1;
        Ok(())
    }
}

impl Player {
    fn new(number: u64) -> Self {
        let mut context = [0; 16];
        context[8..].copy_from_slice(&number.to_be_bytes());
        Self {
            twin: Twin::new(),
            context: ContextId(context),
            number: 0,
            sources: BTreeMap::new(),
            sequences: BTreeMap::new(),
            blocks: BTreeMap::new(),
            forecasts: BTreeMap::new(),
        }
    }

    const fn stream(&self) -> StreamId {
        StreamId(self.context.0)
    }

    /// Everything in the file is this patient's, whenever it was measured.
    fn begin(&mut self, known: Time, effects: &mut Vec<Effect>) {
        let assigned = Event::Assigned(Assigned {
            stream: self.stream(),
            gateway: GatewayId::parse("replay").expect("a valid id"),
            // An empty list would mean that nothing is collected any more.
            devices: vec!["any".into()],
            from: Time::ZERO,
        });
        twin::step(&mut self.twin, &assigned, known, effects);
        effects.clear();
    }

    fn event(&mut self, what: What, known: Time) -> Option<Event> {
        match what {
            What::Waveform => None,
            What::Context(record) => Some(Event::Facts {
                by: "replay".into(),
                record,
                retract: Vec::new(),
            }),
            What::Block {
                wave,
                source,
                stretches,
                step,
                rate_millihertz,
                seq,
                quality,
                ..
            } => {
                let source = self.source(source);
                let counted = self.blocks.entry((source, wave)).or_default();
                let sequence = seq.unwrap_or(*counted);
                *counted = sequence.saturating_add(1);
                let block = |(start, numbers)| Waveform {
                    wave,
                    source,
                    sequence,
                    start,
                    received: known,
                    rate_millihertz,
                    channels: 1,
                    step,
                    numbers,
                    quality,
                };
                let waveforms = stretches.into_iter().map(block).collect();
                Some(self.batch(Vec::new(), waveforms))
            }
            What::Reading {
                source,
                kind,
                value,
                effective,
                seq,
                quality,
            } => {
                let source = self.source(source);
                let counted = self.sequences.entry((source, kind)).or_default();
                let sequence = seq.unwrap_or(*counted);
                *counted = sequence.saturating_add(1);
                let reading = Reading {
                    kind,
                    value,
                    source,
                    sequence,
                    effective,
                    received: known,
                    quality,
                    device: None,
                };
                Some(self.batch(vec![reading], Vec::new()))
            }
        }
    }

    fn source(&mut self, name: String) -> SourceId {
        let next = u16::try_from(self.sources.len() + 1).unwrap_or(u16::MAX);
        *self.sources.entry(name).or_insert(SourceId(next))
    }

    fn batch(&mut self, readings: Vec<Reading>, waveforms: Vec<Waveform>) -> Event {
        self.number += 1;
        Event::Batch(Batch {
            stream: self.stream(),
            context: self.context,
            number: self.number,
            supersedes: Vec::new(),
            readings,
            waveforms,
            gaps: Vec::new(),
            heartbeat: None,
            local_alerts: Vec::new(),
            devices: Vec::new(),
        })
    }

    /// Those that are new since the last line.
    fn forecasts(&mut self, patient: &str, known: Time) -> Vec<Value> {
        let mut lines = Vec::new();
        for view in self.twin.forecasts() {
            let now = (view.made, view.abstained);
            if self.forecasts.insert(view.kind, now) != Some(now) {
                lines.extend(output::forecast(patient, known, &view));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests;
