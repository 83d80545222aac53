//! Puts the page's files where the program embeds them from: `$OUT_DIR/page`.
//!
//! With the feature `web` (default) the page is built by npm when `web/dist` is missing or older than its
//! sources. Where npm is absent or fails, the program is built all the same, with a page that says so: gRPC,
//! MQTT and every command work without it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// What the page is made of, below `web/`; `src/gen` is made by its build.
const SOURCES: [&str; 9] = [
    "src",
    "public",
    "index.html",
    "sign-in.html",
    "package.json",
    "package-lock.json",
    "buf.gen.yaml",
    "vite.config.js",
    "tsconfig.json",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it")).join("page");
    let web = root.join("web");
    println!("cargo::rerun-if-changed=build.rs");
    let mut sources = Vec::new();
    for name in SOURCES {
        collect(&web.join(name), &mut sources)?;
    }
    collect(&root.join("../proto/v1"), &mut sources)?;
    for source in &sources {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    let dist = web.join("dist");
    if std::env::var_os("CARGO_FEATURE_WEB").is_some() {
        println!(
            "cargo::rerun-if-changed={}",
            dist.join("index.html").display()
        );
        if let Err(reason) = build_page(&web, &sources) {
            println!("cargo::warning=the page is not built: {reason}");
        }
    }
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    if dist.join("index.html").exists() && std::env::var_os("CARGO_FEATURE_WEB").is_some() {
        return copy(&dist, &out);
    }
    fs::create_dir_all(&out)?;
    for name in ["index.html", "sign-in.html"] {
        fs::write(out.join(name), NO_PAGE)?;
    }
    Ok(())
}

const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>vitaltwin</title>\
<h1>This centre was built without its page</h1>\
<p>gRPC, MQTT and all commands work. For the page, install Node.js 20.19 or newer with npm and build again.</p>\
<p>Research software, not a medical device.</p></html>";

/// Files below `path`, without what the page's own build makes.
fn collect(path: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        if path.ends_with("src/gen") {
            return Ok(());
        }
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            collect(&entry.path(), into)?;
        }
    } else if path.exists() {
        into.push(path.to_owned());
    }
    Ok(())
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn is_fresh(web: &Path, sources: &[PathBuf]) -> bool {
    let newest = sources.iter().filter_map(|source| changed(source)).max();
    changed(&web.join("dist/index.html")).is_some_and(|built| Some(built) >= newest)
}

/// Builds `web/dist` unless it is newer than its sources.
fn build_page(web: &Path, sources: &[PathBuf]) -> Result<(), String> {
    if is_fresh(web, sources) {
        return Ok(());
    }
    // Two builds at once (another target directory, an editor) must not tread on each other's node_modules.
    let lock = File::create(web.join(".build.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if is_fresh(web, sources) {
        return Ok(());
    }
    let installed = changed(&web.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < changed(&web.join("package-lock.json")) {
        npm(web, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])?;
    }
    npm(web, &["run", "build"])
}

fn npm(web: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).current_dir(web).output().map_err(|error| {
        format!("npm cannot be run ({error}); install Node.js 20.19 or newer, or build with --no-default-features")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let tail = lines[lines.len().saturating_sub(12)..].join(" | ");
    Err(format!("`npm {}` failed: {tail}", arguments.join(" ")))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
