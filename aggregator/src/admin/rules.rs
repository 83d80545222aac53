//! The rules for everybody: what is in force, what others would have done on recorded days, and putting them into force.
//!
//! Invariants: nothing is activated that was not tried beside what is in force, over enough days, within its budget and
//! without a missed alert of high priority, and with a reason where a model is switched for some people only; only the way back to what was in force before is open at once. What was tried
//! and what was decided are entries, with who did it. Must not know: gRPC, how days are folded.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use proto::v1;
use twin::event::Void;
use vitals::{PatientId, Time};

use super::{Admin, AdminError};
use crate::journal::{Entry, Journal, JournalError, Position};
use crate::patient::Rehearsal;
use crate::registry::Decided;
use crate::rules::{self, DocumentError, Refusal, RuleSet, refusals, report};

/// Characters of a reason.
const LONGEST_REASON: usize = 500;

impl Admin {
    /// What is in force, what was before, newest first, and what was tried last beside it.
    #[must_use]
    pub fn rules(&self) -> v1::ListRulesResponse {
        let decided: Vec<Decided> = {
            let registry = self.parts.books.registry();
            registry.rules().cloned().collect()
        };
        let mut sets: Vec<v1::RuleSet> = decided.iter().filter_map(decision).collect();
        sets.push(described(&RuleSet::built_in()));
        let in_force = self.rules_in_force();
        let tried = self.tried().filter(|tried| tried.beside == in_force.hash);
        let shadow = tried.map(|tried| self.judged(tried, &in_force));
        v1::ListRulesResponse { sets, shadow }
    }

    /// Everything that is wrong with a document, or what it is.
    ///
    /// # Errors
    /// [`AdminError::Invalid`].
    pub fn check_rules(&self, document: &str) -> Result<v1::CheckRulesResponse, AdminError> {
        let set = parsed(document)?;
        Ok(v1::CheckRulesResponse {
            set: Some(described(&set)),
            in_force: set.hash == self.rules_in_force().hash,
        })
    }

    /// Folds recorded days under the rules in force and under `document`, for `by`; what comes of it is kept. `from` and
    /// `to`: known times; [`Time::ZERO`]: as much as is kept, and now.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::Conflict`] while another one runs.
    pub async fn shadow_rules(
        &self,
        document: &str,
        (from, to): (Time, Time),
        by: &str,
    ) -> Result<v1::ShadowReport, AdminError> {
        let set = parsed(document)?;
        let Ok(one) = Arc::clone(&self.one_shadow).try_lock_owned() else {
            return Err(AdminError::Conflict(
                "rules are being tried just now: wait until that is done".into(),
            ));
        };
        let now = self.parts.clock.now();
        let to = if to == Time::ZERO { now } else { to.min(now) };
        if from >= to {
            return Err(AdminError::Invalid {
                field: "from",
                remedy: "must be before the end, and in the past".into(),
            });
        }
        let in_force = self.rules_in_force();
        let (before, after) = (in_force.rules.clone(), set.rules.clone());
        let switched = set.switched(&in_force);
        let (journal, voids) = (self.parts.journal.clone(), self.voided());
        let fold = move || {
            // Who asked may go away; the fold goes on, and another one must not begin beside it.
            let _one = one;
            let rehearsal = Rehearsal::new(before, after, (from, to), voids);
            rehearse(rehearsal, &journal, to)
        };
        let folded = tokio::task::spawn_blocking(fold).await;
        let folded = folded.map_err(|error| AdminError::Conflict(error.to_string()))?;
        let (patients, began) = folded?;
        let tried = v1::ShadowReport {
            hash: set.hash,
            beside: in_force.hash.clone(),
            from_us: from.max(began).as_micros(),
            to_us: to.as_micros(),
            by: by.to_owned(),
            at_us: self.parts.clock.now().as_micros(),
            ..report(&patients, &switched)
        };
        let entry = Entry::RulesTried {
            report: tried.encode_to_vec(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        Ok(self.judged(tried, &in_force))
    }

    /// Puts rules into force for everybody, by the word of `by`.
    ///
    /// # Errors
    /// [`AdminError::Conflict`] with what stands against it.
    pub async fn activate_rules(
        &self,
        document: &str,
        reason: &str,
        by: &str,
    ) -> Result<v1::RuleSet, AdminError> {
        let set = parsed(document)?;
        let reason = reason_of(reason)?;
        let _one = self.one_at_a_time.lock().await;
        let in_force = self.rules_in_force();
        if set.hash == in_force.hash {
            return Err(AdminError::Conflict("it is in force already".into()));
        }
        let tried = self.tried().filter(|tried| tried.hash == set.hash);
        let tried = tried.ok_or_else(|| {
            AdminError::Conflict(
                "it was not the last that was tried: `rules shadow` with this document comes first"
                    .into(),
            )
        })?;
        let against = refusals(&tried, &in_force, &self.parts.budget);
        if !against.is_empty() {
            return Err(AdminError::Conflict(said(&against).join("\n")));
        }
        // The journal has the whole of it, with who decided and why; a log that others read has no words of people.
        for line in &tried.silenced {
            let missed: u32 = line.missed.iter().map(|missed| missed.alerts).sum();
            tracing::warn!(
                model = line.condition,
                standing = line.standing,
                cohort = line.cohort,
                missed,
                "a model is quiet for some people and speaks of others"
            );
        }
        self.decide(&set, reason, by).await
    }

    /// Puts the rules into force that were so before, at once: they were judged when they were activated.
    ///
    /// # Errors
    /// [`AdminError::Conflict`] where none were.
    pub async fn rules_back(&self, reason: &str, by: &str) -> Result<v1::RuleSet, AdminError> {
        let reason = reason_of(reason)?;
        let _one = self.one_at_a_time.lock().await;
        let former = {
            let registry = self.parts.books.registry();
            let in_force = registry.rules().next();
            let in_force = in_force.ok_or_else(|| {
                AdminError::Conflict("what is built in is in force, and nothing was before".into())
            })?;
            rules::in_force(&registry, Position(in_force.at.0 - 1))
        };
        self.decide(&former, reason, by).await
    }

    async fn decide(
        &self,
        set: &RuleSet,
        reason: String,
        by: &str,
    ) -> Result<v1::RuleSet, AdminError> {
        let since = self.parts.clock.now();
        let entry = Entry::RulesActivated {
            document: set.text.clone(),
            since,
            by: by.to_owned(),
            reason: reason.clone(),
        };
        self.parts.journal.append(vec![entry.into()]).await?;
        tracing::warn!(hash = set.hash, "other rules are in force");
        Ok(v1::RuleSet {
            since_us: since.as_micros(),
            by: by.to_owned(),
            reason,
            ..described(set)
        })
    }

    fn rules_in_force(&self) -> RuleSet {
        let registry = self.parts.books.registry();
        rules::in_force(&registry, Position(u64::MAX))
    }

    fn tried(&self) -> Option<v1::ShadowReport> {
        let registry = self.parts.books.registry();
        let tried = Some(registry.rules_tried()).filter(|tried| !tried.is_empty())?;
        v1::ShadowReport::decode(tried).ok()
    }

    fn judged(&self, tried: v1::ShadowReport, in_force: &RuleSet) -> v1::ShadowReport {
        v1::ShadowReport {
            refusals: said(&refusals(&tried, in_force, &self.parts.budget)),
            ..tried
        }
    }

    fn voided(&self) -> BTreeMap<PatientId, Vec<Void>> {
        let registry = self.parts.books.registry();
        let of = |patient: &PatientId| {
            let voids = registry.voids(patient).iter();
            (patient.clone(), voids.map(|voided| voided.void).collect())
        };
        registry
            .patients()
            .map(|(patient, _)| of(patient))
            .collect()
    }
}

/// The whole log, as far as it is kept, and since when it is.
fn rehearse(
    mut rehearsal: Rehearsal,
    journal: &Journal,
    to: Time,
) -> Result<(Vec<rules::Figures>, Time), JournalError> {
    let end = journal.status().position;
    let began = journal
        .status()
        .removed
        .map_or(Time::ZERO, |(_, known)| known);
    let (mut at, mut first) = (Position(1), None);
    while at <= end {
        let (entries, next) = journal.read(at)?;
        if next == at {
            break;
        }
        for committed in &entries {
            first.get_or_insert(committed.known);
            if committed.known < to {
                rehearsal.take(committed);
            }
        }
        at = next;
    }
    Ok((rehearsal.end(), began.max(first.unwrap_or(to))))
}

fn said(against: &[Refusal]) -> Vec<String> {
    against.iter().map(ToString::to_string).collect()
}

fn parsed(document: &str) -> Result<RuleSet, AdminError> {
    RuleSet::parse(document).map_err(|error: DocumentError| AdminError::Invalid {
        field: "document",
        remedy: error.to_string(),
    })
}

fn reason_of(reason: &str) -> Result<String, AdminError> {
    let reason = reason.trim();
    let fits = !reason.is_empty()
        && reason.chars().count() <= LONGEST_REASON
        && !reason.chars().any(char::is_control);
    if fits {
        return Ok(reason.to_owned());
    }
    Err(AdminError::Invalid {
        field: "reason",
        remedy: format!("one line of 1 to {LONGEST_REASON} characters, which names no patient"),
    })
}

fn described(set: &RuleSet) -> v1::RuleSet {
    let hashes = set.alert_hashes().map(|(name, hash)| (name.into(), hash));
    v1::RuleSet {
        hash: set.hash.clone(),
        document: set.text.clone(),
        alert_hashes: hashes.into_iter().collect(),
        ..Default::default()
    }
}

/// `None`: a document that this program cannot read was never in force under it.
fn decision(decided: &Decided) -> Option<v1::RuleSet> {
    let set = RuleSet::parse(&decided.document).ok()?;
    Some(v1::RuleSet {
        since_us: decided.since.as_micros(),
        by: decided.by.clone(),
        reason: decided.reason.clone(),
        ..described(&set)
    })
}
