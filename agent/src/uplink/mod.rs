//! The line to the centre: what to send next, and the two transports that carry it unchanged.
//!
//! * [`window`]: PURE. What to send next and when again. `pace`: PURE. How much at once. [`budget`]: PURE. What a
//!   metered line may carry on a day; `meter` counts it.
//! * [`choice`]: PURE. Which of two transports is the line. [`switch`]: keeps it so.
//! * [`grpc`]: the only file with the gRPC client. * [`mqtt`]: the only file that names rumqttc.
//!
//! The contract between core and transport: a transport that has a connection hands the core a bounded
//! [`mpsc::Sender`] that lives exactly as long as the connection ([`UplinkEvent::Up`]), so that nothing meant
//! for an old connection ever goes out on a new one. What is sent may be lost; only a receipt is delivery.
//! Must not know: what lies inside records, the store.

pub mod budget;
pub mod choice;
pub mod grpc;
pub mod meter;
pub mod mqtt;
mod pace;
pub mod switch;
#[cfg(test)]
mod thin;
pub mod window;

use std::sync::Arc;

use proto::clock::Clock;
use proto::v1::{CentreToGateway, GatewayToCentre};
use tokio::sync::{mpsc, watch};
use vitals::Span;

use self::meter::Meter;
use crate::backoff::Backoff;
use crate::status::describe;

/// Messages that wait for the connection; the window decides what fills it, so short is enough.
pub const LINE_LENGTH: usize = 16;
/// Real time within which a connection must be up: a handshake takes 6 kB, half a minute at 2 kbit/s, and a whole one
/// and more where every third packet is lost. No session is resumed (`proto/src/tls.rs` says why), so a handshake
/// that is given up too early is the most expensive thing on a thin line.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(180);
/// Delays between attempts to connect.
const RETRY_FIRST: Span = Span::from_millis(250);
const RETRY_LONGEST: Span = Span::from_secs(30);

/// What a transport tells the core.
#[derive(Debug)]
pub enum UplinkEvent {
    /// Connected; messages for the centre go in here until it closes.
    Up(mpsc::Sender<GatewayToCentre>),
    /// The centre says something.
    Message(CentreToGateway),
    /// Something came that is no message of the contract.
    Malformed,
    /// The connection ended, and why, for people.
    Down(String),
}

/// Why there is no connection (any more).
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The address is no "host:port".
    #[error("the address {0} is not \"host:port\"")]
    Address(String),
    /// No TCP connection.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// No TLS: another CA, an expired certificate, another protocol.
    #[error("no trusted connection to {address}")]
    Tls {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The other end refused or ended the stream.
    #[error("the centre ended the stream: {0}")]
    Ended(String),
    /// Connected, but the question was not answered.
    #[error("the centre does not answer")]
    NoAnswer,
    /// Nothing within the limit.
    #[error("no connection within {} s", CONNECT_TIMEOUT.as_secs())]
    TimedOut,
    /// The gateway's certificate was renewed: connect anew with it.
    #[error("connecting anew with the renewed certificate")]
    Renewed,
}

/// Longest text of a peer that is shown, characters.
const LONGEST_TEXT: usize = 256;

impl UplinkError {
    /// The other end's own words, fit for a log and a terminal.
    #[must_use]
    pub fn said(text: &str) -> Self {
        Self::Ended(proto::wire::clean(text, LONGEST_TEXT))
    }
}

/// Where to connect, and as whom.
#[derive(Clone, Debug)]
pub struct Access {
    /// "host:port".
    pub address: String,
    /// TLS with the gateway's present certificate.
    pub tls: watch::Receiver<Arc<rustls::ClientConfig>>,
    /// What passes is counted here.
    pub meter: Meter,
}

/// One way to carry the contract.
pub trait Transport: Send {
    /// Connects once, and carries messages both ways until the connection ends; says why it did.
    fn session(
        &mut self,
        events: &mpsc::Sender<UplinkEvent>,
    ) -> impl Future<Output = UplinkError> + Send;
}

/// Keeps a transport connected while it is `wanted`, until nobody can want it any more or listen. Delays between
/// attempts grow until a connection stood; they are measured by the house's clock.
pub async fn drive<T: Transport>(
    mut transport: T,
    events: mpsc::Sender<UplinkEvent>,
    clock: Clock,
    mut wanted: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        let began = clock.now();
        let end = tokio::select! {
            end = transport.session(&events) => end,
            _ = wanted.wait_for(|wanted| !*wanted) => {
                backoff.succeed();
                continue;
            }
        };
        if clock.now().since(began) > RETRY_LONGEST || matches!(end, UplinkError::Renewed) {
            backoff.succeed();
        }
        if events
            .send(UplinkEvent::Down(describe(&end)))
            .await
            .is_err()
        {
            return;
        }
        let pause = clock.real(backoff.fail(rand::random()));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = wanted.wait_for(|wanted| !*wanted) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{Hello, centre_to_gateway, gateway_to_centre};
    use std::collections::VecDeque;
    use vitals::Time;

    /// A transport whose connections follow a script: echo so many messages, then end.
    struct Scripted {
        connections: VecDeque<usize>,
    }

    impl Transport for Scripted {
        async fn session(&mut self, events: &mpsc::Sender<UplinkEvent>) -> UplinkError {
            let Some(messages) = self.connections.pop_front() else {
                return std::future::pending().await;
            };
            let (line, mut outgoing) = mpsc::channel(LINE_LENGTH);
            if events.send(UplinkEvent::Up(line)).await.is_err() {
                return UplinkError::TimedOut;
            }
            for _ in 0..messages {
                let Some(GatewayToCentre { kind }) = outgoing.recv().await else {
                    break;
                };
                assert!(matches!(kind, Some(gateway_to_centre::Kind::Hello(_))));
                let admitted = proto::v1::ContextAdmitted { context: vec![1] };
                let kind = Some(centre_to_gateway::Kind::ContextAdmitted(admitted));
                let message = UplinkEvent::Message(CentreToGateway { kind });
                if events.send(message).await.is_err() {
                    break;
                }
            }
            UplinkError::Ended("as scripted".into())
        }
    }

    fn hello() -> GatewayToCentre {
        GatewayToCentre {
            kind: Some(gateway_to_centre::Kind::Hello(Hello::default())),
        }
    }

    #[tokio::test]
    async fn each_connection_has_a_line_of_its_own_and_its_end_is_told() {
        let (events, mut told) = mpsc::channel(8);
        let (_want, wanted) = watch::channel(true);
        let clock = Clock::test(Time::ZERO, Time::ZERO, 1000.0).expect("a rate");
        let transport = Scripted {
            connections: VecDeque::from([1, 2]),
        };
        let driver = tokio::spawn(drive(transport, events, clock, wanted));
        for messages in [1, 2] {
            let Some(UplinkEvent::Up(line)) = told.recv().await else {
                panic!("a connection comes first");
            };
            for _ in 0..messages {
                line.send(hello()).await.expect("connected");
                assert!(matches!(told.recv().await, Some(UplinkEvent::Message(_))));
            }
            assert!(
                matches!(told.recv().await, Some(UplinkEvent::Down(why)) if why.contains("as scripted"))
            );
            assert!(
                line.send(hello()).await.is_err(),
                "an old line takes nothing more"
            );
        }
        driver.abort();
    }

    #[tokio::test]
    async fn it_runs_while_it_is_wanted_and_ends_when_the_core_is_gone() {
        let clock = Clock::system();
        let (events, mut told) = mpsc::channel(8);
        let (want, wanted) = watch::channel(false);
        let transport = Scripted {
            connections: VecDeque::from([1, 1]),
        };
        let driver = tokio::spawn(drive(transport, events, clock, wanted));
        for _ in 0..2 {
            want.send_replace(true);
            let Some(UplinkEvent::Up(line)) = told.recv().await else {
                panic!("wanted is connected");
            };
            want.send_replace(false);
            line.closed().await;
        }
        drop(want);
        driver.await.expect("ends");
        assert!(told.recv().await.is_none(), "and says nothing more");
        let (events, told) = mpsc::channel(8);
        drop(told);
        let transport = Scripted {
            connections: VecDeque::from([1]),
        };
        let (_want, wanted) = watch::channel(true);
        drive(transport, events, clock, wanted).await;
    }

    #[test]
    fn errors_tell_their_causes_on_one_line() {
        let error = UplinkError::Unreachable {
            address: "localhost:1".into(),
            source: std::io::Error::from(std::io::ErrorKind::ConnectionRefused),
        };
        assert_eq!(
            describe(&error),
            "localhost:1 cannot be reached: connection refused"
        );
    }
}
