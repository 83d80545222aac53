//! The MQTT door against a client that people use (rumqttc), and against bytes that nobody should send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use proto::clock::Clock;
use proto::v1::{CentreToGateway, GatewayToCentre, RefusalReason};
use proto::{tls, topic};
use rumqttc::{
    AsyncClient, ConnectReturnCode, Event, EventLoop, MqttOptions, Packet, QoS, TlsConfiguration,
    Transport,
};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::MqttDoor;
use crate::counters::Refused;
use crate::ingest::rig::{Gateway, Rig, Said, batches, hello, receipted, said, seal};

/// Longer than anything here should take, shorter than a person's patience.
const DEADLINE: Duration = Duration::from_secs(20);

struct Door {
    rig: Rig,
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Door {
    async fn open(connections: u32) -> Self {
        Self::patient_for(connections, DEADLINE).await
    }

    async fn patient_for(connections: u32, patience: Duration) -> Self {
        let rig = Rig::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = rig
            .authority
            .server(&rig.dir.ca(), &[])
            .expect("a certificate");
        let (chain, key) = tls::credentials(&server.chain, &server.key);
        let config = tls::server_config(chain, key, Some(rig.authority.ca()), Clock::system(), &[]);
        let config = Arc::new(config.expect("good credentials"));
        let door = MqttDoor::new(listener, config, Arc::clone(&rig.ingest), connections)
            .patient_for(patience);
        let stop = CancellationToken::new();
        let task = tokio::spawn(door.run(stop.clone()));
        Self {
            rig,
            address,
            stop,
            task,
        }
    }

    fn client_tls(&self, gateway: Option<&Gateway>) -> rustls::ClientConfig {
        let identity = gateway.map(|gateway| tls::credentials(&gateway.chain, &gateway.pkcs8));
        tls::client_config(self.rig.authority.ca(), identity, Clock::system())
            .expect("good credentials")
    }

    fn client(&self, gateway: &Gateway, id: &str) -> (AsyncClient, EventLoop) {
        let mut options = MqttOptions::new(id, "localhost", self.address.port());
        options.set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(128 * 1024, 128 * 1024);
        let config = Arc::new(self.client_tls(Some(gateway)));
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config)));
        AsyncClient::new(options, 100)
    }

    /// A TLS connection without a client library.
    async fn raw(&self, gateway: Option<&Gateway>) -> TlsStream<TcpStream> {
        let connector = TlsConnector::from(Arc::new(self.client_tls(gateway)));
        let socket = TcpStream::connect(self.address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        connector
            .connect(name, socket)
            .await
            .expect("TLS 1.3 reports a refused client later")
    }

    async fn refused(&self, reason: Refused, times: u64) {
        let counted = async {
            while self.rig.refused(reason) < times {
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, counted).await;
        assert!(
            found.is_ok(),
            "{reason:?}: {}, not {times}",
            self.rig.refused(reason)
        );
    }
}

/// The next packet from the centre.
async fn next(events: &mut EventLoop) -> Packet {
    let found = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Event::Incoming(packet) = events.poll().await.expect("connected") {
                return packet;
            }
        }
    });
    found.await.expect("in time")
}

/// Answers from the centre until `enough`.
async fn answers(
    events: &mut EventLoop,
    enough: impl Fn(&[CentreToGateway]) -> bool,
) -> Vec<CentreToGateway> {
    let mut answers = Vec::new();
    while !enough(&answers) {
        if let Packet::Publish(publish) = next(events).await {
            answers.push(CentreToGateway::decode(publish.payload).expect("a message"));
        }
    }
    answers
}

async fn up(client: &AsyncClient, gateway: &Gateway, message: &GatewayToCentre) {
    let payload = message.encode_to_vec();
    client
        .publish(topic::up(&gateway.id), QoS::AtLeastOnce, false, payload)
        .await
        .expect("the loop takes it");
}

async fn connected(door: &Door, gateway: &Gateway) -> (AsyncClient, EventLoop) {
    let (client, mut events) = door.client(gateway, gateway.id.as_str());
    client
        .subscribe(topic::down(&gateway.id), QoS::AtLeastOnce)
        .await
        .expect("the loop takes it");
    assert!(
        matches!(next(&mut events).await, Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success)
    );
    assert!(matches!(next(&mut events).await, Packet::SubAck(_)));
    (client, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_delivers_by_a_client_that_people_use() {
    let mut door = Door::open(8).await;
    let gateway = door.rig.gateway().await;
    let assigned = door.rig.assign(&gateway).await;
    let (client, mut events) = connected(&door, &gateway).await;
    up(&client, &gateway, &hello(0)).await;
    assert_eq!(
        said(&answers(&mut events, |got| !got.is_empty()).await),
        [Said::Command]
    );

    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    up(&client, &gateway, &open).await;
    let records: Vec<_> = (0..50).map(|_| seal(&mut sealer)).collect();
    for record in &records {
        up(&client, &gateway, &batches(vec![record.clone()])).await;
    }
    let mut acknowledged = 0;
    let mut got = Vec::new();
    while !(acknowledged == 51 && covers(&got, 50)) {
        let packet = next(&mut events).await;
        if let Packet::PubAck(_) = packet {
            acknowledged += 1;
            // What PUBACK is for is durable: the journal counts it already.
            let journaled = door.rig.admin.status().batches_journaled;
            assert!(
                journaled + 1 >= acknowledged,
                "{journaled} of {acknowledged}"
            );
        } else if let Packet::Publish(publish) = packet {
            got.push(CentreToGateway::decode(publish.payload).expect("a message"));
        }
    }
    assert_eq!(door.rig.journaled(), (1..=50).collect::<Vec<_>>());
    assert_eq!(door.rig.admin.status().readings_receipted["mqtt"], 50);

    // Assignments that change reach it without asking; revocation cuts it off.
    door.rig.assign(&gateway).await;
    assert_eq!(
        said(&answers(&mut events, |got| !got.is_empty()).await),
        [Said::Command]
    );
    assert_eq!(
        door.rig
            .admin
            .revoke(gateway.id.as_str(), "operator olga")
            .await
            .expect("revoked"),
        1
    );
    let cut = tokio::time::timeout(Duration::from_secs(2), async {
        while events.poll().await.is_ok() {}
    });
    cut.await.expect("within two seconds");
    let refused = tokio::time::timeout(DEADLINE, events.poll())
        .await
        .expect("in time");
    let refused = refused.expect_err("it may not come back").to_string();
    assert!(
        refused.contains("NotAuthorized") || refused.contains("not authorized"),
        "{refused}"
    );
    door.stop.cancel();
    tokio::time::timeout(DEADLINE, door.task)
        .await
        .expect("it ends")
        .expect("no panic");
}

fn covers(answers: &[CentreToGateway], batches: u64) -> bool {
    let ranges = said(answers).into_iter().flat_map(|said| match said {
        Said::Receipt(_, ranges) => ranges,
        Said::Command | Said::Refused(_) | Said::Admitted(_) | Said::Held(_) => vec![],
    });
    ranges.map(|(first, last)| last - first + 1).sum::<u64>() == batches
}

#[tokio::test]
async fn the_largest_message_and_a_nonsense_one_are_answered() {
    let door = Door::open(8).await;
    let gateway = door.rig.gateway().await;
    let assigned = door.rig.assign(&gateway).await;
    let (client, mut events) = connected(&door, &gateway).await;
    client
        .publish(
            topic::up(&gateway.id),
            QoS::AtLeastOnce,
            false,
            vec![0xFF; 9],
        )
        .await
        .expect("taken");
    let nonsense = answers(&mut events, |got| !got.is_empty()).await;
    assert_eq!(said(&nonsense), [Said::Refused(RefusalReason::Malformed)]);
    let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
    up(&client, &gateway, &open).await;
    // What cannot be deflated.
    let body = proto::seal::crypto::random::<3900>();
    let records: Vec<_> = (1..=15)
        .map(|number| {
            let label = crate::ingest::rig::label(number, Clock::system().now());
            sealer.seal_encoded(&label, &body).expect("it fits")
        })
        .collect();
    let message = batches(records.clone());
    assert!(message.encoded_len() > 60_000 && message.encoded_len() <= proto::wire::MAX_MESSAGE);
    up(&client, &gateway, &message).await;
    let got = answers(&mut events, |got| covers(got, 15)).await;
    assert!(receipted(&got, &sealer, &records));
}

#[tokio::test]
async fn a_newer_connection_takes_over() {
    let door = Door::open(8).await;
    let gateway = door.rig.gateway().await;
    let (_older, mut older) = connected(&door, &gateway).await;
    let (newer, mut events) = connected(&door, &gateway).await;
    let ended = tokio::time::timeout(DEADLINE, async { while older.poll().await.is_ok() {} });
    ended.await.expect("the older one is cut");
    up(&newer, &gateway, &hello(0)).await;
    assert!(matches!(next(&mut events).await, Packet::PubAck(_)));
}

#[tokio::test]
async fn other_topics_and_other_names_are_refused() {
    let door = Door::open(8).await;
    let (gateway, other) = (door.rig.gateway().await, door.rig.gateway().await);
    let (client, mut events) = door.client(&gateway, gateway.id.as_str());
    for filter in [
        "#",
        "vt1/+/down",
        &topic::down(&other.id),
        &topic::up(&gateway.id),
        "$share/x/vt1/+/up",
    ] {
        client
            .subscribe(filter, QoS::AtLeastOnce)
            .await
            .expect("the loop takes it");
        let answer = loop {
            if let Packet::SubAck(answer) = next(&mut events).await {
                break answer;
            }
        };
        let failed =
            |code: &rumqttc::SubscribeReasonCode| *code == rumqttc::SubscribeReasonCode::Failure;
        assert!(answer.return_codes.iter().all(failed), "{filter}");
    }
    assert_eq!(door.rig.refused(Refused::MqttTopic), 5);
    client
        .publish(topic::up(&other.id), QoS::AtLeastOnce, false, "x")
        .await
        .expect("the loop takes it");
    let cut = tokio::time::timeout(DEADLINE, async { while events.poll().await.is_ok() {} });
    cut.await.expect("cut off");
    door.refused(Refused::MqttTopic, 6).await;

    let (_client, mut events) = door.client(&gateway, other.id.as_str());
    let refused = tokio::time::timeout(DEADLINE, events.poll())
        .await
        .expect("in time");
    assert!(refused.is_err(), "the client id of another gateway");
    let (_client, mut events) = door.client(&gateway, "");
    assert!(
        matches!(next(&mut events).await, Packet::ConnAck(ack) if ack.code == ConnectReturnCode::Success)
    );
}

const CONNECT: &[u8] = b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x05\x00\x00";

/// What the centre sends before it closes.
async fn until_closed(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut got = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut got)).await;
    // A connection that is cut without a TLS goodbye is closed as well.
    let _ = read.expect("it closes");
    got
}

#[tokio::test]
async fn hostile_bytes_end_their_connection_and_nothing_else() {
    let door = Door::open(8).await;
    let gateway = door.rig.gateway().await;
    let mut expected = 0;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 100],
        b"\xC0\x00".to_vec(),
        [CONNECT, CONNECT].concat(),
        [CONNECT, b"\x34\x07\x00\x01a\x00\x09hi"].concat(),
        [CONNECT, b"\x82\x02\x00\x07"].concat(),
        [CONNECT, b"\x20\x02\x00\x00"].concat(),
        [CONNECT, b"\x30\xFF\xFF\xFF\xFF\x01"].concat(),
        [
            &b"\x10\x18"[..],
            &CONNECT[2..8],
            b"\x04\x06\x00\x05\x00\x00\x00\x02wt\x00\x06wwwwww",
        ]
        .concat(),
    ] {
        let mut stream = door.raw(Some(&gateway)).await;
        // It may be cut while we are still writing.
        let _ = stream.write_all(&bytes).await;
        let got = until_closed(&mut stream).await;
        assert!(got.len() <= 8, "at most CONNACK: {got:?} for {bytes:?}");
        expected += 1;
        door.refused(Refused::MqttProtocol, expected).await;
    }
    // Longer than a message may be: cut before its bytes are read.
    let mut stream = door.raw(Some(&gateway)).await;
    stream
        .write_all(&[CONNECT, b"\x30\xFF\xFF\x7F"].concat())
        .await
        .expect("written");
    assert_eq!(until_closed(&mut stream).await, b"\x20\x02\x00\x00");
    door.refused(Refused::TooLarge, 1).await;
    let (client, mut events) = connected(&door, &gateway).await;
    up(&client, &gateway, &hello(0)).await;
    assert!(
        matches!(next(&mut events).await, Packet::PubAck(_)),
        "control: the door still works"
    );
}

#[tokio::test]
async fn who_shows_no_gateways_certificate_gets_no_byte() {
    let door = Door::open(8).await;
    let mut stream = door.raw(None).await;
    let _ = stream.write_all(CONNECT).await;
    assert_eq!(until_closed(&mut stream).await, b"");
    door.refused(Refused::Identity, 1).await;
    let operator = door
        .rig
        .authority
        .person("op", proto::cert::Role::Operator)
        .expect("a certificate");
    let gateway = door.rig.gateway().await;
    let operator = Gateway {
        chain: operator.chain,
        pkcs8: operator.key.to_vec(),
        ..gateway.clone()
    };
    let mut stream = door.raw(Some(&operator)).await;
    let _ = stream.write_all(CONNECT).await;
    assert_eq!(until_closed(&mut stream).await, b"");
    door.refused(Refused::Identity, 2).await;
    let foreign = Rig::new().await.gateway().await;
    let mut stream = door.raw(Some(&foreign)).await;
    let _ = stream.write_all(CONNECT).await;
    assert_eq!(until_closed(&mut stream).await, b"");
    door.refused(Refused::Handshake, 1).await;
    let mut plain = TcpStream::connect(door.address).await.expect("it listens");
    plain.write_all(CONNECT).await.expect("written");
    let mut got = Vec::new();
    let read = tokio::time::timeout(DEADLINE, plain.read_to_end(&mut got)).await;
    let _ = read.expect("it closes");
    assert!(
        !got.windows(4).any(|window| window == b"\x20\x02\x00\x00"),
        "no CONNACK in clear: {got:?}"
    );
    door.refused(Refused::Handshake, 2).await;
    let mut stream = door.raw(Some(&gateway)).await;
    stream.write_all(CONNECT).await.expect("written");
    let mut got = [0; 4];
    stream
        .read_exact(&mut got)
        .await
        .expect("control: a gateway gets its CONNACK");
    assert_eq!(&got, b"\x20\x02\x00\x00");
}

#[tokio::test]
async fn who_is_silent_or_slow_is_cut_off() {
    let door = Door::patient_for(8, Duration::from_millis(300)).await;
    let gateway = door.rig.gateway().await;
    // Nothing at all, half a CONNECT, and a keep-alive of a second that is not kept.
    let half = b"\x10\x0C\x00\x04MQTT\x04\x02\x00\x01\x00\x00\x30\x20\x00";
    for (bytes, answer) in [
        (&b""[..], &b""[..]),
        (&CONNECT[..6], b""),
        (half, b"\x20\x02\x00\x00"),
    ] {
        let mut stream = door.raw(Some(&gateway)).await;
        stream.write_all(bytes).await.expect("written");
        assert_eq!(until_closed(&mut stream).await, answer);
    }
    door.refused(Refused::Timeout, 3).await;
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_at_once() {
    let door = Door::open(1).await;
    let gateway = door.rig.gateway().await;
    let (_client, _events) = connected(&door, &gateway).await;
    let mut socket = TcpStream::connect(door.address).await.expect("it listens");
    let mut got = Vec::new();
    let closed = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut got)).await;
    let _ = closed.expect("closed");
    assert_eq!(got, b"");
    door.refused(Refused::Connections, 1).await;
}
