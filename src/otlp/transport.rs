//! The way to a receiver of OTLP: HTTP with protobuf, or gRPC.
//!
//! What a receiver answers is believed as little as possible: a bounded body, no redirect, and of its words a few to
//! the log.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};

use crate::config::otlp::{Endpoint, Protocol};

/// A receiver that is there answers a connection at once; a request as a whole has its own time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An answer says how many points were refused, and why.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Of what a receiver says of an error.
const MAX_REASON_CHARS: usize = 200;

/// As fast as compression gets; a batch is seldom sent far.
const LEVEL: Compression = Compression::new(1);

/// An open way to a receiver. Nothing is connected before it is used, and again when a connection broke.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Http(reqwest::Client),
    Grpc(Channel),
}

/// What a receiver did not take of a batch that it took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) points: u64,
    pub(super) reason: String,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The receiver is not there, or has no time: the next batch would fare no better.
    #[error("the receiver is away: {0}")]
    Away(String),
    /// This batch is not to its taste.
    #[error("the receiver refuses: {0}")]
    Refused(String),
}

impl Transport {
    /// To be called on a runtime: gRPC has tasks of its own. The error stands behind the endpoint.
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self, String> {
        match endpoint.protocol {
            Protocol::Http => http(endpoint).map(Self::Http),
            Protocol::Grpc => grpc(endpoint).map(Self::Grpc),
        }
    }

    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        request: ExportMetricsServiceRequest,
    ) -> Result<Rejected, Failure> {
        let answer = match self {
            Self::Http(client) => post(client, endpoint, &request).await?,
            Self::Grpc(channel) => call(channel.clone(), endpoint, request).await?,
        };
        let partial = answer.partial_success.unwrap_or_default();
        let points = u64::try_from(partial.rejected_data_points).unwrap_or_default();
        Ok(Rejected { points, reason: shortened(&partial.error_message) })
    }
}

fn http(endpoint: &Endpoint) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(endpoint.timeout);
    if let Some(pem) = &endpoint.authorities {
        let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
        builder = builder.tls_certs_merge(authorities.map_err(|_| "the authorities cannot be used")?);
    }
    if let Some(identity) = &endpoint.identity {
        let both = format!("{}\n{}", identity.certificates, identity.key.expose());
        let identity = reqwest::Identity::from_pem(both.as_bytes());
        builder = builder.identity(identity.map_err(|_| "the client certificate cannot be used")?);
    }
    let builder = endpoint.proxies.apply(builder).map_err(|_| "the proxy cannot be used")?;
    builder
        .build()
        .map_err(|_| "the HTTP client does not start; is there a CA bundle (ca-certificates)?".to_owned())
}

const USER_AGENT: &str = concat!("teams-rooms-exporter/", env!("CARGO_PKG_VERSION"));

fn grpc(endpoint: &Endpoint) -> Result<Channel, String> {
    let wrong = |error: tonic::transport::Error| format!("gRPC cannot be used: {}", cause(&error));
    let mut channel = Channel::from_shared(endpoint.url.to_string())
        .map_err(|_| "is no address for gRPC")?
        .user_agent(USER_AGENT)
        .map_err(wrong)?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(endpoint.timeout);
    if endpoint.url.scheme() == "https" {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(pem) = &endpoint.authorities {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        if let Some(identity) = &endpoint.identity {
            tls = tls.identity(Identity::from_pem(&identity.certificates, identity.key.expose()));
        }
        channel = channel.tls_config(tls).map_err(wrong)?;
    }
    Ok(channel.connect_lazy())
}

/// The headers of each request. They were checked where they were read.
pub(super) fn headers(endpoint: &Endpoint) -> HeaderMap {
    let pair = |(name, value): &(String, crate::config::Secret)| {
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    };
    endpoint.headers.iter().filter_map(pair).collect()
}

async fn post(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    request: &ExportMetricsServiceRequest,
) -> Result<ExportMetricsServiceResponse, Failure> {
    let mut request_body = request.encode_to_vec();
    let mut post = client
        .post(endpoint.url.clone())
        .headers(headers(endpoint))
        .header(CONTENT_TYPE, "application/x-protobuf");
    if endpoint.gzip {
        request_body = gzip(&request_body);
        post = post.header(CONTENT_ENCODING, "gzip");
    }
    let mut response = post.body(request_body).send().await.map_err(away)?;
    let status = response.status();
    let answer = body(&mut response).await?;
    match status.as_u16() {
        200..=299 => Ok(ExportMetricsServiceResponse::decode(&*answer).unwrap_or_default()),
        // https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes
        429 | 502 | 503 | 504 => Err(Failure::Away(format!("it answers with status {status}"))),
        401 | 403 | 404 => Err(Failure::Away(format!("status {status}; are address and headers right?"))),
        _ => Err(Failure::Refused(format!("status {status}"))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn away(error: reqwest::Error) -> Failure {
    Failure::Away(cause(&error))
}

/// The body of an answer, of a bounded size.
pub(super) async fn body(response: &mut reqwest::Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Failure::Refused(format!("its answer is larger than {MAX_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), LEVEL);
    encoder.write_all(body).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything")
}

async fn call(
    channel: Channel,
    endpoint: &Endpoint,
    request: ExportMetricsServiceRequest,
) -> Result<ExportMetricsServiceResponse, Failure> {
    let mut client = MetricsServiceClient::new(channel);
    if endpoint.gzip {
        client = client.send_compressed(CompressionEncoding::Gzip);
    }
    let metadata = MetadataMap::from_headers(headers(endpoint));
    let request = Request::from_parts(metadata, tonic::Extensions::default(), request);
    match client.export(request).await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(failure(&status)),
    }
}

fn failure(status: &Status) -> Failure {
    let reason = shortened(&format!("{:?}: {}", status.code(), status.message()));
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange | Code::DataLoss | Code::ResourceExhausted => {
            Failure::Refused(reason)
        }
        _ => Failure::Away(reason),
    }
}

/// The innermost reason, which says the most.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shortened(&error.to_string())
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_REASON_CHARS).collect()
}
