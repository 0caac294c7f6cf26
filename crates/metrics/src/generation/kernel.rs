//! Kernel distance (Binkowski et al. 2018, "KID").

use super::{at_least, rows};
use crate::MetricError;

/// The unbiased estimate of the squared maximum mean discrepancy under the kernel `(x . y / dims + 1)^3`.
///
/// It is taken over all pairs of the two sets, not over random subsets: the same expectation with less variance, and
/// no seed. It can come out a little below 0. Both sets are rows of `dims`, of at least 2.
pub fn kernel_distance(real: &[f32], generated: &[f32], dims: usize) -> Result<f64, MetricError> {
    let (real, generated) = (rows(real, dims)?, rows(generated, dims)?);
    at_least(
        "the kernel distance, in each set,",
        real.len().min(generated.len()),
        2,
    )?;
    let kernel = |x: &[f64], y: &[f64]| {
        let dot: f64 = x.iter().zip(y).map(|(a, b)| a * b).sum();
        (dot / dims as f64 + 1.0).powi(3)
    };
    let within = |set: &[Vec<f64>]| {
        let pairs = set
            .iter()
            .enumerate()
            .flat_map(|(i, x)| set[..i].iter().map(move |y| kernel(x, y)));
        pairs.sum::<f64>() * 2.0 / (set.len() * (set.len() - 1)) as f64
    };
    let across: f64 = real
        .iter()
        .flat_map(|x| generated.iter().map(move |y| kernel(x, y)))
        .sum();
    let across = across / (real.len() * generated.len()) as f64;
    Ok(within(&real) + within(&generated) - 2.0 * across)
}
