//! Runs the operator's command for each signal: a buzzer, a lamp, a modem.
//!
//! Promises: the command is run directly, never by a shell; it gets two words more than the configuration
//! says ("raised", "resolved" or "handed-over", and the condition's code), an environment with PATH alone, and no
//! input; one runs at a time and is killed at its time limit; at most [`WAITING`] wait. A failure is counted and
//! logged, and a raised alert is tried again. It learns nothing about a patient but the condition's code.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::mpsc;

use super::{Signal, What};

/// Signals that wait for the one before them.
pub const WAITING: usize = 16;
/// Times that a raised alert is tried.
const TRIES: u32 = 3;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It could not be started.
    #[error("survival_hook cannot be started: check the path and that the agent may run it")]
    Start(#[source] std::io::Error),
    /// It ended with a failure.
    #[error("survival_hook ended with {0}")]
    Failed(std::process::ExitStatus),
    /// It took too long.
    #[error("survival_hook was killed after {} s", .0.as_secs_f64())]
    TooLong(Duration),
}

/// The command, and how it is treated.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Program and first arguments.
    pub command: Vec<String>,
    /// Real time for one call.
    pub limit: Duration,
    /// Real time between two tries.
    pub pause: Duration,
    /// Calls that failed.
    pub failures: Arc<AtomicU64>,
}

impl Hook {
    /// As configured, with ten seconds for a call and between tries.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            limit: Duration::from_secs(10),
            pause: Duration::from_secs(10),
            failures: Arc::default(),
        }
    }

    /// Calls the command for each signal, until nobody can send one any more.
    pub async fn run(self, mut signals: mpsc::Receiver<Signal>) {
        while let Some(signal) = signals.recv().await {
            let tries = if signal.what == What::Raised {
                TRIES
            } else {
                1
            };
            for attempt in 1..=tries {
                let Err(error) = self.call(signal).await else {
                    break;
                };
                self.failures.fetch_add(1, Ordering::Relaxed);
                let error = crate::status::describe(&error);
                tracing::error!(error, attempt, "nobody may have been told");
                if attempt < tries {
                    tokio::time::sleep(self.pause).await;
                }
            }
        }
    }

    async fn call(&self, signal: Signal) -> Result<(), HookError> {
        let Some((program, first)) = self.command.split_first() else {
            return Ok(());
        };
        let mut child = Command::new(program)
            .args(first)
            .args([signal.what.as_str(), signal.condition.name()])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(HookError::Start)?;
        let Ok(ended) = tokio::time::timeout(self.limit, child.wait()).await else {
            // Whatever comes of it: dropping the child kills it, too.
            let _killed = child.kill().await;
            return Err(HookError::TooLong(self.limit));
        };
        let status = ended.map_err(HookError::Start)?;
        if status.success() {
            Ok(())
        } else {
            Err(HookError::Failed(status))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use twin::Condition;

    const RAISED: Signal = Signal {
        what: What::Raised,
        condition: Condition::OxygenSaturationLow,
    };

    /// A hook that is a script of this text.
    fn script(dir: &Path, text: &str) -> Hook {
        let path = dir.join("hook.sh");
        std::fs::write(&path, text).expect("written");
        let path = path.to_string_lossy().into_owned();
        let mut hook = Hook::new(vec!["/bin/sh".into(), path, "$(touch pwned); a b".into()]);
        hook.pause = Duration::ZERO;
        hook
    }

    async fn run(hook: Hook, signals: &[Signal]) -> u64 {
        let failures = Arc::clone(&hook.failures);
        let (sender, receiver) = mpsc::channel(WAITING);
        for signal in signals {
            sender.send(*signal).await.expect("room");
        }
        drop(sender);
        hook.run(receiver).await;
        failures.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn it_gets_two_words_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("out");
        let text = format!(
            "{{ for a in \"$@\"; do echo \"<$a>\"; done; env | cut -d= -f1 | sort; }} >> {}\n",
            out.display()
        );
        let resolved = Signal {
            what: What::Resolved,
            ..RAISED
        };
        let hook = script(dir.path(), &text);
        assert_eq!(run(hook, &[RAISED, resolved]).await, 0);
        let said = std::fs::read_to_string(&out).expect("it ran");
        let (first, second) = said.split_at(said.rfind("<$(").expect("twice"));
        assert!(
            first.starts_with("<$(touch pwned); a b>\n<raised>\n<oxygen_saturation_low>\n"),
            "no shell reads the arguments: {first}"
        );
        assert!(second.contains("<resolved>"));
        // What a shell sets by itself, and PATH.
        let names = first.lines().filter(|line| !line.starts_with('<'));
        for name in names {
            assert!(
                ["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(&name),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn what_hangs_is_killed_and_what_fails_is_tried_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut hook = script(dir.path(), "exec sleep 1000\n");
        hook.limit = Duration::from_millis(50);
        assert_eq!(run(hook, &[RAISED]).await, u64::from(TRIES));

        let out = dir.path().join("out");
        let fails_once = format!(
            "echo x >> {0}; test \"$(wc -l < {0})\" -ge 2\n",
            out.display()
        );
        let hook = script(dir.path(), &fails_once);
        assert_eq!(run(hook, &[RAISED]).await, 1, "the second try succeeds");

        let mut missing = script(dir.path(), "");
        missing.command = vec!["/nowhere/hook".into()];
        let over = Signal {
            what: What::HandedOver,
            ..RAISED
        };
        assert_eq!(
            run(missing, &[over]).await,
            1,
            "only a raised alert is tried again"
        );
    }
}
