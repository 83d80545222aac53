//! The generated code is checked in, and this test says when it no longer matches `proto/v1/*.proto`.
//!
//! To regenerate: `VITALTWIN_BLESS=1 cargo test -p vitaltwin-proto --test generated`.

use std::path::{Path, PathBuf};

const FILES: [&str; 14] = [
    "v1/alert.proto",
    "v1/batch.proto",
    "v1/context.proto",
    "v1/enrolment.proto",
    "v1/fleet.proto",
    "v1/history.proto",
    "v1/operator.proto",
    "v1/platform.proto",
    "v1/roster.proto",
    "v1/rules.proto",
    "v1/scoreboard.proto",
    "v1/twin.proto",
    "v1/uplink.proto",
    "v1/vitals.proto",
];

fn generate(into: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root]).expect("proto/ is readable");
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES).expect("the contract compiles");
    let descriptors = compiler.encode_file_descriptor_set();
    std::fs::write(into.join("descriptors.bin"), descriptors).expect("output is writable");
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .out_dir(into)
        .compile_fds(compiler.file_descriptor_set())
        .expect("code generation works");
}

#[test]
fn generated_code_matches_the_contract() {
    let checked_in = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let fresh = tempfile::tempdir().expect("a temporary directory");
    generate(fresh.path());
    for name in ["vitaltwin.v1.rs", "descriptors.bin"] {
        let new = std::fs::read(fresh.path().join(name)).expect("just generated");
        if std::env::var_os("VITALTWIN_BLESS").is_some() {
            std::fs::write(checked_in.join(name), &new).expect("src/generated is writable");
        }
        let old = std::fs::read(checked_in.join(name)).unwrap_or_default();
        assert!(
            old == new,
            "src/generated/{name} is out of date: run with VITALTWIN_BLESS=1"
        );
    }
}
