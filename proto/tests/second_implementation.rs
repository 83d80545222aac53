//! The seal against its test vectors, and against a second implementation in Python, both ways.
//!
//! The files below never change: sealed data out there looks like this for decades. To make the file of a *new*
//! format version, write its name below and run with `VITALTWIN_BLESS=1`; an existing file is never
//! overwritten.

mod common;
#[path = "common/vectors.rs"]
mod vectors;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use vectors::{check, hex, list, unhex};
use vitaltwin_proto::seal::PatientSecret;

/// Records as of the first version, and with deflated bodies among them.
const FILES: [&str; 2] = ["seal-v1.json", "seal-v1-deflated.json"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn patient_of(vector: &Value) -> PatientSecret {
    PatientSecret::from_slice(&unhex(&vector["patient_private"])).expect("an X25519 key")
}

fn write(path: &Path, vectors: &Value) {
    let text = serde_json::to_string_pretty(vectors).expect("JSON");
    std::fs::write(path, text + "\n").expect("the folder is writable");
}

/// `None`, and said so, where Python or its package is absent.
fn python(arguments: &[&str]) -> Option<Output> {
    let fine = |output: &Output| output.status.success();
    let present = Command::new("python3")
        .args(["-c", "import cryptography"])
        .output();
    if !present.as_ref().is_ok_and(fine) {
        println!(
            "skipped: python3 with the package `cryptography` is absent (`tests/run install` installs it)"
        );
        return None;
    }
    let output = Command::new("python3")
        .arg(folder().join("check.py"))
        .args(arguments)
        .output();
    let output = output.expect("python3 was there just now");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(fine(&output), "check.py {arguments:?}: {errors}");
    Some(output)
}

#[test]
fn the_vectors_of_version_1_open_for_ever() {
    for name in FILES {
        opens_for_ever(&folder().join(name));
    }
}

fn opens_for_ever(path: &Path) {
    if std::env::var_os("VITALTWIN_BLESS").is_some() && !path.exists() {
        write(path, &vectors::make());
    }
    let text = std::fs::read_to_string(path).expect("the vectors are checked in");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&file["format"], &file["version"]),
        (&"vitaltwin seal vectors".into(), &1.into())
    );
    let counts = list(&file["vectors"])
        .iter()
        .map(|vector| check(vector, &patient_of(vector)));
    let (opened, refused) = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    assert!(
        opened >= 8 && refused >= 40,
        "{opened} opened, {refused} refused: the file was cut"
    );
}

#[test]
fn python_opens_what_rust_sealed() {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let fresh = scratch.path().join("fresh.json");
    let mut made = vectors::make();
    write(&fresh, &made);
    let files = FILES.map(|name| folder().join(name));
    for path in files.into_iter().chain([fresh.clone()]) {
        let Some(output) = python(&["open", &path.to_string_lossy()]) else {
            return;
        };
        assert!(String::from_utf8_lossy(&output.stdout).contains("2 contexts: 8 records opened"));
    }
    // The control: a second implementation that takes everything would prove nothing.
    made["vectors"][0]["batch_key"] = made["vectors"][1]["batch_key"].clone();
    write(&fresh, &made);
    let output = Command::new("python3")
        .arg(folder().join("check.py"))
        .arg("open")
        .arg(&fresh)
        .output();
    assert!(!output.expect("python3 was there just now").status.success());
}

#[test]
fn rust_opens_what_python_sealed() {
    let patient = PatientSecret::generate();
    let Some(output) = python(&["make", &hex(&patient.public().0)]) else {
        return;
    };
    let file: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let opened: usize = list(&file["vectors"])
        .iter()
        .map(|vector| check(vector, &patient).0)
        .sum();
    assert_eq!(opened, 12);
}
