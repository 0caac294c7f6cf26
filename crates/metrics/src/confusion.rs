//! The confusion matrix of a whole set, and every score that comes from it.
//!
//! Classification and segmentation share it: a sample is an image or a pixel. The rule for absent classes is one
//! everywhere: a score whose denominator is 0 is `None` and stays out of a mean, so a class that is neither in the
//! truth nor predicted does not count, and a class that is predicted but not in the truth has an IoU of 0. That is
//! how torchvision's segmentation reference and mmsegmentation count.

use serde::Serialize;

use crate::MetricError;
use crate::error::same_length;

/// Counts of (true class, predicted class) over a whole set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    classes: usize,
    /// Row by row, one row for each true class.
    counts: Vec<u64>,
}

/// The scores of one class; `None` where the denominator is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// Samples or pixels that truly are of this class.
    pub support: u64,
    /// Share of the predictions of this class that are right.
    pub precision: Option<f64>,
    /// Share of the samples of this class that are found; for pixels, the class's accuracy.
    pub recall: Option<f64>,
    /// `2 TP / (2 TP + FP + FN)`; for pixels, the Dice coefficient.
    pub f1: Option<f64>,
    /// `TP / (TP + FP + FN)`, the intersection over union.
    pub iou: Option<f64>,
}

impl ConfusionMatrix {
    /// An empty matrix.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Adds predictions; where `truth` is `ignore`, the pair does not count.
    ///
    /// Nothing is added where an error is returned: lengths that differ, a class out of range.
    pub fn add(
        &mut self,
        truth: &[i64],
        predicted: &[i64],
        ignore: Option<i64>,
    ) -> Result<(), MetricError> {
        same_length(
            "predictions for the true classes",
            predicted.len(),
            truth.len(),
        )?;
        let range = 0..self.classes as i64;
        let counted = |t: i64| Some(t) != ignore;
        for (position, (&t, &p)) in truth.iter().zip(predicted).enumerate() {
            if !counted(t) {
                continue;
            }
            for (what, class) in [("true class", t), ("predicted class", p)] {
                if !range.contains(&class) {
                    return Err(MetricError::Class {
                        what,
                        class,
                        position,
                        classes: self.classes,
                    });
                }
            }
        }
        for (&t, &p) in truth.iter().zip(predicted) {
            if counted(t) {
                self.counts[t as usize * self.classes + p as usize] += 1;
            }
        }
        Ok(())
    }

    /// Adds the counts of another matrix.
    ///
    /// # Panics
    /// If the two have different numbers of classes.
    pub fn merge(&mut self, other: &ConfusionMatrix) {
        assert_eq!(
            self.classes, other.classes,
            "confusion matrices of different classes"
        );
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many samples of class `truth` were predicted as `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// The row of a true class: how often each class was predicted for it.
    pub fn row(&self, truth: usize) -> &[u64] {
        &self.counts[truth * self.classes..][..self.classes]
    }

    /// All samples counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of the samples or pixels that are right (pixel accuracy).
    pub fn accuracy(&self) -> Option<f64> {
        ratio(
            (0..self.classes).map(|c| self.count(c, c)).sum(),
            self.total(),
        )
    }

    /// The scores of one class.
    pub fn class(&self, class: usize) -> ClassScores {
        let right = self.count(class, class);
        let support: u64 = self.row(class).iter().sum();
        let predicted: u64 = (0..self.classes).map(|t| self.count(t, class)).sum();
        ClassScores {
            support,
            precision: ratio(right, predicted),
            recall: ratio(right, support),
            f1: ratio(2 * right, support + predicted),
            iou: ratio(right, support + predicted - right),
        }
    }

    /// The scores of every class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        (0..self.classes).map(|c| self.class(c)).collect()
    }

    /// Mean IoU over the classes that are in the truth or predicted.
    pub fn mean_iou(&self) -> Option<f64> {
        average(self.per_class().iter().map(|c| c.iou))
    }

    /// Mean recall over the classes that are in the truth: balanced accuracy, mean pixel accuracy.
    pub fn mean_accuracy(&self) -> Option<f64> {
        average(self.per_class().iter().map(|c| c.recall))
    }

    /// Mean precision over the classes that are in the truth or predicted; one that is never predicted has 0, as
    /// with scikit-learn's `zero_division=0`.
    pub fn mean_precision(&self) -> Option<f64> {
        average(
            self.per_class()
                .iter()
                .map(|c| c.f1.map(|_| c.precision.unwrap_or(0.0))),
        )
    }

    /// The IoU of the classes, weighted by their share of the truth.
    pub fn frequency_weighted_iou(&self) -> Option<f64> {
        let total = self.total();
        (total > 0).then(|| {
            let part = |c: &ClassScores| c.support as f64 / total as f64 * c.iou.unwrap_or(0.0);
            self.per_class().iter().map(part).sum()
        })
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean of what is defined.
pub(crate) fn average(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let defined: Vec<f64> = values.flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{fixture, integers, near};

    #[test]
    fn equals_scikit_learn_with_absent_and_only_predicted_classes() {
        for case in fixture("classification")["confusion"].as_array().unwrap() {
            let classes = case["classes"].as_u64().unwrap() as usize;
            let mut matrix = ConfusionMatrix::new(classes);
            let (truth, predicted) = (integers(&case["truth"]), integers(&case["predicted"]));
            let half = truth.len() / 2;
            matrix
                .add(&truth[..half], &predicted[..half], case["ignore"].as_i64())
                .unwrap();
            let mut rest = ConfusionMatrix::new(classes);
            rest.add(&truth[half..], &predicted[half..], case["ignore"].as_i64())
                .unwrap();
            matrix.merge(&rest);

            let counts: Vec<i64> = matrix.counts.iter().map(|c| *c as i64).collect();
            assert_eq!(counts, integers(&case["counts"]));
            near(matrix.accuracy().unwrap(), &case["accuracy"], 1e-12);
            near(matrix.mean_iou().unwrap(), &case["mean_iou"], 1e-12);
            near(
                matrix.mean_accuracy().unwrap(),
                &case["mean_accuracy"],
                1e-12,
            );
            near(
                matrix.mean_precision().unwrap(),
                &case["mean_precision"],
                1e-12,
            );
            near(
                matrix.frequency_weighted_iou().unwrap(),
                &case["fw_iou"],
                1e-12,
            );
            for (class, scores) in matrix.per_class().iter().enumerate() {
                let want = &case["per_class"][class];
                for (got, key) in [
                    (scores.precision, "precision"),
                    (scores.recall, "recall"),
                    (scores.f1, "f1"),
                    (scores.iou, "iou"),
                ] {
                    match got {
                        Some(got) => near(got, &want[key], 1e-12),
                        None => assert!(want[key].is_null(), "class {class} {key}"),
                    }
                }
            }
        }
    }

    /// hotcoco's evaluator follows mmsegmentation. Small maps of many classes, so that some are absent and some
    /// only predicted.
    #[test]
    fn equals_hotcocos_semantic_evaluator_on_random_maps() {
        let mut state = 31_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for case in 0..60 {
            let classes = 2 + case % 9;
            let pixels = 1 + draw(40) as usize;
            let truth: Vec<i64> = (0..pixels)
                .map(|_| match draw(5) {
                    0 => 255,
                    _ => draw(classes) as i64,
                })
                .collect();
            let predicted: Vec<i64> = (0..pixels).map(|_| draw(classes) as i64).collect();
            let mut ours = ConfusionMatrix::new(classes as usize);
            ours.add(&truth, &predicted, Some(255)).unwrap();
            let mut theirs = hotcoco::metrics::semantic::PixelConfusion::new(classes as usize);
            theirs.update(&truth, &predicted, Some(255)).unwrap();
            let scores = theirs.scores();
            if ours.total() == 0 {
                assert_eq!(ours.mean_iou(), None);
                continue;
            }
            for (what, got, want) in [
                ("mean IoU", ours.mean_iou(), scores.miou),
                ("weighted IoU", ours.frequency_weighted_iou(), scores.fwiou),
                ("mean accuracy", ours.mean_accuracy(), scores.macc),
                ("accuracy", ours.accuracy(), scores.aacc),
            ] {
                let got = got.unwrap();
                assert!(
                    (got - want).abs() < 1e-12,
                    "case {case}, {what}: {got}, hotcoco has {want}"
                );
            }
        }
    }

    #[test]
    fn an_empty_matrix_has_no_scores() {
        let matrix = ConfusionMatrix::new(3);
        assert_eq!(
            (
                matrix.accuracy(),
                matrix.mean_iou(),
                matrix.frequency_weighted_iou()
            ),
            (None, None, None)
        );
        assert_eq!(matrix.class(1).f1, None);
    }

    #[test]
    fn a_class_out_of_range_names_its_position_and_counts_nothing() {
        let mut matrix = ConfusionMatrix::new(2);
        let error = matrix.add(&[0, 255, 1], &[0, 9, 2], Some(255)).unwrap_err();
        assert_eq!(
            error,
            MetricError::Class {
                what: "predicted class",
                class: 2,
                position: 2,
                classes: 2
            }
        );
        assert_eq!(matrix.total(), 0);
        assert!(matrix.add(&[-1], &[0], None).is_err());
    }
}
