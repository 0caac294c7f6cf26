//! Resizing: the matrices by which Firesight's models do it, and the operator that is written instead.

use crate::graph::{Attribute, Dim, Graph, Id};

/// How values between the pixels are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    /// Linear, the centres of the corner pixels half a pixel inside.
    Linear,
    /// Linear, corner pixel on corner pixel.
    LinearAligned,
    /// The pixel in whose area the point lies.
    Nearest,
}

impl Mode {
    /// The mode whose matrices these are: `[to, from]` for rows and for columns.
    pub fn of(rows: (&[f32], [usize; 2]), columns: (&[f32], [usize; 2])) -> Option<Self> {
        let is = |mode: Self, (matrix, sides): (&[f32], [usize; 2])| {
            let expected = mode.matrix(sides);
            (matrix.iter().zip(&expected)).all(|(a, b)| (a - b).abs() <= 1e-6)
        };
        let mut modes = [Self::Linear, Self::LinearAligned].into_iter();
        modes.find(|mode| is(*mode, rows) && is(*mode, columns))
    }

    fn matrix(self, [to, from]: [usize; 2]) -> Vec<f32> {
        let mut weights = vec![0.0; to * from];
        for (at, row) in weights.chunks_mut(from).enumerate() {
            let place = match self {
                Self::LinearAligned => at as f64 * (from - 1) as f64 / (to.max(2) - 1) as f64,
                _ => ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
            };
            let low = (place as usize).min(from - 1);
            let share = place - low as f64;
            row[low] += (1.0 - share) as f32;
            row[(low + 1).min(from - 1)] += share as f32;
        }
        weights
    }
}

/// Adds `Resize` of feature maps `[N, C, from[0], from[1]]`.
pub(crate) fn node(graph: &mut Graph, x: Id, from: [usize; 2], to: [usize; 2], mode: Mode) -> Id {
    let (how, places) = match mode {
        Mode::Linear => ("linear", "half_pixel"),
        Mode::LinearAligned => ("linear", "align_corners"),
        Mode::Nearest => ("nearest", "asymmetric"),
    };
    let mut attributes = vec![
        ("mode", Attribute::Text(how)),
        ("coordinate_transformation_mode", Attribute::Text(places)),
    ];
    if mode == Mode::Nearest {
        attributes.push(("nearest_mode", Attribute::Text("floor")));
    }
    let scales = vec![1.0, 1.0, scale(from[0], to[0]), scale(from[1], to[1])];
    let scales = graph.floats(&[4], scales);
    let mut shape = graph[x].shape.clone();
    shape[2..].copy_from_slice(&[Dim::Fixed(to[0]), Dim::Fixed(to[1])]);
    let kind = graph[x].kind;
    graph.add_with(
        "Resize",
        vec![Some(x), None, Some(scales)],
        attributes,
        shape,
        kind,
    )
}

/// The factor between two sizes, with which a runtime that multiplies and rounds down comes to the second.
fn scale(from: usize, to: usize) -> f32 {
    let scale = (to as f64 / from as f64) as f32;
    let arrives = (from as f32 * scale).floor() as usize == to
        && (from as f64 * f64::from(scale)).floor() as usize == to;
    if arrives { scale } else { scale.next_up() }
}

/// The share of each of `from` values in each of `to` means over windows as PyTorch's adaptive pooling cuts them,
/// `[to, from]`.
pub(crate) fn shares(from: usize, to: usize) -> Vec<f32> {
    let mut shares = vec![0.0; to * from];
    for (at, row) in shares.chunks_mut(from).enumerate() {
        let window = at * from / to..((at + 1) * from).div_ceil(to);
        let share = 1.0 / window.len() as f32;
        row[window].fill(share);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_leads_to_the_size_that_it_was_made_of() {
        for from in 1..200usize {
            for to in 1..600usize {
                let scale = scale(from, to);
                assert_eq!((from as f32 * scale).floor() as usize, to, "{from} to {to}");
                assert_eq!((from as f64 * f64::from(scale)).floor() as usize, to);
            }
        }
    }

    /// `torch.nn.functional.adaptive_avg_pool1d` of 0 to 4 to 3 values gives 0.5, 2, 3.5.
    #[test]
    fn windows_are_pytorchs() {
        let means = shares(5, 3);
        let mean = |row: &[f32]| {
            row.iter()
                .enumerate()
                .map(|(i, w)| i as f32 * w)
                .sum::<f32>()
        };
        let means: Vec<f32> = means.chunks(5).map(mean).collect();
        assert_eq!(means, [0.5, 2.0, 3.5]);
    }

    #[test]
    fn a_mode_is_told_by_its_matrices() {
        for mode in [Mode::Linear, Mode::LinearAligned] {
            let (rows, columns) = (mode.matrix([7, 3]), mode.matrix([9, 4]));
            assert_eq!(Mode::of((&rows, [7, 3]), (&columns, [9, 4])), Some(mode));
        }
        let rows = Mode::Linear.matrix([7, 3]);
        let columns = Mode::LinearAligned.matrix([9, 4]);
        assert_eq!(Mode::of((&rows, [7, 3]), (&columns, [9, 4])), None);
    }
}
