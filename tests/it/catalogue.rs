//! What users may name: the catalogue, README and the example metrics agree with a live scrape.
