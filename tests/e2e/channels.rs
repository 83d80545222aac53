//! How those who are called are reached: a signed webhook and an e-mail, taken by servers of other makers; what happens when one
//! of them takes nothing, and when the centre dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::wait::wait_for;
use proto::v1::{self, gateway_to_centre::Kind as Up};
use serde_json::Value;
use vitals::Span;

use crate::support::{SOON, Small};

/// The servers in Python; ends with the story.
pub(crate) struct Receiver {
    child: Child,
    folder: PathBuf,
}

impl Receiver {
    /// `None`, and said so, where Python or its packages are absent.
    pub(crate) async fn start(folder: &Path) -> Result<Option<(Self, Value)>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = root.join("target/tools/python/bin/python");
        if !python.exists() {
            println!(
                "skipped: {} is absent: run `tests/run install`",
                python.display()
            );
            return Ok(None);
        }
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(folder.join("cert.pem"), own.cert.pem())?;
        fs::write(folder.join("key.pem"), own.signing_key.serialize_pem())?;
        fs::write(
            folder.join("secret"),
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        )?;
        let mut command = Command::new(python);
        command
            .arg(root.join("tests/foreign/receiver.py"))
            .arg(folder);
        let child = command.stdin(Stdio::null()).spawn()?;
        let receiver = Self {
            child,
            folder: folder.to_owned(),
        };
        let ports = wait_for("the servers", SOON, async || {
            Ok(fs::read(folder.join("ports.json")).ok())
        });
        let ports = serde_json::from_slice(&ports.await?)?;
        Ok(Some((receiver, ports)))
    }

    pub(crate) fn messages(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.folder.join("messages.jsonl")).unwrap_or_default();
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    }

    /// The message of high priority for this duty.
    fn about(&self, duty: &str) -> Result<Option<Value>> {
        let is_it = |of: &Value| {
            let (subject, data) = (
                of["subject"].as_str().unwrap_or_default(),
                &of["event"]["data"],
            );
            let by_mail = format!("of high priority waits for the {duty}");
            subject.ends_with(&by_mail) || (data["duty"] == duty && data["priority"] == "high")
        };
        Ok(self.messages()?.into_iter().find(is_it))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_gone = self.child.wait();
    }
}

pub(crate) fn comments(alert: &v1::Alert, begin: &str) -> usize {
    let comments = alert.comments.iter();
    let ours = comments.filter(|of| of.by.starts_with("channel ") && of.text.starts_with(begin));
    ours.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_called_is_reached_with_proof_and_a_channel_that_fails_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some((receiver, ports)) = Receiver::start(folder.path()).await? else {
        return Ok(());
    };
    let mut small = Small::fast(30.0).await?;
    let clock = small.clock;
    small.centre.stop()?;
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (ca, secret) = (file("cert.pem"), file("secret"));
    let config = small.centre.dir().join("config.toml");
    let mut text = fs::read_to_string(&config)?;
    text += &format!(
        "\n[[channels]]\nname = \"ward\"\nduties = [\"nurse\"]\nca_file = \"{ca}\"\n\
         webhook = {{ url = \"https://localhost:{}/hook?ward=3\", secret_file = \"{secret}\" }}\n\
         [[channels]]\nname = \"house\"\nduties = [\"doctor\", \"supervisor\"]\nca_file = \"{ca}\"\n\
         mail = {{ server = \"localhost:{}\", from = \"vitaltwin@example.org\", to = [\"duty@example.org\"] }}\n",
        ports["webhook"], ports["mail"]
    );
    fs::write(&config, text)?;
    small.centre.start().await?;
    small.client = small.centre.client().await?;
    small.gateway = small.gateway.at(small.centre.ready()?.grpc);

    // The operator sees that both work, and what it looks like if one does not.
    let said = small.centre.cli(&["channel", "test", "ward"])?;
    ensure!(said.contains("took the message: HTTP 204"), "{said}");
    let said = small.centre.cli(&["channel", "test", "house"])?;
    ensure!(said.contains("took the message: 250 2.0.0 taken"), "{said}");
    fs::write(file("refuse"), "")?;
    let refused = small.centre.cli(&["channel", "test", "house"]);
    let refused = refused.expect_err("it refuses").to_string();
    ensure!(refused.contains("the mailbox is on holiday"), "{refused}");

    let (up, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, clock.now())?;
    up.send(Up::OpenContext(header)).await?;
    let urgent = loop {
        let start = clock.now();
        tokio::time::sleep(clock.real(Span::from_secs(30))).await;
        let readings = heart_rates(start, &[170; 30]);
        up.send_records(seal_readings(&mut sealer, &readings)?)
            .await?;
        let mut alerts = small.client.all_alerts().await?.into_iter();
        if let Some(alert) = alerts.find(|alert| alert.priority() == v1::Priority::High) {
            break alert;
        }
    };
    // Somebody at the screen does not wait for the ladder: whoever is next is called now, and the channels carry it like the ladder's
    // own calls.
    let escalated = small
        .centre
        .cli(&["alert", "escalate", &urgent.id, "--note", "looks grey"])?;
    ensure!(escalated.contains(" by operator"), "{escalated}");

    let nurse = wait_for("the nurse's webhook", SOON, async || {
        receiver.about("nurse")
    });
    let nurse = nurse.await?;
    ensure!(
        nurse["signed"] == true && nurse["path"] == "/hook?ward=3",
        "{nurse}"
    );
    ensure!(nurse["event"]["specversion"] == "1.0", "{nurse}");
    ensure!(
        nurse["event"]["data"]["alert"] == urgent.id.as_str(),
        "{nurse}"
    );

    // The doctor is called, and the mailbox takes nothing: that is told, and the ladder goes on.
    let alert = async |small: &Small| {
        let alerts = small.client.all_alerts().await?.into_iter();
        let mut ours = alerts.filter(|alert| alert.id == urgent.id);
        ours.next().context("the alert")
    };
    let failed = wait_for("the failure on the alert", SOON, async || {
        let alert = alert(&small).await?;
        Ok((comments(&alert, "call 2 (doctor) could not be told: ") > 0).then_some(alert))
    });
    let failed = failed.await?;
    ensure!(
        comments(&failed, "call 1 (nurse) was told: HTTP 204") > 0,
        "{:?}",
        failed.comments
    );
    let ours = failed.calls.iter().zip([0, 3, 6]);
    let mut early = ours.filter(|(call, _)| !call.by.is_empty());
    let (call, minutes) = early.next().context("a call by a person")?;
    ensure!(
        call.at_us - failed.calls[0].at_us < minutes * 60_000_000,
        "before their time: {:?}",
        failed.calls
    );
    let silent = wait_for("its silence", SOON, async || {
        let status = small.centre.status()?;
        let mut silent = status["silent"]
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter();
        Ok(silent.find(|of| of["hop"] == "channel"))
    });
    let silent = silent.await?;
    ensure!(silent["who"] == "house", "{silent}");
    let said = small.centre.cli(&["status"])?;
    ensure!(
        said.contains("calls on channel house do not get through") && said.contains("on holiday"),
        "{said}"
    );
    let third = wait_for("the supervisor's call", SOON, async || {
        Ok((alert(&small).await?.calls.len() == 3).then_some(()))
    });
    third.await?;

    // It is back: both who were called are told, and it is no longer silent.
    fs::remove_file(file("refuse"))?;
    let told = wait_for("the proof of all three", SOON, async || {
        let alert = alert(&small).await?;
        let told = [(1, "nurse"), (2, "doctor"), (3, "supervisor")].iter();
        let mut told = told.map(|(number, duty)| format!("call {number} ({duty}) was told: "));
        Ok(told.all(|begin| comments(&alert, &begin) > 0).then_some(()))
    });
    told.await?;
    let doctor = receiver.about("doctor")?.context("the doctor's mail")?;
    ensure!(
        doctor["tls"] == true && doctor["for"][0] == "duty@example.org",
        "{doctor}"
    );
    let status = small.centre.status()?;
    ensure!(
        !status["silent"].to_string().contains("channel"),
        "{}",
        status["silent"]
    );

    // The centre is killed and started anew: the log says who was told, so nobody is told again.
    let before = receiver.messages()?;
    small.centre.kill()?;
    small.centre.start().await?;
    small.client = small.centre.client().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = receiver.messages()?;
    ensure!(
        after.len() == before.len(),
        "told again: {:?}",
        &after[before.len()..]
    );
    // Nothing that was sent says whom it is about, nor what.
    let all = serde_json::to_string(&after)?;
    for word in [&small.patient, "Story", "heart", "170", &urgent.condition] {
        ensure!(!all.contains(word), "{word:?} was sent: {all}");
    }
    Ok(())
}
