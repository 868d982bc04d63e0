//! Of which rooms it may be known when they are used and booked.

/// What an operator, or those who work there, allow. The default is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Off: of no room at all.
    pub usage: bool,
    /// Seats. In a smaller room its use is that of a person. A room whose seats are not known counts as large.
    pub min_capacity: u32,
}

impl Privacy {
    /// Whether use and bookings of a room with so many seats may be known.
    pub fn allows(self, capacity: Option<u32>) -> bool {
        self.usage && capacity.is_none_or(|seats| seats >= self.min_capacity)
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
    fn small_rooms_are_those_of_known_size() {
        let privacy = Privacy { usage: true, min_capacity: 3 };
        assert!(privacy.allows(None) && privacy.allows(Some(3)) && !privacy.allows(Some(2)));
        assert!(Privacy::default().allows(Some(0)));
        let off = Privacy { usage: false, ..Privacy::default() };
        assert!(!off.allows(None) && !off.allows(Some(100)));
    }
}
