//! The headers of OTLP and the proxies of the environment: taken as they will be sent, or refused without being shown.

use reqwest::header::{HeaderName, HeaderValue};
use teams_rooms_exporter::cli::OtlpArgs;
use teams_rooms_exporter::config::otlp;
use teams_rooms_exporter::proxy::Proxies;

use super::check_refusal;

pub(crate) fn corpus() -> Vec<Vec<u8>> {
    [
        "authorization=Bearer%20hunter2,x-tenant=rooms",
        " x-scope-orgid = a , b=%F0%9F%8E%A5 ",
        "api-key=hunter2%0D%0Ax=y",
        "http://svc:hunter2@proxy.corp.example:3128/",
        "*.corp.example, 10.0.0.0/8,localhost",
        "\"http://svc:p#ss@127.0.0.1:3128\"",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(crate) fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let value = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://localhost:4318".to_owned()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some(text.clone()),
        _ => None,
    };
    match otlp::load(&OtlpArgs::default(), &value) {
        Ok(otlp) => {
            for (name, value) in otlp.metrics.iter().flat_map(|metrics| &metrics.endpoint.headers) {
                assert!(HeaderName::from_bytes(name.as_bytes()).is_ok(), "{name:?}");
                assert!(HeaderValue::from_str(value.expose()).is_ok(), "of {name:?}");
            }
        }
        Err(error) => check_refusal(b"", &error.to_string(), "hunter2", &[]),
    }
    for variable in ["HTTPS_PROXY", "NO_PROXY"] {
        let value = |name: &str| (name == variable).then(|| text.clone());
        match Proxies::read(&value) {
            Ok(proxies) => assert!(!format!("{proxies:?}").contains(":hunter2@")),
            Err(wrong) => check_refusal(b"", &wrong.reason, "hunter2", &[]),
        }
    }
}
