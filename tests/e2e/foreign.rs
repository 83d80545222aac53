//! Clients of other makers: grpcio with reflection, `buf curl`. Tools that `tests/run install` brings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::hand::{heart_rates, seal_readings};
use e2e::process::run;
use proto::v1::gateway_to_centre::Kind as Up;

use crate::support::Small;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn centre_with_a_reading() -> Result<Small> {
    let small = Small::new().await?;
    let (uplink, assignment) = small.uplink().await?;
    let (header, mut sealer) = small.gateway.open_context(&assignment, small.clock.now())?;
    uplink.send(Up::OpenContext(header)).await?;
    uplink
        .send_records(seal_readings(
            &mut sealer,
            &heart_rates(small.clock.now(), &[60, 61]),
        )?)
        .await?;
    small.applied(2).await?;
    Ok(small)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_the_metrics_and_no_patient_is_in_them() -> Result<()> {
    let python = root().join("target/tools/python/bin/python");
    if !python.exists() {
        eprintln!(
            "skipped: {} is absent: run `tests/run install`",
            python.display()
        );
        return Ok(());
    }
    let mut small = centre_with_a_reading().await?;
    ensure!(
        small.centre.ready()?.metrics.is_none(),
        "control: nobody asked for them"
    );
    small.centre.stop()?;
    let config = small.centre.dir().join("config.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("metrics_listen = \"127.0.0.1:0\"\n{text}"))?;
    small.centre.start().await?;
    let address = small.centre.ready()?.metrics.context("switched on")?;
    let script = root().join("tests/foreign/metrics.py");
    let asked = [script.to_string_lossy().into_owned(), address.to_string()];
    let said: serde_json::Value = serde_json::from_str(&run(&python, asked, &[])?)?;
    let samples = &said["samples"];
    ensure!(samples["vitaltwin_readings_applied_total"] == 2.0, "{said}");
    ensure!(samples["vitaltwin_patients"] == 1.0, "{said}");
    ensure!(said["health"] == 200 && said["ready"] == 200, "{said}");
    let text = said["text"].as_str().context("text")?;
    ensure!(
        !text.contains(&small.patient) && !text.contains("Story") && !text.contains("by hand"),
        "a person is named: {text}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reads_twins_and_resumes_alerts() -> Result<()> {
    let python = root().join("target/tools/python/bin/python");
    if !python.exists() {
        eprintln!(
            "skipped: {} is absent: run `tests/run install`",
            python.display()
        );
        return Ok(());
    }
    let small = centre_with_a_reading().await?;
    let address = small.centre.ready()?.grpc.to_string();
    let script = root().join("tests/foreign/watch.py");
    let operator = small.centre.dir().join("operator");
    let said = run(
        &python,
        [
            script.to_str(),
            Some(&address),
            operator.to_str(),
            Some("3"),
        ]
        .map(Option::unwrap_or_default),
        &[],
    )?;
    let said: serde_json::Value =
        serde_json::from_str(&said).with_context(|| format!("watch.py said {said}"))?;
    ensure!(said["ok"] == true && said["twins"] == 1, "{said}");
    let services = said["services"].to_string();
    for service in [
        "TwinService",
        "AlertService",
        "HistoryService",
        "grpc.health.v1.Health",
    ] {
        ensure!(
            services.contains(service),
            "{service} is not among {services}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn buf_curl_reads_by_reflection() -> Result<()> {
    let buf = root().join("tests/platform/typescript/node_modules/.bin/buf");
    if !buf.exists() {
        eprintln!(
            "skipped: {} is absent: run `tests/run install`",
            buf.display()
        );
        return Ok(());
    }
    let small = centre_with_a_reading().await?;
    let operator = small.centre.dir().join("operator");
    let file = |name: &str| operator.join(name).to_string_lossy().into_owned();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let port = small.centre.ready()?.grpc.port();
    let url = |method: &str| format!("https://localhost:{port}/{method}");
    let list = url("vitaltwin.v1.TwinService/List");
    let tls = [
        "curl",
        "--protocol",
        "grpc",
        "--cacert",
        &ca,
        "--cert",
        &cert,
        "--key",
        &key,
    ];
    let said = run(&buf, tls.into_iter().chain(["-d", "{}", &list]), &[])?;
    let said: serde_json::Value =
        serde_json::from_str(&said).with_context(|| format!("buf said {said}"))?;
    ensure!(
        said["twins"][0]["patient"] == small.patient.as_str(),
        "{said}"
    );
    let health = url("grpc.health.v1.Health/Check");
    let said = run(&buf, tls.into_iter().chain(["-d", "{}", &health]), &[])?;
    ensure!(said.contains("SERVING"), "{said}");
    // The negative control: without a certificate the same call is refused.
    let refused = run(
        &buf,
        [
            "curl",
            "--protocol",
            "grpc",
            "--cacert",
            &ca,
            "-d",
            "{}",
            &list,
        ],
        &[],
    );
    let said = refused
        .err()
        .context("buf without a certificate read a twin")?
        .to_string();
    ensure!(said.contains("unauthenticated"), "{said}");
    Ok(())
}
