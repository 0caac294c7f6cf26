//! Under which prefix, and in which of a file's dictionaries, a model's tensors lie.
//!
//! Wrappers put a word before every name: `module.` (data parallelism, `AveragedModel`), `_orig_mod.`
//! (`torch.compile`), `model.` or `net.` (Lightning and trainers of one's own), in any order. No list of such words is
//! needed: the model's own names are known, and the prefix is what stands before most of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::error::WeightsError;

/// Segments that wrappers of single layers put inside of names, and no layer has.
const INNER: [&str; 3] = [
    "_orig_mod",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
];

/// Where the model's names lie among a dictionary's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fit {
    /// What stands before them, empty or ending in a dot.
    pub prefix: String,
    /// How many of the model's names are there.
    pub found: usize,
}

/// A key without the wrappers inside of it.
fn plain(key: &str) -> String {
    let kept = key.split('.').filter(|segment| !INNER.contains(segment));
    kept.collect::<Vec<_>>().join(".")
}

/// Whether a key has wrappers inside of it.
pub(super) fn is_wrapped_inside(key: &str) -> bool {
    key.split('.').any(|segment| INNER.contains(&segment))
}

/// The name of the model's tensor that a key stands for under a prefix; `None` for a key beside it.
pub(super) fn name_under(
    key: &str,
    prefix: &str,
    published: &impl Fn(&str) -> String,
) -> Option<String> {
    let rest = key.strip_prefix(prefix)?;
    Some(published(&plain(rest)))
}

/// Finds the prefix under which most of the expected names are found; none where there is no such prefix for half of
/// them. A shorter prefix wins over an equally good longer one.
///
/// # Errors
/// Two prefixes that hold the whole model alike.
pub(super) fn fit<'a>(
    keys: impl Iterator<Item = &'a String>,
    expected: &HashSet<String>,
    published: &impl Fn(&str) -> String,
) -> Result<Fit, WeightsError> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for key in keys {
        let ends = key.match_indices('.').map(|(at, _)| at + 1);
        for start in std::iter::once(0).chain(ends) {
            let rest = &key[start..];
            if INNER.contains(&rest.split('.').next().unwrap_or("")) {
                continue; // It belongs to what stands before.
            }
            let name = published(&plain(rest));
            if expected.contains(&name) {
                found
                    .entry(key[..start].to_string())
                    .or_default()
                    .insert(name);
            }
        }
    }
    let best = found.values().map(BTreeSet::len).max().unwrap_or(0);
    if 2 * best < expected.len() || best == 0 {
        return Ok(Fit {
            prefix: String::new(),
            found: found.get("").map_or(0, BTreeSet::len),
        });
    }
    let mut prefixes: Vec<&String> = (found.iter())
        .filter(|(_, names)| names.len() == best)
        .map(|(prefix, _)| prefix)
        .collect();
    prefixes.sort_by_key(|prefix| prefix.len());
    match prefixes[..] {
        [first, second, ..] if !first.is_empty() => Err(WeightsError::Ambiguous {
            places: [first, second].map(|p| format!("under `{p}`")).to_vec(),
        }),
        _ => Ok(Fit {
            prefix: prefixes[0].clone(),
            found: best,
        }),
    }
}

/// Whether a dictionary's place in a file says that it holds averaged weights.
pub(super) fn is_average(place: &str) -> bool {
    let last = place.rsplit('.').next().unwrap_or(place);
    last.split('_')
        .any(|word| matches!(word, "ema" | "swa" | "average" | "averaged" | "avg"))
}

/// Words under which trainers keep the weights themselves, the usual ones first.
const PLAIN: [&str; 10] = [
    "",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "net",
    "network",
    "weights",
    "params",
];

/// A smaller number for the dictionary that is meant: the weights themselves before their average, known words before
/// others.
pub(super) fn rank(place: &str) -> usize {
    if is_average(place) {
        return PLAIN.len() + 1;
    }
    let last = place.rsplit('.').next().unwrap_or(place);
    let known = PLAIN.iter().position(|word| *word == last);
    known.unwrap_or(PLAIN.len())
}

/// Of dictionaries that hold the model equally well, the one that is meant, by index.
///
/// # Errors
/// Several, none of which is under a word that says so.
pub(super) fn choose(places: &[(usize, &str)]) -> Result<usize, WeightsError> {
    let least = places.iter().map(|(_, place)| rank(place)).min();
    let meant: Vec<&(usize, &str)> = (places.iter())
        .filter(|(_, place)| Some(rank(place)) == least)
        .collect();
    match meant[..] {
        [one] => Ok(one.0),
        _ => Err(WeightsError::Ambiguous {
            places: meant.iter().map(|(_, p)| format!("in `{p}`")).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = [
        "conv.weight",
        "block.conv.weight",
        "block.bn.weight",
        "fc.weight",
    ];

    fn fitted(keys: &[String]) -> Result<Fit, WeightsError> {
        let expected = NAMES.iter().map(|name| (*name).to_string()).collect();
        fit(keys.iter(), &expected, &|key: &str| key.to_string())
    }

    fn under(prefix: &str) -> Vec<String> {
        NAMES.iter().map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn any_prefix_of_the_whole_model_is_found() {
        for prefix in [
            "",
            "module.",
            "_orig_mod.",
            "_orig_mod.module.",
            "module._orig_mod.",
            "model.",
            "net.",
            "some.thing.else.",
        ] {
            let mut keys = under(prefix);
            keys.push("n_averaged".into());
            keys.push("criterion.weight".into());
            let fit = fitted(&keys).unwrap();
            assert_eq!((fit.prefix.as_str(), fit.found), (prefix, 4), "{prefix}");
            for (key, name) in keys.iter().zip(NAMES) {
                let found = name_under(key, &fit.prefix, &|key: &str| key.to_string());
                assert_eq!(found.as_deref(), Some(name));
            }
        }
        // Wrappers of single layers.
        let keys: Vec<String> = NAMES
            .iter()
            .map(|name| name.replace("block.", "block._orig_mod."))
            .collect();
        assert_eq!(fitted(&keys).unwrap().found, 4);
    }

    #[test]
    fn what_is_another_models_has_no_prefix() {
        let keys: Vec<String> = ["encoder.0.conv.weight", "encoder.1.weight"]
            .map(String::from)
            .to_vec();
        assert_eq!(fitted(&keys).unwrap(), Fit::default());
        assert_eq!(fitted(&[]).unwrap(), Fit::default());
    }

    #[test]
    fn a_model_that_is_there_twice_is_ambiguous() {
        let both = [under("student."), under("teacher.")].concat();
        let error = fitted(&both).unwrap_err().to_string();
        assert!(
            error.contains("`student.`") && error.contains("`teacher.`"),
            "{error}"
        );
        // Beside its own names another copy does not matter.
        let both = [under(""), under("teacher.")].concat();
        assert_eq!(fitted(&both).unwrap().prefix, "");
    }

    #[test]
    fn the_weights_themselves_come_before_their_average() {
        let pick = |places: &[&str]| {
            let listed: Vec<(usize, &str)> = places.iter().copied().enumerate().collect();
            choose(&listed).map(|at| places[at].to_string())
        };
        assert_eq!(pick(&["model_ema", "model"]).unwrap(), "model");
        assert_eq!(
            pick(&["state_dict_ema", "state_dict"]).unwrap(),
            "state_dict"
        );
        assert_eq!(pick(&["ema", "anything"]).unwrap(), "anything");
        assert_eq!(pick(&["ema"]).unwrap(), "ema");
        let error = pick(&["student", "teacher"]).unwrap_err().to_string();
        assert!(
            error.contains("`student`") && error.contains("`teacher`"),
            "{error}"
        );
    }
}
