//! The assembly without a radio and without a centre: both are away, and the agent must live with that.

use std::path::Path;
use std::time::Duration;

use proto::clock::Clock;
use proto::v1::EnrolResponse;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::{App, Options, RunError};
use crate::config::Config;
use crate::identity::{IdentityDir, Request};

fn name(role: &str, common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, role);
    name.push(DnType::CommonName, common);
    name
}

/// As `enrol` leaves a folder, with a centre that nobody answers for.
fn enrolled(dir: &Path) {
    let identity = IdentityDir::of(dir);
    let request = Request::fresh().expect("a request");
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name = name("centre", "CA");
    let ca_der = ca.self_signed(&ca_key).expect("signed").der().to_vec();
    let issuer = Issuer::new(ca, ca_key);
    let mut told = EnrolResponse {
        gateway: "g-1".into(),
        certificate_chain: vec![vec![1]],
        ca: ca_der,
        command_key: vec![4; 65],
        grpc_address: "127.0.0.1:1".into(),
        mqtt_address: "127.0.0.1:1".into(),
    };
    identity.store_new(&request, &told).expect("stored");
    let key = identity.load().expect("there").key_pkcs8.clone();
    let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key.as_slice())).expect("a key");
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = name("gateway", "g-1");
    let leaf = leaf.signed_by(&key, &issuer).expect("signed");
    told.certificate_chain = vec![leaf.der().to_vec()];
    identity.store_renewed(&told).expect("stored");
}

fn app(dir: &Path) -> App {
    enrolled(dir);
    let options = Options {
        dir: dir.to_owned(),
        uplink: None,
        drain: Duration::ZERO,
        clock: Clock::system(),
    };
    App::build(&Config::default(), &options).expect("built")
}

#[tokio::test]
async fn a_part_that_died_is_noticed_and_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut app = app(dir.path());
    app.check_parts().expect("all of them live");
    app.renewer.abort();
    let _ended = (&mut app.renewer).await;
    // An aborted task stands for one that panicked: both are finished unasked.
    let error = app.check_parts().expect_err("one died");
    assert!(matches!(error, RunError::PartEnded(part) if part.contains("renewal")));
    app.driver.abort();
    let _ended = (&mut app.driver).await;
    let error = app.check_parts().expect_err("two died");
    assert!(matches!(error, RunError::PartEnded(part) if part.contains("line")));
}
