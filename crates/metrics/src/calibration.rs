//! How much a classifier's probabilities can be believed: log loss and expected calibration error.

use crate::MetricError;
use crate::error::same_length;

fn check(probabilities: &[f64], classes: usize, targets: &[usize]) -> Result<(), MetricError> {
    same_length(
        "probabilities, one for each sample and class",
        probabilities.len(),
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
    match probabilities
        .iter()
        .position(|p| !(0.0..=1.0 + 1e-6).contains(p))
    {
        Some(position) => Err(MetricError::Value {
            what: "probability",
            value: probabilities[position],
            position,
            allowed: "a number from 0 to 1",
        }),
        None => Ok(()),
    }
}

/// Mean negative logarithm of the true class's probability, each clipped to the smallest step of `f64` above 0 as
/// scikit-learn does; `None` without samples.
///
/// `probabilities` is `[N, classes]` row by row, `targets` is `[N]`.
pub fn log_loss(
    probabilities: &[f64],
    classes: usize,
    targets: &[usize],
) -> Result<Option<f64>, MetricError> {
    check(probabilities, classes, targets)?;
    let p = |(row, target): (usize, &usize)| {
        probabilities[row * classes + target].clamp(f64::EPSILON, 1.0)
    };
    let sum: f64 = targets.iter().enumerate().map(|x| -p(x).ln()).sum();
    Ok((!targets.is_empty()).then(|| sum / targets.len() as f64))
}

/// Expected calibration error (Guo et al. 2017): the distance between confidence and accuracy, averaged over equal
/// bins of confidence with the bins' shares as weights. A bin holds its upper edge, not its lower one.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationError {
    /// Samples, right samples and sum of confidence in each bin.
    bins: Vec<(u64, u64, f64)>,
}

impl CalibrationError {
    /// With so many bins, 15 being usual; 0 is taken as 1.
    pub fn new(bins: usize) -> Self {
        Self {
            bins: vec![(0, 0, 0.0); bins.max(1)],
        }
    }

    /// Adds a batch: `probabilities` is `[N, classes]` row by row, `targets` is `[N]`.
    pub fn add(
        &mut self,
        probabilities: &[f64],
        classes: usize,
        targets: &[usize],
    ) -> Result<(), MetricError> {
        check(probabilities, classes, targets)?;
        for (row, target) in probabilities.chunks(classes.max(1)).zip(targets) {
            let mut best = 0;
            for class in 1..classes {
                if row[class] > row[best] {
                    best = class;
                }
            }
            let count = self.bins.len();
            let bin = ((row[best] * count as f64).ceil() as usize).clamp(1, count) - 1;
            let (samples, right, confidence) = &mut self.bins[bin];
            *samples += 1;
            *right += u64::from(best == *target);
            *confidence += row[best];
        }
        Ok(())
    }

    /// The error from 0 to 1; `None` without samples.
    pub fn value(&self) -> Option<f64> {
        let total: u64 = self.bins.iter().map(|b| b.0).sum();
        let gap = |(_, right, confidence): &(u64, u64, f64)| (*right as f64 - confidence).abs();
        (total > 0).then(|| self.bins.iter().map(gap).sum::<f64>() / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixture, floats, integers, near};

    fn softmax(logits: &[f32], classes: usize) -> Vec<f64> {
        let rows = logits.chunks_exact(classes).flat_map(|row| {
            let powers: Vec<f64> = row.iter().map(|x| f64::from(*x).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(move |power| power / sum)
        });
        rows.collect()
    }

    #[test]
    fn equals_the_references() {
        let case = &fixture("classification")["calibration"];
        let logits: Vec<f32> = floats(&case["logits"]).iter().map(|x| *x as f32).collect();
        let targets: Vec<usize> = integers(&case["targets"])
            .iter()
            .map(|t| *t as usize)
            .collect();
        let probabilities = softmax(&logits, 4);
        near(
            log_loss(&probabilities, 4, &targets).unwrap().unwrap(),
            &case["log_loss"],
            1e-12,
        );
        for bins in [10, 15] {
            let mut error = CalibrationError::new(bins);
            let half = targets.len() / 2;
            error
                .add(&probabilities[..half * 4], 4, &targets[..half])
                .unwrap();
            error
                .add(&probabilities[half * 4..], 4, &targets[half..])
                .unwrap();
            near(error.value().unwrap(), &case[format!("ece{bins}")], 1e-12);
        }
    }

    #[test]
    fn certain_and_wrong_is_finite() {
        let loss = log_loss(&[1.0, 0.0], 2, &[1]).unwrap().unwrap();
        assert!(loss.is_finite() && loss > 30.0);
    }

    #[test]
    fn bad_input_is_an_error() {
        assert!(matches!(
            log_loss(&[0.5, f64::NAN], 2, &[0]),
            Err(MetricError::Value { position: 1, .. })
        ));
        assert!(matches!(
            CalibrationError::new(15).add(&[0.5], 2, &[0]),
            Err(MetricError::Length { .. })
        ));
        assert_eq!(log_loss(&[], 3, &[]).unwrap(), None);
        assert_eq!(CalibrationError::new(0).value(), None);
    }
}
