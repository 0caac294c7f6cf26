//! Placeholder documentation, replaced with the crate's content.
