//! The binary as a process, over sockets: arguments, exit codes, signals, logs, and what it never prints.
//!
//! No program sees the environment of the test run. Whatever a program prints is searched for the secret at its end.

#![expect(clippy::panic, reason = "what waits for a program ends the test that waits")]

use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::json;
use teams_rooms_exporter::clock::Clock;
use teams_rooms_exporter::commands::check;
use teams_rooms_exporter::model::Timestamp;
use teams_rooms_exporter::sim::{CLIENT_ID, CLIENT_SECRET, IDENTITY_HEADER, Sim, TENANT_ID};

use crate::exporter::{config, parse, start_tenant, tenant};
use crate::pki::{TLS, WebFolder};

/// How long a program is waited for; far more than it takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running program; it is killed if the test ends before it.
pub(crate) struct Program {
    child: Child,
    line: String,
    out: Stream,
    err: Stream,
    /// `simulate` tells the secret of its tenant on purpose.
    tells_secret: bool,
}

/// What a program prints, line by line, as another thread reads it.
struct Stream {
    lines: Receiver<String>,
    /// All that has been taken from `lines`.
    text: String,
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    fn start(line: &str) -> Self {
        Self::start_in(line, &[])
    }

    pub(crate) fn start_in(line: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_teams-rooms-exporter"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null());
        Self::spawn(command, line)
    }

    /// As systemd starts it: with a socket as descriptor 3, which only the process may use that is meant.
    fn start_with(socket: TcpListener, line: &str, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        let script = format!(
            "LISTEN_PID=$$ LISTEN_FDS=1 exec {} {line} 3<&0",
            env!("CARGO_BIN_EXE_teams-rooms-exporter")
        );
        command.args(["-c", &script]).env_clear().envs(environment.iter().copied());
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
        Self::spawn(command, line)
    }

    fn spawn(mut command: Command, line: &str) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let out = Stream::of(child.stdout.take().expect("piped"));
        let err = Stream::of(child.stderr.take().expect("piped"));
        Self { child, line: line.to_owned(), out, err, tells_secret: line.starts_with("simulate") }
    }

    /// The configuration that `simulate` prints.
    fn settings(&mut self) -> Settings {
        self.out.wait_for(&["break something"]);
        let lines = self.out.text.lines().skip_while(|line| !line.starts_with("tenants:"));
        let file: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        Settings::new(&file.join("\n"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("a shell").success(), "`{}` is not there to get a {name}", self.line);
    }

    /// Waits until it has ended, and searches what it printed.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        for stream in [&mut self.out, &mut self.err] {
            while stream.next(deadline).unwrap_or_else(|error| panic!("`{}`: {error}", self.line)).is_some() {
            }
        }
        let code = self.child.wait().expect("it was started").code();
        let (out, err) = (std::mem::take(&mut self.out.text), std::mem::take(&mut self.err.text));
        for secret in [CLIENT_SECRET, IDENTITY_HEADER] {
            let may = self.tells_secret && secret == CLIENT_SECRET;
            assert!(may || !out.contains(secret), "`{}` prints a secret:\n{out}", self.line);
            assert!(!err.contains(secret), "`{}` prints a secret:\n{err}", self.line);
        }
        Ended { code, out, err }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Stream {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { lines, text: String::new() }
    }

    /// The next line; none at the end of the stream.
    fn next(&mut self, deadline: Instant) -> Result<Option<String>, String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.text.push_str(&line);
                self.text.push('\n');
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(format!("nothing more comes after:\n{}", self.text)),
        }
    }

    /// Waits for a line that contains all of `parts`.
    #[track_caller]
    fn wait_for(&mut self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next(deadline) {
                Ok(Some(line)) if parts.iter().all(|part| line.contains(part)) => return line,
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without {parts:?}:\n{}", self.text),
                Err(error) => panic!("{parts:?} is awaited: {error}"),
            }
        }
    }
}

/// Runs to the end; the code is checked, for it is what scripts see.
#[track_caller]
pub(crate) fn run(line: &str, code: i32) -> Ended {
    let ended = Program::start(line).end();
    assert_eq!(ended.code, Some(code), "`{line}`:\n{}{}", ended.out, ended.err);
    ended
}

#[track_caller]
pub(crate) fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// A configuration file in a folder of its own, which goes with it.
pub(crate) struct Settings {
    folder: tempfile::TempDir,
}

impl Settings {
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("exporter.yaml"), text).expect("written");
        Self { folder }
    }

    /// One tenant at `root`.
    fn tenant(root: &str, secret: &str) -> Self {
        Self::new(&format!(
            "tenants:\n  - name: contoso\n    tenant_id: {TENANT_ID}\n    client_id: {CLIENT_ID}\n    \
             auth: {{ client_secret: {secret} }}\n    cloud: {{ authority: {root}, graph: {root} }}\n"
        ))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("exporter.yaml")
    }

    /// `command` with this file.
    pub(crate) fn line(&self, command: &str) -> String {
        format!("{command} --config.file {}", self.path().display())
    }
}

/// Status and body. Sockets alone, so that nothing else takes part.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP response");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, body.to_owned())
}

/// Status of a push.
fn post(address: &str, path: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in text");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

/// The address that `demo` prints.
fn address_of(demo: &mut Program) -> String {
    let line = demo.out.wait_for(&["simulated rooms:  http://"]);
    let url = line.rsplit_once("http://").expect("the line has it").1;
    url.trim_end_matches('/').replace("localhost", "127.0.0.1")
}

#[test]
fn help_and_version_are_no_errors() {
    let version = run("--version", 0).out;
    let revision =
        version.strip_prefix(concat!("teams-rooms-exporter ", env!("CARGO_PKG_VERSION"), " (revision "));
    assert!(revision.is_some_and(|revision| revision.ends_with(")\n")), "{version}");
    let help = run("--help", 0);
    contains(&help.out, &["demo", "check", "--config.file", "--web.listen-address", "--storage.path"]);
    assert!(help.err.is_empty(), "{}", help.err);
}

#[test]
fn shells_and_manuals_know_every_command() {
    for (shell, begins) in
        [("bash", "complete -F _teams__rooms__exporter"), ("zsh", "#compdef teams-rooms-exporter")]
    {
        contains(&run(&format!("completions {shell}"), 0).out, &[begins, "healthcheck", "--web.config.file"]);
    }
    contains(&run("completions fish", 0).out, &["complete -c teams-rooms-exporter", "healthcheck"]);
    let folder = tempfile::tempdir().expect("a folder");
    run(&format!("man {}", folder.path().display()), 0);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a page");
    contains(
        &page("teams-rooms-exporter.1"),
        &[".TH teams-rooms-exporter 1", "Examples:", "\\-\\-storage.path"],
    );
    contains(&page("teams-rooms-exporter-check.1"), &["\\-\\-no\\-secrets"]);
    contains(&run("man /nowhere", 1).err, &["cannot write to /nowhere"]);
}

#[test]
fn misuse_ends_with_2_and_says_what_to_write() {
    let unknown = run("--web.listen-adress=:1", 2);
    contains(&unknown.err, &["--web.listen-adress", "--web.listen-address"]);
    assert!(unknown.out.is_empty(), "{}", unknown.out);
    contains(&run("serve", 2).err, &["AZURE_TENANT_ID", "AZURE_CLIENT_SECRET_FILE", "--config.file", "demo"]);
    contains(&run("check", 2).err, &["no tenant is configured"]);
    contains(&run("serve --config.file /nowhere.yaml", 2).err, &["/nowhere.yaml"]);
    contains(&run("demo --fault thottle", 2).err, &["--fault", "thottle", "known are throttle"]);
    contains(&run("demo --web.listen-address here", 2).err, &["--web.listen-address", "`here`", ":10064"]);
    contains(&run("demo --intake.listen-address here", 2).err, &["--intake.listen-address", "`here`"]);
    contains(&run("simulate --listen-address here", 2).err, &["--listen-address", "`here`"]);
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let settings = Settings::new("tenants:\n  - name: contoso\n    tenant: x\n");
    let place = format!("{}:3:", settings.path().display());
    contains(&run(&settings.line("serve"), 2).err, &[&place, "`tenant`", "did you mean `tenant_id`"]);
}

#[test]
fn secrets_do_not_leave_the_machine_unencrypted() {
    let settings = Settings::tenant("http://graph.example", CLIENT_SECRET);
    for command in ["serve", "check", "rooms"] {
        contains(&run(&settings.line(command), 2).err, &["plain http", "graph.example", "use https"]);
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_the_cure() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let ended = run(&format!("demo --rooms 2 --web.listen-address {address}"), 1);
    contains(&ended.err, &[&address.to_string(), "--web.listen-address takes another port"]);
    let ended =
        run(&format!("demo --rooms 2 --web.listen-address 127.0.0.1:0 --intake.listen-address {address}"), 1);
    contains(&ended.err, &[&address.to_string(), "--intake.listen-address takes another port"]);
    let ended = run(&format!("simulate --listen-address {address}"), 1);
    contains(&ended.err, &[&address.to_string()]);
}

/// As in `teams-rooms-exporter metrics | head -1`, with a `head` that has already left.
#[test]
fn a_closed_pipe_is_no_error() {
    for line in ["metrics", "metrics --format markdown", "--help"] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_teams-rooms-exporter"));
        command.args(line.split_whitespace()).env_clear().stdin(Stdio::null()).stdout(writer);
        let output = command.stderr(Stdio::piped()).output().expect("the binary starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), err.as_ref()), (Some(0), ""), "{line}");
    }
}

#[test]
fn the_catalogue_prints_as_table_markdown_and_registry() {
    contains(&run("metrics", 0).out, &["teams_rooms_up{tenant}", "gauge, stable"]);
    contains(&run("metrics --format markdown", 0).out, &["| `teams_rooms_up` | gauge | tenant | stable |"]);
    contains(&run("metrics --format weaver", 0).out, &[r#""metric_name": "teams_rooms_up""#]);
}

/// Waits until every source has been tried.
fn wait_until_ready(address: &str) {
    let began = Instant::now();
    while get(address, "/-/ready").0 != 200 {
        assert!(began.elapsed() < PATIENCE, "never ready: {:?}", get(address, "/-/ready"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A scrape that holds every part: blocks are drawn a moment after their source was read.
fn wait_for_metrics(address: &str, path: &str, parts: &[&str]) -> String {
    wait_until(address, path, |metrics| parts.iter().all(|part| metrics.contains(part)))
}

fn wait_until(address: &str, path: &str, expected: impl Fn(&str) -> bool) -> String {
    let began = Instant::now();
    loop {
        let (status, metrics) = get(address, path);
        assert_eq!(status, 200, "{metrics}");
        if expected(&metrics) {
            return metrics;
        }
        assert!(began.elapsed() < PATIENCE, "never as expected:\n{metrics}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn demo_tells_its_address_and_serves_until_it_is_asked_to_stop() {
    for signal in ["TERM", "INT"] {
        let mut demo = Program::start(
            "demo --rooms 12 --speed 0 --web.listen-address 127.0.0.1:0 --log.format json --log.level debug",
        );
        let address = address_of(&mut demo);
        contains(
            &demo.out.wait_for(&["their metrics"]),
            &[&address.replace("127.0.0.1", "localhost"), "/metrics"],
        );
        demo.out.wait_for(&["/_sim/"]);
        demo.err.wait_for(&["\"collector\":\"device_health\"", "\"message\":\"collected\""]);
        wait_until_ready(&address);

        assert_eq!(get(&address, "/-/ready"), (200, "teams-rooms-exporter is ready.\n".to_owned()));
        wait_for_metrics(&address, "/metrics", &["\nteams_rooms_up{tenant=\"demo\"} 1\n"]);
        let rooms =
            |metrics: &str| metrics.lines().filter(|line| line.starts_with("teams_rooms_room_info{")).count();
        let announced = demo.out.text.split(" simulated rooms").next().and_then(|number| number.parse().ok());
        let announced: usize = announced.expect("demo says how many rooms there are");
        assert!(announced > 12, "some are without a device");
        wait_until(&address, "/metrics", |metrics| rooms(metrics) == announced);
        let shown = format!("<b>{announced} rooms</b>");
        contains(&get(&address, "/").1, &["Tenant demo", &shown, "<th>Building</th><th>Owner</th>"]);

        demo.signal(signal);
        let stopping = Instant::now();
        demo.err.wait_for(&["stopping"]);
        let ended = demo.end();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(stopping.elapsed() < Duration::from_secs(9), "longer than container runtimes wait");
        for line in ended.err.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(event["level"].is_string() && event["message"].is_string(), "{line}");
        }
    }
}

/// The first signal waits for a response that nobody takes; who cannot wait sends another.
#[test]
fn a_second_signal_stops_at_once() {
    let mut demo = Program::start("demo --rooms 1500 --speed 0 --web.listen-address 127.0.0.1:0");
    let address = address_of(&mut demo);
    demo.err.wait_for(&["msg=collected", "collector=devices"]);

    // A response of more than the kernel takes off the server's hands stands still once its head is here.
    let stalled = loop {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut head = String::new();
        let mut reader = BufReader::with_capacity(1024, stream);
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: u64 = length.expect("announced").parse().expect("a number");
        if length > largest_buffer() + 2_000_000 {
            break reader;
        }
    };
    demo.signal("TERM");
    demo.err.wait_for(&["msg=\"stopping; a second signal stops at once\""]);
    demo.signal("TERM");
    let ended = demo.end();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    // This is what the exporter says when its patience with such a connection is over.
    assert!(!ended.err.contains("closing connections"), "it waited:\n{}", ended.err);
    drop(stalled);
}

/// How much Linux keeps at most for a socket that sends.
fn largest_buffer() -> u64 {
    let limits = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_wmem").unwrap_or_default();
    limits.split_whitespace().last().and_then(|largest| largest.parse().ok()).unwrap_or(4_194_304)
}

/// The way that `simulate` offers: its configuration in a file, and every command that reads one.
#[test]
fn what_simulate_prints_lets_every_command_read_it() {
    let mut simulate = Program::start("simulate --rooms 7 --speed 0 --listen-address 127.0.0.1:0");
    let settings = simulate.settings();

    let check = run(&settings.line("check"), 0).out;
    contains(&check, &["tenant simulated", "sign-in ok", "ok: 14 records"]);
    assert!(check.ends_with("sources are healthy, 1 finding; see above\n"), "{check}");

    let table = run(&settings.line("rooms"), 0).out;
    assert_eq!(table.lines().count(), 12, "seven rooms and four panels at entrances:\n{table}");
    contains(&table, &["TENANT", "room-"]);
    let csv = run(&settings.line("rooms --csv"), 0).out;
    assert_eq!(csv.lines().next(), Some("tenant,room,room_id,state,in_use,devices,problems"));
    assert!(csv.lines().skip(1).all(|line| line.starts_with("simulated,")), "{csv}");
    assert_eq!(csv.lines().count(), 12, "{csv}");
    let json = run(&settings.line("rooms --json"), 0).out;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    assert_eq!(rows.len(), 11, "{json}");
    assert!(rows.iter().all(|row| row["state"].is_string() && row["room_id"].is_string()), "{json}");

    simulate.signal("TERM");
    let ended = simulate.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
}

/// From a tenant to a capture, and from the capture to a tenant that every command reads.
#[test]
fn a_capture_is_written_once_and_can_be_replayed() {
    let mut simulate = Program::start("simulate --rooms 4 --speed 0 --listen-address 127.0.0.1:0");
    let settings = simulate.settings();
    let directory = settings.folder.path().join("capture").display().to_string();
    let line = settings.line(&format!("check --capture {directory}"));
    let captured = run(&line, 0);
    contains(&captured.out, &["devices         ok", "written: ", &directory, "please share the capture"]);
    assert!(!captured.out.contains("room-"), "no room is named:\n{}", captured.out);
    contains(&run(&line, 1).err, &["--capture", &directory, "it is not empty; name a new directory"]);
    simulate.signal("TERM");
    assert_eq!(simulate.end().code, Some(0));

    let mut replay = Program::start(&format!("simulate --replay {directory} --listen-address 127.0.0.1:0"));
    let settings = replay.settings();
    contains(&replay.out.text, &[" answers of a capture; configuration for the exporter:"]);
    contains(
        &run(&settings.line("check"), 0).out,
        &["credential client_secret expires", "sources are healthy"],
    );
    let table = run(&settings.line("rooms"), 0).out;
    assert!(table.lines().count() > 4 && !table.contains("room-") && !table.contains("contoso"), "{table}");
    replay.signal("TERM");
    assert_eq!(replay.end().code, Some(0));

    let folder = settings.folder.path().display().to_string();
    contains(&run(&format!("simulate --replay {folder}"), 1).err, &["--replay", &folder, "is not a capture"]);
}

/// No file at all: where its authority is one of Microsoft's, the environment is enough.
#[test]
fn a_tenant_of_the_environment_is_checked_before_anything_starts() {
    let mut environment = vec![("AZURE_TENANT_ID", TENANT_ID), ("AZURE_CLIENT_ID", CLIENT_ID)];
    let ended = Program::start_in("serve", &environment).end();
    assert_eq!(ended.code, Some(2));
    contains(&ended.err, &["AZURE_CLIENT_SECRET or AZURE_CLIENT_SECRET_FILE", "is not set"]);
    environment.push(("AZURE_CLIENT_SECRET", CLIENT_SECRET));
    environment.push(("AZURE_AUTHORITY_HOST", "http://login.example"));
    let ended = Program::start_in("serve", &environment).end();
    assert_eq!(ended.code, Some(2));
    contains(&ended.err, &["AZURE_AUTHORITY_HOST", "plain http"]);
}

/// `check` against a tenant with these faults: its exit code, and what its words must have.
#[track_caller]
fn check(sim: &Sim, faults: &[&str], secret: &str, code: i32, words: &[&str]) {
    sim.set_faults(parse(faults));
    let settings = Settings::tenant(&sim.url(), secret);
    let ended = run(&settings.line("check --log.level debug"), code);
    contains(&ended.out, words);
    hides_tokens(sim, &ended);
    assert_eq!(ended.out.contains("not all is well"), code != 0, "{}", ended.out);
}

fn hides_tokens(sim: &Sim, ended: &Ended) {
    for token in sim.tokens() {
        assert!(!ended.out.contains(&token) && !ended.err.contains(&token), "{}{}", ended.out, ended.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_what_is_wrong_and_what_to_do() {
    let sim = start_tenant(8, &[]).await;
    let good = CLIENT_SECRET;
    check(
        &sim,
        &[],
        good,
        0,
        &[
            "  devices         TeamworkDevice.Read.All                       ok: ",
            "coverage: 12 rooms in 4 buildings, 15 devices, 12 rooms with a verdict",
            "4 rooms without a building: set it in Exchange (Set-Place) or in `rooms_file`.",
            "1 rooms without a license for rooms: LON3 1.02 Franklin",
            "sources are healthy, 1 finding; see above",
        ],
    );
    check(&sim, &[], good, 0, &["credential client_secret expires 2027-01-04T08:00:00Z"]);
    check(
        &sim,
        &["no_intune"],
        good,
        0,
        &[
            "off: Windows, Android, every system: Graph has no such resource (400); unknown without it: compliance",
        ],
    );
    check(&sim, &["forbidden_source=applications"], good, 0, &["client_secret_expires: 2027-01-31"]);
    let mailbox = ["calendar: { mailbox: .. }", "sources are healthy"];
    check(&sim, &["forbidden@calendar"], good, 0, &mailbox);
    check(
        &sim,
        &[],
        "wrong~Secret-0f-mine",
        1,
        &["AADSTS7000215: the client secret is wrong", "to do: mend"],
    );
    let refused = ["REFUSED, though the token has the permission", "two hours", "no source tells"];
    check(&sim, &["forbidden"], good, 1, &refused);
    let retired = ["FAILED (retired)", "deprecated this API without a successor", "ok: 12 records; 1 min"];
    check(&sim, &["retired"], good, 0, &retired); // the accounts tell whom to ask for the presence
    let nobody = [
        "FAILED (retired)",
        "off: no room is known by the object id of its account",
        "neither devices nor presence",
        "8 rooms without a verdict: User.Read.All, LicenseAssignment.Read.All adds more.",
    ];
    check(&sim, &["retired", "forbidden_source=users"], good, 1, &nobody);
    let refused = ["in part: ", "\n                  subscribedSkus: ", "LicenseAssignment.Read.All"];
    check(&sim, &["forbidden_source=licenses"], good, 0, &refused);
    check(&sim, &["html"], good, 1, &["FAILED (malformed)", "HTML"]);
    check(&sim, &["empty"], good, 1, &["FAILED (empty)", "Teams admin center"]);
    let partial = ["in part: ", "\n                  teamsPanel: ", "sources are healthy"];
    check(&sim, &["broken_type=teamsPanel"], good, 0, &partial);

    let consent = format!("{}/{TENANT_ID}/adminconsent?client_id={CLIENT_ID}\n", sim.url());
    sim.set_roles(&["Presence.Read.All", "Mail.ReadWrite", "Files.Read.All"]);
    let missing = [
        "off: not permitted; unknown without it: devices",
        "surplus: Mail.ReadWrite; no source needs it, and it can change things",
        "surplus: Files.Read.All; no source",
        "application permissions: Presence.Read.All, Mail.ReadWrite, Files.Read.All",
        "missing in the token: TeamworkDevice.Read.All (devices), ",
        &consent,
        "no source tells",
    ];
    check(&sim, &[], good, 1, &missing);
    sim.set_roles(&["TeamworkDevice.Read.All", "Calendars.Read"]);
    let wide = [
        "surplus: Calendars.Read; Calendars.ReadBasic.All is enough",
        "coverage: 8 rooms in 0 buildings, 15 devices, 8 rooms with a verdict",
        "8 rooms without a building: Place.Read.All or `rooms_file` adds it.",
        "off: no room is known by its mail address; unknown without it: ",
        "all is well",
    ];
    check(&sim, &[], good, 0, &wide);

    // Names that do not join: the trap that a permission can still set.
    let room = sim.rooms().remove(0);
    sim.edit_room(&room.upn, json!({"place": {"displayName": "Renamed"}}));
    sim.set_roles(&["TeamworkDevice.Read.All", "Place.Read.All"]);
    let twice = "1 account of devices and 1 place may be the same rooms, but their names differ or are not unique: \
                 User.Read.All, LicenseAssignment.Read.All or the column `object_id` of `rooms_file` joins them.";
    check(&sim, &[], good, 0, &["coverage: 9 rooms", twice]);
    sim.set_roles(&["Presence.Read.All", "Place.Read.All"]);
    let no_ids =
        "8 rooms without a verdict: TeamworkDevice.Read.All or User.Read.All, LicenseAssignment.Read.All";
    check(&sim, &[], good, 1, &[no_ids]);

    sim.set_roles(&["TeamworkDevice.Read.All", "Place.Read.All"]);
    sim.set_faults(parse(&["no_source=places"]));
    let settings = Settings::tenant(&sim.url(), good);
    let without_places = run(&settings.line("rooms"), 0);
    contains(
        &without_places.err,
        &["level=error", "msg=\"not read\" tenant=contoso collector=places state=retired"],
    );
    assert_eq!(without_places.err.lines().count(), 1, "{}", without_places.err);

    sim.set_faults(parse(&["forbidden"]));
    let rooms = run(&settings.line("rooms"), 1);
    contains(&rooms.err, &["level=error", "403 Forbidden"]);
    hides_tokens(&sim, &rooms);
}

/// Lets Graph accept the token as soon as it is told that this is waited for.
struct Consent {
    sim: Sim,
    told: Vec<u8>,
}

impl Write for Consent {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.told.extend_from_slice(bytes);
        if String::from_utf8_lossy(&self.told).contains("waiting for consent to spread: devices of contoso") {
            self.sim.set_faults(Vec::new());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The token has the permission and Graph refuses it for a while, as after each consent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_waits_for_a_consent_that_is_on_its_way() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let sim = start_tenant(8, &["forbidden"]).await;
    let config = config(tenant("contoso", &sim));
    let clock = Clock::new(|| Timestamp::from_seconds(1_795_244_591));
    drop(rustls::crypto::ring::default_provider().install_default()); // as main does; another test may have been first
    for (at_most, expected) in [(Duration::ZERO, false), (PATIENCE, true)] {
        let waiting = check::Waiting { at_most, every: Duration::from_millis(10) };
        let mut out = Consent { sim: sim.clone(), told: Vec::new() };
        let good = check::run(&config, &clock, Some(waiting), &mut out).await.expect("it can write");
        let told = String::from_utf8(out.told).expect("text");
        assert_eq!((good, told.contains("FAILED (forbidden)")), (expected, !expected), "{told}");
        assert_eq!(told.contains("waiting for consent"), expected, "{told}");
    }
}

#[test]
fn check_says_that_nobody_answers() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let root = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let settings = Settings::tenant(&root, CLIENT_SECRET);
    let ended = run(&settings.line("check"), 1);
    contains(&ended.out, &["sign-in FAILED", "refused or reset", "HTTPS_PROXY"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_has_the_file_read_anew_and_a_bad_one_changes_nothing() {
    let sim = start_tenant(3, &[]).await;
    let settings = Settings::tenant(&sim.url(), CLIENT_SECRET);
    let mut serve = Program::start(&settings.line("serve --web.listen-address 127.0.0.1:0"));
    let listening = serve.err.wait_for(&["msg=listening"]);
    let address = listening.split_once("address=").expect("it says where").1;
    let address = address.split(' ').next().unwrap_or_default().to_owned();
    serve.err.wait_for(&["msg=collected", "collector=devices"]);

    let good = std::fs::read_to_string(settings.path()).expect("readable");
    std::fs::write(settings.path(), good.replace("client_id", "clientid")).expect("written");
    serve.signal("HUP");
    let refused = serve.err.wait_for(&["the configuration was not reloaded"]);
    contains(&refused, &["exporter.yaml:4:5", "client_id"]);
    wait_for_metrics(
        &address,
        "/metrics",
        &["teams_rooms_config_last_reload_successful 0\n", "tenant=\"contoso\""],
    );

    std::fs::write(settings.path(), good.replace("name: contoso", "name: renamed")).expect("written");
    serve.signal("HUP");
    serve.err.wait_for(&["the configuration was reloaded"]);
    let metrics = wait_for_metrics(
        &address,
        "/metrics",
        &["teams_rooms_config_last_reload_successful 1\n", "teams_rooms_up{tenant=\"renamed\"}"],
    );
    assert!(!metrics.contains("tenant=\"contoso\""), "{metrics}");
    serve.signal("TERM");
    assert_eq!(serve.end().code, Some(0));
}

#[test]
fn check_reads_the_configuration_and_prints_it_without_asking_anybody() {
    let settings = Settings::tenant("http://127.0.0.1:1", CLIENT_SECRET);
    let valid = run(&settings.line("check --config-only"), 0);
    assert_eq!(valid.out, "the configuration is valid; tenants: 1\n");
    let printed = run(&settings.line("check --print-config"), 0);
    contains(&printed.out, &["\"client_secret\": \"<redacted>\"", "\"interval\": \"2m\""]);
    assert!(!printed.out.contains(CLIENT_SECRET));
    let flags = "--web.listen-address=:9 --web.enable-lifecycle --storage.path=kept --shard.count=3 --shard.index=1 \
                 --otlp.endpoint=http://localhost:4318 --log.level=debug";
    let all = run(&settings.line(&format!("check --print-config {flags}")), 0).out;
    let shown = ["[::]:9", "true", "kept", "1", "3", "http://localhost:4318/v1/metrics", "debug", "logfmt"];
    let lines: Vec<&str> = all
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once('='))
        .map(|(_, value)| value)
        .collect();
    assert!(shown.iter().all(|value| lines.contains(value)), "{all}");
    contains(&run(&settings.line("check --config-only --web.listen-address=here"), 2).err, &["`here`"]);
    // What is printed is a configuration again.
    let again = Settings::new(&all.replace("<redacted>", CLIENT_SECRET));
    assert_eq!(run(&again.line(&format!("check --print-config {flags}")), 0).out, all);
    let broken = Settings::new("tenants: []\nidle_afte: 1h\n");
    contains(
        &run(&broken.line("check --config-only"), 2).err,
        &["exporter.yaml:2:1", "did you mean `idle_after`"],
    );
}

#[test]
fn a_configuration_is_checked_where_its_secrets_are_not() {
    let tenant = |name: &str, auth: &str| {
        format!(
            "  - {{ name: {name}, tenant_id: {TENANT_ID}, client_id: {CLIENT_ID}, auth: {{ {auth} }}, \
             intake: {{ secret_file: /nowhere/intake }} }}\n"
        )
    };
    let ways = [
        ("a", "client_secret_file: /nowhere/secret"),
        ("b", "certificate_file: /nowhere/cert.pem, certificate_key_file: /nowhere/key.pem"),
        ("c", "federated_token_file: /nowhere/token"),
        ("d", "delegated: { refresh_token_file: /nowhere/refresh_token }"),
    ];
    for (name, auth) in ways {
        let settings = Settings::new(&format!("tenants:\n{}", tenant(name, auth)));
        let valid = run(&settings.line("check --no-secrets"), 0).out;
        assert_eq!(valid, "the configuration is valid; tenants: 1\n");
        contains(&run(&settings.line("check --config-only"), 2).err, &["/nowhere/"]);
    }
    let pasted = Settings::new(&format!(
        "tenants:\n{}",
        tenant("a", "client_secret_file: aB3~Q.0123456789_abcdefghijklm")
    ));
    contains(&run(&pasted.line("check --no-secrets"), 2).err, &["looks like the secret itself"]);
    let short = Settings::new(&format!(
        "tenants:\n{}",
        tenant("a", "client_secret: x").replace("secret_file: /nowhere/intake", "secret: short")
    ));
    contains(&run(&short.line("check --no-secrets"), 2).err, &["fewer than 32 characters"]);
}

#[test]
fn two_ways_to_sign_in_are_both_named() {
    let settings = Settings::new(&format!(
        "tenants:\n  - name: a\n    tenant_id: {TENANT_ID}\n    client_id: {CLIENT_ID}\n    \
         auth: {{ client_secret: x, managed_identity: {{}} }}\n"
    ));
    contains(&run(&settings.line("check"), 2).err, &["has both client_secret and managed_identity"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_logfmt_and_hold_neither_secret_nor_token() {
    let sim = start_tenant(8, &[]).await;
    let settings = Settings::tenant(&sim.url(), CLIENT_SECRET);
    let mut serve =
        Program::start(&settings.line("serve --log.level debug --web.listen-address 127.0.0.1:0"));
    let listening = serve.err.wait_for(&["msg=listening"]);
    let address = listening.split_once("address=").expect("it says where").1;
    let address = address.split(' ').next().unwrap_or_default().to_owned();
    serve.err.wait_for(&["msg=collected", "collector=device_health"]);
    let metrics =
        wait_for_metrics(&address, "/metrics?tenant=contoso", &["teams_rooms_up{tenant=\"contoso\"} 1\n"]);
    serve.signal("TERM");
    let ended = serve.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out.is_empty(), "{}", ended.out);
    for line in ended.err.lines() {
        let head = line.starts_with("ts=") && line.contains(" level=") && line.contains(" msg=");
        assert!(head, "{line}");
    }
    assert!(!sim.tokens().is_empty());
    hides_tokens(&sim, &ended);
    assert!(!metrics.contains(CLIENT_SECRET));
}

/// Pipes in place of the state file and of its temporary file: opening one would never return.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_pipes_hold_up_neither_start_nor_end() {
    let sim = start_tenant(3, &[]).await;
    let settings = Settings::tenant(&sim.url(), CLIENT_SECRET);
    let storage = tempfile::tempdir().expect("a folder");
    let [file, new] = ["contoso.json", "contoso.json.new"].map(|name| storage.path().join(name));
    for path in [&file, &new] {
        assert!(Command::new("mkfifo").arg(path).status().expect("coreutils").success());
    }
    let line = format!("serve --web.listen-address=127.0.0.1:0 --storage.path={}", storage.path().display());
    let mut exporter = Program::start(&settings.line(&line));
    exporter.err.wait_for(&["nothing restored", "not a regular file"]);
    exporter.err.wait_for(&["collected", "collector=devices"]);
    let asked = Instant::now();
    exporter.signal("TERM");
    let ended = exporter.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(std::fs::symlink_metadata(&file).expect("written").is_file() && !new.exists());
}

#[test]
fn demo_takes_an_incident() {
    let mut demo = Program::start("demo --rooms 3 --speed 0 --web.listen-address 127.0.0.1:0");
    let address = address_of(&mut demo);
    let of_line = |line: &str| {
        let (address, path) = line.rsplit_once("http://").expect("a URL").1.split_once('/').expect("a path");
        (address.replace("localhost", "127.0.0.1"), format!("/{path}"))
    };
    let (sim, _) = of_line(&demo.out.wait_for(&["/_sim/"]));
    let (intake, path) = of_line(&demo.out.wait_for(&["incident webhook:"]));
    wait_until_ready(&address);
    let (status, incident) = get(&sim, "/_sim/incident?signal=Heartbeat");
    assert_eq!((status, post(&intake, &path, &incident)), (200, 204));
    let shown = "incident_signal=\"heartbeat\",incident_severity=\"critical\"} 1";
    wait_for_metrics(&address, "/metrics", &[shown]);
    demo.signal("TERM");
    let ended = demo.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let secret = path.rsplit('/').next().expect("the last part");
    assert!(secret.len() >= 32 && !ended.err.contains(secret), "{}", ended.err);
}

/// Each breakage by its command, seen in a scrape; then all is repaired. A second demo takes free ports.
#[test]
fn a_running_demo_is_broken_and_repaired_by_commands() {
    let mut demo = Program::start(
        "demo --rooms 30 --speed 0 --web.listen-address 127.0.0.1:0 --simulator.listen-address 127.0.0.1:0",
    );
    let address = address_of(&mut demo);
    let command = demo.out.wait_for(&["demo break camera --simulator.url http://127.0.0.1:"]);
    let url = command.rsplit(' ').next().expect("the URL").to_owned();
    wait_until_ready(&address);
    let families =
        |names: &[&str]| names.iter().map(|name| format!("name[]={name}")).collect::<Vec<_>>().join("&");
    let all = families(&[
        "teams_rooms_room_problem",
        "teams_rooms_collector_state",
        "teams_rooms_incidents_open",
        "teams_rooms_room_up",
    ]);
    let path = format!("/metrics?{all}");
    for (what, said, shown) in [
        ("camera", "is unplugged", "problem=\"room_camera\",area=\"room\"} 1"),
        ("incident", "has sent a critical incident", "incident_severity=\"critical\"} 1"),
        ("permission", "Presence.Read.All is revoked", "collector=\"presence\",state=\"forbidden\"} 1"),
    ] {
        let broken = run(&format!("demo break {what} --simulator.url {url}"), 0);
        contains(
            &broken.out,
            &[said, &format!("Watch it on http://{}", address.replace("127.0.0.1", "localhost"))],
        );
        wait_for_metrics(&address, &path, &[shown]);
    }
    let up = get(&address, &path).1.matches("teams_rooms_room_up").count();
    contains(&run(&format!("demo break building --simulator.url {url}"), 0).out, &["has no power"]);
    wait_for_metrics(&address, &path, &["problem=\"device_offline\",area=\"room\"} 1"]);
    contains(&run(&format!("demo repair --simulator.url {url}/"), 0).out, &["Everything is repaired"]);
    let well = ["collector=\"presence\",state=\"ok\"} 1", "incident_severity=\"critical\"} 0"];
    let repaired = wait_for_metrics(&address, &path, &well);
    assert!(up > 20 && repaired.matches("teams_rooms_room_up").count() >= up, "{repaired}");
    demo.signal("TERM");
    assert_eq!(demo.end().code, Some(0));
    contains(&run(&format!("demo break camera --simulator.url {url}"), 1).err, &[&url, "--simulator.url"]);
    contains(&run("demo break cable", 2).err, &["camera", "building", "everything"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_taken_where_an_address_and_a_secret_say_so() {
    const SECRET: &str = "1ntake-Secret_that.is~long_enough-1";
    let sim = start_tenant(3, &[]).await;
    let settings = Settings::new(&format!(
        "tenants:\n  - name: contoso\n    tenant_id: {TENANT_ID}\n    client_id: {CLIENT_ID}\n    \
         auth: {{ client_secret: {CLIENT_SECRET} }}\n    intake: {{ secret: {SECRET} }}\n    \
         cloud: {{ authority: {root}, graph: {root} }}\n",
        root = sim.url()
    ));
    let line = settings.line("serve --log.level debug --web.listen-address 127.0.0.1:0");
    let mut without = Program::start(&line);
    without.err.wait_for(&["level=warn", "tenant=contoso", "--intake.listen-address is not given"]);
    without.signal("TERM");
    assert_eq!(without.end().code, Some(0));

    let mut serve = Program::start(&format!("{line} --intake.listen-address 127.0.0.1:0"));
    let listening = serve.err.wait_for(&["msg=listening", "path=/intake/"]);
    let address = listening.split_once("address=").expect("it says where").1;
    let address = address.split(' ').next().unwrap_or_default();
    for (secret, body, status) in
        [("x", "{}", 401), (SECRET, "{}", 400), (SECRET, "{\"eventType\":\"Test\"}", 204)]
    {
        assert_eq!(
            post(address, &format!("/intake/pro-management/contoso/{secret}"), body),
            status,
            "{body}"
        );
    }
    serve.signal("TERM");
    let ended = serve.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.err.contains(SECRET) && !ended.err.contains("/intake/pro-management"), "{}", ended.err);
    contains(&run(&settings.line("check"), 0).out, &["sources are healthy"]);
}

/// What `healthcheck` says of an exporter at an address, and its exit code.
#[track_caller]
fn healthcheck(address: &str, more: &str, code: i32, words: &str) {
    let ended = run(&format!("healthcheck --web.listen-address {address} {more}"), code);
    contains(&ended.out, &[words]);
    assert_eq!(ended.out.lines().count(), 1, "{}", ended.out);
}

#[test]
fn healthcheck_tells_alive_from_ready_and_from_absent() {
    let mut demo = Program::start("demo --rooms 2 --speed 0 --web.listen-address :0");
    let address = address_of(&mut demo);
    let port = address.rsplit(':').next().expect("a port");
    healthcheck(&address, "", 0, "teams-rooms-exporter is healthy.");
    healthcheck(&format!(":{port}"), "", 0, "is healthy");
    wait_until_ready(&address);
    healthcheck(&address, "--ready", 0, "is ready");
    demo.signal("TERM");
    assert_eq!(demo.end().code, Some(0));
    healthcheck(&address, "", 1, &format!("{address} does not answer: "));

    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound").to_string();
    healthcheck(&address, "--timeout 100ms", 1, "does not answer");
    contains(&run("healthcheck --web.listen-address :0", 2).err, &["--web.listen-address"]);
    contains(&run("healthcheck --web.config.file /nowhere.yml", 2).err, &["/nowhere.yml does not exist"]);
}

/// With users and certificates nobody is told whether it is ready, but who turns us away is alive.
#[test]
fn healthcheck_of_a_guarded_exporter() {
    let hash = bcrypt::hash("password", 4).expect("a hash");
    let demands = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    for (web, words) in [
        (format!("{TLS}basic_auth_users:\n  ann: {hash}\n"), "it asks for a user"),
        (format!("{TLS}{demands}"), "it asks for a certificate"),
        (format!("{TLS}  max_version: TLS12\n{demands}"), "it asks for a certificate"),
    ] {
        let folder = WebFolder::new(&web);
        let file = format!("--web.config.file {}", folder.web().display());
        let line = format!("demo --rooms 2 --speed 0 --web.listen-address 127.0.0.1:0 {file}");
        let mut demo = Program::start(&line);
        let line = demo.out.wait_for(&["simulated rooms:  https://"]);
        let port = line.trim_end_matches('/').rsplit(':').next().expect("a port");
        let address = format!("127.0.0.1:{port}");
        healthcheck(&address, &file, 0, words);
        healthcheck(&address, &format!("{file} --ready"), 1, words);
        healthcheck(&address, "", 1, "answers 400; is that the exporter?");
        demo.signal("TERM");
        assert_eq!(demo.end().code, Some(0));
    }
}

#[test]
fn a_bad_web_configuration_is_named_with_its_line() {
    let folder = WebFolder::new("tls_server_config:\n  cert_file: cert.pem\n  min_version: TLS10\n");
    let ended = run(&format!("demo --web.config.file {}", folder.web().display()), 2);
    contains(&ended.err, &["web.yml:2:3: tls_server_config: `key_file` is missing"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_of_systemd_is_listened_on_and_systemd_hears_when() {
    let sim = start_tenant(2, &[]).await;
    let settings = Settings::tenant(&sim.url(), CLIENT_SECRET);
    let line = settings.line("serve --web.systemd-socket");
    let notify = settings.folder.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&notify).expect("bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let socket =
        TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).expect("a free port");
    let port = socket.local_addr().expect("bound").port();
    let environment = [("NOTIFY_SOCKET", notify.to_str().expect("UTF-8"))];
    let mut serve = Program::start_with(socket, &line, &environment);
    let mut word = [0; 16];
    let length = manager.recv(&mut word).expect("the word");
    assert_eq!(&word[..length], b"READY=1");
    assert_eq!(get(&format!("127.0.0.1:{port}"), "/-/healthy").0, 200);
    serve.err.wait_for(&["level=warn", "without users and TLS", "--web.config.file"]);
    serve.signal("TERM");
    assert_eq!(serve.end().code, Some(0));

    contains(&run(&line, 1).err, &["--web.systemd-socket", "there are none"]);
    let both = format!("{line} --web.listen-address :0");
    contains(&run(&both, 2).err, &["--web.systemd-socket", "leave --web.listen-address out"]);
}

/// Occupancy is for those who should have it: on loopback, or where it is not told, nobody is warned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warning_where_anybody_may_see_who_is_in() {
    let sim = start_tenant(2, &[]).await;
    let told = Settings::tenant(&sim.url(), CLIENT_SECRET);
    let untold = Settings::new(&format!(
        "{}    privacy: {{ usage: off }}\n",
        std::fs::read_to_string(told.path()).expect("written")
    ));
    let hash = bcrypt::hash("password", 4).expect("a hash");
    let guarded = WebFolder::new(&format!("{TLS}basic_auth_users:\n  ann: {hash}\n"));
    let guarded = format!("serve --web.listen-address :0 --web.config.file {}", guarded.web().display());
    for (line, expected) in [
        (told.line("serve --web.listen-address :0"), true),
        (told.line("serve --web.listen-address 127.0.0.1:0"), false),
        (untold.line("serve --web.listen-address :0"), false),
        (told.line(&guarded), false),
    ] {
        let mut serve = Program::start(&line);
        serve.err.wait_for(&["msg=collected"]);
        serve.signal("TERM");
        let ended = serve.end();
        assert_eq!(ended.err.contains("occupied is served"), expected, "{line}:\n{}", ended.err);
    }
}
