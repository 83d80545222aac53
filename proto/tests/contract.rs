//! The contract for those who program against it: its reference says what the `.proto` files say, and nothing that was
//! released is broken.
//!
//! `VITALTWIN_BLESS=1 cargo test -p vitaltwin-proto --test contract` writes `API.md` anew. `released.binpb` is what the newest
//! release promised; it is made anew with a release only (`CHANGELOG.md` has the command).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor,
    MessageDescriptor, MethodDescriptor,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn contract() -> DescriptorPool {
    let mut compiler = protox::Compiler::new([root()]).expect("proto/ is readable");
    compiler.include_source_info(true);
    let files = std::fs::read_dir(root().join("v1")).expect("proto/v1");
    let mut files: Vec<String> = files
        .map(|file| format!("v1/{}", file.expect("a name").file_name().to_string_lossy()))
        .collect();
    files.sort();
    compiler.open_files(files).expect("the contract compiles");
    compiler.descriptor_pool()
}

/// What stands above something in its file, as one line.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let places = info
        .map(|info| info.location.as_slice())
        .unwrap_or_default();
    let place = places.iter().find(|place| place.path == path);
    let text = place
        .map(|place| place.leading_comments())
        .unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

/// A type with a link to where it stands.
fn linked(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn kind(field: &FieldDescriptor) -> String {
    let kind = field.kind();
    let one = if let Some(message) = kind.as_message() {
        linked(message.name())
    } else if let Some(values) = kind.as_enum() {
        linked(values.name())
    } else {
        format!("{kind:?}").to_lowercase()
    };
    match field.cardinality() {
        Cardinality::Repeated => format!("list of {one}"),
        Cardinality::Optional
            if field.supports_presence()
                && field
                    .containing_oneof()
                    .is_none_or(|one| one.is_synthetic()) =>
        {
            format!("{one}, may be absent")
        }
        Cardinality::Optional | Cardinality::Required => match field.containing_oneof() {
            Some(of) if !of.is_synthetic() => format!("{one}; one of `{}`", of.name()),
            Some(_) | None => one,
        },
    }
}

fn method(text: &mut String, file: &FileDescriptor, method: &MethodDescriptor) {
    let stream = |yes| if yes { "stream of " } else { "" };
    writeln!(
        text,
        "| `{}` | {}{} | {}{} | {} |",
        method.name(),
        stream(method.is_client_streaming()),
        linked(method.input().name()),
        stream(method.is_server_streaming()),
        linked(method.output().name()),
        comment(file, method.path()),
    )
    .expect("a string");
}

fn message(text: &mut String, file: &FileDescriptor, message: &MessageDescriptor) {
    let said = comment(file, message.path());
    write!(text, "\n### {}\n\n{said}\n", message.name()).expect("a string");
    if message.fields().len() > 0 {
        text.push_str("\n| number | field | type | |\n|---|---|---|---|\n");
    }
    for field in message.fields() {
        let (number, name, said) = (field.number(), field.name(), comment(file, field.path()));
        writeln!(text, "| {number} | `{name}` | {} | {said} |", kind(&field)).expect("a string");
    }
    for inner in message.child_messages() {
        self::message(text, file, &inner);
    }
    for inner in message.child_enums() {
        values(text, file, &inner);
    }
}

fn values(text: &mut String, file: &FileDescriptor, of: &EnumDescriptor) {
    let said = comment(file, of.path());
    write!(
        text,
        "\n### {}\n\n{said}\n\n| number | value | |\n|---|---|---|\n",
        of.name()
    )
    .expect("a string");
    for value in of.values() {
        let said = comment(file, value.path());
        writeln!(text, "| {} | `{}` | {said} |", value.number(), value.name()).expect("a string");
    }
}

#[test]
fn the_reference_says_what_the_contract_says() {
    let mut text = String::from(
        "# The contract\n\nGenerated from `proto/v1`; `proto/tests/contract.rs` keeps it true. All of it is gRPC over TLS 1.3 with \
         certificates of both sides; what a caller may do is decided by its certificate (`aggregator/src/gate.rs`).\n",
    );
    for file in contract()
        .files()
        .filter(|file| file.package_name() == "vitaltwin.v1")
    {
        write!(text, "\n## {}\n\n{}\n", file.name(), comment(&file, &[2])).expect("a string");
        for service in file.services() {
            let said = comment(&file, service.path());
            write!(
                text,
                "\n### {}\n\n{said}\n\n| method | takes | gives | |\n|---|---|---|---|\n",
                service.name()
            )
            .expect("a string");
            for one in service.methods() {
                method(&mut text, &file, &one);
            }
        }
        for one in file.messages() {
            message(&mut text, &file, &one);
        }
        for one in file.enums() {
            values(&mut text, &file, &one);
        }
    }
    let path = root().join("API.md");
    if std::env::var_os("VITALTWIN_BLESS").is_some() {
        std::fs::write(&path, &text).expect("proto/ is writable");
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        old == text,
        "API.md is out of date: run with VITALTWIN_BLESS=1"
    );
}

fn breaking(contract: &Path) -> Option<Output> {
    let buf = root().join("../tests/platform/typescript/node_modules/.bin/buf");
    if !buf.exists() {
        println!(
            "skipped: {} is absent: run `tests/run install`",
            buf.display()
        );
        return None;
    }
    let mut check = Command::new(buf.canonicalize().expect("it exists"));
    check
        .args(["breaking", ".", "--against"])
        .arg(root().join("released.binpb"));
    check.args([
        "--config",
        r#"{"version":"v2","breaking":{"use":["WIRE_JSON"]}}"#,
    ]);
    Some(check.current_dir(contract).output().expect("buf runs"))
}

#[test]
fn nothing_that_was_released_is_broken() {
    let Some(said) = breaking(&root()) else {
        return;
    };
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        said.status.success(),
        "this breaks those who program against the contract:\n{text}"
    );
    // The control: another type under an old number.
    let other = tempfile::tempdir().expect("a folder");
    let v1 = other.path().join("v1");
    std::fs::create_dir(&v1).expect("a folder");
    for file in std::fs::read_dir(root().join("v1")).expect("proto/v1") {
        let file = file.expect("a name").path();
        let text = std::fs::read_to_string(&file).expect("readable");
        let text = text.replace("string condition = 3;", "int64 condition = 3;");
        std::fs::write(v1.join(file.file_name().expect("a name")), text).expect("writable");
    }
    let said = breaking(other.path()).expect("it was there");
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        !said.status.success() && text.contains("changed type"),
        "{text}"
    );
}
