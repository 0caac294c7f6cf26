//! Top-k accuracy.

use crate::MetricError;
use crate::error::same_length;

/// The share of samples whose true class is among the k best scores, for several k at once.
///
/// Among equal scores the lower class index is the better one (as a stable descending sort has it). A sample with a
/// NaN among its scores counts as wrong for every k.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    ks: Vec<usize>,
    correct: Vec<u64>,
    samples: u64,
}

impl TopK {
    /// Counts for each k of `ks`.
    pub fn new(ks: &[usize]) -> Self {
        Self {
            ks: ks.to_vec(),
            correct: vec![0; ks.len()],
            samples: 0,
        }
    }

    /// Adds a batch: `scores` is `[N, classes]` row by row, `targets` is `[N]`.
    ///
    /// Nothing is added where an error is returned: lengths that do not fit, a target out of range.
    pub fn add(
        &mut self,
        scores: &[f32],
        classes: usize,
        targets: &[usize],
    ) -> Result<(), MetricError> {
        same_length(
            "scores of a batch, one for each sample and class",
            scores.len(),
            targets.len() * classes,
        )?;
        if let Some(position) = targets.iter().position(|t| *t >= classes) {
            let class = targets[position] as i64;
            return Err(MetricError::Class {
                what: "target",
                class,
                position,
                classes,
            });
        }
        for (row, &target) in scores.chunks_exact(classes.max(1)).zip(targets) {
            self.samples += 1;
            if row.iter().any(|s| s.is_nan()) {
                continue;
            }
            let better = |(class, score): (usize, &f32)| {
                *score > row[target] || (*score == row[target] && class < target)
            };
            let rank = row.iter().enumerate().filter(|&c| better(c)).count();
            for (k, correct) in self.ks.iter().zip(&mut self.correct) {
                *correct += u64::from(rank < *k);
            }
        }
        Ok(())
    }

    /// Adds what another accumulator over the same `ks` has counted.
    ///
    /// # Panics
    /// If the two count different `ks`.
    pub fn merge(&mut self, other: &TopK) {
        assert_eq!(self.ks, other.ks, "top-k accumulators of different k");
        self.samples += other.samples;
        for (mine, theirs) in self.correct.iter_mut().zip(&other.correct) {
            *mine += theirs;
        }
    }

    /// The accuracy for `k`, from 0 to 1; `None` for a k that is not counted and before the first sample.
    pub fn accuracy(&self, k: usize) -> Option<f64> {
        let at = self.ks.iter().position(|x| *x == k)?;
        (self.samples > 0).then(|| self.correct[at] as f64 / self.samples as f64)
    }

    /// The samples counted so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixture, floats, integers, near};

    #[test]
    fn equals_scikit_learn() {
        let case = &fixture("classification")["top_k"];
        let scores: Vec<f32> = floats(&case["scores"]).iter().map(|s| *s as f32).collect();
        let targets: Vec<usize> = integers(&case["targets"])
            .iter()
            .map(|t| *t as usize)
            .collect();
        let mut top = TopK::new(&[1, 3, 5]);
        top.add(&scores, 7, &targets).unwrap();
        for k in [1, 3, 5] {
            near(top.accuracy(k).unwrap(), &case[format!("top{k}")], 1e-12);
        }
        assert_eq!(top.accuracy(2), None);
    }

    #[test]
    fn ties_go_to_the_lower_index_and_nan_is_wrong() {
        let mut top = TopK::new(&[1, 2]);
        top.add(&[0.5, 0.5, f32::NAN, 1.0], 2, &[1, 1]).unwrap();
        assert_eq!((top.accuracy(1), top.accuracy(2)), (Some(0.0), Some(0.5)));
    }

    #[test]
    fn bad_input_is_an_error_and_counts_nothing() {
        let mut top = TopK::new(&[1]);
        assert!(matches!(
            top.add(&[1.0; 3], 2, &[0]),
            Err(MetricError::Length { .. })
        ));
        let error = top.add(&[1.0; 4], 2, &[0, 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "target 2 at position 1 is out of range: there are 2 classes, counted from 0"
        );
        assert_eq!((top.samples(), top.accuracy(1)), (0, None));
    }
}
