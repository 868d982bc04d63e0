//! Content negotiation (RFC 9110): which text format, and whether compressed.
//!
//! Never a 406: whoever asks for something else gets text 0.0.4, which every scraper reads.

use std::borrow::Cow;
use std::cmp::Reverse;

use crate::metrics::text::Format;

/// What we can send. Among equals the first one goes.
///
/// OpenMetrics 0.0.1 has the same body as 1.0.0, and scrapers from before 1.0.0 check the label.
const REPRESENTATIONS: [Representation; 3] = [
    Representation { format: Format::Text, media: ("text", "plain"), version: "0.0.4" },
    Representation {
        format: Format::OpenMetrics,
        media: ("application", "openmetrics-text"),
        version: "1.0.0",
    },
    Representation {
        format: Format::OpenMetrics,
        media: ("application", "openmetrics-text"),
        version: "0.0.1",
    },
];

/// How Prometheus may want unusual metric names escaped. Ours never need it, so that we may promise any of them.
const ESCAPINGS: [&str; 4] = ["allow-utf-8", "underscores", "dots", "values"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Representation {
    format: Format,
    media: (&'static str, &'static str),
    version: &'static str,
}

/// The chosen representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    representation: Representation,
    escaping: Option<&'static str>,
}

impl Content {
    pub(super) fn format(&self) -> Format {
        self.representation.format
    }

    /// The value of the Content-Type header. Prometheus refuses a scrape without it.
    pub(super) fn content_type(&self) -> String {
        let Representation { media: (kind, subtype), version, .. } = self.representation;
        let escaping = self.escaping.map(|escaping| format!("; escaping={escaping}")).unwrap_or_default();
        format!("{kind}/{subtype}; version={version}; charset=utf-8{escaping}")
    }
}

/// The best of what we can send, by the values of the Accept headers.
pub(super) fn content<'a>(accept: impl IntoIterator<Item = &'a str>) -> Content {
    let offers: Vec<Element<'_>> = accept.into_iter().flat_map(elements).collect();
    let mut best = (Content { representation: REPRESENTATIONS[0], escaping: None }, None);
    for representation in REPRESENTATIONS {
        // The most specific offer that covers a representation speaks for it, with its quality.
        let covering = offers.iter().enumerate().filter_map(|(position, offer)| {
            let specificity = offer.covers(&representation)?;
            Some((specificity, Reverse(position), offer))
        });
        let Some((specificity, position, offer)) =
            covering.max_by_key(|&(specificity, at, _)| (specificity, at))
        else {
            continue;
        };
        // Of equal quality, what was named goes before what a wildcard lets through, then the order counts.
        let rank = Some((offer.quality, specificity >= Specificity::Named, position));
        if offer.quality > 0 && rank > best.1 {
            best = (Content { representation, escaping: offer.escaping() }, rank);
        }
    }
    best.0
}

/// Whether gzip is welcome, by the values of the Accept-Encoding headers.
pub(super) fn gzip<'a>(accept_encoding: impl IntoIterator<Item = &'a str>) -> bool {
    let offers: Vec<Element<'_>> = accept_encoding.into_iter().flat_map(elements).collect();
    let quality = |names: &[&str]| {
        let named = |offer: &&Element<'_>| names.iter().any(|name| offer.value.eq_ignore_ascii_case(name));
        offers.iter().find(named).map(|offer| offer.quality)
    };
    let gzip = quality(&["gzip", "x-gzip"]).or_else(|| quality(&["*"])).unwrap_or(0);
    gzip > 0 && gzip >= quality(&["identity"]).unwrap_or(0)
}

/// How closely an offer describes a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Any,
    Type,
    Named,
    Version,
}

/// One element of a header: a value with its parameters.
#[derive(Debug, PartialEq, Eq)]
struct Element<'a> {
    value: &'a str,
    parameters: Vec<(&'a str, Cow<'a, str>)>,
    /// In thousandths.
    quality: u16,
}

impl Element<'_> {
    fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    fn covers(&self, representation: &Representation) -> Option<Specificity> {
        let (kind, subtype) = self.value.split_once('/')?;
        let (our_kind, our_subtype) = representation.media;
        match (kind, subtype) {
            ("*", "*") => Some(Specificity::Any),
            (kind, "*") if kind.eq_ignore_ascii_case(our_kind) => Some(Specificity::Type),
            (kind, subtype)
                if kind.eq_ignore_ascii_case(our_kind) && subtype.eq_ignore_ascii_case(our_subtype) =>
            {
                match self.parameter("version") {
                    None => Some(Specificity::Named),
                    Some(version) => (version == representation.version).then_some(Specificity::Version),
                }
            }
            _ => None,
        }
    }

    fn escaping(&self) -> Option<&'static str> {
        let wanted = self.parameter("escaping")?;
        ESCAPINGS.into_iter().find(|known| known.eq_ignore_ascii_case(wanted))
    }
}

/// The elements of a header, without those whose quality nobody can read.
fn elements(header: &str) -> impl Iterator<Item = Element<'_>> {
    split(header, ',').filter_map(|element| {
        let mut parts = split(element, ';').map(str::trim);
        let value = parts.next().filter(|value| !value.is_empty())?;
        let parameter = |part| -> Option<(&str, Cow<'_, str>)> {
            let (name, value) = str::split_once(part, '=')?;
            Some((name.trim(), unquote(value.trim())))
        };
        let parameters: Vec<_> = parts.filter_map(parameter).collect();
        let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let quality = quality.map_or(Some(1000), |(_, value)| thousandths(value))?;
        Some(Element { value, parameters, quality })
    })
}

/// Splits where `separator` stands outside of quoted strings.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut escaped);
        match character {
            '"' if !was_escaped => quoted = !quoted,
            '\\' if quoted && !was_escaped => escaped = true,
            _ => {}
        }
        character == separator && !quoted
    })
}

fn unquote(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(value);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut escaped = false;
    let keep = |character: &char| {
        escaped = *character == '\\' && !escaped;
        !escaped
    };
    Cow::Owned(inner.chars().filter(keep).collect())
}

/// A quality in thousandths. More than three decimals are against the grammar but clear enough; they are dropped.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match whole {
        "1" => Some(1000),
        "0" => {
            let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(3);
            Some(digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_content(accept: &str, expected: &str) {
        let expected = match expected {
            "text" => "text/plain; version=0.0.4; charset=utf-8",
            "open" => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "open 0.0.1" => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            other => other,
        };
        assert_eq!(content([accept]).content_type(), expected, "{accept}");
    }

    #[test]
    fn prometheus_gets_open_metrics() {
        check_content(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        );
        // Told to scrape text only.
        check_content(
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.2",
            "text",
        );
        // Native histograms enabled: protobuf first.
        check_content(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
             application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.6,text/plain;version=0.0.4;q=0.3",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        );
        // Before 2.35.
        check_content(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "open 0.0.1",
        );
    }

    #[test]
    fn whoever_has_no_wish_gets_text() {
        assert_eq!(content([]).content_type(), "text/plain; version=0.0.4; charset=utf-8");
        for accept in
            ["", "*/*", "text/*", "text/plain", "text/html,*/*;q=0.8", "application/json", "nonsense", ",;=,"]
        {
            check_content(accept, "text");
        }
    }

    #[test]
    fn quality_decides_then_naming_then_order() {
        check_content("text/plain;q=0.5,application/openmetrics-text;q=0.6", "open");
        check_content("text/plain;q=0.501,application/openmetrics-text;q=0.5", "text");
        check_content("application/openmetrics-text, text/plain", "open");
        check_content("text/plain, application/openmetrics-text", "text");
        check_content("*/*, application/openmetrics-text", "open");
        check_content("application/*", "open");
        check_content("*/*;q=0.1, text/plain;q=0", "open");
        check_content("text/plain;q=0, application/openmetrics-text;q=0", "text");
        check_content("application/openmetrics-text;q=0.9;version=1.0.0, text/plain;version=1.0.0", "open");
        check_content("application/openmetrics-text;version=2.0.0", "text");
    }

    #[test]
    fn the_grammar_is_read_as_written() {
        check_content("APPLICATION/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.000", "open");
        check_content("application/openmetrics-text;version=\"1\\.0.0\"", "open");
        check_content("text/plain;note=\"a,b;q=0\\\";\";q=0.2 , application/openmetrics-text;q=0.1", "text");
        check_content("application/openmetrics-text;q=2, text/plain;q=0.1", "text");
        check_content("application/openmetrics-text;q=x, text/plain;q=0.1", "text");
        check_content("application/openmetrics-text;q=0.66667,text/plain;q=0.66", "open");
        let separate = ["text/plain;q=0.1", "application/openmetrics-text;q=0.2"];
        assert_eq!(content(separate).format(), Format::OpenMetrics);
    }

    #[test]
    fn only_known_escapings_of_the_chosen_offer_are_echoed() {
        check_content("text/plain;escaping=dots", "text/plain; version=0.0.4; charset=utf-8; escaping=dots");
        check_content(
            "text/plain;escaping=values;q=0.5",
            "text/plain; version=0.0.4; charset=utf-8; escaping=values",
        );
        check_content("text/plain;escaping=\"a\r\nb\"", "text");
        check_content("application/openmetrics-text;escaping=dots;q=0.1,text/plain", "text");
    }

    #[test]
    fn gzip_only_where_welcome() {
        for yes in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip;q=0.001",
            "*",
            "br, *;q=0.1",
            "gzip, identity",
            "identity;q=0.5, gzip",
        ] {
            assert!(gzip([yes]), "{yes}");
        }
        for no in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "gzip;q=0.5, identity",
            "gzip;q=nan",
        ] {
            assert!(!gzip([no]), "{no}");
        }
        assert!(!gzip([]));
        assert!(gzip(["br", "gzip"]));
    }
}
