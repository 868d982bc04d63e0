//! Metrics: pure functions from a snapshot and `now` to families and their text.

pub mod block;
pub mod catalogue;
pub mod exposition;
pub mod text;
