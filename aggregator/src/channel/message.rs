//! PURE. What a message says. It may lie on a lock screen or in a mailbox for years: it says that somebody is waited for, how
//! urgently and since when, and nothing about whom or what. Who may know that asks the centre.

use jiff::Timestamp;
use proto::v1::{Duty, Priority};
use serde_json::{Value, json};
use vitals::Time;

use super::plan::Job;
use super::settings::name_of;

/// The type of the events; another shape of `data` gets another one.
const TYPE: &str = "org.vitaltwin.call.v1";

/// One message, the same however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Tells messages apart: an alert's rung, and when it was called.
    pub id: String,
    /// Where the page is.
    page: String,
    job: Option<Job>,
    at: Time,
}

impl Message {
    /// About a call.
    #[must_use]
    pub fn of(job: &Job, page: &str) -> Self {
        let call = &job.call;
        Self {
            id: format!("{}/{}/{}", call.alert, call.number, call.at_us),
            page: page.to_owned(),
            at: Time::from_micros(call.at_us),
            job: Some(job.clone()),
        }
    }

    /// By which an operator sees that a channel works.
    #[must_use]
    pub fn test(page: &str, now: Time) -> Self {
        Self {
            id: format!("test/{}", now.as_micros()),
            page: page.to_owned(),
            at: now,
            job: None,
        }
    }

    /// One line.
    #[must_use]
    pub fn subject(&self) -> String {
        let Some(job) = &self.job else {
            return "vitaltwin: a test of this channel".into();
        };
        let test = if job.test_data { "TEST DATA: " } else { "" };
        let (priority, duty) = (word(job.priority), name_of(job.duty));
        format!("{test}vitaltwin: an alert of {priority} priority waits for the {duty}")
    }

    /// A few lines.
    #[must_use]
    pub fn text(&self) -> String {
        let what = match &self.job {
            None => "Somebody tests whether you can be reached here. Nothing is to be done.".into(),
            Some(job) => {
                let of = match job.duty {
                    Duty::Nurse | Duty::Unspecified => "",
                    Duty::Doctor | Duty::Supervisor => " Whoever was called before did not answer.",
                };
                format!("{}, since {}.{of}", self.subject(), stamp(self.at))
            }
        };
        format!(
            "{what}\n\nOpen {} and sign in to see whom it is about.\n\nThis message says nothing about the patient on purpose. It is \
             sent by a program, which goes on calling others until somebody takes notice on that page; an answer to \
             it is read by nobody.\n",
            self.page
        )
    }

    /// The alert, by its public id; `None`: it is a test.
    #[must_use]
    pub fn alert(&self) -> Option<&str> {
        self.job.as_ref().map(|job| job.call.alert.as_str())
    }

    /// For a browser, which has the words; `word`: by which it says that it showed it.
    #[must_use]
    pub fn push(&self, word: &str, language: &str) -> Value {
        json!({
            "word": word,
            "language": language,
            "at_us": self.at.as_micros(),
            // A newer one of the same call replaces it on the screen.
            "tag": self.alert().unwrap_or("test"),
            "priority": self.job.as_ref().map_or("test", |job| self::word(job.priority)),
            "duty": self.job.as_ref().map_or("", |job| name_of(job.duty)),
            "test_data": self.job.as_ref().is_some_and(|job| job.test_data),
        })
    }

    /// As a CloudEvent in its JSON form (CloudEvents 1.0.2, JSON event format).
    #[must_use]
    pub fn event(&self) -> Value {
        let data = match &self.job {
            None => json!({ "test": true }),
            Some(job) => json!({
                "alert": job.call.alert,
                "call": job.call.number,
                "duty": name_of(job.duty),
                "priority": word(job.priority),
                "testData": job.test_data,
            }),
        };
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.page,
            "type": TYPE,
            "time": stamp(self.at),
            "datacontenttype": "application/json",
            "data": data,
        })
    }
}

const fn word(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "high",
        Priority::Medium => "medium",
        Priority::Low => "low",
        Priority::Unspecified => "unknown",
    }
}

/// Whole seconds, UTC.
fn stamp(time: Time) -> String {
    let second = Timestamp::from_second(time.as_micros().div_euclid(1_000_000));
    second.map_or_else(|_| String::new(), |second| second.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::plan::Call;

    #[test]
    fn a_message_says_who_is_waited_for_and_nothing_about_whom() {
        let job = Job {
            channel: 0,
            call: Call {
                alert: "41.2".into(),
                number: 2,
                at_us: 1_800_000_000_123_456,
            },
            duty: Duty::Doctor,
            priority: Priority::High,
            test_data: true,
        };
        let message = Message::of(&job, "https://centre:8443/");
        let subject = message.subject();
        assert_eq!(
            subject,
            "TEST DATA: vitaltwin: an alert of high priority waits for the doctor"
        );
        let text = message.text();
        assert!(
            text.contains("since 2027-01-15T08:00:00Z. Whoever was called before did not answer."),
            "{text}"
        );
        assert!(
            text.contains("https://centre:8443/ and sign in") && !text.contains("41.2"),
            "{text}"
        );
        let event = message.event();
        assert_eq!(event["id"], "41.2/2/1800000000123456");
        assert_eq!(
            event["data"],
            json!({"alert": "41.2", "call": 2, "duty": "doctor", "priority": "high", "testData": true})
        );
        for needed in ["specversion", "id", "source", "type"] {
            assert!(event[needed].is_string(), "CloudEvents needs {needed}");
        }
        let push = message.push("w", "de");
        assert_eq!(
            (&push["priority"], &push["duty"]),
            (&json!("high"), &json!("doctor"))
        );
        assert_eq!(
            Message::of(&job, "https://centre:8443/"),
            message,
            "however often it is sent"
        );
    }
}
