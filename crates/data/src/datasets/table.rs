//! Tables in CSV: rows with their lines, columns found by name, and the pictures that cells name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::listing::{Listing, inside};
use super::objects::{Tally, alike, shown};
use super::text::utf8;
use crate::error::DataError;
use crate::source::Remark;

/// A table.
pub(super) struct Table {
    /// How messages name it.
    pub shown: Arc<str>,
    /// The names of the columns.
    pub header: Vec<String>,
    pub rows: Vec<Row>,
}

/// A row and the line that it begins in.
pub(super) struct Row {
    pub line: u32,
    cells: Vec<String>,
}

impl Row {
    /// A cell without the spaces around it; empty where the row has none.
    pub fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", |cell| cell.trim())
    }
}

impl Table {
    /// Reads a table whose cells are parted by commas, semicolons or tabs. `columns` are other names for the columns;
    /// `header` says whether the first row is one.
    ///
    /// # Errors
    /// A file that is missing, is no UTF-8 or has no row, a name that two columns have, a row with more cells than columns.
    pub fn read(path: &Path, columns: &[String], header: bool) -> Result<Self, DataError> {
        if !path.is_file() {
            let hint = "expected a CSV table with the names of pictures".into();
            return Err(DataError::Missing {
                path: path.to_path_buf(),
                hint,
            });
        }
        let bytes = std::fs::read(path).map_err(|error| DataError::io(path, "read", error))?;
        let shown: Arc<str> = shown(path).into();
        let wrong =
            |line: u64, reason: String| DataError::unreadable(format!("{shown}:{line}"), reason);
        let text = utf8(&bytes).map_err(|reason| DataError::unreadable(&*shown, reason))?;
        let first = text.lines().next().unwrap_or_default();
        let count = |sign: &u8| first.bytes().filter(|byte| byte == sign).count();
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .rev()
            .max_by_key(count)
            .unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new();
        let reader = reader
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter);
        let mut rows = Vec::new();
        for record in reader.from_reader(text.as_bytes()).into_records() {
            let record = record
                .map_err(|error| DataError::unreadable(&*shown, format!("no CSV: {error}")))?;
            let line = record.position().map_or(1, |position| position.line());
            if record.iter().any(|cell| !cell.trim().is_empty()) {
                let cells = record.iter().map(str::to_owned).collect();
                rows.push(Row {
                    line: line as u32,
                    cells,
                });
            }
        }
        let own = (header && !rows.is_empty()).then(|| rows.remove(0).cells);
        let header: Vec<String> = match (columns.is_empty(), own) {
            (false, own) => {
                if let Some(own) = own.filter(|own| own.len() != columns.len()) {
                    let reason = format!(
                        "has {} columns, and `columns` names {}",
                        own.len(),
                        columns.len()
                    );
                    return Err(DataError::unreadable(&*shown, reason));
                }
                columns.to_vec()
            }
            (true, Some(own)) => own.iter().map(|name| name.trim().to_owned()).collect(),
            (true, None) => {
                return Err(DataError::unreadable(
                    &*shown,
                    "has no header; name its `columns`",
                ));
            }
        };
        let is_twice = |at: &usize| !header[*at].is_empty() && header[..*at].contains(&header[*at]);
        if let Some(twice) = (1..header.len()).find(is_twice) {
            return Err(wrong(
                1,
                format!("two columns are called `{}`", header[twice]),
            ));
        }
        if rows.is_empty() {
            return Err(DataError::unreadable(&*shown, "has no row"));
        }
        if let Some(row) = rows.iter().find(|row| row.cells.len() > header.len()) {
            let reason = format!(
                "{} cells, and there are {} columns",
                row.cells.len(),
                header.len()
            );
            return Err(wrong(row.line.into(), reason));
        }
        Ok(Self {
            shown,
            header,
            rows,
        })
    }

    /// The column of one of these names, the first name that there is; letters, signs and a plural do not matter.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        let find = |name: &&str| self.header.iter().position(|column| alike(column, name));
        names.iter().find_map(find)
    }

    /// That there is no column of these names.
    pub fn lacks(&self, what: &str, names: &[&str]) -> DataError {
        let [columns, names] = [self.header.join(", "), names.join(", ")];
        let reason = format!(
            "no column {what} ({names}); it has {columns}. `columns` gives them other names"
        );
        DataError::unreadable(format!("{}:1", self.shown), reason)
    }

    /// Remarks on the columns that are not read.
    pub fn unread(&self, read: &[usize]) -> Vec<Remark> {
        let others =
            (0..self.header.len()).filter(|at| !read.contains(at) && !self.header[*at].is_empty());
        let place = format!("{}:1", self.shown);
        let remark = |at: usize| {
            Remark::new(
                &*place,
                format!("the column `{}` is not read", self.header[at]),
            )
        };
        others.map(remark).collect()
    }

    /// The place of a row, for messages.
    pub fn place(&self, line: u32) -> String {
        line_of(&self.shown, line)
    }
}

/// A line of a file, for messages.
pub(super) fn line_of(file: &str, line: u32) -> String {
    format!("{file}:{line}")
}

/// The names that the column of a picture has.
pub(super) const FILES: [&str; 10] = [
    "filename",
    "file",
    "image_path",
    "path",
    "filepath",
    "image",
    "image_name",
    "image_id",
    "img",
    "id",
];

/// The pictures that cells name.
pub(super) struct Pictures {
    folder: PathBuf,
    listing: Listing,
    tally: Tally,
}

impl Pictures {
    /// Lists a folder and the folders in it.
    ///
    /// # Errors
    /// A folder that is missing or cannot be listed.
    pub fn of(folder: &Path) -> Result<Self, DataError> {
        if !folder.is_dir() {
            let hint = "expected the folder of the pictures that the table names".into();
            return Err(DataError::Missing {
                path: folder.to_path_buf(),
                hint,
            });
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            listing: Listing::of(folder)?,
            tally: Tally::default(),
        })
    }

    /// The file, relative to the folder, that a cell names, with or without ending; where its folders are not there, the
    /// picture of its last part.
    ///
    /// # Errors
    /// That there is none.
    pub fn find(&mut self, name: &str, place: impl FnOnce() -> String) -> Result<String, String> {
        let written = name.replace('\\', "/");
        let found = inside(&written).and_then(|name| self.listing.find(&name));
        if let Some((_, file)) = found {
            return Ok(file);
        }
        let last = written.rsplit('/').next().unwrap_or_default();
        match self.listing.find(last).filter(|_| written.contains('/')) {
            Some((_, file)) => {
                let kind =
                    "the folders of its picture are not there; the picture of its name is taken";
                self.tally.add(kind, place);
                Ok(file)
            }
            None => Err(format!("`{name}` is no picture in {}", shown(&self.folder))),
        }
    }

    /// The whole path of a file.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// What was noticed, and that pictures are named by no row.
    pub fn remarks(self, named: impl Fn(&str) -> bool) -> Vec<Remark> {
        let mut tally = self.tally;
        for file in self.listing.files().into_iter().filter(|file| !named(file)) {
            tally.add("a picture that no row names, left out", || {
                shown(&self.folder.join(file))
            });
        }
        tally.remarks()
    }
}
