//! A Prometheus exporter for Microsoft Teams Rooms. This page is the map of its code.
//!
//! # How data flows
//!
//! ```text
//!  Microsoft Graph                                              Prometheus, people
//!        |                                                              ^
//!      graph         tokens, pages, $batch, pace, retries               |
//!        v                                                            serve
//!   collectors       JSON becomes plain data                            ^
//!        v                                                              |
//!      model  --->  store  --->  model::fleet  --->  metrics  --->  exposition
//!                  snapshot      joined at `now`     samples       finished bytes
//!                  ^      \                         ^
//!            poll, intake  keep, observe          render
//!       when, or when told  a restart, time        when something changed
//! ```
//!
//! [`poll`] asks, [`observe`] counts the time, [`render`] writes down, [`serve`] hands out: loops that share only the
//! snapshot in [`store`] and the finished bytes in [`metrics::exposition`]. None waits for another.
//!
//! # The modules, in reading order
//!
//! * [`model`]: devices, rooms, their identity, memory and verdicts. Plain data and pure functions; begin here.
//! * [`graph`]: Microsoft Graph as a transport.
//! * [`collectors`]: one file per Graph resource; its JSON becomes the model.
//! * [`store`]: the last good picture of each tenant, in memory and in a file.
//! * [`poll`]: when each collector runs, and what its outcome means for its state.
//! * [`intake`]: what Microsoft's portals push: who may, how much, and into which tenant it goes.
//! * [`observe`]: looks at the rooms: how long each is booked, used and usable, and since when.
//! * [`keep`]: writes the picture to disk now and then, and at the end.
//! * [`metrics`]: from the model to samples and their text; [`metrics::catalogue`] is the table of all metrics.
//! * [`render`]: has the changed families of a tenant written anew.
//! * [`serve`]: the HTTP server: paths, formats, limits, the status page.
//! * [`cli`], [`config`]: arguments, environment and file become settings that nobody checks again.
//! * [`input`]: text files, JSON and PEM of others, read with tolerance and within bounds; their text, shown without harm.
//! * [`worker`]: long work leaves its thread to other tasks.
//! * [`proxy`]: the proxies of the environment.
//! * [`certificate`]: what signs in and who is trusted, out of PEM files.
//! * [`rooms_file`]: the operator's table of rooms, read again when it changed.
//! * [`clock`], [`stats`], [`logging`]: now; the exporter's own counters; one line per event.
//! * [`spelling`]: what a misspelled word was meant to be.
//! * [`otlp`]: the same facts, log events and spans, pushed to receivers of OpenTelemetry.
//! * [`app`]: builds the parts of each tenant, runs them, exchanges them at a reload and stops them. [`commands`]: what
//!   prints something and ends.
//! * [`capture`]: what Graph answers, without the tenant: pseudonyms, and closed lists of what stays.
//! * [`platform`]: rights of files, signals and the service manager, for each operating system.
//! * [`sim`]: a simulated tenant that speaks OAuth2 and Graph over HTTP, for `demo`, `simulate` and the tests.
//!
//! The tests that go through the real door are in `tests/it`; [`sim`] is what they read from.
//!
//! # What always holds
//!
//! 1. Imports run one way, each module knows only what stands below it: `tests/it/layers.rs` has the table.
//! 2. [`model`] and [`metrics`] do no I/O, read no clock and start nothing; `now` is an argument
//!    (`tests/it/layers.rs`, and `disallowed-methods` in `.clippy.toml`).
//! 3. [`graph`] knows no resource, [`collectors`] know no metric, [`metrics`] know no Graph (`tests/it/layers.rs`).
//! 4. [`sim`] shares nothing with [`collectors`] but HTTP, so that a field misread on one side is not misread on both
//!    (`tests/it/layers.rs`).
//! 5. A scrape never causes a request to Graph and renders no room data: [`serve`] cannot reach [`graph`], [`poll`] or
//!    [`render`] (`tests/it/layers.rs`); it walks over blocks that are there.
//! 6. A failed poll never removes data, it only lets it age: only [`store::Store::settle_devices`] takes a device
//!    away, on the word of complete listings (`tests/it/staleness.rs`, `tests/it/faults.rs`).
//! 7. A label value is an id, a name or a member of a closed enum ([`model::State`]); labels that Prometheus itself sets
//!    are refused by the tests in [`metrics::catalogue`], and `tests/it/catalogue.rs` holds every sample to its row.
//! 8. The exporter only reads, and a token goes to the Graph root alone (`tests/it/requests.rs`).
//! 9. Settings are read at start and at a reload, and put in force as a whole or not at all (`tests/it/reload.rs`); the
//!    environment is read in `main` alone (`disallowed-methods` in `.clippy.toml`). By themselves are read anew: what
//!    proves who we are, at each sign-in; the secrets of the intake, the rooms file and the web configuration, when changed.
//!    Beside the storage a refresh token alone is written ([`graph::auth::delegated`]).
//! 10. A secret has no `Debug` and no `Display` that shows it ([`config::Secret`]); `tests/it/command_line.rs` searches
//!     what the program prints.
//! 11. What strangers reach is a listener of its own: [`serve::intake`] knows no metrics, [`intake`] believes nobody without
//!     a secret, and of what it is told no free text is kept (`tests/it/intake.rs`).
//! 12. A capture holds nothing of a tenant but structure, Microsoft's words, sizes and ages (`tests/it/planted.rs`).
//! 13. Unknown is absent, never 0: nothing that is missing reads as healthy (`tests/golden` shows each situation).
//!
//! # Where a new thing goes
//!
//! `docs/architecture.md` describes how to add a metric and how to add a source.

// The data, and what is decided about it.
pub mod model;

// From Graph into the model, when it is asked for, and where the result is held.
pub mod collectors;
pub mod graph;
pub mod intake;
pub mod keep;
pub mod observe;
pub mod poll;
pub mod store;

// From the model to those who read it.
pub mod metrics;
pub mod render;
pub mod serve;

// The program around it.
pub mod app;
pub mod capture;
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod input;
pub mod logging;
pub mod otlp;
pub mod platform;
pub mod proxy;
pub mod rooms_file;
pub mod spelling;
pub mod stats;
pub mod worker;

// A tenant to try it on.
pub mod sim;
