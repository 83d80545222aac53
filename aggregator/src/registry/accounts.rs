//! How people sign in beside passkeys, and where they are reached: passwords with their second factor, links to a provider,
//! browsers that take messages.
//!
//! Invariants: a step and a recovery code that were used are never open again; one person of a provider is one person here;
//! who was revoked has nothing of it. Must not know: how any of it is proved, what is sealed.

use std::collections::{BTreeMap, BTreeSet};

use twin::canonical_fields;
use vitals::Time;

use super::Registry;
use crate::journal::{AccountAct, PasswordHash, SealedText};
use crate::staff;

/// A password with its second factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Password {
    /// What the password is proved against.
    pub hash: PasswordHash,
    /// Secret of the codes, sealed.
    pub seed: SealedText,
    /// The newest step whose code was used; 0: none.
    pub used: u64,
    /// SHA-256 of the recovery codes that are left.
    pub recovery: BTreeSet<[u8; 32]>,
    /// When it was set.
    pub at: Time,
}

/// Who somebody is at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The provider, as it calls itself.
    pub issuer: String,
    /// Whom it names.
    pub subject: String,
    /// Since when.
    pub at: Time,
}

/// A browser that takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Whose.
    pub person: String,
    /// Address and keys, sealed.
    pub sealed: SealedText,
    /// For its person.
    pub label: String,
    /// Since when.
    pub at: Time,
}

canonical_fields! {
    PasswordHash { memory_kib, passes, lanes, salt, tag }
    Password { hash, seed, used, recovery, at }
    Link { issuer, subject, at }
    Subscription { person, sealed, label, at }
    Accounts { passwords, links, subscriptions }
}

/// All of it: by person, by person, by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    passwords: BTreeMap<String, Password>,
    links: BTreeMap<String, Link>,
    subscriptions: BTreeMap<[u8; 16], Subscription>,
}

impl Accounts {
    pub(super) fn note(&mut self, person: &str, act: &AccountAct) {
        match act {
            AccountAct::PasswordSet {
                hash,
                seed,
                recovery,
                at,
            } => {
                let password = Password {
                    hash: hash.clone(),
                    seed: seed.clone(),
                    used: 0,
                    recovery: recovery.iter().copied().collect(),
                    at: *at,
                };
                self.passwords.insert(person.to_owned(), password);
            }
            AccountAct::CodeUsed(step) => {
                if let Some(of) = self.passwords.get_mut(person) {
                    of.used = of.used.max(*step);
                }
            }
            AccountAct::RecoveryUsed(hash) => {
                if let Some(of) = self.passwords.get_mut(person) {
                    of.recovery.remove(hash);
                }
            }
            AccountAct::RecoveryMade(recovery) => {
                if let Some(of) = self.passwords.get_mut(person) {
                    of.recovery = recovery.iter().copied().collect();
                }
            }
            AccountAct::PasswordRemoved => {
                self.passwords.remove(person);
            }
            AccountAct::Linked {
                issuer,
                subject,
                at,
            } => {
                self.links
                    .retain(|_, of| of.issuer != *issuer || of.subject != *subject);
                let link = Link {
                    issuer: issuer.clone(),
                    subject: subject.clone(),
                    at: *at,
                };
                self.links.insert(person.to_owned(), link);
            }
            AccountAct::Unlinked => {
                self.links.remove(person);
            }
            AccountAct::Subscribed {
                id,
                sealed,
                label,
                at,
            } => {
                let subscription = Subscription {
                    person: person.to_owned(),
                    sealed: sealed.clone(),
                    label: label.clone(),
                    at: *at,
                };
                // A browser has one address for all who sign in there: it is of whoever said so last.
                self.subscriptions.insert(*id, subscription);
            }
            AccountAct::Unsubscribed { id } => {
                self.subscriptions.remove(id);
            }
        }
    }

    pub(super) fn forget(&mut self, person: &str) {
        self.passwords.remove(person);
        self.links.remove(person);
        self.subscriptions.retain(|_, of| of.person != person);
    }
}

impl Registry {
    /// The person whom somebody means who writes this name, and their password.
    #[must_use]
    pub fn password_named(&self, name: &str) -> Option<(&str, &Password)> {
        let mut all = self.accounts.passwords.iter();
        let (person, of) = all.find(|(person, _)| staff::alike(person, name))?;
        Some((person, of))
    }

    /// Somebody's password.
    #[must_use]
    pub fn password_of(&self, person: &str) -> Option<&Password> {
        self.accounts.passwords.get(person)
    }

    /// Who somebody is at a provider.
    #[must_use]
    pub fn link_of(&self, person: &str) -> Option<&Link> {
        self.accounts.links.get(person)
    }

    /// The person whom a provider calls so.
    #[must_use]
    pub fn linked(&self, issuer: &str, subject: &str) -> Option<&str> {
        let mut all = self.accounts.links.iter();
        let (person, _) = all.find(|(_, of)| of.issuer == issuer && of.subject == subject)?;
        Some(person)
    }

    /// Browsers that take messages, by their ids.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&[u8; 16], &Subscription)> {
        self.accounts.subscriptions.iter()
    }
}
