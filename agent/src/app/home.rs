//! Who is told how the agent is: people at home by a line in the log in plain words, the hook's call and the
//! status page, and systemd.
//!
//! Promise: none of them can hold up the agent; what finds a queue full is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proto::clock::Clock;
use proto::notify::Notifier;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::page;
use crate::status::Status;
use crate::survival::hook::{Hook, WAITING};
use crate::survival::{Signal, What};

/// The ways to all of them.
pub(super) struct Home {
    words: String,
    hook: Option<mpsc::Sender<Signal>>,
    failures: Arc<AtomicU64>,
    page: watch::Sender<Arc<Status>>,
    address: String,
    systemd: Notifier,
}

impl Home {
    /// Starts the hook's task and the page's, where there are any. Both end with this value.
    ///
    /// `centre`: its gRPC door, `host:port`, at which its page is, too.
    pub(super) fn start(config: &Config, centre: &str, clock: Clock) -> Self {
        let hook = Hook::new(config.survival_hook.clone());
        let failures = Arc::clone(&hook.failures);
        let hook = (!hook.command.is_empty()).then(|| {
            let (sender, signals) = mpsc::channel(WAITING);
            tokio::spawn(hook.run(signals));
            sender
        });
        let (page, shown) = watch::channel(Arc::default());
        let listening = config.page_address().map(page::Listening::open);
        let address = match listening {
            None => String::new(),
            Some(Ok(listening)) => {
                let address = listening.address.to_string();
                tracing::info!(address, "the status page listens on this machine");
                let words = config.survival_words.clone();
                let own_page = config.own_page.clone();
                let own_page = own_page.unwrap_or_else(|| format!("https://{centre}/sign-in"));
                tokio::spawn(listening.serve(page::Shown {
                    shown,
                    words,
                    own_page,
                    clock,
                }));
                address
            }
            Some(Err(error)) => {
                tracing::warn!(
                    %error,
                    address = config.page_listen,
                    "there is no status page: see page_listen in config.toml"
                );
                String::new()
            }
        };
        Self {
            words: config.survival_words.clone(),
            hook,
            failures,
            page,
            address,
            systemd: Notifier::from_env(),
        }
    }

    /// Everything is built.
    pub(super) fn ready(&self) {
        self.systemd.ready();
    }

    /// No new readings are taken.
    pub(super) fn stopping(&self) {
        self.systemd.stopping();
    }

    /// Tells what happened. The log is read aloud and sent around: it says that somebody must look, not why.
    pub(super) fn tell(&self, signal: Signal) {
        match signal.what {
            What::Raised => tracing::warn!(
                "A reading needs attention, and the centre cannot be reached. {}",
                self.words
            ),
            What::Resolved => {
                tracing::warn!("The reading that needed attention is as it should be.");
            }
            What::HandedOver => {
                tracing::warn!("The centre watches again over the reading that needs attention.");
            }
        }
        if let Some(hook) = &self.hook
            && hook.try_send(signal).is_err()
        {
            self.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!("survival_hook is too slow: a call was left out");
        }
    }

    /// Completes the status with what only this side knows, and shows it.
    pub(super) fn show(&self, mut status: Status) -> Arc<Status> {
        status.hook_failures = self.failures.load(Ordering::Relaxed);
        status.page.clone_from(&self.address);
        let status = Arc::new(status);
        self.page.send_replace(Arc::clone(&status));
        self.systemd.alive(if status.centre_silent {
            "the centre is silent"
        } else if status.connected {
            "connected"
        } else {
            "no line to the centre"
        });
        status
    }
}
