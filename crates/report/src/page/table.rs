//! Tables as the page shows them.

use serde::Serialize;

use crate::{
    format,
    results::{Cell, Table},
};

/// A table as shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct Grid {
    pub(super) caption: String,
    pub(super) columns: Vec<Column>,
    /// Cells with whether they are numbers.
    pub(super) rows: Vec<Vec<(String, bool)>>,
}

/// A column heading.
#[derive(Debug, Default, Serialize)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) note: String,
    pub(super) number: bool,
}

impl Column {
    pub(super) fn new(name: impl Into<String>, number: bool) -> Self {
        Column {
            name: name.into(),
            number,
            ..Column::default()
        }
    }
}

/// Whether a column holds numbers and nothing else.
pub(super) fn numeric(table: &Table, column: usize) -> bool {
    let mut cells = table
        .rows
        .iter()
        .filter_map(|row| row.get(column))
        .peekable();
    cells.peek().is_some() && cells.all(|cell| !matches!(cell, Cell::Text(_)))
}

/// The cells as text; the numbers of a column get as many decimals as the one that needs most.
pub(super) fn cells(table: &Table) -> Vec<Vec<(String, bool)>> {
    let decimals = |column: usize| {
        let numbers = table.rows.iter().filter_map(|row| match row.get(column) {
            Some(Cell::Number(value)) => Some(format::number(*value, 4)),
            _ => None,
        });
        let decimals = |text: String| {
            text.split_once('.')
                .map_or(0, |(_, fraction)| fraction.len())
        };
        let texts: Vec<_> = numbers.collect();
        let plain = texts.iter().all(|text| !text.contains('e'));
        plain.then(|| texts.into_iter().map(decimals).max().unwrap_or(0))
    };
    let decimals: Vec<_> = (0..table.columns.len()).map(decimals).collect();
    let text = |(column, cell): (usize, &Cell)| match cell {
        Cell::Number(value) => match decimals.get(column).copied().flatten() {
            Some(decimals) if decimals > 0 => (format!("{value:.decimals$}"), true),
            _ => (format::number(*value, 4), true),
        },
        Cell::Text(text) => (text.clone(), false),
        Cell::Empty => (format::NONE.into(), true),
    };
    table
        .rows
        .iter()
        .map(|row| row.iter().enumerate().map(text).collect())
        .collect()
}
