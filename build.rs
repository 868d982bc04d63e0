//! Tells the program what it is built from, for `teams_rooms_exporter_build_info`.

use std::process::Command;

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts in environment variables")]
fn main() {
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-env-changed=TEAMS_ROOMS_EXPORTER_REVISION");
    let revision = std::env::var("TEAMS_ROOMS_EXPORTER_REVISION").ok();
    let revision = revision.or_else(|| output("git", &["rev-parse", "--short=12", "HEAD"]));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = output(&rustc, &["--version"]).and_then(|line| Some(line.split(' ').nth(1)?.to_owned()));
    tell("REVISION", revision);
    tell("RUSTVERSION", version);
    tell("TARGET", std::env::var("TARGET").ok());
}

/// The first line that a command prints; nothing where it does not run, as without git.
fn output(command: &str, arguments: &[&str]) -> Option<String> {
    let output =
        Command::new(command).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn tell(name: &str, value: Option<String>) {
    println!("cargo:rustc-env=TEAMS_ROOMS_EXPORTER_{name}={}", value.unwrap_or_else(|| "unknown".to_owned()));
}
