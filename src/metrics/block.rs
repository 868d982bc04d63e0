//! The block.
