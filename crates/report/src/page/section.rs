//! Sections that a task makes up itself.

use std::path::Path;

use serde::Serialize;

use super::table::{self, Column, Grid};
use crate::{
    chart::{self, Chart, Curve, Figure},
    picture::{self, Inlined},
    results::{LineChart, Section},
};

/// A section of the task's own.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) title: String,
    pub(super) text: Vec<String>,
    pub(super) charts: Vec<Figure>,
    pub(super) tables: Vec<Grid>,
    pub(super) images: Vec<Inlined>,
}

impl Part {
    pub(super) fn of(run: &Path, section: &Section) -> Self {
        let tables = section.tables.iter().map(|table| Grid {
            caption: table.caption.clone(),
            columns: table
                .columns
                .iter()
                .enumerate()
                .map(|(at, name)| Column::new(name, table::numeric(table, at)))
                .collect(),
            rows: table::cells(table),
        });
        let images = section.images.iter().map(|image| {
            let alt = if image.alt.is_empty() {
                &image.caption
            } else {
                &image.alt
            };
            picture::inline(run, &image.path, alt, &image.caption)
        });
        Part {
            title: section.title.clone(),
            text: section.text.clone(),
            charts: arranged(section.charts.iter().cloned().filter_map(line_chart)),
            tables: tables.collect(),
            images: images.collect(),
        }
    }
}

pub(super) fn arranged(figures: impl Iterator<Item = Figure>) -> Vec<Figure> {
    let mut figures: Vec<_> = figures.collect();
    chart::arrange(&mut figures);
    figures
}

fn line_chart(chart: LineChart) -> Option<Figure> {
    let curves = chart
        .series
        .into_iter()
        .enumerate()
        .map(|(color, series)| Curve {
            name: series.name,
            points: series.points,
            color,
            dots: true,
            ..Curve::default()
        });
    Chart {
        title: chart.title,
        x: chart.x,
        y: chart.y,
        log: chart.log,
        curves: curves.collect(),
        ..Chart::default()
    }
    .figure()
}
