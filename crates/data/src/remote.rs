//! What a file is that can be fetched, and how far that is.

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its address; the last part of the path is the name it gets.
    pub url: String,
    /// Its SHA-256 in lower-case hexadecimal, or as many of its first digits as are published.
    pub sha256: String,
    /// Its size in bytes; where none is known, what the server announces counts.
    pub bytes: Option<u64>,
    /// What is done with it once it is here.
    pub kind: Kind,
}

/// What a fetched file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kept as it is.
    File,
    /// A tar archive: its entries are kept, it itself is not.
    Tar,
    /// A gzip-compressed tar archive: its entries are kept, it itself is not.
    TarGz,
}

/// How far a transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The address.
    pub url: &'a str,
    /// Bytes that have arrived.
    pub done: u64,
    /// Bytes that are expected, where that is known.
    pub total: Option<u64>,
}
