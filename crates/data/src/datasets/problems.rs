//! Faults that settings of several datasets can have.

use std::collections::HashMap;
use std::path::Path;

/// The fault of a list of class names that holds one twice, or an empty one.
pub(super) fn name_problems(classes: &[String]) -> Option<(String, String)> {
    let empty = classes.iter().position(|name| name.trim().is_empty());
    let twice = (1..classes.len()).find(|&at| classes[..at].contains(&classes[at]));
    let message = match (empty, twice) {
        (Some(at), _) => format!("the name of class {at} is empty"),
        (None, Some(at)) => format!("two classes are named `{}`", classes[at]),
        (None, None) => return None,
    };
    Some(("classes".into(), message))
}

/// The fault of a setting `path` that is empty.
pub(super) fn path_problems(path: &Path, what: &str) -> Vec<(String, String)> {
    match path.as_os_str().is_empty() {
        true => vec![("path".into(), format!("give the folder that {what} lie in"))],
        false => Vec::new(),
    }
}

/// The names that differ from an earlier one in case alone, each with the first such.
pub(super) fn same_but_for_case(names: &[String]) -> Vec<(&String, &String)> {
    let mut first: HashMap<String, &String> = HashMap::new();
    let same = names.iter().filter_map(|name| {
        let earlier = *first.entry(name.to_lowercase()).or_insert(name);
        (earlier != name).then_some((name, earlier))
    });
    same.collect()
}
