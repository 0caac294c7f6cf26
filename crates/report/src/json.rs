//! The JSON files of a run folder, which appear whole or not at all.

use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{ReportError, io};

/// Writes a value as JSON beside `path`, then renames it into place: whole or not at all.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ReportError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| ReportError::Json {
        path: path.to_path_buf(),
        source,
    })?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// Writes bytes beside `path`, then renames them into place: the file appears whole or not at all.
///
/// # Errors
/// [`ReportError::Io`], with nothing left beside the file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| {
        let _ = std::fs::remove_file(&beside);
        ReportError::Io {
            action: "write",
            path: path.to_path_buf(),
            source,
        }
    })
}

/// Reads a JSON file; `None` where there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ReportError> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| ReportError::Json {
                path: path.to_path_buf(),
                source,
            }),
    }
}
