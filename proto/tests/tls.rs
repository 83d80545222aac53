//! Both ends of the house's TLS against each other, in memory: who is let in, who is not, and by which clock.

mod common;

use std::sync::Arc;

use common::{Ca, Leaf};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use vitals::Time;
use vitaltwin_proto::cert::{CertError, issued_by};
use vitaltwin_proto::clock::{Clock, wall_now};
use vitaltwin_proto::tls::{
    ALPN_H2, ALPN_HTTP1, Role, ca_fingerprint, client_config, credentials, peer_common_name,
    peer_identity, pinned_client_config, server_config,
};

/// 2026-11-21, as a clock that runs from there.
fn clock() -> Clock {
    at(1_795_219_200)
}

fn at(unix_seconds: i64) -> Clock {
    Clock::test(wall_now(), Time::from_micros(unix_seconds * 1_000_000), 1.0)
        .expect("rate in range")
}

fn server(leaf: &Leaf, ca: &Ca, clock: Clock) -> ServerConfig {
    let (chain, key) = credentials(&[leaf.der.clone(), ca.der()], &leaf.key);
    server_config(chain, key, Some(&ca.der()), clock, &[ALPN_H2, ALPN_HTTP1])
        .expect("fine credentials")
}

fn client(ca: &Ca, leaf: Option<&Leaf>, clock: Clock) -> ClientConfig {
    let identity = leaf.map(|leaf| credentials(std::slice::from_ref(&leaf.der), &leaf.key));
    client_config(&ca.der(), identity, clock).expect("fine credentials")
}

/// Shakes hands over two buffers; the server's view of the client's certificate, or the first error.
fn shake(
    client: ClientConfig,
    server: ServerConfig,
    host: &'static str,
) -> Result<Option<Vec<u8>>, rustls::Error> {
    let name = host.try_into().expect("fine host name");
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client
                .write_tls(&mut wire)
                .expect("a buffer takes everything");
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            server
                .read_tls(&mut wire)
                .expect("a buffer gives everything");
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server
                .write_tls(&mut wire)
                .expect("a buffer takes everything");
        }
        let mut wire = wire.as_slice();
        while !wire.is_empty() {
            client
                .read_tls(&mut wire)
                .expect("a buffer gives everything");
            client.process_new_packets()?;
        }
    }
    assert_eq!(
        client.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    Ok(server
        .peer_certificates()
        .and_then(|certs| certs.first())
        .map(|cert| cert.to_vec()))
}

#[test]
fn a_gateway_is_named_by_its_certificate_and_nobody_needs_one() {
    let ca = Ca::new("centre");
    let centre = ca.issue("centre", "centre", &["localhost"]);
    let gateway = ca.issue("g-17", "gateway", &[]);
    let peer = shake(
        client(&ca, Some(&gateway), clock()),
        server(&centre, &ca, clock()),
        "localhost",
    );
    let identity = peer_identity(&peer.expect("let in").expect("shown")).expect("one of ours");
    assert_eq!(
        (identity.role, identity.name.as_str()),
        (Role::Gateway, "g-17")
    );
    assert_eq!(identity.not_after, Time::from_micros(1_893_456_000_000_000));
    assert_eq!(peer_common_name(&gateway.der), Ok("g-17".into()));
    let peer = shake(
        client(&ca, None, clock()),
        server(&centre, &ca, clock()),
        "localhost",
    );
    assert_eq!(peer, Ok(None));
}

#[test]
fn strangers_other_names_and_other_times_are_turned_away() {
    let (ca, other) = (Ca::new("centre"), Ca::new("centre"));
    let centre = ca.issue("centre", "centre", &["localhost"]);
    let gateway = ca.issue("g-17", "gateway", &[]);
    let stranger = other.issue("g-17", "gateway", &[]);
    let (before, after) = (at(1_700_000_000), at(1_900_000_000));
    let refused = |client, server_clock, host| {
        shake(client, server(&centre, &ca, server_clock), host).is_err()
    };
    assert!(
        !refused(client(&ca, Some(&gateway), clock()), clock(), "localhost"),
        "the control"
    );
    assert!(refused(
        client(&ca, Some(&stranger), clock()),
        clock(),
        "localhost"
    ));
    assert!(refused(client(&other, None, clock()), clock(), "localhost"));
    assert!(refused(client(&ca, None, clock()), clock(), "elsewhere"));
    assert!(refused(client(&ca, None, before), clock(), "localhost"));
    assert!(refused(client(&ca, None, after), clock(), "localhost"));
    assert!(refused(
        client(&ca, Some(&gateway), clock()),
        after,
        "localhost"
    ));
}

#[test]
fn the_pin_trusts_the_one_ca_and_still_checks_name_and_time() {
    let (ca, other) = (Ca::new("centre"), Ca::new("centre"));
    let centre = ca.issue("centre", "centre", &["localhost"]);
    let pin = ca_fingerprint(&ca.der());
    let pinned = |clock| pinned_client_config(pin, clock);
    let good = |client, host| shake(client, server(&centre, &ca, clock()), host).is_ok();
    assert!(good(pinned(clock()), "localhost"), "the control");
    assert!(!good(pinned(clock()), "elsewhere"));
    assert!(!good(pinned(at(1_900_000_000)), "localhost"));
    assert!(!good(
        pinned_client_config(ca_fingerprint(&other.der()), clock()),
        "localhost"
    ));
    // The pin of the leaf itself is no CA.
    assert!(!good(
        pinned_client_config(ca_fingerprint(&centre.der), clock()),
        "localhost"
    ));
    // A leaf of another CA, with the pinned CA sent along.
    let false_centre = other.issue("centre", "centre", &["localhost"]);
    assert!(
        shake(
            pinned(clock()),
            server(&false_centre, &ca, clock()),
            "localhost"
        )
        .is_err()
    );
}

#[test]
fn a_certificate_is_known_as_issued_whatever_its_dates() {
    let (ca, other) = (Ca::new("centre"), Ca::new("centre"));
    let gateway = ca.issue("g-17", "gateway", &[]);
    assert_eq!(issued_by(&gateway.der, &ca.der()), Ok(()));
    assert_eq!(
        issued_by(&gateway.der, &other.der()),
        Err(CertError::NotIssued)
    );
    let mut changed = gateway.der.clone();
    let at = changed
        .windows(4)
        .position(|name| name == b"g-17")
        .expect("its name is inside");
    changed[at + 3] = b'8';
    assert_eq!(issued_by(&changed, &ca.der()), Err(CertError::NotIssued));
    assert_eq!(peer_identity(&gateway.der[1..]), Err(CertError::Malformed));
    assert_eq!(
        peer_identity(&ca.issue("g-17", "visitor", &[]).der),
        Err(CertError::UnknownRole)
    );
}
