//! Logs: one tracing subscriber, one line per event, logfmt or JSON.
//!
//! The writer and the clock are passed in. A log line that cannot be written is lost in silence: a closed
//! standard error must not end the exporter.

use std::{fmt, io};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::{LookupSpan, Registry, Scope};

use crate::input::shown::{acts, escaped_json};

/// The target that all of our own events share as their first part.
const OWN_TARGET: &str = "teams_rooms_exporter";

/// What dependencies may say at most; their debug lines would show requests and headers.
const DEPENDENCY_LEVEL: Level = Level::WARN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Logfmt,
    Json,
}

/// Something else that listens to events and spans, with a filter of its own.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Makes the subscriber of the whole process; to be called once, by `main`, with `std::io::stderr` as writer.
pub fn init<W>(
    level: Level,
    format: Format,
    now: fn() -> Timestamp,
    writer: W,
    others: Vec<BoxedLayer>,
) -> Result<(), tracing::subscriber::SetGlobalDefaultError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing::subscriber::set_global_default(subscriber(level, format, now, writer, others))
}

/// A subscriber that writes each event of at least this level as one line.
pub fn subscriber<W>(
    level: Level,
    format: Format,
    now: fn() -> Timestamp,
    writer: W,
    mut others: Vec<BoxedLayer>,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let clock = Clock(now);
    // log_internal_errors would print to standard error, and panic when that is the pipe that broke.
    let lines = layer().with_ansi(false).log_internal_errors(false);
    let lines: BoxedLayer = match format {
        Format::Logfmt => {
            Box::new(lines.with_writer(writer).fmt_fields(LogfmtFields).event_format(Logfmt { clock }))
        }
        Format::Json => {
            let lines = lines.with_writer(JsonWriter(writer));
            Box::new(lines.json().flatten_event(true).with_current_span(false).with_timer(clock))
        }
    };
    let limits = Targets::new()
        .with_target(OWN_TARGET, level)
        .with_default(LevelFilter::from(level.min(DEPENDENCY_LEVEL)));
    others.push(lines.with_filter(limits).boxed());
    Registry::default().with(others)
}

/// A writer of whole lines of JSON, in which the library leaves some characters that act on a terminal.
struct JsonWriter<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for JsonWriter<W> {
    type Writer = JsonWriter<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        JsonWriter(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for JsonWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let escaped = escaped_json(&String::from_utf8_lossy(line));
        self.0.write_all(escaped.as_bytes()).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes `now()` as RFC 3339 in UTC with milliseconds.
struct Clock(fn() -> Timestamp);

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{:.3}", (self.0)())
    }
}

/// `ts=.. level=.. target=.. msg=".."`, then the event's fields, then those of its spans from the root on.
struct Logfmt {
    clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        write!(writer, "ts=")?;
        self.clock.format_time(&mut writer)?;
        write!(writer, " level={} target=", level_name(*metadata.level()))?;
        write_value(&mut writer, metadata.target())?;

        let mut pairs = Pairs::default();
        event.record(&mut pairs);
        if let Some(message) = &pairs.message {
            write!(writer, " msg=")?;
            write_value(&mut writer, message)?;
        }
        if !pairs.others.is_empty() {
            write!(writer, " {}", pairs.others)?;
        }
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && !fields.is_empty()
            {
                write!(writer, " {fields}")?;
            }
        }
        writeln!(writer)
    }
}

/// The fields of a span as `key=value`, separated by a space.
struct LogfmtFields;

impl<'writer> FormatFields<'writer> for LogfmtFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut pairs = Pairs::default();
        fields.record(&mut pairs);
        write!(writer, "{}", pairs.others)
    }
}

/// Collects fields: the message apart, the others as `key=value`.
#[derive(Default)]
struct Pairs {
    message: Option<String>,
    others: String,
}

impl Visit for Pairs {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = Some(value.to_owned());
            return;
        }
        if !self.others.is_empty() {
            self.others.push(' ');
        }
        self.others.extend(field.name().chars().map(|c| if is_plain(c) { c } else { '_' }));
        self.others.push('=');
        // Writing to a String cannot fail.
        _ = write_value(&mut self.others, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Writes a value so that it stays on its line and reads back as it was: bare where possible, else in quotes.
fn write_value(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    if !value.is_empty() && value.chars().all(is_plain) {
        return out.write_str(value);
    }
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if acts(c) => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// Whether the character may stand in a key or an unquoted value.
fn is_plain(c: char) -> bool {
    !matches!(c, '"' | '\\' | '=') && !c.is_whitespace() && !acts(c)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, error, info, info_span, warn};

    use super::*;

    fn noon() -> Timestamp {
        Timestamp::from_millisecond(1_795_244_590_420).expect("in range")
    }

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, format: Format, events: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(level, format, noon, move || writer.clone(), Vec::new());
        tracing::subscriber::with_default(subscriber, events);
        String::from_utf8(buffer.0.lock().unwrap().clone()).expect("UTF-8")
    }

    /// Checks a line without its fixed beginning.
    #[track_caller]
    fn check(events: impl FnOnce(), expected: &str) {
        let line = logged(Level::INFO, Format::Logfmt, events);
        let start = "ts=2026-11-21T07:03:10.420Z level=info target=teams_rooms_exporter::logging::tests ";
        assert_eq!(line.strip_prefix(start), Some(format!("{expected}\n").as_str()), "{line}");
    }

    #[test]
    fn one_event_is_one_line() {
        check(|| info!("listening"), "msg=listening");
        check(|| info!("two words"), r#"msg="two words""#);
        check(|| info!(rooms = 60, ok = true, share = 0.5, "read"), "msg=read rooms=60 ok=true share=0.5");
        check(|| info!(rooms = 60), "rooms=60");
        check(|| info!(""), r#"msg="""#);
        check(|| info!(empty = "", "m"), r#"msg=m empty="""#);
        check(|| info!(path = "/metrics", "m"), "msg=m path=/metrics");
        check(|| info!(quote = r#"a"b"#, "m"), r#"msg=m quote="a\"b""#);
        check(|| info!(equals = "a=b", "m"), r#"msg=m equals="a=b""#);
        check(|| info!(backslash = r"a\b", "m"), r#"msg=m backslash="a\\b""#);
        check(|| info!(lines = "a\r\n\tb", "m"), r#"msg=m lines="a\r\n\tb""#);
        check(|| info!(escape = "\u{1b}[31mred\0", "m"), r#"msg=m escape="\u001b[31mred\u0000""#);
        check(|| info!(separator = "a\u{2028}b\u{85}c", "m"), r#"msg=m separator="a\u2028b\u0085c""#);
        check(|| info!(turned = "a\u{202e}b", "m"), r#"msg=m turned="a\u202eb""#);
        check(|| info!(room = "Sala Ñandú", "m"), r#"msg=m room="Sala Ñandú""#);
        check(|| info!(room = "部屋", "m"), "msg=m room=部屋");
        check(|| info!(debug = ?"a b", "m"), r#"msg=m debug="\"a b\"""#);
        check(|| info!(display = %Timestamp::UNIX_EPOCH, "m"), "msg=m display=1970-01-01T00:00:00Z");
        check(|| info!(absent = None::<u8>, present = Some(1), "m"), "msg=m present=1");
        check(|| info!("odd key" = 1, "m"), "msg=m odd_key=1");
        let cause = io::Error::other("reset by peer");
        check(|| info!(error = &cause as &dyn std::error::Error, "m"), r#"msg=m error="reset by peer""#);
    }

    #[test]
    fn fields_of_spans_follow_from_the_root_on() {
        check(
            || {
                let tenant = info_span!("tenant", tenant = "contoso", page = tracing::field::Empty).entered();
                tenant.record("page", 2);
                let _bare = info_span!("bare").entered();
                let _collector = info_span!("collector", collector = "two words").entered();
                info!(items = 3, "read");
            },
            r#"msg=read items=3 tenant=contoso page=2 collector="two words""#,
        );
    }

    #[test]
    fn every_level_has_its_name_and_less_severe_ones_are_left_out() {
        let events = || {
            error!("m");
            warn!("m");
            info!("m");
            debug!("m");
        };
        for (level, expected) in [
            (Level::ERROR, vec!["error"]),
            (Level::WARN, vec!["error", "warn"]),
            (Level::INFO, vec!["error", "warn", "info"]),
            (Level::DEBUG, vec!["error", "warn", "info", "debug"]),
        ] {
            let lines = logged(level, Format::Logfmt, events);
            let names: Vec<_> =
                lines.lines().filter_map(|line| line.split(' ').nth(1)?.strip_prefix("level=")).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn dependencies_are_limited_to_warnings() {
        let events = || {
            warn!(target: "hyper::proto", "kept");
            info!(target: "hyper::proto", "dropped");
            debug!(target: "h2", "dropped");
            info!(target: "rustls", "dropped");
            debug!(target: "teams_rooms_exporter::graph", "ours");
        };
        let lines = logged(Level::DEBUG, Format::Logfmt, events);
        let messages: Vec<_> = lines.lines().filter_map(|line| line.split("msg=").nth(1)).collect();
        assert_eq!(messages, ["kept", "ours"]);
        assert_eq!(logged(Level::ERROR, Format::Logfmt, || warn!(target: "hyper", "dropped")), "");
    }

    #[test]
    fn json_has_flat_fields() {
        let line = logged(Level::INFO, Format::Json, || {
            let _tenant = info_span!("tenant", tenant = "contoso").entered();
            warn!(rooms = 60, note = "a\n\"b\"", "two words");
        });
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let expected = serde_json::json!({
            "timestamp": "2026-11-21T07:03:10.420Z",
            "level": "WARN",
            "target": "teams_rooms_exporter::logging::tests",
            "message": "two words",
            "rooms": 60,
            "note": "a\n\"b\"",
            "spans": [{ "name": "tenant", "tenant": "contoso" }],
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn no_format_lets_text_of_others_act_on_a_terminal() {
        let hostile = "a\u{1b}[2J\u{7f}\u{9b}31m\u{85}\u{202e}\u{2066}\u{200e}\u{61c}b";
        for format in [Format::Logfmt, Format::Json] {
            let lines = logged(Level::INFO, format, || {
                let _span = info_span!("tenant", tenant = hostile).entered();
                warn!(room = hostile, "{hostile}");
            });
            assert_eq!(lines.matches(acts).collect::<Vec<_>>(), ["\n"], "{lines:?}");
        }
        let line = logged(Level::INFO, Format::Json, || warn!(room = hostile, "m"));
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["room"], hostile);
    }

    #[test]
    fn a_broken_pipe_is_no_reason_to_end() {
        struct Broken;
        impl io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        for format in [Format::Logfmt, Format::Json] {
            let subscriber = subscriber(Level::INFO, format, noon, || Broken, Vec::new());
            tracing::subscriber::with_default(subscriber, || {
                info!("lost");
                info!("lost too");
            });
        }
    }
}
