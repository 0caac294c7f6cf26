//! Holding samples out of a training set: seeded and stratified by class, or the last records of a file.
//!
//! ```
//! use firesight_data::split::stratified;
//!
//! // Ten samples of class 0 and five of class 1; a fifth of them, of each class in proportion.
//! let classes: Vec<_> = (0..15).map(|i| Some(usize::from(i >= 10))).collect();
//! let held = stratified(&classes, 3, "validation", 42);
//! assert_eq!(held.iter().filter(|i| **i >= 10).count(), 1);
//! ```

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::random::{keyed, shuffle};
use crate::source::{Remark, Source, Splits, Subset};
use crate::words::counted;

/// How many samples leave the training set, and which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum HoldOut {
    /// None: without a split of its own, the dataset has none.
    None,
    /// This share of the samples, from 0 to 1, drawn from the seed, of each class in proportion.
    Fraction(f64),
    /// This many samples, drawn from the seed, of each class in proportion.
    Count(usize),
    /// The last this many samples in the order of the dataset's files, whatever the seed.
    Last(usize),
}

/// Which samples are held out together, so that none of a group is learnt from where another one measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Group {
    /// Those whose paths are the same up to this text, and all others each by itself: `{ until = ".rf." }` for pictures
    /// that Roboflow made of one original.
    Until(String),
    /// Those of one folder: the frames of a video, the pictures of a patient.
    Folder,
}

impl Group {
    /// The name of the group that a sample is in, by its origin.
    fn of(&self, origin: &str) -> String {
        match self {
            Self::Until(text) => origin
                .split_once(&**text)
                .map_or(origin, |(before, _)| before),
            Self::Folder => origin
                .rsplit_once(['/', '\\'])
                .map_or("", |(folder, _)| folder),
        }
        .to_owned()
    }
}

/// Which samples validate and which test, where the dataset itself does not say.
///
/// The test split is taken first, validation from what is left. A split that the dataset gives is never
/// changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct SplitConfig {
    /// What is held out of the training samples for validation, if the dataset gives no validation split.
    pub validation: HoldOut,
    /// What is held out of the training samples for the test split, if the dataset gives no test split. Where it
    /// gives one, that is taken, nothing is held out, and `check` and `train` say so.
    pub test: HoldOut,
    /// Which samples are held out together, whole groups at a time as long as no more is held out than is asked for; each
    /// by itself unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// The seed of the draw; without it the seed of the run. Set it to keep the split while the run's seed varies.
    pub seed: Option<u64>,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            validation: HoldOut::Fraction(0.1),
            test: HoldOut::None,
            group: None,
            seed: None,
        }
    }
}

impl SplitConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, hold_out) in [("validation", &self.validation), ("test", &self.test)] {
            if let HoldOut::Fraction(share) = hold_out
                && !(0.0..1.0).contains(share)
            {
                problems.push((
                    format!("{key}.fraction"),
                    format!("{share} is no share of the samples; give a number from 0 to below 1"),
                ));
            }
            if let (HoldOut::Last(_), Some(_)) = (hold_out, &self.group) {
                let message =
                    "the last samples are no whole groups; give a `fraction` or a `count`";
                problems.push((format!("{key}.last"), message.into()));
            }
        }
        if self.group == Some(Group::Until(String::new())) {
            problems.push((
                "group.until".into(),
                "give the text that a group's name ends before".into(),
            ));
        }
        problems
    }
}

/// Completes the splits that a dataset gives by holding out of its training samples.
///
/// # Errors
/// [`DataError::Setting`] if more is held out than there is, or if a value is out of range.
pub fn complete(given: Splits, config: &SplitConfig, seed: u64) -> Result<Splits, DataError> {
    if let Some((key, reason)) = config.problems().into_iter().next() {
        return Err(DataError::setting(format!("split.{key}"), reason));
    }
    let seed = config.seed.unwrap_or(seed);
    let Splits {
        mut train,
        mut validation,
        mut test,
    } = given;
    match test.take() {
        Some(own) if config.test != HoldOut::None => test = Some(own_split(own, "test")),
        Some(own) => test = Some(own),
        None => (train, test) = hold_out(train, config, &config.test, "test", seed)?,
    }
    match validation.take() {
        // The default says nothing of what the recipe asks for.
        Some(own) if config.validation != SplitConfig::default().validation => {
            validation = Some(own_split(own, "validation"));
        }
        Some(own) => validation = Some(own),
        None => {
            (train, validation) = hold_out(train, config, &config.validation, "validation", seed)?
        }
    }
    Ok(Splits {
        train,
        validation,
        test,
    })
}

type Part = Arc<dyn Source>;

/// The dataset's own split, which goes before what the recipe would hold out; a remark says so.
fn own_split(own: Part, name: &str) -> Part {
    let message = format!(
        "the dataset gives {} of its own; nothing is held out of the training samples",
        counted(own.len(), &format!("{name} sample"))
    );
    Arc::new(Subset::remarked(
        own,
        Remark::new(format!("split.{name}"), message),
    ))
}

/// Splits `source` into what stays and what is held out (`None` if that would be empty).
fn hold_out(
    source: Part,
    config: &SplitConfig,
    how: &HoldOut,
    name: &str,
    seed: u64,
) -> Result<(Part, Option<Part>), DataError> {
    let len = source.len();
    let count = match *how {
        HoldOut::None => 0,
        HoldOut::Fraction(share) => (share * len as f64).round() as usize,
        HoldOut::Count(count) | HoldOut::Last(count) => count,
    };
    if count == 0 {
        return Ok((source, None));
    }
    if count >= len {
        return Err(DataError::setting(
            format!("split.{name}"),
            format!(
                "{} cannot be held out of {len}; at least one has to stay",
                counted(count, "sample")
            ),
        ));
    }
    let held: Vec<usize> = match (how, &config.group) {
        (HoldOut::Last(_), _) => (len - count..len).collect(),
        (_, Some(group)) => {
            let names: Vec<String> = (0..len)
                .map(|index| group.of(&source.origin(index)))
                .collect();
            let held = grouped(&names, count, name, seed);
            if held.is_empty() {
                let count = counted(count, "sample");
                let reason = format!(
                    "{count} are fewer than the smallest group holds; give more, or another `split.group`"
                );
                return Err(DataError::setting(format!("split.{name}"), reason));
            }
            held
        }
        _ => {
            let classes: Vec<Option<usize>> =
                (0..len).map(|index| source.class_of(index)).collect();
            stratified(&classes, count, name, seed)
        }
    };
    let mut is_held = vec![false; len];
    held.iter().for_each(|&index| is_held[index] = true);
    let kept = (0..len).filter(|&index| !is_held[index]).collect();
    Ok((
        Arc::new(Subset::new(source.clone(), kept)?),
        Some(Arc::new(Subset::new(source, held)?)),
    ))
}

/// Draws whole groups of samples, whose names are given, as long as they are no more than `count` samples together. Sorted.
fn grouped(names: &[String], count: usize, purpose: &str, seed: u64) -> Vec<usize> {
    let mut members: std::collections::BTreeMap<&str, Vec<usize>> = Default::default();
    for (index, name) in names.iter().enumerate() {
        members.entry(name).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = members.into_values().collect();
    shuffle(&mut keyed(seed, purpose, 0), &mut groups);
    let mut drawn = Vec::with_capacity(count);
    for group in groups {
        if drawn.len() + group.len() <= count {
            drawn.extend(group);
        }
    }
    drawn.sort_unstable();
    drawn
}

/// Draws `count` of the samples whose classes are given: of each class in proportion (largest remainders make
/// up the total; of equal ones the lower class first), which ones by a shuffle keyed by seed, purpose and
/// class. Samples without a class are one class. Sorted.
pub fn stratified(classes: &[Option<usize>], count: usize, purpose: &str, seed: u64) -> Vec<usize> {
    let mut members: std::collections::BTreeMap<Option<usize>, Vec<usize>> = Default::default();
    for (index, class) in classes.iter().enumerate() {
        members.entry(*class).or_default().push(index);
    }
    let total = classes.len() as u128;
    let product = |group: &Vec<usize>| count as u128 * group.len() as u128;
    let mut quotas: Vec<usize> = members
        .values()
        .map(|group| (product(group) / total) as usize)
        .collect();
    let missing = count - quotas.iter().sum::<usize>();
    let mut by_remainder: Vec<usize> = (0..quotas.len()).collect();
    let remainders: Vec<u128> = members
        .values()
        .map(|group| product(group) % total)
        .collect();
    by_remainder.sort_by_key(|&group| std::cmp::Reverse(remainders[group]));
    by_remainder
        .iter()
        .take(missing)
        .for_each(|&group| quotas[group] += 1);

    let mut drawn = Vec::with_capacity(count);
    for ((class, mut group), quota) in members.into_iter().zip(quotas) {
        let mut rng = keyed(seed, purpose, class.map_or(u64::MAX, |class| class as u64));
        shuffle(&mut rng, &mut group);
        drawn.extend_from_slice(&group[..quota]);
    }
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::packed::Packed;

    fn source(counts: &[usize]) -> Part {
        let labels: Vec<u8> = (0..counts.len())
            .flat_map(|class| vec![class as u8; counts[class]])
            .collect();
        let names = (0..counts.len()).map(|class| class.to_string()).collect();
        let pixels = vec![0; labels.len()];
        Arc::new(Packed::new("test", [1, 1, 1], pixels, labels, names).unwrap())
    }

    fn only_train(train: Part) -> Splits {
        Splits {
            train,
            validation: None,
            test: None,
        }
    }

    fn counts(source: &Part) -> Vec<usize> {
        let mut counts = vec![0; source.classes().len()];
        (0..source.len()).for_each(|index| counts[source.class_of(index).unwrap()] += 1);
        counts
    }

    #[test]
    fn fractions_are_stratified_disjoint_and_seeded() {
        let split = |seed| {
            complete(
                only_train(source(&[100, 50, 13])),
                &SplitConfig::default(),
                seed,
            )
            .unwrap()
        };
        let one = split(1);
        let held = one.validation.as_ref().unwrap();
        assert_eq!(counts(held), [10, 5, 1]);
        assert_eq!(counts(&one.train), [90, 45, 12]);
        let origins = |source: &Part| -> Vec<String> {
            (0..source.len()).map(|i| source.origin(i)).collect()
        };
        let (train, validation) = (origins(&one.train), origins(held));
        assert!(validation.iter().all(|origin| !train.contains(origin)));
        assert_eq!(validation, origins(split(1).validation.as_ref().unwrap()));
        assert_ne!(validation, origins(split(2).validation.as_ref().unwrap()));
    }

    #[test]
    fn the_last_records_test_and_validation_comes_from_the_rest() {
        let config = SplitConfig {
            validation: HoldOut::Count(7),
            test: HoldOut::Last(20),
            seed: Some(3),
            ..Default::default()
        };
        let splits = complete(only_train(source(&[60, 40])), &config, 9).unwrap();
        let test = splits.test.unwrap();
        assert_eq!(
            (
                splits.train.len(),
                splits.validation.unwrap().len(),
                test.len()
            ),
            (73, 7, 20)
        );
        assert_eq!(test.origin(0), source(&[60, 40]).origin(80));
    }

    #[test]
    fn the_splits_of_the_dataset_go_before_those_held_out_and_a_remark_says_so() {
        let given = || Splits {
            train: source(&[30]),
            validation: Some(source(&[5])),
            test: Some(source(&[10])),
        };
        let config = SplitConfig {
            validation: HoldOut::Count(1),
            test: HoldOut::Last(20),
            ..Default::default()
        };
        let splits = complete(given(), &config, 0).unwrap();
        let (validation, test) = (splits.validation.unwrap(), splits.test.unwrap());
        assert_eq!(
            (splits.train.len(), validation.len(), test.len()),
            (30, 5, 10)
        );
        let remark = &test.remarks()[0];
        assert_eq!(remark.origin, "split.test");
        assert!(
            remark.message.contains("10 test samples of its own"),
            "{}",
            remark.message
        );
        assert_eq!(validation.remarks()[0].origin, "split.validation");
        // Nothing was asked for, so nothing is to be said.
        let splits = complete(given(), &SplitConfig::default(), 0).unwrap();
        assert!(splits.test.unwrap().remarks().is_empty());
        assert!(splits.validation.unwrap().remarks().is_empty());
    }

    #[test]
    fn what_cannot_be_held_out_is_an_error() {
        let config = SplitConfig {
            test: HoldOut::Last(10),
            ..Default::default()
        };
        let error = complete(only_train(source(&[10])), &config, 0)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("split.test") && error.contains("10 samples cannot be held out of 10"),
            "{error}"
        );
        let config = SplitConfig {
            validation: HoldOut::Fraction(1.5),
            ..Default::default()
        };
        assert_eq!(config.problems()[0].0, "validation.fraction");
        assert!(complete(only_train(source(&[30])), &config, 0).is_err());
    }

    #[test]
    fn groups_are_held_out_whole() {
        let until = Group::Until(".rf.".into());
        let origins = [
            "a/1.rf.x.jpg",
            "a/1.rf.y.jpg",
            "a/2.jpg",
            "b/3.rf.z.jpg",
            "b/3.rf.w.jpg",
        ];
        let names = |group: &Group| origins.map(|origin| group.of(origin)).to_vec();
        assert_eq!(names(&until), ["a/1", "a/1", "a/2.jpg", "b/3", "b/3"]);
        assert_eq!(names(&Group::Folder), ["a", "a", "a", "b", "b"]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..20 {
            let held = grouped(&names(&until), 2, "test", seed);
            assert!([&[0, 1][..], &[2], &[3, 4]].contains(&&*held), "{held:?}");
            assert_eq!(held, grouped(&names(&until), 2, "test", seed));
            seen.insert(held);
        }
        assert_eq!(seen.len(), 3);
        // All of one group: nothing can be held out.
        let config = SplitConfig {
            group: Some(Group::Folder),
            ..Default::default()
        };
        let error = complete(only_train(source(&[30])), &config, 0)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("3 samples are fewer than the smallest group holds"),
            "{error}"
        );
        let config = SplitConfig {
            test: HoldOut::Last(3),
            group: Some(Group::Until(String::new())),
            ..Default::default()
        };
        let keys: Vec<String> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["test.last", "group.until"]);
    }
}
