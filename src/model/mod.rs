//! What the exporter knows, as plain data: no Graph shapes, no I/O, no clock.
//!
//! Collectors fill the parts of a [`Snapshot`]; [`fleet`] joins them at a moment `now` into the picture that
//! metrics, pages and commands show. Identity, since-times, versions and verdicts are pure functions here.

pub mod account;
pub mod calendar;
pub mod collector;
pub mod coverage;
pub mod credential;
pub mod detail;
pub mod device;
pub mod fleet;
pub mod identity;
pub mod incident;
pub mod license;
pub mod listing;
pub mod managed_device;
pub mod memory;
pub mod place;
pub mod presence;
pub mod privacy;
pub mod product_names;
pub mod record;
pub mod report;
pub mod room;
pub mod rooms_file;
pub mod service_health;
pub mod shard;
pub mod shared;
pub mod sight;
pub mod site;
pub mod snapshot;
pub mod stamp;
pub mod standing;
pub mod time;
pub mod usage;
pub mod version;

pub use snapshot::Snapshot;
pub use time::{Span, Timestamp};

/// The most characters of an id or an address: RFC 5321 allows 254 of an address, and none has more. Labels of ids are never
/// cut, because two that begin alike would be one series.
pub const MAX_ID_CHARS: usize = 254;

/// A closed set of states that becomes one 0/1 series per state.
pub trait State: Copy + PartialEq + 'static {
    /// Every state, in the order in which the series are written.
    const ALL: &'static [Self];
    /// The value of the label `state`: snake case.
    fn label(self) -> &'static str;
}
