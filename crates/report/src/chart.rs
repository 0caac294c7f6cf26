//! Line charts as geometry: ticks, paths and marks in the units of an SVG view box. The template
//! writes the markup, so that every label passes through its escaping.

use serde::Serialize;

use crate::{
    axis::{Axis, linear_ticks, log_ticks},
    format,
    path::{SMOOTHED_FROM, path, round, running_mean},
};

/// View box and plot area; the left margin holds a label of seven characters in the size that a
/// phone gets.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 308.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 258.0;

/// How the values of an axis are written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Unit {
    /// As they are.
    #[default]
    Plain,
    /// Shares, in percent.
    Percent,
}

/// One curve.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curve {
    /// Name in the legend.
    pub name: String,
    /// Points with rising x; others than finite ones break the line.
    pub points: Vec<[f64; 2]>,
    /// Index of the color.
    pub color: usize,
    /// Whether the line is dashed.
    pub dashed: bool,
    /// Whether to draw a noisy curve faintly with its running mean over it.
    pub smooth: bool,
    /// Whether to mark each point (where they are few).
    pub dots: bool,
    /// Index of the point to point out, and what to write beside it.
    pub mark: Option<(usize, String)>,
}

/// A chart to draw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chart {
    /// Heading.
    pub title: String,
    /// Label of the horizontal axis.
    pub x: String,
    /// Label of the vertical axis, beside the heading.
    pub y: String,
    /// How values of the vertical axis are written.
    pub unit: Unit,
    /// Whether the vertical axis is logarithmic.
    pub log: bool,
    /// Whether the vertical axis begins at 0.
    pub from_zero: bool,
    /// The curves.
    pub curves: Vec<Curve>,
    /// A sentence on what is to be seen, for those who cannot see it; derived where it is empty.
    pub summary: String,
}

/// A chart as the template draws it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub title: String,
    pub x: String,
    pub y: String,
    pub log: bool,
    pub summary: String,
    pub width: f64,
    pub height: f64,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x_ticks: Vec<Tick>,
    pub y_ticks: Vec<Tick>,
    pub lines: Vec<Line>,
    pub legend: Vec<Legend>,
    /// Whether it takes a third of a row rather than half of it.
    pub third: bool,
}

/// Shares out rows of two and of three, so that no row has a hole where that can be had: the first
/// figures are large, the last ones small.
pub(crate) fn arrange(figures: &mut [Figure]) {
    let count = figures.len();
    let halves = match count {
        3 => 0,
        _ if count.is_multiple_of(2) => count,
        _ => count.saturating_sub(3),
    };
    let halves = if count >= 8 && count % 3 == 2 {
        2
    } else {
        halves
    };
    for (index, figure) in figures.iter_mut().enumerate() {
        figure.third = count > 1 && index >= halves;
    }
}

/// A tick with its label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Tick {
    pub at: f64,
    pub label: String,
}

/// A drawn curve.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub name: String,
    pub color: usize,
    pub dashed: bool,
    pub faint: bool,
    pub path: String,
    pub dots: Vec<Dot>,
    pub mark: Option<Mark>,
}

/// A marked point and the value it shows when pointed at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Dot {
    pub x: f64,
    pub y: f64,
    pub label: String,
}

/// The point that is pointed out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mark {
    pub x: f64,
    pub y: f64,
    pub text_x: f64,
    pub text_y: f64,
    pub anchor: &'static str,
    pub label: String,
}

/// An entry of the legend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Legend {
    pub name: String,
    pub color: usize,
    pub dashed: bool,
}

impl Chart {
    /// Whether a logarithmic axis suits the values: all positive and over more than `ratio` times.
    pub(crate) fn suits_log(curves: &[Curve], ratio: f64) -> bool {
        let values = || finite(curves).map(|p| p[1]);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        low > 0.0 && high / low > ratio
    }

    /// Lays the chart out; `None` where no curve has a finite point.
    pub(crate) fn figure(self) -> Option<Figure> {
        let log = self.log && finite(&self.curves).any(|p| p[1] > 0.0);
        let usable = |p: &&[f64; 2]| !log || p[1] > 0.0;
        let range = |index: usize| {
            finite(&self.curves).filter(usable).map(|p| p[index]).fold(
                None,
                |range: Option<(f64, f64)>, v| {
                    Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
                },
            )
        };
        let (mut x_low, mut x_high) = range(0)?;
        let (mut low, high) = range(1)?;
        if x_low > 0.0 && x_low < 0.35 * x_high {
            x_low = 0.0;
        }
        if x_high <= x_low {
            x_high = x_low + 1.0;
        }
        if self.from_zero && !log {
            low = low.min(0.0);
        }
        let x_axis = Axis {
            low: x_low,
            high: x_high,
            from: LEFT,
            to: RIGHT,
            log: false,
        };
        let x_ticks = linear_ticks(x_low, x_high, 5)
            .into_iter()
            .filter(|&v| (x_low..=x_high).contains(&v))
            .map(|v| Tick {
                at: round(x_axis.place(v)),
                label: short(v),
            })
            .collect();
        let values = if log {
            log_ticks(low, high)
        } else {
            linear_ticks(low, high, 5)
        };
        let y_axis = Axis {
            low: values.first().copied().unwrap_or(low).min(low),
            high: values.last().copied().unwrap_or(high).max(high),
            from: BOTTOM,
            to: TOP,
            log,
        };
        let step = if values.len() > 1 {
            values[1] - values[0]
        } else {
            1.0
        };
        let y_ticks = values
            .iter()
            .map(|&v| Tick {
                at: round(y_axis.place(v)),
                label: self.unit.tick(v, step, log),
            })
            .collect();

        let legend = self
            .curves
            .iter()
            .filter(|curve| !curve.name.is_empty())
            .map(|c| Legend {
                name: c.name.clone(),
                color: c.color,
                dashed: c.dashed,
            })
            .collect();
        let drawn: Vec<[f64; 2]> = self
            .curves
            .iter()
            .flat_map(|c| {
                let place = |p: &[f64; 2]| [x_axis.place(p[0]), y_axis.place(p[1])];
                along(
                    &c.points
                        .iter()
                        .filter(usable)
                        .map(place)
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let lines = self
            .curves
            .iter()
            .flat_map(|c| self.lines(c, &x_axis, &y_axis, &drawn))
            .collect();
        let summary = if self.summary.is_empty() {
            self.describe()
        } else {
            self.summary.clone()
        };
        Some(Figure {
            summary,
            title: self.title,
            x: self.x,
            y: self.y,
            log,
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            top: TOP,
            bottom: BOTTOM,
            x_ticks,
            y_ticks,
            lines,
            legend,
            third: false,
        })
    }

    fn lines(&self, curve: &Curve, x_axis: &Axis, y_axis: &Axis, drawn: &[[f64; 2]]) -> Vec<Line> {
        let place = |p: &[f64; 2]| [x_axis.place(p[0]), y_axis.place(p[1])];
        let line = |points: &[[f64; 2]], faint: bool| Line {
            name: curve.name.clone(),
            color: curve.color,
            dashed: curve.dashed,
            faint,
            path: path(points, y_axis.log, place),
            dots: Vec::new(),
            mark: None,
        };
        let smooth = curve.smooth && curve.points.len() >= SMOOTHED_FROM;
        let mut lines = Vec::new();
        if smooth {
            lines.push(line(&curve.points, true));
            lines.push(line(&running_mean(&curve.points), false));
        } else {
            lines.push(line(&curve.points, false));
        }
        let points = curve
            .points
            .iter()
            .filter(|p| p[1].is_finite() && (!y_axis.log || p[1] > 0.0));
        let few = curve.points.len() <= 60;
        if let Some(last) = lines.last_mut() {
            if (curve.dots && few) || curve.points.len() == 1 {
                last.dots = points
                    .map(|p| {
                        let [x, y] = place(p).map(round);
                        let label =
                            format!("{} {}: {}", self.x, short(p[0]), self.unit.value(p[1]));
                        Dot { x, y, label }
                    })
                    .collect();
            }
            last.mark = curve.mark.as_ref().and_then(|(index, label)| {
                let [x, y] = place(curve.points.get(*index)?).map(round);
                let (text_x, text_y, anchor) = beside([x, y], label, drawn);
                Some(Mark {
                    x,
                    y,
                    text_x,
                    text_y,
                    anchor,
                    label: label.clone(),
                })
            });
        }
        lines
    }

    /// "Loss over step: train from 2.3 to 0.04; validation from 1.9 to 0.11 (best ...)".
    fn describe(&self) -> String {
        let parts: Vec<_> = self
            .curves
            .iter()
            .filter_map(|curve| {
                let known = || curve.points.iter().filter(|p| p[1].is_finite());
                let (first, last) = (known().next()?, known().next_back()?);
                let (first, last) = (self.unit.value(first[1]), self.unit.value(last[1]));
                let mark = curve.mark.as_ref().map(|(_, label)| format!(" ({label})"));
                let name = if curve.name.is_empty() {
                    String::new()
                } else {
                    format!("{} ", curve.name)
                };
                Some(format!(
                    "{name}from {first} to {last}{}",
                    mark.unwrap_or_default()
                ))
            })
            .collect();
        format!("{} over {}: {}", self.title, self.x, parts.join("; "))
    }
}

impl Unit {
    /// A value in a sentence.
    pub(crate) fn value(self, value: f64) -> String {
        match self {
            Unit::Plain => format::number(value, 4),
            Unit::Percent => format!("{:.2}\u{a0}%", value * 100.0),
        }
    }

    /// A tick, with just the digits that tell it from its neighbours `step` away.
    fn tick(self, value: f64, step: f64, log: bool) -> String {
        match self {
            Unit::Percent => {
                let decimals = (-(step * 100.0).log10() - 1e-6).ceil().clamp(0.0, 4.0) as usize;
                format!("{:.decimals$}\u{a0}%", value * 100.0)
            }
            Unit::Plain if log => format::number(value, 2),
            Unit::Plain => short(value),
        }
    }
}

/// Where to write a label of the point `at`: above or below it, where it covers least of what is
/// `drawn`; to the left of points in the right half.
fn beside(at: [f64; 2], label: &str, drawn: &[[f64; 2]]) -> (f64, f64, &'static str) {
    let [x, y] = at;
    // As wide as on a phone, where the text is largest.
    let width = 9.5 * label.chars().count() as f64;
    let (text_x, anchor, from) = if x > (LEFT + RIGHT) / 2.0 {
        (x + 6.0, "end", x + 6.0 - width)
    } else {
        (x - 6.0, "start", x - 6.0)
    };
    let covered = |baseline: f64| {
        let inside = |p: &&[f64; 2]| {
            (from..=from + width).contains(&p[0])
                && (baseline - 17.0..=baseline + 6.0).contains(&p[1])
        };
        drawn.iter().filter(inside).count()
    };
    let text_y = [-15.0, 27.0, -34.0, 46.0, -53.0, 65.0, -72.0, 84.0]
        .map(|away| y + away)
        .into_iter()
        .filter(|baseline| (TOP + 12.0..=BOTTOM - 8.0).contains(baseline))
        .min_by_key(|baseline| covered(*baseline))
        .unwrap_or(y - 15.0);
    (round(text_x), round(text_y), anchor)
}

/// Points along the drawn lines, close enough to each other that a label cannot slip between.
fn along(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut all = Vec::new();
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let parts = ((to[0] - from[0]).hypot(to[1] - from[1]) / 6.0)
            .ceil()
            .clamp(1.0, 100.0) as u32;
        all.extend((0..=parts).map(|part| {
            let share = f64::from(part) / f64::from(parts);
            [
                from[0] + share * (to[0] - from[0]),
                from[1] + share * (to[1] - from[1]),
            ]
        }));
    }
    all.retain(|p| p[0].is_finite() && p[1].is_finite());
    all
}

fn finite(curves: &[Curve]) -> impl Iterator<Item = &[f64; 2]> {
    curves
        .iter()
        .flat_map(|c| &c.points)
        .filter(|p| p[0].is_finite() && p[1].is_finite())
}

/// A tick label: `250`, `12k`, `0.005`.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{}M", format::number(value / 1e6, 4)),
        v if v >= 1e4 => format!("{}k", format::number(value / 1e3, 4)),
        _ => format::number(value, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<[f64; 2]>, log: bool) -> Chart {
        let curve = Curve {
            name: "train".into(),
            points,
            ..Curve::default()
        };
        Chart {
            title: "Loss".into(),
            x: "step".into(),
            log,
            curves: vec![curve],
            ..Chart::default()
        }
    }

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn ticks_are_labelled_briefly() {
        let figure = chart(vec![[0.0, 0.934], [20_000.0, 0.981]], false);
        let figure = Chart {
            unit: Unit::Percent,
            ..figure
        }
        .figure()
        .unwrap();
        assert_eq!(labels(&figure.x_ticks), ["0", "5000", "10k", "15k", "20k"]);
        assert_eq!(figure.y_ticks[0].label, "93\u{a0}%");
    }

    #[test]
    fn curves_end_where_they_should() {
        let figure = chart(
            vec![[0.0, 0.0], [5.0, f64::NAN], [8.0, 0.5], [10.0, 1.0]],
            false,
        )
        .figure()
        .unwrap();
        assert_eq!(figure.lines[0].path, "M66 258h0M451.6 136L548 14");
        assert_eq!(figure.summary, "Loss over step: train from 0 to 1");
        assert!(chart(vec![[1.0, f64::NAN]], false).figure().is_none());
        assert!(chart(vec![], true).figure().is_none());
        assert!(
            chart(vec![[1.0, -1.0]], true).figure().is_some(),
            "no logarithm of a negative value"
        );
        assert_eq!(
            chart(vec![[3.0, 0.0]], false).figure().unwrap().lines[0]
                .dots
                .len(),
            1
        );
    }

    #[test]
    fn many_points_are_thinned_and_no_spike_is_lost() {
        let mut points: Vec<_> = (0..100_000).map(|x| [f64::from(x), 0.5]).collect();
        points[77_777][1] = 1.0;
        let figure = chart(points, false).figure().unwrap();
        let path = &figure.lines[0].path;
        assert!(path.len() < 30_000, "{}", path.len());
        let top = figure
            .y_ticks
            .iter()
            .find(|tick| tick.label == "1")
            .unwrap()
            .at;
        assert!(path.contains(&format!(" {top}")), "the spike at {top}");
    }
}
