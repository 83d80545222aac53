//! Passkeys, sessions and the lock, as a browser and as an attacker meet them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use http::Response;
use proto::seal::crypto::{SigningKey, sha256};
use serde_json::{Value, json};

use super::*;

pub(super) const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
pub(super) const JSON: (&str, &str) = ("content-type", "application/json");

/// A browser with an authenticator of its own.
pub(super) struct Browser {
    pub(super) cookie: String,
    key: SigningKey,
    id: Vec<u8>,
    count: u32,
}

impl Browser {
    pub(super) fn new(cookie: String) -> Self {
        Self {
            cookie,
            key: SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("just made"),
            id: proto::seal::crypto::random::<16>().to_vec(),
            count: 0,
        }
    }

    pub(super) async fn post(&self, rig: &Rig, path: &str, body: &Value) -> Response<Body> {
        let headers = [OWN, JSON, ("cookie", self.cookie.as_str())];
        let request = request(Method::POST, path, &headers, &body.to_string());
        rig.ask(request, None).await
    }

    pub(super) async fn get(&self, rig: &Rig, path: &str, headers: &[(&str, &str)]) -> Value {
        let headers = [&[("cookie", self.cookie.as_str())], headers].concat();
        let response = rig
            .ask(request(Method::GET, path, &headers, ""), None)
            .await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        json_of(response).await
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let mut data = sha256(&[b"centre"]).to_vec();
        data.push(flags);
        data.extend(self.count.to_be_bytes());
        data
    }

    /// What the browser and the authenticator say to a challenge to make a passkey.
    fn make(&self, challenge: &str) -> Value {
        let point = self.key.public_point();
        let mut data = self.data(0x45);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(&self.id);
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..]);
        json!({
            "challenge": challenge,
            "client_data": B64.encode(client_data("webauthn.create", challenge)),
            "authenticator": B64.encode(data),
            "label": "phone",
        })
    }

    /// The same for signing in.
    fn answer(&mut self, challenge: &str) -> Value {
        self.count += 1;
        let (data, client_data) = (self.data(0x05), client_data("webauthn.get", challenge));
        let signed = [&data[..], &sha256(&[client_data.as_bytes()])].concat();
        json!({
            "id": B64.encode(&self.id),
            "challenge": challenge,
            "client_data": B64.encode(client_data),
            "authenticator": B64.encode(data),
            "signature": B64.encode(self.key.sign(&signed)),
        })
    }

    async fn challenge(&self, rig: &Rig, path: &str) -> String {
        let asked = self.post(rig, path, &json!({})).await;
        assert_eq!(asked.status(), StatusCode::OK, "{path}");
        let asked = json_of(asked).await;
        assert_eq!(asked["host"], "centre");
        asked["challenge"].as_str().expect("a challenge").to_owned()
    }

    /// Takes the new cookie over.
    pub(super) fn take(&mut self, response: &Response<Body>) {
        let set = response
            .headers()
            .get(header::SET_COOKIE)
            .expect("a cookie");
        let set = set.to_str().expect("text");
        for flag in ["__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(set.contains(flag), "{flag}");
        }
        self.cookie = set.split(';').next().expect("a value").to_owned();
    }
}

fn client_data(act: &str, challenge: &str) -> String {
    json!({"type": act, "challenge": challenge, "origin": "https://centre:8443", "crossOrigin": false})
        .to_string()
}

pub(super) async fn json_of(response: Response<Body>) -> Value {
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    serde_json::from_slice(&body.expect("a body")).expect("JSON")
}

pub(super) async fn text_of(response: Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
    (
        status,
        String::from_utf8_lossy(&body.expect("a body")).into_owned(),
    )
}

/// Somebody with a passkey, signed in by a link.
async fn ann(rig: &Rig) -> Browser {
    rig.person("Ann", StaffRole::Supervisor).await;
    let browser = Browser::new(rig.signed_in("Ann"));
    let challenge = browser.challenge(rig, "/passkey/new").await;
    let added = browser
        .post(rig, "/passkey/add", &browser.make(&challenge))
        .await;
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
    browser
}

#[tokio::test]
async fn a_passkey_signs_in_also_after_a_restart_and_each_answer_counts_once() {
    let rig = Rig::new().await;
    let mut browser = ann(&rig).await;
    let rig = rig.restart().await;
    browser.cookie = String::new();
    let challenge = browser.challenge(&rig, "/passkey/challenge").await;
    let answer = browser.answer(&challenge);
    let signed = browser.post(&rig, "/passkey/sign-in", &answer).await;
    assert_eq!(signed.status(), StatusCode::NO_CONTENT);
    browser.take(&signed);
    let session = browser.get(&rig, "/session", &[]).await;
    assert_eq!(
        (&session["person"], &session["locked"]),
        (&json!("Ann"), &json!(false))
    );
    let own = browser.get(&rig, "/sessions", &[]).await;
    assert_eq!(own["sessions"][0]["how"], "passkey");
    assert_eq!(own["passkeys"][0]["label"], "phone");

    // What was heard on the line is worth nothing: not again, not for a fresh challenge, not with an old counter.
    let refused = |status: (StatusCode, String)| {
        assert_eq!(status.0, StatusCode::FORBIDDEN);
        status.1
    };
    let replayed = refused(text_of(browser.post(&rig, "/passkey/sign-in", &answer).await).await);
    let other = browser.challenge(&rig, "/passkey/challenge").await;
    let mut moved = answer.clone();
    moved["challenge"] = json!(other);
    let moved = refused(text_of(browser.post(&rig, "/passkey/sign-in", &moved).await).await);
    let challenge = browser.challenge(&rig, "/passkey/challenge").await;
    browser.count = 0;
    let copied = browser.answer(&challenge);
    let copied = refused(text_of(browser.post(&rig, "/passkey/sign-in", &copied).await).await);
    // Nor does anything tell a key that nobody has from one that was refused.
    let mut stranger = Browser::new(String::new());
    let challenge = stranger.challenge(&rig, "/passkey/challenge").await;
    let unknown = stranger.answer(&challenge);
    let unknown = refused(text_of(stranger.post(&rig, "/passkey/sign-in", &unknown).await).await);
    assert!(
        [&moved, &copied, &unknown]
            .iter()
            .all(|said| **said == replayed)
    );

    // A challenge to make one is no challenge to sign in with.
    let challenge = browser.challenge(&rig, "/passkey/new").await;
    browser.count = 90;
    let answer = browser.answer(&challenge);
    refused(text_of(browser.post(&rig, "/passkey/sign-in", &answer).await).await);
    // Control.
    let challenge = browser.challenge(&rig, "/passkey/challenge").await;
    let answer = browser.answer(&challenge);
    let signed = browser.post(&rig, "/passkey/sign-in", &answer).await;
    assert_eq!(signed.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn who_signs_in_anew_leaves_nothing_behind_and_a_planted_cookie_is_worth_nothing() {
    let rig = Rig::new().await;
    let mut browser = ann(&rig).await;
    let planted = browser.cookie.clone();
    let challenge = browser.challenge(&rig, "/passkey/challenge").await;
    let answer = browser.answer(&challenge);
    let signed = browser.post(&rig, "/passkey/sign-in", &answer).await;
    browser.take(&signed);
    assert_ne!(browser.cookie, planted);
    let former = Browser::new(planted);
    let ask = request(
        Method::GET,
        "/session",
        &[("cookie", former.cookie.as_str())],
        "",
    );
    assert_eq!(rig.ask(ask, None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(rig.access.sign_in().sessions(None, None).len(), 1);
    browser.get(&rig, "/session", &[]).await;
}

#[tokio::test]
async fn a_locked_session_shows_and_changes_nothing_but_says_that_it_rings() {
    let rig = Rig::fast().await;
    let patient = rig.patient("p-canary").await;
    rig.assign(&patient, "g-1", rig.clock.now()).await;
    let mut browser = ann(&rig).await;
    soon(async {
        while rig.patients.hub().alerts().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let value = browser
        .cookie
        .split_once('=')
        .expect("a cookie")
        .1
        .to_owned();
    let key = rig.access.sign_in().session(&value).expect("a session");
    let list = |cookie: String| {
        let rig = &rig;
        async move {
            let headers = [("cookie", cookie.as_str()), PAGE_ORIGIN];
            let path = "/vitaltwin.v1.TwinService/List";
            rig.call(
                path,
                &v1::ListTwinsRequest::default(),
                Wire::Web,
                None,
                &headers,
            )
            .await
        }
    };
    assert_eq!(list(browser.cookie.clone()).await.0, Code::Ok, "control");
    let locked = browser.post(&rig, "/lock", &json!({})).await;
    assert_eq!(locked.status(), StatusCode::NO_CONTENT);
    let (code, bytes) = list(browser.cookie.clone()).await;
    assert_eq!(code, Code::PermissionDenied);
    assert!(!String::from_utf8_lossy(&bytes).contains("canary"));
    let session = browser
        .get(&rig, "/session", &[("x-vitaltwin-active", "1")])
        .await;
    assert_eq!(session["locked"], true, "being there does not open it");
    let rings: u64 = session["ringing"]
        .as_array()
        .expect("counts")
        .iter()
        .filter_map(Value::as_u64)
        .sum();
    assert!(rings >= 1, "{session}");
    assert!(!session.to_string().contains("canary"));
    let canary = json!({"id": "x"});
    for path in ["/passkey/new", "/passkey/remove", "/sessions/end", "/lock"] {
        let refused = browser.post(&rig, path, &canary).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(!rig.access.sign_in().is_fresh(key));
    // A proof opens it, by a new session.
    let challenge = browser.challenge(&rig, "/passkey/challenge").await;
    let answer = browser.answer(&challenge);
    let signed = browser.post(&rig, "/passkey/sign-in", &answer).await;
    browser.take(&signed);
    assert_eq!(list(browser.cookie.clone()).await.0, Code::Ok);
    let session = browser.get(&rig, "/session", &[]).await;
    assert_eq!(session["ringing"], json!([0, 0, 0]), "the stream tells");
}

#[tokio::test]
async fn sessions_and_passkeys_are_ones_own_and_a_lost_device_is_worth_nothing() {
    let rig = Rig::new().await;
    let mut browser = ann(&rig).await;
    rig.person("Eve", StaffRole::Viewer).await;
    let eve = Browser::new(rig.signed_in("Eve"));
    let own = browser.get(&rig, "/sessions", &[]).await;
    let (session, passkey) = (
        own["sessions"][0]["id"].clone(),
        own["passkeys"][0]["id"].clone(),
    );
    assert_eq!(own["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(own["sessions"][0]["here"], true);
    for (path, id) in [("/sessions/end", &session), ("/passkey/remove", &passkey)] {
        let refused = eve.post(&rig, path, &json!({"id": id})).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{path}");
        let foreign = [
            ("sec-fetch-site", "cross-site"),
            JSON,
            ("cookie", browser.cookie.as_str()),
        ];
        let body = json!({"id": id}).to_string();
        let foreign = rig
            .ask(request(Method::POST, path, &foreign, &body), None)
            .await;
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "{path}");
    }
    // Another's credential id cannot be taken over.
    let mut thief = Browser::new(rig.signed_in("Eve"));
    thief.id.clone_from(&browser.id);
    let challenge = thief.challenge(&rig, "/passkey/new").await;
    let refused = thief
        .post(&rig, "/passkey/add", &thief.make(&challenge))
        .await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);

    let removed = browser
        .post(&rig, "/passkey/remove", &json!({"id": passkey}))
        .await;
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    let challenge = browser.challenge(&rig, "/passkey/challenge").await;
    let answer = browser.answer(&challenge);
    let refused = browser.post(&rig, "/passkey/sign-in", &answer).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let ended = browser
        .post(&rig, "/sessions/end", &json!({"id": session}))
        .await;
    assert_eq!(ended.status(), StatusCode::NO_CONTENT);
    let ask = request(
        Method::GET,
        "/session",
        &[("cookie", browser.cookie.as_str())],
        "",
    );
    assert_eq!(rig.ask(ask, None).await.status(), StatusCode::UNAUTHORIZED);
    // Control: Eve's go on.
    eve.get(&rig, "/session", &[]).await;
    // Whoever was revoked has no way back by a key that they still hold.
    let eve = {
        let challenge = thief.challenge(&rig, "/passkey/new").await;
        thief.id = vec![7; 16];
        let added = thief
            .post(&rig, "/passkey/add", &thief.make(&challenge))
            .await;
        assert_eq!(added.status(), StatusCode::NO_CONTENT);
        thief
    };
    rig.person("Eve", StaffRole::Unspecified).await;
    let mut eve = Browser {
        cookie: String::new(),
        ..eve
    };
    let challenge = eve.challenge(&rig, "/passkey/challenge").await;
    let answer = eve.answer(&challenge);
    let refused = eve.post(&rig, "/passkey/sign-in", &answer).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
