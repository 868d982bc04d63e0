//! Log events and spans, by the exporters of the OpenTelemetry SDK.
//!
//! The SDK batches on threads of its own. Whoever logs or ends a span only puts it into a bounded queue.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SdkTracerProvider};
use tokio::runtime::Handle;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;

use super::queue::{Counted, LENGTH, Queue};
use super::transport::{self, Transport};
use crate::config::otlp::{Endpoint, Sampler, Traces};
use crate::logging::BoxedLayer;

/// The target of all spans; what is logged has that of its module.
const SPANS: &str = "collection";

/// What is told of OTLP itself is not told by OTLP: each failure would make another one.
const NOT_SENT: &str = "teams_rooms_exporter::otlp";

/// The usual of the SDK.
const BATCH: usize = 512;
/// The usual of the SDK is one second for records and five for spans.
const DELAY: Duration = Duration::from_secs(1);

/// Makes what sends log records.
pub(super) fn logger(
    transport: &Transport,
    endpoint: &Endpoint,
    resource: Resource,
    queue: Queue,
) -> Result<SdkLoggerProvider, ExporterBuildError> {
    let builder = LogExporter::builder();
    let inner = match transport {
        Transport::Http(client) => over_http(builder.with_http(), client, endpoint).build()?,
        Transport::Grpc(channel) => over_grpc(builder.with_tonic(), channel, endpoint).build()?,
    };
    let batches = logs::BatchConfigBuilder::default()
        .with_max_queue_size(LENGTH)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let exporter = Counted { inner, queue: queue.clone() };
    let inner = BatchLogProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkLoggerProvider::builder().with_resource(resource);
    Ok(provider.with_log_processor(Counted { inner, queue }).build())
}

/// Makes what sends spans.
pub(super) fn tracer(
    transport: &Transport,
    settings: &Traces,
    resource: Resource,
    queue: Queue,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let (builder, endpoint) = (SpanExporter::builder(), &settings.endpoint);
    let inner = match transport {
        Transport::Http(client) => over_http(builder.with_http(), client, endpoint).build()?,
        Transport::Grpc(channel) => over_grpc(builder.with_tonic(), channel, endpoint).build()?,
    };
    let batches = trace::BatchConfigBuilder::default()
        .with_max_queue_size(LENGTH)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    let exporter = Counted { inner, queue: queue.clone() };
    let inner = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let sampler = match settings.sampler {
        Sampler::On => trace::Sampler::AlwaysOn,
        Sampler::Off => trace::Sampler::AlwaysOff,
        Sampler::Ratio(ratio) => trace::Sampler::TraceIdRatioBased(ratio),
    };
    let sampler = trace::Sampler::ParentBased(Box::new(sampler));
    let provider = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
    Ok(provider.with_span_processor(Counted { inner, queue }).build())
}

/// What hands our own events of some weight to the logger.
pub(super) fn of_logs(provider: &SdkLoggerProvider) -> BoxedLayer {
    let ours = Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO)
        .with_target(NOT_SENT, LevelFilter::OFF);
    OpenTelemetryTracingBridge::new(provider).with_filter(ours).boxed()
}

/// What hands the spans of the collection to the tracer.
pub(super) fn of_traces(provider: &SdkTracerProvider) -> BoxedLayer {
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO))
        .boxed()
}

fn over_http<B: WithExportConfig + WithHttpConfig>(
    to: B,
    client: &reqwest::Client,
    endpoint: &Endpoint,
) -> B {
    let to = to.with_http_client(Client::new(client)).with_headers(headers(endpoint));
    let to = to.with_endpoint(endpoint.url.as_str()).with_protocol(Protocol::HttpBinary);
    let to = to.with_timeout(endpoint.timeout);
    if endpoint.gzip { to.with_compression(Compression::Gzip) } else { to }
}

fn over_grpc<B: WithExportConfig + WithTonicConfig>(to: B, channel: &Channel, endpoint: &Endpoint) -> B {
    let to = to.with_channel(channel.clone()).with_metadata(metadata(endpoint));
    let to = to.with_endpoint(endpoint.url.as_str()).with_timeout(endpoint.timeout);
    if endpoint.gzip { to.with_compression(Compression::Gzip) } else { to }
}

fn headers(endpoint: &Endpoint) -> HashMap<String, String> {
    endpoint.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
}

fn metadata(endpoint: &Endpoint) -> MetadataMap {
    MetadataMap::from_headers(transport::headers(endpoint))
}

/// Our HTTP client for the threads of the SDK, which are not those of the runtime that it needs.
struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

impl Client {
    fn new(http: &reqwest::Client) -> Self {
        Self { http: http.clone(), runtime: Handle::current() }
    }
}

/// Its default headers may be secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

type Sending<'f> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>;

impl HttpClient for Client {
    // As `async_trait` writes it.
    fn send_bytes<'s, 'f>(&'s self, request: Request<Bytes>) -> Sending<'f>
    where
        's: 'f,
        Self: 'f,
    {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move { exchange(&http, request).await });
        Box::pin(async move { sent.await? })
    }
}

async fn exchange(http: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut response = http.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = response.headers().clone();
    *answer.body_mut() = transport::body(&mut response).await?.into();
    Ok(answer)
}
