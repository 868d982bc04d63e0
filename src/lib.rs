//! teams-rooms-exporter: Microsoft Graph -> collectors -> model -> store -> metrics -> /metrics.

pub mod app;
pub mod cli;
pub mod clock;
pub mod collectors;
pub mod commands;
pub mod config;
pub mod graph;
pub mod keep;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod poll;
pub mod render;
pub mod serve;
pub mod sim;
pub mod stats;
pub mod store;
