//! The firmware and all it depends on do without the standard library.

use std::process::{Command, Output};

fn check(features: &str) -> Output {
    Command::new(env!("CARGO"))
        .args([
            "check",
            "--quiet",
            "--offline",
            "--package",
            "firmware",
            "--example",
            "no_std",
        ])
        .args(["--features", features])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts")
}

#[test]
fn builds_without_std_and_the_check_can_fail() {
    let without = check("no-std-gate");
    assert!(
        without.status.success(),
        "{}",
        String::from_utf8_lossy(&without.stderr)
    );
    let with = check("no-std-gate,use-std");
    let said = String::from_utf8_lossy(&with.stderr);
    assert!(
        !with.status.success() && said.contains("E0152"),
        "the control must not build: {said}"
    );
}
