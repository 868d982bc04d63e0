//! The exposition.
