//! The rules of the house, as tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_path_buf()
}

/// Every Rust file that people wrote, as (path from the root, text).
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !["target", "node_modules", "generated", "dist", ".git"].contains(&name.as_str())
                {
                    walk(&path, root, found);
                }
            } else if name.ends_with(".rs") {
                let relative = path
                    .strip_prefix(root)
                    .expect("below the root")
                    .to_string_lossy()
                    .into_owned();
                found.push((
                    relative,
                    std::fs::read_to_string(&path).expect("Rust source is UTF-8"),
                ));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found.sort();
    assert!(
        found.len() > 40,
        "the walk found only {} files",
        found.len()
    );
    found
}

/// The part of a file before its inline tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// The compiler does not look into comments.
#[test]
fn no_merge_was_left_half_done() {
    let mut texts = sources();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "proto/SEAL.md",
    ] {
        let text = std::fs::read_to_string(root().join(name)).expect("a document");
        texts.push((name.into(), text));
    }
    let (ours, theirs) = ("<".repeat(7), ">".repeat(7));
    let half = |text: &str| {
        text.lines()
            .any(|line| line.starts_with(&ours) || line.starts_with(&theirs))
    };
    assert!(half(&format!("{ours} HEAD")), "control");
    let left: Vec<_> = texts
        .into_iter()
        .filter(|(_, text)| half(text))
        .map(|(p, _)| p)
        .collect();
    assert!(left.is_empty(), "conflict markers in {left:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(p, _)| p)
        .collect();
    assert!(
        silent.is_empty(),
        "files that do not start with `//!`: {silent:#?}"
    );
}

/// Files above 600 net lines that have a good reason; the list ideally only shrinks.
const LONG_FILES: [(&str, &str); 0] = [];

#[test]
fn files_stay_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"))
        .filter(|(path, _)| !LONG_FILES.iter().any(|(allowed, _)| allowed == path))
        .map(|(path, text)| (without_tests(&text).lines().count(), path))
        .filter(|(lines, _)| *lines > 600)
        .collect();
    assert!(
        long.is_empty(),
        "files above 600 lines without their tests: {long:#?}"
    );
}

/// A foreign crate that could spread, and the only files (by prefix) that may name it.
const ADAPTERS: [(&str, &[&str]); 15] = [
    (
        "btleplug",
        &["agent/src/ble/btleplug", "firmware-sim/tests/", "tests/"],
    ),
    ("sled", &["agent/src/outbox/store", "tests/"]),
    ("hpke", &["proto/src/seal/crypto.rs"]),
    (
        "rusqlite",
        &[
            "aggregator/src/history/store",
            "aggregator/src/journal/store",
            "aggregator/src/snapshot/store",
            "aggregator/src/vault/store",
        ],
    ),
    ("pco", &["aggregator/src/history/column.rs"]),
    (
        "rcgen",
        &[
            "proto/tests/",
            "aggregator/src/ca",
            "agent/src/identity.rs",
            "agent/src/app/tests.rs",
            "agent/src/enrol.rs",
            "tests/",
        ],
    ),
    ("lettre", &["aggregator/src/channel/mail.rs"]),
    (
        "opentelemetry",
        &["aggregator/src/traces.rs", "tests/e2e/traces.rs"],
    ),
    ("opentelemetry_sdk", &["aggregator/src/traces.rs"]),
    ("opentelemetry_otlp", &["aggregator/src/traces.rs"]),
    ("opentelemetry_proto", &["tests/e2e/traces.rs"]),
    ("jsonwebtoken", &["aggregator/src/serve/provider/token"]),
    ("argon2", &["aggregator/src/serve/password.rs"]),
    ("zbus", &["firmware-sim/"]),
    ("dbus", &["agent/src/ble/bluez"]),
];

#[test]
fn foreign_crates_stay_behind_their_adapter() {
    let mut strays = BTreeMap::<&str, Vec<String>>::new();
    for (path, text) in sources() {
        for (name, homes) in ADAPTERS {
            // Our own adapter module may be called like the crate.
            let text = text.replace(&format!("ble::{name}"), "ble::adapter");
            let named = without_tests(&text)
                .lines()
                .map(str::trim_start)
                .any(|line| {
                    !line.starts_with("//")
                        && (line.contains(&format!("{name}::"))
                            || line.contains(&format!("use {name}")))
                });
            if named && !homes.iter().any(|home| path.starts_with(home)) {
                strays.entry(name).or_default().push(path.clone());
            }
        }
    }
    assert!(
        strays.is_empty(),
        "foreign crates named outside their adapter: {strays:#?}"
    );
}

#[test]
fn pure_crates_stay_pure() {
    for manifest in ["proto/vitals/Cargo.toml", "aggregator/twin/Cargo.toml"] {
        let text = std::fs::read_to_string(root().join(manifest)).expect("the manifest");
        let dependencies = text
            .split("[dependencies]")
            .nth(1)
            .expect("a dependency table");
        let dependencies = dependencies.split("\n[").next().unwrap_or(dependencies);
        for line in dependencies
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        {
            assert!(
                ["vitals.", "libm."]
                    .iter()
                    .any(|allowed| line.starts_with(allowed)),
                "{manifest} may depend on vitals and libm only, not `{line}`"
            );
        }
    }
    for (path, text) in sources() {
        if path.starts_with("proto/vitals/src") || path.starts_with("aggregator/twin/src") {
            for word in [
                "Instant::now",
                "SystemTime",
                "HashMap",
                "std::fs",
                "std::net",
            ] {
                assert!(
                    !without_tests(&text).contains(word),
                    "{path} is pure and must not use {word}"
                );
            }
        }
    }
}

/// The crates of the house, as manifests name them, and which of them each may depend on. Tests may also use
/// the simulator; the agent and the aggregator know each other nowhere.
const DIRECTION: [(&str, &[&str]); 9] = [
    ("proto/vitals", &[]),
    ("proto", &["vitals"]),
    ("aggregator/twin", &["vitals"]),
    ("firmware-sim/firmware", &["vitals"]),
    ("firmware-sim", &["vitals", "proto", "firmware"]),
    // The agent runs the twin's rules by itself while the centre is silent.
    ("agent", &["vitals", "proto", "twin"]),
    ("agent/webpki-shim", &[]),
    ("aggregator", &["vitals", "proto", "twin"]),
    (
        "tests",
        &[
            "vitals",
            "proto",
            "twin",
            "firmware",
            "firmware-sim",
            "vitaltwin-agent",
            "vitaltwin-aggregator",
        ],
    ),
];

/// House crates that a manifest names, as (table, crate).
fn house_crates(manifest: &str) -> Vec<(String, String)> {
    let house = DIRECTION[8].1;
    let mut table = String::new();
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if table.ends_with("dependencies") && house.contains(&name) {
            found.push((table.clone(), name.to_owned()));
        }
    }
    found
}

#[test]
fn crates_depend_one_way() {
    for (folder, allowed) in DIRECTION {
        let path = root().join(folder).join("Cargo.toml");
        let text = std::fs::read_to_string(&path).expect("a manifest in each folder of the list");
        for (table, name) in house_crates(&text) {
            let for_tests = table == "dev-dependencies" && name.starts_with("firmware");
            assert!(
                allowed.contains(&name.as_str()) || for_tests,
                "{folder}/Cargo.toml [{table}] must not name {name}"
            );
        }
    }
    // The check sees what it looks for.
    let wrong =
        house_crates("[dependencies]\nserde.workspace = true\nvitaltwin-agent = { path = \"\" }");
    assert_eq!(
        wrong,
        [("dependencies".to_owned(), "vitaltwin-agent".to_owned())]
    );
}

#[test]
fn files_that_call_themselves_pure_are() {
    const IMPURE: [&str; 8] = [
        "tokio::",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "SystemTime",
        "Instant::",
    ];
    let uses = |text: &str| {
        let code = |line: &&str| !line.trim_start().starts_with("//");
        let of_code: Vec<&str> = without_tests(text).lines().filter(code).collect();
        let of_code = of_code.join("\n");
        IMPURE.into_iter().find(|word| of_code.contains(word))
    };
    let mut pure = 0;
    for (path, text) in sources() {
        let says = text
            .lines()
            .next()
            .is_some_and(|line| line.contains("PURE"));
        let of_a_pure_folder = path.starts_with("agent/src/core/") && !path.ends_with("tests.rs");
        if says || of_a_pure_folder {
            pure += 1;
            assert_eq!(uses(&text), None, "{path} calls itself PURE");
        }
    }
    assert!(pure > 12, "only {pure} files call themselves PURE");
    assert_eq!(uses("//! PURE\nuse std::fs::File;"), Some("std::fs"));
}

#[test]
fn only_the_clock_reads_the_clock() {
    let readers: Vec<_> = sources()
        .into_iter()
        .filter(|(path, text)| {
            path != "proto/src/clock.rs"
                && !path.starts_with("tests/")
                && without_tests(text).contains("SystemTime::now")
        })
        .map(|(path, _)| path)
        .collect();
    assert!(
        readers.is_empty(),
        "read time through proto::clock::Clock: {readers:#?}"
    );
}

#[test]
fn no_test_is_switched_off_and_no_work_is_left_as_a_macro() {
    let words = [
        concat!("#[ign", "ore"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
    ];
    for (path, text) in sources() {
        for word in words {
            assert!(!text.contains(word), "{path} holds `{word}`");
        }
    }
}

#[test]
fn architecture_matches_the_tree() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (path, _) in sources() {
        let mut parts = path.split("/src/");
        let (Some(owner), Some(rest)) = (parts.next(), parts.next()) else {
            continue;
        };
        let Some((room, _)) = rest.split_once('/') else {
            continue;
        };
        if room == "bin" {
            continue;
        }
        let name = format!("{owner}/src/{room}");
        assert!(
            text.contains(&format!("`{name}`")),
            "ARCHITECTURE.md does not tell of `{name}`"
        );
    }
    // Every path that the code map names exists.
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let path = line
            .trim_start_matches("| `")
            .split('`')
            .next()
            .unwrap_or_default();
        assert!(
            root().join(path).exists(),
            "ARCHITECTURE.md tells of {path}, which does not exist"
        );
    }
}
