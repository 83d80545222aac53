//! The way there and back, without a provider that answers: what needs one is a story with a real one (`tests/e2e/provider.rs`).

use super::*;

const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn provider() -> Provider {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = crate::dir::CentreDir::new(folder.path());
    dir.create().expect("a centre's directory");
    crate::ca::Authority::create(&dir, Clock::system()).expect("an authority");
    let root = crate::dir::read(&dir.ca().join("ca.der")).expect("its certificate");
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, crate::ca::pem("CERTIFICATE", &root)).expect("it is written");
    let ca_file = ca_file.to_string_lossy().into_owned();
    let settings = Settings {
        name: "Clinic".into(),
        // Nothing listens there.
        issuer: "https://127.0.0.1:9/".into(),
        client_id: "centre".into(),
        secret_file: None,
        ca_file: Some(ca_file),
    };
    Provider::new(&settings, "https://centre:8443/", Clock::system()).expect("it can be used")
}

fn away(minutes: i64) -> Away {
    Away {
        nonce: "n".into(),
        verifier: Zeroizing::new("v".into()),
        from: FAR,
        until: wall_now() + Span::from_mins(minutes),
    }
}

async fn come_back(provider: &Provider, state: &str, cookie: &str) -> ProviderError {
    let back = Return {
        state: state.into(),
        code: "c".into(),
        iss: None,
    };
    let ended = provider.end(&back, cookie).await;
    ended.expect_err("nothing answers there")
}

#[tokio::test]
async fn a_state_is_answered_once_in_time_by_the_browser_that_was_sent_with_it() {
    let provider = provider();
    provider.send_away("s-1", away(10));
    let refused = |error: ProviderError| matches!(error, ProviderError::State);
    assert!(
        refused(come_back(&provider, "s-1", "s-2").await),
        "another browser"
    );
    assert!(refused(come_back(&provider, "s-1", "").await), "no cookie");
    assert!(refused(come_back(&provider, "", "").await));
    assert!(
        refused(come_back(&provider, "s-3", "s-3").await),
        "one of nobody's"
    );
    // Control: it gets as far as the provider, which does not answer.
    let called = come_back(&provider, "s-1", "s-1").await;
    assert!(matches!(called, ProviderError::Call(_)), "{called}");
    assert!(refused(come_back(&provider, "s-1", "s-1").await), "again");
    provider.send_away("s-4", away(-1));
    assert!(
        refused(come_back(&provider, "s-4", "s-4").await),
        "too late"
    );
}

#[tokio::test]
async fn who_leaves_very_often_pushes_out_their_own_alone() {
    let provider = provider();
    let other = Away {
        from: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)),
        ..away(1)
    };
    provider.send_away("other", other);
    for number in 0..5_000 {
        provider.send_away(&number.to_string(), away(10));
    }
    assert_eq!(provider.away().len(), AWAY_OF_ONE + 1);
    let error = come_back(&provider, "other", "other").await;
    assert!(matches!(error, ProviderError::Call(_)), "{error}");
}

#[test]
fn a_form_is_escaped() {
    let text = form(&[("a", "x y&z=ü"), ("b", "~-._")]);
    assert_eq!(text, "a=x%20y%26z%3D%C3%BC&b=~-._");
}
