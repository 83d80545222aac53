//! Bytes that no honest client sends, on both doors. The centre stays up, bounded and in service.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::Small;

/// Resident memory of a process, KiB.
fn resident_kib(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    line.split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .context("a number of KiB")
}

/// Reads until the peer closes; true if it did in time.
async fn closes(stream: &mut (impl tokio::io::AsyncRead + Unpin), within: Duration) -> bool {
    let mut sink = [0; 4096];
    let reading = async { while matches!(stream.read(&mut sink).await, Ok(1..)) {} };
    tokio::time::timeout(within, reading).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_before_and_inside_tls_is_survived() -> Result<()> {
    let mut small = Small::new().await?;
    let ready = small.centre.ready()?.clone();
    let before = resident_kib(small.centre.process()?.id())?;
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    // Plain noise, and plain HTTP and MQTT: there is no plaintext door.
    for door in [ready.grpc, ready.mqtt] {
        let mut noise = vec![0; 2048];
        rng.fill(&mut noise[..]);
        let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
        let mqtt = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04none".to_vec();
        for bytes in [noise, http, mqtt] {
            let mut tcp = TcpStream::connect(door).await?;
            drop(tcp.write_all(&bytes).await);
            let mut answer = Vec::new();
            drop(
                tokio::time::timeout(Duration::from_secs(15), tcp.read_to_end(&mut answer))
                    .await
                    .context("the door stays open")?,
            );
            ensure!(
                !answer.starts_with(b"HTTP/1.1 200") && !answer.starts_with(&[0x20, 0x02]),
                "plaintext was served"
            );
        }
    }
    // MQTT inside TLS by an enrolled gateway that went mad: each line ends its own connection only.
    let mad: [(&str, Vec<u8>); 6] = [
        ("noise", (0..512).map(|_| rng.random()).collect()),
        ("publish before connect", b"\x30\x05\x00\x01aXX".to_vec()),
        (
            "a length of 256 MiB",
            [b"\x10\xff\xff\xff\x7f".as_slice(), &[0; 64]].concat(),
        ),
        (
            "a length that never ends",
            vec![0x10, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "another's name",
            b"\x10\x13\x00\x04MQTT\x04\x02\x00\x3c\x00\x07another".to_vec(),
        ),
        ("a reserved packet type", vec![0xf0, 0x00]),
    ];
    for (what, bytes) in mad {
        let connector = TlsConnector::from(Arc::new(small.gateway.tls()?));
        let tcp = TcpStream::connect(ready.mqtt).await?;
        let mut tls = connector
            .connect(ServerName::try_from("localhost")?, tcp)
            .await?;
        drop(tls.write_all(&bytes).await);
        ensure!(
            closes(&mut tls, Duration::from_secs(15)).await,
            "{what}: the connection stays open"
        );
    }
    let grown = resident_kib(small.centre.process()?.id())?.saturating_sub(before);
    ensure!(grown < 64 * 1024, "resident memory grew by {grown} KiB");
    // The negative control: an honest gateway is served as ever.
    let (_uplink, assignment) = small.uplink().await?;
    ensure!(!assignment.public_key.is_empty(), "no key");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_and_empty_messages_get_a_reason() -> Result<()> {
    use proto::v1::gateway_to_centre::Kind as Up;
    let small = Small::new().await?;
    let (mut uplink, _) = small.uplink().await?;
    uplink.send_records(vec![vec![0x41; 60_000]]).await?;
    let heard = uplink.listen(|heard| !heard.refusals.is_empty()).await?;
    let refusal = &heard.refusals[0];
    ensure!(
        !refusal.detail.is_empty(),
        "a refusal says what is wrong: {refusal:?}"
    );
    ensure!(
        !refusal.detail.contains(&small.patient),
        "a refusal names a patient"
    );
    uplink
        .send(Up::OpenContext(proto::v1::OpenContext {
            header: vec![1; 40],
            certificate_chain: vec![],
        }))
        .await?;
    let heard = uplink.listen(|heard| !heard.refusals.is_empty()).await?;
    ensure!(!heard.refusals[0].detail.is_empty(), "{heard:?}");
    // 64 KiB is the limit of a message; one above ends the stream, not the centre.
    drop(uplink.send_records(vec![vec![0; 200_000]]).await);
    let ended = async { while let Ok(Some(_)) = uplink.next().await {} };
    tokio::time::timeout(Duration::from_secs(10), ended)
        .await
        .context("a message above the limit is taken")?;
    small.uplink().await.map(drop)
}
