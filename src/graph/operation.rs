//! The kinds of requests: their names in the metrics, and the services behind Graph that throttle them.

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// The label `operation`.
    pub name: &'static str,
    pub workload: Workload,
}

/// A service behind Graph that counts requests separately: if one asks for a wait, the others go on.
///
/// <https://learn.microsoft.com/graph/throttling-limits>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    Teamwork,
    Presence,
    /// Places and calendars.
    Outlook,
    /// Users, licenses and applications.
    Directory,
    Intune,
    ServiceAnnouncements,
}
