//! An answer before it becomes bytes: JSON, text or an error in the shape of Microsoft Graph.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde_json::{Value, json};

/// The content type of Graph's JSON.
const JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Json(Value),
    /// JSON as it is written, members in their order.
    Raw(String),
    /// Content type and text.
    Text(&'static str, String),
    /// Code and message of a Graph error; the ids of the request are added when it is sent.
    Error(&'static str, String),
}

/// What Graph writes on every answer.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) request_id: String,
    pub(super) client_request_id: String,
    pub(super) wall: Timestamp,
}

impl Reply {
    pub(super) fn json(value: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Json(value) }
    }

    pub(super) fn raw(json: String) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Raw(json) }
    }

    pub(super) fn text(content_type: &'static str, text: impl Into<String>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Text(content_type, text.into()) }
    }

    pub(super) fn error(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Error(code, message.into()) }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::error(400, "BadRequest", message)
    }

    pub(super) fn throttled() -> Self {
        Self::error(429, "TooManyRequests", "Please retry again later.")
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(super) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn content_type(&self) -> &'static str {
        if let Body::Text(content_type, _) = self.body { content_type } else { JSON }
    }

    /// The body as it stands inside a `$batch` answer.
    pub(super) fn value(&self, stamp: &Stamp) -> Value {
        match &self.body {
            Body::Json(value) => value.clone(),
            Body::Raw(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())),
            Body::Text(_, text) => Value::from(text.as_str()),
            Body::Error(code, message) => error_body(self.status, code, message, stamp),
        }
    }

    pub(super) fn bytes(&self, stamp: &Stamp) -> Vec<u8> {
        match &self.body {
            Body::Text(_, text) | Body::Raw(text) => text.clone().into_bytes(),
            Body::Json(value) => value.to_string().into_bytes(),
            Body::Error(..) => self.value(stamp).to_string().into_bytes(),
        }
    }
}

/// A throttled answer has more in its inner error than others have.
fn error_body(status: u16, code: &str, message: &str, stamp: &Stamp) -> Value {
    let mut inner = json!({
        "date": stamp.wall.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        "request-id": stamp.request_id,
        "client-request-id": stamp.client_request_id,
    });
    if let (429, Some(inner)) = (status, inner.as_object_mut()) {
        inner.insert("code".to_owned(), "429".into());
        inner.insert("message".to_owned(), "Please retry after".into());
        inner.insert("status".to_owned(), "429".into());
    }
    json!({"error": {"code": code, "message": message, "innerError": inner}})
}

/// A time as Graph writes it, always with milliseconds.
pub(super) fn graph_time(at: Timestamp) -> String {
    DateTimePrinter::new().precision(Some(3)).timestamp_to_string(&at)
}

/// A date of an HTTP header.
pub(super) fn http_date(at: Timestamp) -> String {
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
    date.expect("RFC 9110 can write every year a simulation reaches")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_graph_and_http_write_them() {
        let at = Timestamp::from_millisecond(1_795_132_800_420).unwrap();
        assert_eq!(graph_time(at), "2026-11-20T00:00:00.420Z");
        assert_eq!(http_date(at), "Fri, 20 Nov 2026 00:00:00 GMT");
    }
}
