//! "Did you mean": the nearest of the allowed words to one that is not allowed.

/// Longer words are not compared: nothing that long was mistyped from a key.
const LONGEST: usize = 64;

/// The candidate that `word` most likely stands for, or `None` where nothing is near.
///
/// In this order: the same but for case and `_`, initials (`lr` for `learning-rate`), the smallest edit distance
/// (insertions, deletions, substitutions, swaps of neighbours) up to a third of the longer word, and
/// a candidate that alone begins with the word, has it among its parts, or shares its first half and four letters.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let length = word.chars().count();
    if !(2..=LONGEST).contains(&length) {
        return None;
    }
    let candidates: Vec<(&str, String)> = candidates
        .into_iter()
        .map(|name| (name, plain(name)))
        .collect();
    let the_only = |matches: &dyn Fn(&str) -> bool| {
        let mut found = candidates.iter().filter(|(_, name)| matches(name));
        found
            .next()
            .filter(|_| found.next().is_none())
            .map(|(name, _)| *name)
    };
    if let Some(name) = the_only(&|name| name == word) {
        return Some(name);
    }
    if let Some(name) = the_only(&|name| name.contains('-') && initials(name) == word) {
        return Some(name);
    }
    let by_distance = candidates
        .iter()
        .filter(|(_, name)| name.chars().count() <= LONGEST)
        .map(|(original, name)| {
            (
                strsim::osa_distance(&word, name),
                name.chars().count().max(length),
                *original,
            )
        })
        .filter(|(distance, longer, _)| *longer > 2 && *distance <= (longer / 3).max(1))
        .min_by_key(|(distance, _, _)| *distance);
    if let Some((_, _, name)) = by_distance {
        return Some(name);
    }
    if length < 3 {
        return None;
    }
    the_only(&|name| name.starts_with(&word) || (name.len() > 3 && word.starts_with(name)))
        .or_else(|| the_only(&|name| name.split('-').any(|part| part == word)))
        .or_else(|| {
            let shared = |name: &str| {
                let pairs = word.chars().zip(name.chars());
                pairs.take_while(|(a, b)| a == b).count()
            };
            the_only(&|name| shared(name) >= 4.max(length.div_ceil(2)))
        })
}

fn plain(word: &str) -> String {
    word.trim().to_lowercase().replace(['_', ' '], "-")
}

fn initials(name: &str) -> String {
    name.split('-')
        .filter_map(|part| part.chars().next())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_found_and_nothing_far_away() {
        let keys = [
            "learning-rate",
            "momentum",
            "nesterov",
            "weight-decay",
            "batch-size",
        ];
        for (word, meant) in [
            ("learning_rate", Some("learning-rate")),
            ("learing-rate", Some("learning-rate")),
            ("Momentum", Some("momentum")),
            ("lr", Some("learning-rate")),
            ("wd", Some("weight-decay")),
            ("batch", Some("batch-size")),
            ("decay", Some("weight-decay")),
            ("nestrov", Some("nesterov")),
            ("epochs", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
        assert_eq!(
            nearest("resnet118", ["resnet18", "resnet101", "vgg11"]),
            Some("resnet18")
        );
        assert_eq!(nearest(&"a".repeat(100_000), keys), None);
        let keys = ["preprocess", "prefetch", "presets"];
        assert_eq!(nearest("prepare", keys), Some("preprocess"));
        assert_eq!(nearest("precise", keys), None);
    }
}
