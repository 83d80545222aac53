//! A step that must not take for ever: if it does, the process ends, and whoever keeps it running starts it again.
//!
//! sled 0.34 can wait without an end for a write that failed (`make_stable_inner`; seen once on a full disk). The thread that
//! waits cannot be called back, and while it stands nothing is durable and no receipt comes, without a word. What is
//! durable is there at the next start; the rest was promised to nobody, and is declared. Must not know: what the step does.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Does the work; ends the process, by an abort, if it takes longer than `most`.
pub(super) fn within<T>(most: Duration, what: &'static str, work: impl FnOnce() -> T) -> T {
    let (done, wait) = channel::<()>();
    let watch = std::thread::Builder::new()
        .name("hang watch".into())
        .spawn(move || {
            if wait.recv_timeout(most) == Err(RecvTimeoutError::Timeout) {
                tracing::error!(
                    "{what} takes longer than {} s: the agent ends, and begins anew from what is durable",
                    most.as_secs()
                );
                std::process::abort();
            }
        });
    let result = work();
    drop(done);
    // Without a thread it goes unwatched, as before.
    if let Ok(watch) = watch {
        let _ended = watch.join();
    }
    result
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    const CHILD: &str = "VITALTWIN_HANG_TEST";

    /// Not a test by itself: what the one below starts.
    #[test]
    fn child() {
        if let Ok(millis) = std::env::var(CHILD) {
            let millis = millis.parse().expect("a number");
            within(Duration::from_secs(1), "a test", || {
                std::thread::sleep(Duration::from_millis(millis));
            });
        }
    }

    #[test]
    fn what_hangs_ends_the_process_and_what_is_slow_does_not() {
        let ended = |millis: &str| {
            Command::new(std::env::current_exe().expect("this program"))
                .args(["outbox::hang::tests::child", "--exact"])
                .env(CHILD, millis)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("this program starts")
        };
        assert!(ended("50").success(), "control: it came in time");
        assert_eq!(ended("600000").signal(), Some(6), "aborted");
    }
}
