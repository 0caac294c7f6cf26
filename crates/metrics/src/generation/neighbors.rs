//! Precision and recall of a generator (Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric").

use serde::Serialize;

use super::{at_least, rows};
use crate::MetricError;

/// How much of what is generated looks real, and how much of what is real can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrecisionRecall {
    /// Share of the generated features inside the manifold of the real ones.
    pub precision: f64,
    /// Share of the real features inside the manifold of the generated ones.
    pub recall: f64,
}

/// Precision and recall with manifolds made of balls around each feature that reach its `k`-th neighbour (3 in
/// the paper). Both sets are rows of `dims` and larger than `k`; every pair is compared.
pub fn precision_recall(
    real: &[f32],
    generated: &[f32],
    dims: usize,
    k: usize,
) -> Result<PrecisionRecall, MetricError> {
    let (real, generated) = (rows(real, dims)?, rows(generated, dims)?);
    at_least(
        "each set, to have enough neighbours,",
        real.len().min(generated.len()),
        k + 1,
    )?;
    Ok(PrecisionRecall {
        precision: inside(&generated, &real, k),
        recall: inside(&real, &generated, k),
    })
}

fn squared(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The share of `points` within the ball of some element of `set`.
fn inside(points: &[Vec<f64>], set: &[Vec<f64>], k: usize) -> f64 {
    let radius = |x: &Vec<f64>| {
        let mut distances: Vec<f64> = set.iter().map(|y| squared(x, y)).collect();
        // The nearest is the point itself.
        *distances.select_nth_unstable_by(k, f64::total_cmp).1
    };
    let balls: Vec<(&Vec<f64>, f64)> = set.iter().map(|x| (x, radius(x))).collect();
    let within = |p: &&Vec<f64>| balls.iter().any(|(x, r)| squared(p, x) <= *r);
    points.iter().filter(within).count() as f64 / points.len() as f64
}
