//! Another site's page cannot spend the session of whoever is signed in here (CSRF): not on a route of the page, not on a method
//! of the contract.

use super::*;
use crate::gate;
use crate::serve::guard::kind_of;

/// What browsers send of a page that is not this centre's, the older ones last.
const FOREIGN: [(&str, &str); 5] = [
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-site", "same-site"),
    ("sec-fetch-site", "none"),
    ("origin", "https://evil.example"),
    ("origin", "null"),
];

#[tokio::test]
async fn csrf_no_route_that_changes_anything_takes_it_from_another_site() {
    let rig = Rig::new().await;
    rig.person("Ann", StaffRole::Supervisor).await;
    let cookie = rig.signed_in("Ann");
    let position = rig.journal.status().position;
    let mut swept = 0;
    for (method, path) in super::super::page::ROUTES {
        if method == Method::GET {
            continue;
        }
        for foreign in FOREIGN {
            let headers = [("cookie", cookie.as_str()), foreign];
            let answer = rig
                .ask(request(method.clone(), path, &headers, "{}"), None)
                .await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {foreign:?}");
            let set = answer.headers().contains_key(header::SET_COOKIE);
            assert!(!set, "{path} {foreign:?}");
        }
        swept += 1;
    }
    assert!(swept > 15, "routes that change something: {swept}");
    assert_eq!(rig.journal.status().position, position, "nothing was done");
    let own = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
    ];
    let session = rig.ask(request(Method::GET, "/session", &own, ""), None);
    assert_eq!(session.await.status(), StatusCode::OK, "still signed in");
    // Control: the own page does the same.
    let out = rig
        .ask(request(Method::POST, "/sign-out", &own, ""), None)
        .await;
    assert_eq!(out.status(), StatusCode::SEE_OTHER);
    let session = rig.ask(request(Method::GET, "/session", &own, ""), None);
    assert_eq!(session.await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn csrf_no_method_of_the_contract_takes_a_session_from_another_origin() {
    let rig = Rig::new().await;
    rig.person("Ann", StaffRole::Supervisor).await;
    let cookie = rig.signed_in("Ann");
    let cookie = ("cookie", cookie.as_str());
    let call = async |path: &str, wire, headers: &[(&str, &str)]| {
        rig.call_raw(path, &[], wire, None, headers).await.0
    };
    for path in contract_methods() {
        for evil in ["https://evil.example", "https://centre:8444", "null"] {
            let code = call(&path, Wire::Web, &[cookie, ("origin", evil)]).await;
            assert_eq!(code, Code::PermissionDenied, "{path} {evil}");
        }
        // Without an origin, and on the wire of programs, the cookie is no proof of anybody.
        let open = matches!(
            kind_of(&path),
            Some(gate::Kind::Enrolment | gate::Kind::Contract)
        );
        if !open {
            for wire in [Wire::Web, Wire::Native] {
                let code = call(&path, wire, &[cookie]).await;
                assert_eq!(code, Code::Unauthenticated, "{path}");
            }
        }
    }
    // Control: from the own page it is Ann.
    let list = "/vitaltwin.v1.TwinService/List";
    let own = [cookie, PAGE_ORIGIN];
    assert_eq!(call(list, Wire::Web, &own).await, Code::Ok);
}
