//! The binary: arguments, logging, configuration, then the app.

fn main() {}
