//! What the operator says of each way on which people are called, and the check of it.
//!
//! Must not know: files, networks.

use proto::v1::Duty;
use serde::{Deserialize, Serialize};

/// One channel: exactly one of `webhook`, `mail` and `push` is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Small letters, digits and hyphens; alerts say by it what they were told.
    pub name: String,
    /// Who is reached by it: `nurse`, `doctor`, `supervisor`. Default: all three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<String>,
    /// Roots that its server's certificate must come from, PEM. Default: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// A signed CloudEvent to an address of yours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// An e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<Mail>,
    /// A message to browsers of those who are called, which they switch on at the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
}

/// How browsers are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Whom a push service turns to about this centre: `mailto:` or `https://`.
    pub contact: String,
    /// Push services (HOST:PORT) that may lie in this network. Default: none; all others must be in the open network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<String>,
}

/// Where a webhook lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// `https://` and nothing else: TLS 1.3.
    pub url: String,
    /// A file with the secret that signs: 32 random octets in base64, also with `whsec_` before them.
    pub secret_file: String,
}

/// Where e-mails go in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// HOST:PORT of a server that takes mail; at port 465 TLS comes first, elsewhere by STARTTLS, and never not at all.
    pub server: String,
    /// Who signs in there. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A file with that one's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<String>,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses.
    pub to: Vec<String>,
}

impl Channel {
    /// Those whom it reaches.
    #[must_use]
    pub fn reaches(&self) -> Vec<Duty> {
        let all = [Duty::Nurse, Duty::Doctor, Duty::Supervisor];
        let named = |duty: &Duty| self.duties.iter().any(|name| name == name_of(*duty));
        let all = all.into_iter();
        all.filter(|duty| self.duties.is_empty() || named(duty))
            .collect()
    }

    /// What is wrong with it, if anything.
    #[must_use]
    pub fn complaint(&self) -> Option<&'static str> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.bytes().all(plain) {
            return Some("name: 1 to 32 small letters, digits and hyphens");
        }
        if self.reaches().len() < self.duties.len() {
            return Some("duties: nurse, doctor or supervisor, each once");
        }
        let ways = [
            self.webhook.is_some(),
            self.mail.is_some(),
            self.push.is_some(),
        ];
        if ways.iter().filter(|given| **given).count() != 1 {
            return Some("give exactly one of webhook, mail and push");
        }
        if let Some(webhook) = &self.webhook
            && !webhook.url.starts_with("https://")
        {
            return Some("webhook.url: must begin with https://");
        }
        if let Some(mail) = &self.mail {
            if mail.to.is_empty() {
                return Some("mail.to: name at least one address");
            }
            if mail.user.is_some() != mail.password_file.is_some() {
                return Some("mail.user and mail.password_file belong together");
            }
        }
        if let Some(push) = &self.push {
            let known = ["mailto:", "https://"];
            if !known.iter().any(|begin| push.contact.starts_with(begin)) {
                return Some("push.contact: begins with mailto: or https://");
            }
        }
        None
    }
}

/// Stable lower-case name.
#[must_use]
pub const fn name_of(duty: Duty) -> &'static str {
    match duty {
        Duty::Nurse => "nurse",
        Duty::Doctor => "doctor",
        Duty::Supervisor => "supervisor",
        Duty::Unspecified => "unknown",
    }
}
