//! Browsers that take messages: whose they are, and where messages never go.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use proto::seal::crypto::SigningKey;
use serde_json::{Value, json};

use super::proof::{Browser, json_of};
use super::*;
use crate::channel::push::Desk;
use crate::channel::settings::Push;
use crate::serve::Ways;

/// A centre that sends messages, also to a push service beside it.
async fn rig() -> Rig {
    let mut rig = Rig::new().await;
    let settings = Push {
        contact: "mailto:olga@example.org".into(),
        near: vec!["localhost:9".into()],
    };
    let root = crate::dir::read(&rig.dir().ca().join("ca.der")).expect("a certificate");
    let key = SigningKey::generate_pkcs8();
    let (books, journal) = (Arc::clone(&rig.books), rig.journal.clone());
    let desk = Desk::new(key, &settings, vec![root.into()], books, journal, rig.clock);
    rig.sign_in_by(Ways {
        push: Some(Arc::new(desk.expect("it can be used"))),
        ..Ways::default()
    });
    rig
}

fn address(endpoint: &str) -> Value {
    let der = SigningKey::generate_pkcs8();
    let point = SigningKey::from_pkcs8(&der)
        .expect("just made")
        .public_point();
    json!({"endpoint": endpoint, "p256dh": B64.encode(point), "auth": B64.encode([7; 16]), "language": "de"})
}

#[tokio::test]
async fn a_browser_is_its_persons_and_lies_in_the_open_network() {
    let rig = rig().await;
    for (name, role) in [("Ann", StaffRole::Nurse), ("Eve", StaffRole::Nurse)] {
        rig.person(name, role).await;
    }
    let [ann, eve] = ["Ann", "Eve"].map(|name| Browser::new(rig.signed_in(name)));
    let key = json_of(ann.post(&rig, "/push/key", &json!({})).await).await;
    let key = B64.decode(key["key"].as_str().expect("a key"));
    assert_eq!(key.map(|key| key.len()), Ok(65));
    for endpoint in [
        "http://push.example/1",
        "https://localhost/1",
        "https://localhost:8443/1",
        "https://127.0.0.1/1",
        "https://10.0.0.1:443/1",
        "https://169.254.169.254/latest",
        "https://[::1]/1",
        "https://[fd00::1]/1",
        "file:///etc/passwd",
        "nonsense",
        &format!("https://push.example/{}", "x".repeat(2000)),
    ] {
        let refused = ann.post(&rig, "/push/subscribe", &address(endpoint)).await;
        assert_eq!(
            refused.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{endpoint}"
        );
    }
    let mut keyless = address("https://push.example/1");
    keyless["p256dh"] = json!(B64.encode([4; 65]));
    let refused = ann.post(&rig, "/push/subscribe", &keyless).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    // Control; and what the operator named.
    for endpoint in ["https://push.example/secret-1", "https://localhost:9/2"] {
        let taken = ann.post(&rig, "/push/subscribe", &address(endpoint)).await;
        assert_eq!(taken.status(), StatusCode::NO_CONTENT, "{endpoint}");
    }
    let own = ann.get(&rig, "/sessions", &[]).await;
    let browsers = own["browsers"].as_array().expect("a list").clone();
    assert_eq!(browsers.len(), 2);
    assert!(
        !own.to_string().contains("secret-1"),
        "an address opens a browser: it is shown to nobody"
    );
    let journal = std::fs::read(rig.dir().journal()).expect("a journal");
    let wal = std::fs::read(rig.dir().journal().with_extension("db-wal")).unwrap_or_default();
    let there = |bytes: &[u8]| bytes.windows(8).any(|part| part == b"secret-1");
    assert!(!there(&journal) && !there(&wal));

    let one = json!({"id": browsers[0]["id"]});
    let refused = eve.post(&rig, "/push/unsubscribe", &one).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND, "another's");
    let gone = ann.post(&rig, "/push/unsubscribe", &one).await;
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    // Who uses the browser last has its messages.
    let taken = eve
        .post(
            &rig,
            "/push/subscribe",
            &address("https://push.example/secret-1"),
        )
        .await;
    assert_eq!(taken.status(), StatusCode::NO_CONTENT);
    for number in 0..9 {
        let endpoint = format!("https://push.example/{number}");
        let taken = eve.post(&rig, "/push/subscribe", &address(&endpoint)).await;
        assert_eq!(taken.status(), StatusCode::NO_CONTENT, "{number}");
    }
    let many = eve
        .post(&rig, "/push/subscribe", &address("https://push.example/10"))
        .await;
    assert_eq!(many.status(), StatusCode::CONFLICT);
    rig.person("Eve", StaffRole::Unspecified).await;
    let left = rig.books.registry().subscriptions().count();
    assert!(left <= 1, "who was revoked has none: {left}");

    // Strangers and patients have none, and a word that nobody gave out tells nothing.
    rig.patient("p-own").await;
    let patient = Browser::new(rig.signed_in("patient p-own"));
    assert_eq!(
        patient.post(&rig, "/push/key", &json!({})).await.status(),
        StatusCode::NOT_FOUND
    );
    let stranger = Browser::new(String::new());
    for path in [
        "/push/key",
        "/push/subscribe",
        "/push/unsubscribe",
        "/push/test",
    ] {
        let body = address("https://push.example/1");
        let mut body = body.clone();
        body["id"] = json!("x");
        let refused = stranger.post(&rig, path, &body).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let said = stranger
        .post(&rig, "/push/shown", &json!({"word": "x"}))
        .await;
    assert_eq!(said.status(), StatusCode::NO_CONTENT);
}
