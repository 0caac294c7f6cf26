//! Curves as SVG paths: smoothed, and thinned to what can be seen.

/// Curves of fewer points are not smoothed.
pub(crate) const SMOOTHED_FROM: usize = 40;

/// Width of a column in which points are thinned, in units of the view box.
const COLUMN: f64 = 1.5;

/// The mean over a window of a fifteenth of the points around each point, cut at the ends.
pub(crate) fn running_mean(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    if points.len() < SMOOTHED_FROM {
        return points.to_vec();
    }
    let radius = (points.len() / 30).max(2);
    (0..points.len())
        .map(|at| {
            // As many to the left as to the right, so that the ends are not biased.
            let reach = radius.min(at).min(points.len() - 1 - at);
            let window = &points[at - reach..=at + reach];
            let known: Vec<f64> = window
                .iter()
                .map(|p| p[1])
                .filter(|v| v.is_finite())
                .collect();
            [
                points[at][0],
                known.iter().sum::<f64>() / known.len() as f64,
            ]
        })
        .collect()
}

/// An SVG path through the points, thinned to what can be seen: within each column of the plot the
/// first, lowest, highest and last point stay, so that no spike is lost.
pub(crate) fn path(
    points: &[[f64; 2]],
    log: bool,
    place: impl Fn(&[f64; 2]) -> [f64; 2],
) -> String {
    let mut text = String::new();
    let usable = |p: &[f64; 2]| p[0].is_finite() && p[1].is_finite() && (!log || p[1] > 0.0);
    for run in points.split(|p| !usable(p)) {
        let placed: Vec<[f64; 2]> = run.iter().map(&place).collect();
        let width = placed.last().map_or(0.0, |last| last[0] - placed[0][0]);
        let dense = placed.len() as f64 > 2.0 * width / COLUMN;
        let column = |p: &[f64; 2]| {
            if dense {
                (p[0] / COLUMN).floor() as i64
            } else {
                0
            }
        };
        let mut start = 0;
        let mut command = 'M';
        let mut push = |p: [f64; 2]| {
            use std::fmt::Write;
            let _ = write!(text, "{command}{} {}", round(p[0]), round(p[1]));
            command = 'L';
        };
        while start < placed.len() {
            let same = |p: &&[f64; 2]| dense && column(p) == column(&placed[start]);
            let length = placed[start..].iter().take_while(same).count().max(1);
            let bucket = &placed[start..start + length];
            let by = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
            let extreme = |point: Option<&[f64; 2]>| {
                bucket.iter().position(|p| Some(p) == point).unwrap_or(0)
            };
            let mut keep = vec![
                0,
                extreme(bucket.iter().min_by(by)),
                extreme(bucket.iter().max_by(by)),
                length - 1,
            ];
            keep.sort_unstable();
            keep.dedup();
            keep.into_iter().for_each(|index| push(bucket[index]));
            start += length;
        }
        if placed.len() == 1 {
            // A line of no length has round ends: a dot.
            text += "h0";
        }
    }
    text
}

/// A place in a chart, to a tenth of a pixel.
pub(crate) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_a_value_is_missing() {
        let points = [[0.0, 1.0], [1.0, f64::NAN], [2.0, 3.0], [3.0, 4.0]];
        assert_eq!(path(&points, false, |p| *p), "M0 1h0M2 3L3 4");
        assert_eq!(path(&[[0.0, 0.0], [9.0, 2.0]], true, |p| *p), "M9 2h0");
        assert_eq!(path(&[], false, |p| *p), "");
    }

    #[test]
    fn the_running_mean_keeps_a_straight_line() {
        let line: Vec<_> = (0..200)
            .map(|x| [f64::from(x), 3.0 * f64::from(x)])
            .collect();
        for (mean, point) in running_mean(&line).iter().zip(&line) {
            assert!((mean[1] - point[1]).abs() < 1e-9);
        }
    }
}
