//! Accounts and the rooms that they are.
//!
//! An identity is chosen once and never changes because something failed. A source that can see more adds to what is known
//! and takes no room away: only the directory can say that an account belongs to a person.

mod by_name;
mod claim;
mod registry;
mod room;

pub use by_name::pairs;
pub use claim::{Claim, Trust};
pub use registry::{Parted, Registry, United};
pub use room::{Authority, Room, Tie};

#[cfg(test)]
mod tests;
