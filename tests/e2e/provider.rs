//! Signing in by a provider of identities of another maker, at the real page.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::centre::Centre;
use e2e::wait::wait_for;

use crate::page::{browser, root, shots};
use crate::support::SOON;

/// Linked by an administrator, a nurse comes in by the provider in her own role; nobody else does; unlinked, she is out.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_linked_comes_in_by_the_provider_and_nobody_else() -> Result<()> {
    let Some(_alone) = browser().await else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    fs::write(file("cert.pem"), own.cert.pem())?;
    fs::write(file("key.pem"), own.signing_key.serialize_pem())?;
    fs::write(file("secret"), "a secret: of 7%\n")?;
    // Free now; the provider takes it in a moment.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut centre = Centre::init(&folder.path().join("centre"), &[])?;
    let config = centre.dir().join("config.toml");
    let mut text = fs::read_to_string(&config)?;
    text += &format!(
        "\n[provider]\nname = \"Klinik\"\nissuer = \"https://127.0.0.1:{port}\"\nclient_id = \"centre\"\n\
         secret_file = \"{}\"\nca_file = \"{}\"\n",
        file("secret"),
        file("cert.pem")
    );
    fs::write(&config, text)?;
    centre.start().await?;
    let patient = centre.add_patient("Own Patient")?;
    for command in [
        ["person", "add", "Nina", "--role", "nurse"].as_slice(),
        &["person", "add", "Otto", "--role", "supervisor"],
        &["person", "link", "Nina", "--subject", "u-7"],
        &["team", "add", "Ward"],
        &["team", "join", "Ward", "nina"],
        &["team", "take", "Ward", &patient],
    ] {
        centre.cli(command)?;
    }
    let twice = centre.cli(&["person", "link", "Otto", "--subject", "u-7"]);
    let twice = twice
        .expect_err("one of a provider is one person")
        .to_string();
    ensure!(twice.contains("that is Nina already"), "{twice}");
    let output = Command::new("node")
        .arg(root().join("tests/browser/provider.mjs"))
        .env("PAGE", centre.ready()?.page.trim_end_matches('/'))
        .env("PORT", port.to_string())
        .env("CERT", file("cert.pem"))
        .env("KEY", file("key.pem"))
        .env("SHOTS", shots()?)
        .output()
        .context("running node")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "provider.mjs:\n{said}{complained}");
    eprintln!("{said}");
    let sessions = || -> Result<serde_json::Value> {
        let of_nina = ["session", "list", "--json", "--person", "Nina"];
        Ok(serde_json::from_str(&centre.cli(&of_nina)?)?)
    };
    let listed = sessions()?;
    ensure!(listed["sessions"][0]["how"] == "provider", "{listed}");
    centre.cli(&["person", "unlink", "Nina"])?;
    let out = wait_for("the end of her sessions", SOON, async || {
        Ok((sessions()?["sessions"] == serde_json::json!([])).then_some(()))
    });
    out.await?;
    centre.stop()
}
