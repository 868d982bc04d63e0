//! Of which rooms it may be known when they are used and booked.

/// What an operator, or those who work there, allow. The default is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Off: of no room at all.
    pub usage: bool,
    /// Seats. In a smaller room its use is that of a person, and one whose seats are not known may be small; 0 is no limit.
    pub min_capacity: u32,
}

impl Privacy {
    /// Whether use and bookings of a room with so many seats may be known.
    pub fn allows(self, capacity: Option<u32>) -> bool {
        self.usage && capacity.map_or(self.min_capacity == 0, |seats| seats >= self.min_capacity)
    }
}

impl Default for Privacy {
    fn default() -> Self {
        Self { usage: true, min_capacity: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_may_be_small_counts_as_small() {
        let privacy = Privacy { usage: true, min_capacity: 3 };
        assert!(!privacy.allows(None) && privacy.allows(Some(3)) && !privacy.allows(Some(2)));
        assert!(Privacy::default().allows(Some(0)) && Privacy::default().allows(None));
        let off = Privacy { usage: false, ..Privacy::default() };
        assert!(!off.allows(None) && !off.allows(Some(100)));
    }
}
