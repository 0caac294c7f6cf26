//! In what order, and how often, the samples of a dataset are drawn.
//!
//! ```
//! use firesight_data::sampling::{ClassWeights, Sampling};
//!
//! assert!(Sampling::ClassBalanced.problems().is_empty());
//! let nothing = Sampling::Weighted(ClassWeights { class_weights: vec![0.0, 0.0] });
//! assert_eq!(nothing.problems()[0].0, "weighted.class-weights");
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::random::{Domain, shuffle, stream, unit};
use crate::source::Source;

/// How an epoch is composed. Every epoch has as many positions as the dataset has samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sampling {
    /// Every sample once.
    #[default]
    Uniform,
    /// Every class equally often (to within one sample), the samples of a small class several times. Within a
    /// class all samples come once before one comes again.
    ClassBalanced,
    /// Classes in given proportions, each position drawn with replacement, as PyTorch's `WeightedRandomSampler`
    /// does with the weight of the sample's class.
    Weighted(ClassWeights),
}

/// How often samples of each class are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClassWeights {
    /// The weight of a sample by its class index: 2 comes twice as often as 1, 0 never.
    pub class_weights: Vec<f64>,
}

impl Sampling {
    /// What is wrong with the settings: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let Sampling::Weighted(ClassWeights { class_weights }) = self else {
            return Vec::new();
        };
        let usable = class_weights.iter().all(|w| (0.0..=1e6).contains(w))
            && class_weights.iter().sum::<f64>() > 0.0;
        let message =
            "weights must be from 0 to 1000000 and one of them above 0, one for each class";
        if usable {
            Vec::new()
        } else {
            vec![("weighted.class-weights".to_string(), message.to_string())]
        }
    }
}

/// The samples by class, gathered once.
#[derive(Debug)]
pub(crate) struct Sampler {
    length: usize,
    shuffle: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Uniform,
    /// The indices of each class that has samples.
    Balanced(Vec<Vec<usize>>),
    /// Running sums of the samples' weights.
    Weighted(Vec<f64>),
}

impl Sampler {
    pub(crate) fn new(
        sampling: &Sampling,
        shuffle: bool,
        source: &dyn Source,
    ) -> Result<Sampler, DataError> {
        if let Some((key, problem)) = sampling.problems().into_iter().next() {
            return Err(DataError::setting(format!("sampling.{key}"), problem));
        }
        let length = source.len();
        let class_of = |index: usize| {
            source.class_of(index).ok_or_else(|| {
                let reason = format!(
                    "{} has no class to sample by; use `uniform`",
                    source.origin(index)
                );
                DataError::setting("sampling", reason)
            })
        };
        let kind = match sampling {
            Sampling::Uniform => Kind::Uniform,
            Sampling::ClassBalanced => {
                let mut classes = Vec::new();
                for index in 0..length {
                    let class = class_of(index)?;
                    classes.resize(classes.len().max(class + 1), Vec::new());
                    classes[class].push(index);
                }
                classes.retain(|class| !class.is_empty());
                Kind::Balanced(classes)
            }
            Sampling::Weighted(ClassWeights { class_weights }) => {
                let mut sums = Vec::with_capacity(length);
                let mut sum = 0.0;
                for index in 0..length {
                    let class = class_of(index)?;
                    sum += class_weights.get(class).ok_or_else(|| {
                        let reason = format!(
                            "{} weights, but {} is of class {class}",
                            class_weights.len(),
                            source.origin(index)
                        );
                        DataError::setting("sampling.weighted.class-weights", reason)
                    })?;
                    sums.push(sum);
                }
                if length > 0 && sum <= 0.0 {
                    let reason = "no sample has a weight above 0";
                    return Err(DataError::setting(
                        "sampling.weighted.class-weights",
                        reason,
                    ));
                }
                Kind::Weighted(sums)
            }
        };
        Ok(Sampler {
            length,
            shuffle,
            kind,
        })
    }

    /// The index of the sample at each position of an epoch.
    pub(crate) fn order(&self, seed: u64, epoch: u64) -> Vec<usize> {
        let mut rng = stream(seed, epoch, 0, Domain::Order);
        let mut order: Vec<usize> = match &self.kind {
            Kind::Uniform => (0..self.length).collect(),
            Kind::Balanced(classes) => {
                // Which classes get one more, where it does not come out even, changes from epoch to epoch.
                let mut turns: Vec<usize> = (0..classes.len()).collect();
                shuffle(&mut rng, &mut turns);
                let mut order = Vec::with_capacity(self.length);
                for (turn, &class) in turns.iter().enumerate() {
                    let mut members = classes[class].clone();
                    shuffle(&mut rng, &mut members);
                    let count =
                        self.length / turns.len() + usize::from(turn < self.length % turns.len());
                    order.extend(members.iter().cycle().take(count));
                }
                order
            }
            Kind::Weighted(sums) => {
                let total = sums.last().copied().unwrap_or(0.0);
                let mut draw = |_| {
                    let at = unit(&mut rng) * total;
                    sums.partition_point(|&sum| sum <= at).min(self.length - 1)
                };
                (0..self.length).map(&mut draw).collect()
            }
        };
        if self.shuffle {
            shuffle(&mut rng, &mut order);
        } else {
            order.sort_unstable();
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::tests::Counting;

    fn counts(sampling: Sampling, shuffle: bool) -> ([usize; 3], Vec<usize>) {
        // Classes 0, 1 and 2 hold 70, 20 and 10 samples.
        let source = Counting::with_classes([vec![0; 70], vec![1; 20], vec![2; 10]].concat());
        let order = Sampler::new(&sampling, shuffle, &source)
            .unwrap()
            .order(5, 1);
        let mut counts = [0; 3];
        order
            .iter()
            .for_each(|&i| counts[source.class_of(i).unwrap()] += 1);
        (counts, order)
    }

    #[test]
    fn uniform_is_a_permutation() {
        let (_, order) = counts(Sampling::Uniform, true);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(order != sorted && sorted == (0..100).collect::<Vec<_>>());
        assert_eq!(counts(Sampling::Uniform, false).1, sorted);
    }

    #[test]
    fn balanced_gives_every_class_its_share() {
        let (mut counts, order) = counts(Sampling::ClassBalanced, true);
        counts.sort_unstable();
        assert_eq!(counts, [33, 33, 34]);
        let twos: Vec<usize> = (90..100)
            .map(|i| order.iter().filter(|&&o| o == i).count())
            .collect();
        assert!(
            twos.iter().all(|&c| c == 3 || c == 4),
            "the small class is gone through evenly: {twos:?}"
        );
    }

    #[test]
    fn weights_set_the_proportions() {
        let weights = |w: &[f64]| {
            Sampling::Weighted(ClassWeights {
                class_weights: w.to_vec(),
            })
        };
        let (counts, _) = counts(weights(&[0.0, 1.0, 2.0]), true);
        assert!(
            counts[0] == 0 && (30..=70).contains(&counts[1]),
            "{counts:?}"
        );
        assert_eq!(weights(&[0.0]).problems()[0].0, "weighted.class-weights");
        let source = Counting::with_classes(vec![0, 1, 2]);
        assert!(
            Sampler::new(&weights(&[1.0, 1.0]), true, &source)
                .unwrap_err()
                .to_string()
                .contains("class 2")
        );
    }
}
