//! Frechet distance between two sets of features taken as Gaussians (Heusel et al. 2017, "FID").

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::{at_least, rows};
use crate::MetricError;

/// Mean and covariance of features, gathered batch by batch. It can be stored, so that a real set is measured once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    dims: usize,
    count: u64,
    mean: Vec<f64>,
    /// Sums of products of deviations from the mean, `dims * dims`.
    scatter: Vec<f64>,
}

impl FeatureStatistics {
    /// Of rows with so many numbers.
    pub fn new(dims: usize) -> Self {
        Self {
            dims,
            count: 0,
            mean: vec![0.0; dims],
            scatter: vec![0.0; dims * dims],
        }
    }

    /// How many rows it has seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds rows; nothing is added where an error is returned.
    pub fn add(&mut self, features: &[f32]) -> Result<(), MetricError> {
        let rows = rows(features, self.dims)?;
        if rows.is_empty() {
            return Ok(());
        }
        let matrix = DMatrix::from_fn(rows.len(), self.dims, |r, c| rows[r][c]);
        let mean = matrix.row_mean();
        let centered = DMatrix::from_fn(rows.len(), self.dims, |r, c| rows[r][c] - mean[c]);
        let scatter = centered.transpose() * &centered;
        self.merge(&Self {
            dims: self.dims,
            count: rows.len() as u64,
            mean: mean.iter().copied().collect(),
            scatter: scatter.as_slice().to_vec(),
        });
        Ok(())
    }

    /// Adds what another one has gathered (Chan et al. 1979: sums around each mean, moved to the common one).
    ///
    /// # Panics
    /// If the two have rows of different length.
    pub fn merge(&mut self, other: &FeatureStatistics) {
        assert_eq!(
            self.dims, other.dims,
            "feature statistics of different dimension"
        );
        let (n, m) = (self.count as f64, other.count as f64);
        if m == 0.0 {
            return;
        }
        let shift: Vec<f64> = other
            .mean
            .iter()
            .zip(&self.mean)
            .map(|(b, a)| b - a)
            .collect();
        for (i, row) in self.scatter.chunks_mut(self.dims).enumerate() {
            for (j, value) in row.iter_mut().enumerate() {
                *value +=
                    other.scatter[i * self.dims + j] + shift[i] * shift[j] * (n * m / (n + m));
            }
        }
        for (mean, shift) in self.mean.iter_mut().zip(&shift) {
            *mean += shift * (m / (n + m));
        }
        self.count += other.count;
    }

    fn covariance(&self) -> DMatrix<f64> {
        DMatrix::from_row_slice(self.dims, self.dims, &self.scatter) / (self.count as f64 - 1.0)
    }
}

/// The squared Frechet distance, `|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`, 0 for equal statistics.
///
/// The trace of the root is the sum of the roots of the eigenvalues of `S1^(1/2) S2 S1^(1/2)`, which is symmetric: no
/// root of an unsymmetric matrix, no complex numbers, and singular covariances (fewer samples than dimensions) are no
/// special case. The time grows with the cube of the dimensions.
///
/// # Panics
/// If the two have rows of different length.
pub fn frechet_distance(a: &FeatureStatistics, b: &FeatureStatistics) -> Result<f64, MetricError> {
    assert_eq!(a.dims, b.dims, "feature statistics of different dimension");
    at_least("a covariance", a.count.min(b.count) as usize, 2)?;
    let (s, t) = (a.covariance(), b.covariance());
    let eigen = s.clone().symmetric_eigen();
    // Scaled eigenvectors: R R^T = S, so that R^T T R has the eigenvalues of S T.
    let roots = eigen.eigenvalues.map(|v| v.max(0.0).sqrt());
    let scaled = eigen.eigenvectors * DMatrix::from_diagonal(&roots);
    let inner = scaled.transpose() * &t * scaled;
    let inner = (&inner + inner.transpose()) * 0.5;
    let root: f64 = inner
        .symmetric_eigenvalues()
        .iter()
        .map(|v| v.max(0.0).sqrt())
        .sum();
    let apart: f64 = a
        .mean
        .iter()
        .zip(&b.mean)
        .map(|(p, q)| (p - q) * (p - q))
        .sum();
    Ok(apart + s.trace() + t.trace() - 2.0 * root)
}
