//! What a request counts as: its name in the metrics, and the service behind Graph that throttles it.

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Workload {
    pub(super) const ALL: [Self; 6] = [
        Self::Teamwork,
        Self::Presence,
        Self::Outlook,
        Self::Directory,
        Self::Intune,
        Self::ServiceAnnouncements,
    ];
}
