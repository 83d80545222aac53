//! What people do about alerts: each act is sealed, made durable, and answered once it is folded.
//!
//! Invariants: an act is answered when it is durable and visible; what is refused leaves no trace in the log. Must not
//! know: gRPC, the gate (who may was asked before).

use std::sync::Arc;

use proto::v1::{self, AlertState};
use twin::care::Duty;
use twin::{AlertId, Condition, Priority};
use vitals::{PatientId, Span, Time};

use super::run::Patients;
use crate::journal::{CareAct, Draft, Entry, JournalError, SealedText};
use crate::publish::AlertRecord;
use crate::roster::watch;

/// Why an act could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// There is no such alert, or it is no longer kept.
    #[error("there is no such alert")]
    NoSuchAlert,
    /// It holds no longer.
    #[error("the alert is resolved already")]
    Resolved,
    /// The alert is the centre's own, about its work: it can be acknowledged and nothing else.
    #[error("this alert is about the centre itself: it can be acknowledged only")]
    OwnAlert,
    /// Nobody is left on the alert's ladder.
    #[error("all whom the alert's ladder has are called already: nobody is left")]
    NobodyLeft,
    /// Another one is next on the alert's ladder.
    #[error("the next one to be called is the {next}, not the {asked}")]
    NotNext {
        /// Who is.
        next: &'static str,
        /// Who was to be.
        asked: &'static str,
    },
    /// Nobody is called while its condition is silenced.
    #[error("the condition is silenced: end that first, and it calls at once")]
    Silenced,
    /// It holds at high priority, which nothing silences.
    #[error("the condition holds at high priority")]
    TooUrgent,
    /// There is no such patient.
    #[error("there is no such patient")]
    NoSuchPatient,
    /// The patient's key was destroyed.
    #[error("the patient's key no longer exists")]
    KeyGone,
    /// The journal takes nothing.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Patients {
    /// `by` takes notice of an alert. Taking notice again changes nothing. Returns when the act is durable and
    /// folded.
    ///
    /// # Errors
    /// [`CareError`].
    pub async fn acknowledge(
        &self,
        alert: &str,
        by: &str,
        note: &str,
    ) -> Result<Arc<AlertRecord>, CareError> {
        let record = self.hub.alert(alert).ok_or(CareError::NoSuchAlert)?;
        match record.alert.state() {
            AlertState::Acknowledged => return Ok(record),
            AlertState::Resolved => return Err(CareError::Resolved),
            AlertState::Active | AlertState::Unspecified => {}
        }
        let patient = record.patient.clone();
        let note = self.seal(&patient, note)?;
        let (key, by) = (record.key.clone(), by.to_owned());
        let entry = Entry::Acknowledged {
            patient,
            alert: key,
            by,
            note,
        };
        self.log(entry).await?;
        self.hub.alert(alert).ok_or(CareError::NoSuchAlert)
    }

    /// `by` says something about an alert.
    ///
    /// # Errors
    /// [`CareError`].
    pub async fn comment(
        &self,
        alert: &str,
        by: &str,
        text: &str,
    ) -> Result<Arc<AlertRecord>, CareError> {
        let act = |alert| CareAct::Comment { alert };
        self.about(alert, by, text, act).await
    }

    /// `by` says whose affair an alert is.
    ///
    /// # Errors
    /// [`CareError`].
    pub async fn set_owner(
        &self,
        alert: &str,
        by: &str,
        owner: &str,
    ) -> Result<Arc<AlertRecord>, CareError> {
        let owner = owner.to_owned();
        let act = |alert| CareAct::Own { alert, owner };
        self.about(alert, by, "", act).await
    }

    /// `by` has `duty` called about an alert now, before their time. One who was called already is not called again: nothing is
    /// written then. Returns when the act is durable and folded.
    ///
    /// # Errors
    /// [`CareError`]; also when another act came in between.
    pub async fn escalate(
        &self,
        alert: &str,
        by: &str,
        duty: Duty,
        text: &str,
    ) -> Result<Arc<AlertRecord>, CareError> {
        let record = self.hub.alert(alert).ok_or(CareError::NoSuchAlert)?;
        if !may_call(&record, duty)? {
            return Ok(record);
        }
        let act = |alert| CareAct::Escalate {
            alert,
            duty: duty as u8,
        };
        let after = self.about(alert, by, text, act).await?;
        // What came in between may have ended it; another one's call of the same duty is as good.
        may_call(&after, duty)?;
        Ok(after)
    }

    async fn about(
        &self,
        alert: &str,
        by: &str,
        text: &str,
        act: impl FnOnce(String) -> CareAct + Send,
    ) -> Result<Arc<AlertRecord>, CareError> {
        let record = self.hub.alert(alert).ok_or(CareError::NoSuchAlert)?;
        if AlertId::parse(&record.key).is_none() {
            return Err(CareError::OwnAlert);
        }
        let patient = &record.patient;
        self.care(patient, by, act(record.key.clone()), text)
            .await?;
        self.hub.alert(alert).ok_or(CareError::NoSuchAlert)
    }

    /// `by` silences a condition of a patient for `last` from `now`. Returns what is then in force.
    ///
    /// # Errors
    /// [`CareError`]; also when the condition became urgent while this was made durable.
    pub async fn snooze(
        &self,
        patient: &PatientId,
        by: &str,
        (condition, reason): (Condition, &str),
        (now, last): (Time, Span),
    ) -> Result<v1::Snooze, CareError> {
        let is_urgent = |alert: &v1::Alert| {
            alert.condition == condition.name() && alert.priority >= Priority::High as i32
        };
        if self.twin(patient)?.alerts.iter().any(is_urgent) {
            return Err(CareError::TooUrgent);
        }
        let act = CareAct::Snooze {
            condition: condition.name().to_owned(),
            until: now + last,
        };
        self.care(patient, by, act, reason).await?;
        let twin = self.twin(patient)?;
        let mut snoozes = twin.snoozes.iter();
        let snooze = snoozes.find(|snooze| snooze.condition == condition.name());
        snooze.cloned().ok_or(CareError::TooUrgent)
    }

    /// `by` ends a snooze; where there is none, nothing happens.
    ///
    /// # Errors
    /// [`CareError`].
    pub async fn end_snooze(
        &self,
        patient: &PatientId,
        by: &str,
        condition: Condition,
    ) -> Result<(), CareError> {
        let name = condition.name();
        let twin = self.twin(patient)?;
        if !twin.snoozes.iter().any(|snooze| snooze.condition == name) {
            return Ok(());
        }
        let act = CareAct::Wake {
            condition: name.to_owned(),
        };
        self.care(patient, by, act, "").await
    }

    /// Writes down whom calls are for, and which are passed over because nobody is on duty for them. Acts about patients whose
    /// keys are gone are left out.
    ///
    /// # Errors
    /// [`CareError::Journal`].
    pub async fn roster(&self, acts: Vec<watch::Act>) -> Result<(), CareError> {
        let draft = |of: watch::Act| {
            let watch::Act {
                patient,
                alert,
                text,
                pass,
            } = of;
            let text = self.seal(&patient, &text).ok()?;
            let act = match pass {
                Some(calls) => CareAct::Pass { alert, calls },
                None => CareAct::Comment { alert },
            };
            let by = watch::WRITER.to_owned();
            Some(Draft::from(Entry::Care {
                patient,
                by,
                act,
                text,
            }))
        };
        let drafts: Vec<Draft> = acts.into_iter().filter_map(draft).collect();
        if drafts.is_empty() {
            return Ok(());
        }
        let appended = self.journal.append(drafts).await?;
        self.hub.wait_folded(appended.last.0).await;
        Ok(())
    }

    fn twin(&self, patient: &PatientId) -> Result<Arc<v1::Twin>, CareError> {
        let index = self.hub.find(patient).ok_or(CareError::NoSuchPatient)?;
        Ok(self.hub.view(index).twin)
    }

    async fn care(
        &self,
        patient: &PatientId,
        by: &str,
        act: CareAct,
        text: &str,
    ) -> Result<(), CareError> {
        let text = match text {
            "" => SealedText::default(),
            text => self.seal(patient, text)?,
        };
        let (patient, by) = (patient.clone(), by.to_owned());
        let entry = Entry::Care {
            patient,
            by,
            act,
            text,
        };
        self.log(entry).await
    }

    fn seal(&self, patient: &PatientId, text: &str) -> Result<SealedText, CareError> {
        let sealed = self.sealer.seal_note(patient, text);
        sealed.ok_or(CareError::KeyGone)
    }

    /// The journal opens texts again for the fold, which proves that they can be read later.
    async fn log(&self, entry: Entry) -> Result<(), CareError> {
        let appended = self.journal.append(vec![Draft::from(entry)]).await?;
        self.hub.wait_folded(appended.last.0).await;
        Ok(())
    }
}

/// Whether a person can have `duty` called about the alert now; `false`: they are called already.
fn may_call(record: &AlertRecord, duty: Duty) -> Result<bool, CareError> {
    let alert = &record.alert;
    if AlertId::parse(&record.key).is_none() {
        return Err(CareError::OwnAlert);
    }
    if alert.state() == AlertState::Resolved {
        return Err(CareError::Resolved);
    }
    if alert.snoozed_until_us > 0 {
        return Err(CareError::Silenced);
    }
    // Who answered a call of the ladder's was heard; a person's own call is not repeated, whatever came of it.
    let active = alert.state() == AlertState::Active;
    let same = |call: &v1::Call| call.duty == duty as i32 && (active || !call.by.is_empty());
    if alert.calls.iter().any(same) {
        return Ok(false);
    }
    let next = u8::try_from(alert.next_duty).ok().and_then(Duty::of);
    match next.ok_or(CareError::NobodyLeft)? {
        next if next == duty => Ok(true),
        next => Err(CareError::NotNext {
            next: next.name(),
            asked: duty.name(),
        }),
    }
}
