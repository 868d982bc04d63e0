//! What clients do to keep others from scraping: none of it does.
