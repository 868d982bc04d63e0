//! The tests that go through the real door: the app over sockets, against the simulated tenant.

/// Starts an exporter and its tenant, scrapes, waits. Every other module stands on it.
mod exporter;

/// The accounts of rooms and their licences.
mod accounts;
/// The rooms as JSON.
mod api;
/// The documentation: pages, links, anchors, commands and names lead somewhere.
mod book;
/// When rooms are booked, how long they are used, and what may not be known of that.
mod calendar;
/// The content of a capture, and the metrics of its replay.
mod capture;
/// Names that users rely on: catalogue, the tables of the book and example metrics agree.
mod catalogue;
/// The binary itself: arguments, exit codes, signals, logs.
mod command_line;
/// When the secret expires, and who says so.
mod credentials;
/// The table of evidence has each member that the collectors read.
mod evidence;
/// The configuration on every page is taken.
mod examples;
/// One test for each way in which Graph misbehaves.
mod faults;
/// Inputs of public reports, and the right value of each.
mod field;
/// Whole scrapes, compared with files.
mod golden;
/// TLS, certificates of clients, users, headers, a rate limit, and their change while it runs.
mod guard;
/// Time stamps that move by themselves.
mod heartbeats;
/// What clients do to keep others from scraping.
mod hostile_clients;
/// Bodies that grow when they are read, lists without an end.
mod hostile_graph;
/// Devices and the rooms that they belong to.
mod identity;
/// What Microsoft's portals push: who may, what is taken, what becomes of it.
mod intake;
/// What Intune manages: joined to rooms, and nothing of anybody else.
mod intune;
/// Imports run one way, every file says what it is for.
mod layers;
/// Every source against every fault of Graph.
mod matrix;
/// What is pushed by OTLP, and what a dead receiver costs.
mod otlp;
/// A scrape that asks for some of the rooms.
mod parts;
/// Sets of permissions, and what is known with each.
mod permissions;
/// Certificates for the tests.
mod pki;
/// A Graph that puts personal data into each text of each answer.
mod planted;
/// Any snapshot makes an exposition that every scraper takes.
mod properties;
/// Rules, dashboards and documents ask for what is there.
mod queries;
/// No page fetches a release that does not exist.
mod releases;
/// A new configuration while the exporter runs.
mod reload;
/// What is asked of Graph, how often, and where tokens go.
mod requests;
/// Several processes share a tenant.
mod shards;
/// Every way to sign in: what is sent, what is read anew, and by which roads.
mod sign_in;
/// Presence, places, service health, lists and files of rooms: each by itself, and joined in one verdict.
mod sources;
/// What survives a restart, and what ages.
mod staleness;
/// Disk, clock, names and TLS fail around the exporter.
mod surroundings;
/// The waits of the client when Graph throttles.
mod waits;
