//! Names as recipes write them.

/// `HorizontalFlip` as `horizontal-flip`, the way serde names it.
pub(crate) fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (i, c) in name.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

/// Problems of a table of that name: each key below it.
pub(crate) fn under(name: &str, problems: Vec<(String, String)>) -> Vec<(String, String)> {
    let below = |(key, problem): (String, String)| match key.is_empty() {
        true => (name.to_owned(), problem),
        false => (format!("{name}.{key}"), problem),
    };
    problems.into_iter().map(below).collect()
}
