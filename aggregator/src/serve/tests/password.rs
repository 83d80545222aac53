//! Passwords with codes, as a person and as an attacker meet them.

use std::net::IpAddr;

use http::Response;
use proto::clock::wall_now;
use serde_json::{Value, json};

use super::proof::{Browser, JSON, OWN, json_of, text_of};
use super::*;
use crate::serve::totp;

const PASSWORD: &str = "correct horse battery";

/// What Ann's authenticator app knows.
struct App(Vec<u8>);

impl App {
    fn reads(secret: &str) -> Self {
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let value = |c: char| digits.iter().position(|digit| char::from(*digit) == c);
        let bits: Vec<u8> = secret
            .chars()
            .filter_map(value)
            .flat_map(|value| (0..5).rev().map(move |bit| (value >> bit & 1) as u8))
            .collect();
        let octet = |bits: &[u8]| bits.iter().fold(0, |all, bit| all << 1 | bit);
        Self(bits.chunks_exact(8).map(octet).collect())
    }

    /// The code of the step that is so many after this one.
    fn code(&self, later: u64) -> String {
        totp::code(&self.0, totp::step_at(wall_now()) + later)
    }
}

/// Ann with a password, signed in by a link; her app, and her recovery codes.
async fn ann(rig: &Rig) -> (Browser, App, Vec<String>) {
    rig.person("Ann", StaffRole::Supervisor).await;
    let browser = Browser::new(rig.signed_in("Ann"));
    let (app, recovery) = set(rig, &browser).await;
    (browser, app, recovery)
}

async fn set(rig: &Rig, browser: &Browser) -> (App, Vec<String>) {
    let learn = browser.post(rig, "/password/new", &json!({})).await;
    assert_eq!(learn.status(), StatusCode::OK);
    let learn = json_of(learn).await;
    let app = App::reads(learn["secret"].as_str().expect("a secret"));
    assert!(
        learn["uri"]
            .as_str()
            .is_some_and(|uri| uri.starts_with("otpauth://totp/"))
    );
    // The code of the step before, so that this one is left for a sign-in.
    let before = totp::code(&app.0, totp::step_at(wall_now()) - 1);
    let wanted = json!({"password": PASSWORD, "code": before});
    let made = browser.post(rig, "/password/set", &wanted).await;
    assert_eq!(made.status(), StatusCode::OK);
    let recovery = json_of(made).await["recovery"].clone();
    (app, serde_json::from_value(recovery).expect("codes"))
}

async fn try_from(
    rig: &Rig,
    from: IpAddr,
    name: &str,
    password: &str,
    code: &str,
) -> Response<Body> {
    let given = json!({"name": name, "password": password, "code": code});
    let request = request(
        Method::POST,
        "/password/sign-in",
        &[OWN, JSON],
        &given.to_string(),
    );
    rig.ask_from(from, request, None).await
}

async fn sign_in(rig: &Rig, name: &str, password: &str, code: &str) -> Response<Body> {
    try_from(rig, HERE, name, password, code).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_factors_sign_in_each_code_once_also_after_a_restart_and_failures_look_alike() {
    let rig = Rig::new().await;
    let (_, app, _) = ann(&rig).await;
    let code = app.code(0);
    let signed = sign_in(&rig, " ann ", PASSWORD, &code).await;
    assert_eq!(signed.status(), StatusCode::NO_CONTENT);
    let mut browser = Browser::new(String::new());
    browser.take(&signed);
    let own = browser.get(&rig, "/sessions", &[]).await;
    assert_eq!(own["sessions"][0]["how"], "password");
    assert_eq!(
        (&own["password"]["recovery"], &own["fresh"]),
        (&json!(10), &json!(true))
    );

    let mut said = Vec::new();
    let next = app.code(1);
    rig.person("Ben", StaffRole::Nurse).await;
    for (name, password, code) in [
        ("Ann", PASSWORD, code.as_str()),
        ("Ann", PASSWORD, "000000"),
        ("Ann", PASSWORD, ""),
        ("Ann", "correct horse batterx", next.as_str()),
        ("Nobody", PASSWORD, next.as_str()),
        ("Ben", PASSWORD, next.as_str()),
        ("", PASSWORD, next.as_str()),
        ("Ann", "x".repeat(5000).as_str(), next.as_str()),
    ] {
        said.push(text_of(sign_in(&rig, name, password, code).await).await);
    }
    assert!(
        said.iter()
            .all(|one| one.0 == StatusCode::FORBIDDEN && *one == said[0]),
        "{said:?}"
    );
    let rig = rig.restart().await;
    let again = sign_in(&rig, "Ann", PASSWORD, &code).await;
    assert_eq!(
        again.status(),
        StatusCode::FORBIDDEN,
        "used before the restart"
    );
    // Control: the next one is good, and two at once are one sign-in.
    let next = app.code(1);
    let both = tokio::join!(
        sign_in(&rig, "Ann", PASSWORD, &next),
        sign_in(&rig, "Ann", PASSWORD, &next)
    );
    let mut both = [both.0.status(), both.1.status()];
    both.sort();
    assert_eq!(both, [StatusCode::NO_CONTENT, StatusCode::FORBIDDEN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_stands_in_once_and_new_ones_end_the_former() {
    let rig = Rig::new().await;
    let (browser, _, recovery) = ann(&rig).await;
    let signed = sign_in(&rig, "Ann", PASSWORD, &recovery[0].to_uppercase()).await;
    assert_eq!(signed.status(), StatusCode::NO_CONTENT);
    let again = sign_in(&rig, "Ann", PASSWORD, &recovery[0]).await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN);
    let alone = sign_in(&rig, "Ann", "", &recovery[1]).await;
    assert_eq!(alone.status(), StatusCode::FORBIDDEN, "a code alone");
    let own = browser.get(&rig, "/sessions", &[]).await;
    assert_eq!(own["password"]["recovery"], 9);
    let made = browser.post(&rig, "/password/recovery", &json!({})).await;
    let made: Vec<String> =
        serde_json::from_value(json_of(made).await["recovery"].clone()).expect("codes");
    let former = sign_in(&rig, "Ann", PASSWORD, &recovery[1]).await;
    assert_eq!(former.status(), StatusCode::FORBIDDEN);
    let signed = sign_in(&rig, "Ann", PASSWORD, &made[0]).await;
    assert_eq!(signed.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_set_soon_after_signing_in_by_its_person_alone_and_ends_their_other_sessions()
{
    let rig = Rig::new().await;
    rig.person("Ann", StaffRole::Nurse).await;
    let elsewhere = Browser::new(rig.signed_in("Ann"));
    let browser = Browser::new(rig.signed_in("Ann"));
    let refused = |password: &str, code: &str| {
        let wanted = json!({"password": password, "code": code});
        let (rig, browser) = (&rig, &browser);
        async move { text_of(browser.post(rig, "/password/set", &wanted).await).await }
    };
    let unfit = StatusCode::UNPROCESSABLE_ENTITY;
    assert_eq!(
        refused(PASSWORD, "000000").await,
        (unfit, "again".into()),
        "no secret was made"
    );
    let learn = json_of(browser.post(&rig, "/password/new", &json!({})).await).await;
    let app = App::reads(learn["secret"].as_str().expect("a secret"));
    assert_eq!(
        refused("short", &app.code(0)).await,
        (unfit, "short".into())
    );
    assert_eq!(
        refused("qwerty123456", &app.code(0)).await,
        (unfit, "common".into())
    );
    assert_eq!(refused(PASSWORD, "000000").await, (unfit, "code".into()));
    // Nobody else's session, nor a stranger.
    let stranger = Browser::new(String::new());
    for path in [
        "/password/new",
        "/password/set",
        "/password/recovery",
        "/password/remove",
    ] {
        let wanted = json!({"password": PASSWORD, "code": app.code(0)});
        let refused = stranger.post(&rig, path, &wanted).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let wanted = json!({"password": PASSWORD, "code": app.code(0)});
    let other = elsewhere.post(&rig, "/password/set", &wanted).await;
    assert_eq!(other.status(), unfit, "another session learns nothing");
    assert_eq!(
        browser.post(&rig, "/password/set", &wanted).await.status(),
        StatusCode::OK
    );
    let ask = request(
        Method::GET,
        "/session",
        &[("cookie", elsewhere.cookie.as_str())],
        "",
    );
    assert_eq!(rig.ask(ask, None).await.status(), StatusCode::UNAUTHORIZED);
    // The code that proved the app is spent.
    assert_eq!(
        sign_in(&rig, "Ann", PASSWORD, &app.code(0)).await.status(),
        StatusCode::FORBIDDEN
    );
    // Nothing of it lies in the files in clear.
    let journal = std::fs::read(rig.dir().journal()).expect("a journal");
    let wal = std::fs::read(rig.dir().journal().with_extension("db-wal")).unwrap_or_default();
    for secret in [PASSWORD.as_bytes(), &app.0] {
        let there = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret);
        assert!(!there(&journal) && !there(&wal));
    }
    // Removed, it opens nothing.
    let removed = browser.post(&rig, "/password/remove", &json!({})).await;
    assert_eq!(removed.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        sign_in(&rig, "Ann", PASSWORD, &app.code(1)).await.status(),
        StatusCode::FORBIDDEN
    );
    let own = browser.get(&rig, "/sessions", &[]).await;
    assert_eq!(own["password"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_locks_nobody_out_and_who_was_revoked_has_no_way_in() {
    let rig = Rig::new().await;
    let (_, app, recovery) = ann(&rig).await;
    let mut refusals = Vec::new();
    for last in 0..12 {
        let from = IpAddr::from([10, 0, 0, last]);
        refusals.push(
            try_from(&rig, from, "Ann", "not her password", "123456")
                .await
                .status(),
        );
    }
    assert_eq!(
        refusals[9..],
        [
            StatusCode::FORBIDDEN,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::TOO_MANY_REQUESTS
        ]
    );
    // The same for a name that nobody has.
    for last in 0..12 {
        let from = IpAddr::from([10, 0, 1, last]);
        let refused = try_from(&rig, from, "Nobody", "not her password", "123456").await;
        assert_eq!(refused.status(), refusals[usize::from(last)]);
    }
    let far = IpAddr::from([10, 0, 2, 1]);
    let good = try_from(&rig, far, "Ann", PASSWORD, &recovery[0]).await;
    assert_eq!(good.status(), StatusCode::TOO_MANY_REQUESTS);
    // Where she has been before, she is in at once.
    let good = sign_in(&rig, "Ann", PASSWORD, &app.code(0)).await;
    assert_eq!(good.status(), StatusCode::NO_CONTENT);
    rig.person("Ann", StaffRole::Unspecified).await;
    let gone = sign_in(&rig, "Ann", PASSWORD, &app.code(1)).await;
    assert_eq!(gone.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_passkeys_alone_are_taken_a_password_opens_nothing() {
    let mut rig = Rig::new().await;
    let (browser, app, _) = ann(&rig).await;
    let stranger = Browser::new(String::new());
    assert_eq!(stranger.get(&rig, "/ways", &[]).await["password"], true);
    rig.sign_in_by(crate::serve::Ways {
        passkey_only: true,
        ..Default::default()
    });
    assert_eq!(stranger.get(&rig, "/ways", &[]).await["password"], false);
    let refused = sign_in(&rig, "Ann", PASSWORD, &app.code(0)).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    let refused = browser.post(&rig, "/password/new", &json!({})).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    // Patients have no name to type.
    let rig = Rig::new().await;
    rig.patient("p-own").await;
    let own = Browser::new(rig.signed_in("patient p-own"));
    let refused = own.post(&rig, "/password/new", &json!({})).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
}
