//! What a run knows of its data, compared with the data at hand.
//!
//! ```
//! use firesight::card::ModelCard;
//! use firesight::stored::same_classes;
//!
//! let card = |classes: &[&str]| ModelCard {
//!     task: "classification".into(),
//!     model: "resnet20".into(),
//!     classes: classes.iter().map(|name| name.to_string()).collect(),
//!     channels: 3,
//!     height: 32,
//!     width: 32,
//!     pixels: Default::default(),
//! };
//! assert!(same_classes(&card(&["cat", "dog"]), &card(&["cat", "dog"])).is_ok());
//! let wrong = same_classes(&card(&["cat", "dog"]), &card(&["dog", "cat"])).unwrap_err();
//! assert!(wrong.to_string().contains("class 0 is `cat` in the run and `dog` in the data"));
//! ```

use std::path::Path;

use crate::error::bail;
use firesight_data::words::counted;
use firesight_report::environment::{Environment, Split};

use crate::card::ModelCard;
use crate::experiment::Experiment;

/// Whether the data has the classes that a model was trained with, in their order.
///
/// # Errors
/// Other classes: both lists, and where they part.
pub fn same_classes(run: &ModelCard, data: &ModelCard) -> crate::Result<()> {
    if run.classes == data.classes {
        return Ok(());
    }
    let longest = run.classes.len().max(data.classes.len());
    let name = |classes: &[String], at: usize| {
        classes
            .get(at)
            .map_or("missing".to_owned(), |name| format!("`{name}`"))
    };
    let apart = (0..longest).find(|&at| run.classes.get(at) != data.classes.get(at));
    let at = apart.unwrap_or(0);
    bail!(
        "the data has other classes than the run: class {at} is {} in the run and {} in the data\n  the run's {} classes: \
         {}\n  the data's {} classes: {}",
        name(&run.classes, at),
        name(&data.classes, at),
        run.classes.len(),
        run.classes.join(", "),
        data.classes.len(),
        data.classes.join(", ")
    )
}

/// The splits of opened data as a run remembers them.
pub fn splits(experiment: &Experiment) -> Vec<Split> {
    let of = |(name, source): (&str, _)| Split {
        name: name.to_owned(),
        samples: firesight_data::Source::len(source),
        fingerprint: firesight_data::fingerprint(source),
    };
    let named = experiment.splits.named().into_iter();
    named
        .map(|(name, source)| of((name, source.as_ref())))
        .collect()
}

/// What is other in the data at hand than it was when the run began, split by split; nothing where all is the same or
/// the run does not tell.
///
/// # Errors
/// An `environment.json` that cannot be read.
pub fn changes(run: &Path, experiment: &Experiment) -> crate::Result<Vec<String>> {
    let Some(environment) = Environment::read(run)? else {
        return Ok(Vec::new());
    };
    Ok(compared(&environment.splits, &splits(experiment)))
}

fn compared(then: &[Split], now: &[Split]) -> Vec<String> {
    let mut changes = Vec::new();
    for old in then {
        let name = &old.name;
        match now.iter().find(|new| new.name == *name) {
            None => changes.push(format!(
                "there is no {name} split now; the run had {}",
                old.samples
            )),
            Some(new) if new.samples != old.samples => changes.push(format!(
                "the {name} split has {}; the run had {}",
                counted(new.samples, "image"),
                old.samples
            )),
            Some(new) if !old.fingerprint.is_empty() && new.fingerprint != old.fingerprint => {
                changes.push(format!(
                    "the images of the {name} split ({}), their labels or their order are not those that the run had",
                    new.samples
                ));
            }
            Some(_) => {}
        }
    }
    for new in now {
        // A run that remembers no split at all is of an older program.
        if !then.is_empty() && !then.iter().any(|old| old.name == new.name) {
            changes.push(format!(
                "there is a {} split of {} now; the run had none",
                new.name,
                counted(new.samples, "image")
            ));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str, samples: usize, fingerprint: &str) -> Split {
        Split {
            name: name.into(),
            samples,
            fingerprint: fingerprint.into(),
        }
    }

    #[test]
    fn what_has_changed_is_said_split_by_split() {
        let then = [
            split("train", 8, "a"),
            split("validation", 4, "b"),
            split("test", 2, "c"),
        ];
        assert!(compared(&then, &then).is_empty());
        let now = [split("train", 9, "x"), split("validation", 4, "y")];
        let said = compared(&then, &now);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("train split has 9 images; the run had 8"));
        assert!(said[1].contains("the images of the validation split (4)"));
        assert!(said[2].contains("no test split"));
        assert!(compared(&now, &then)[2].contains("the run had none"));
        // Runs of older programs knew sizes alone, or nothing.
        assert!(compared(&[split("train", 8, "")], &then[..1]).is_empty());
        assert!(compared(&[], &then).is_empty());
    }
}
