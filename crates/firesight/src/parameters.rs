//! Which parameters of a model train, and what the patterns of a recipe take of them.
//!
//! A parameter goes by one name everywhere: the key under which exports, checkpoints and PyTorch have it, such as
//! `layer1.0.conv1.weight`. The patterns of `freeze` and `parameter-groups` are searched for in these names.

use std::collections::BTreeSet;
use std::ops::AddAssign;

use firesight_engine::ParameterGroup;
use firesight_models::weights::{ParameterInfo, TorchNames, parameters};
use firesight_recipe::Checks;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::checks::some;

/// The parameters of one network of a task, by their exported names.
#[derive(Clone, Debug)]
pub struct NetworkParameters {
    /// The network's name among the task's networks: `model`, `generator`, `discriminator`.
    pub network: &'static str,
    /// Its parameters, running statistics left out.
    pub parameters: Vec<ParameterInfo>,
}

impl NetworkParameters {
    /// The parameters of a module; asking initialises nothing.
    pub fn of<M: TorchNames>(network: &'static str, module: &M) -> Self {
        let mut parameters = parameters(module);
        parameters.retain(|info| !info.buffer);
        Self {
            network,
            parameters,
        }
    }
}

/// Tensors, and the numbers in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many tensors.
    pub tensors: usize,
    /// How many numbers they hold.
    pub elements: usize,
}

impl AddAssign<&ParameterInfo> for Amount {
    fn add_assign(&mut self, parameter: &ParameterInfo) {
        self.tensors += 1;
        self.elements += parameter.shape.iter().product::<usize>();
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tensors = match self.tensors {
            1 => "tensor",
            _ => "tensors",
        };
        write!(
            f,
            "{} {tensors} of {} parameters",
            self.tensors,
            grouped(self.elements)
        )
    }
}

/// What one pattern of a recipe takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Where the pattern stands: `task.classification.freeze[0]`, `parameter-groups[1].pattern`.
    pub key: String,
    /// The pattern.
    pub pattern: String,
    /// What it takes: all that it matches and no pattern before it has taken.
    pub amount: Amount,
    /// Tensors that it matches, taken before or not.
    pub matched: usize,
}

/// How many parameters of a model train, and what each pattern of the recipe takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterSummary {
    /// All parameters of all networks; running statistics are none.
    pub total: Amount,
    /// Those that train.
    pub trainable: Amount,
    /// What each pattern of `freeze` takes.
    pub frozen: Vec<Taken>,
    /// What each of `parameter-groups` takes of those that are not frozen.
    pub groups: Vec<Taken>,
    /// Which of these groups stand still, since their rate is 0.
    #[serde(default)]
    pub still: Vec<bool>,
    /// Names to choose from, for messages.
    #[serde(skip)]
    names: Vec<String>,
}

impl ParameterSummary {
    /// Counts what the patterns take. `table` is the task's path in the recipe, `task.classification`.
    pub fn new(
        networks: &[NetworkParameters],
        table: &str,
        freeze: &[String],
        groups: &[ParameterGroup],
    ) -> Self {
        let taken = |key: String, pattern: &str| Taken {
            key,
            pattern: pattern.to_owned(),
            amount: Amount::default(),
            matched: 0,
        };
        let mut summary = Self {
            frozen: (freeze.iter().enumerate())
                .map(|(i, pattern)| taken(format!("{table}.freeze[{i}]"), pattern))
                .collect(),
            groups: (groups.iter().enumerate())
                .map(|(i, group)| taken(format!("parameter-groups[{i}].pattern"), &group.pattern))
                .collect(),
            still: groups
                .iter()
                .map(|group| group.rate_factor == 0.0)
                .collect(),
            ..Self::default()
        };
        let [frozen_by, grouped_by] = [
            compiled(freeze.iter().map(String::as_str)),
            compiled(groups.iter().map(|group| group.pattern.as_str())),
        ];
        for parameter in networks.iter().flat_map(|network| &network.parameters) {
            summary.total += parameter;
            let frozen = take(&mut summary.frozen, &frozen_by, parameter, true).is_some();
            let group = take(&mut summary.groups, &grouped_by, parameter, !frozen);
            let stands = group.is_some_and(|group| summary.still[group]);
            if !frozen && !stands {
                summary.trainable += parameter;
            }
            summary.names.push(parameter.name.clone());
        }
        summary
    }

    /// What is wrong with the patterns: one that matches nothing, a group that never counts, nothing left to train.
    pub fn check(&self, table: &str, checks: &mut Checks<'_>) {
        for taken in self.frozen.iter().chain(&self.groups) {
            if taken.matched == 0 {
                let message = format!("`{}` matches no parameter of the model", taken.pattern);
                checks.error(&taken.key, message, Some(&self.nearest(&taken.pattern)));
            }
        }
        for group in &self.groups {
            if group.matched > 0 && group.amount.tensors == 0 {
                let message = format!(
                    "the group of `{}` never counts: all {} tensors that it matches are frozen or taken by a group \
                     before it",
                    group.pattern, group.matched
                );
                let help = "the first group that matches counts: put it before the others, or leave it out";
                checks.error(&group.key, message, Some(help));
            }
        }
        if self.trainable.tensors == 0 && self.total.tensors > 0 {
            let frozen: usize = self.frozen.iter().map(|taken| taken.amount.tensors).sum();
            let (key, how) = match frozen == self.total.tensors {
                true => (format!("{table}.freeze"), "frozen"),
                false => {
                    let still = self
                        .groups
                        .iter()
                        .position(|taken| taken.amount.tensors > 0);
                    let key = format!("parameter-groups[{}].rate-factor", still.unwrap_or(0));
                    (key, "frozen or of the rate 0")
                }
            };
            let message = format!(
                "all {} parameters are {how}; nothing is left to train",
                grouped(self.total.elements)
            );
            let help = format!("leave one part out; the names begin with {}", self.heads());
            checks.error(&key, message, Some(&help));
        }
    }

    /// The summary in lines of text: the counts first, then what each pattern takes.
    pub fn lines(&self) -> Vec<String> {
        let (trainable, total) = (self.trainable.elements, self.total.elements);
        let mut lines = vec![format!(
            "{} of {} parameters train",
            grouped(trainable),
            grouped(total)
        )];
        let freeze = self.frozen.iter().map(|taken| (taken, "freezes", ""));
        let groups = self.groups.iter().zip(&self.still);
        let groups = groups.map(|(taken, still)| match still {
            true => (taken, "takes", ", which stand still: its rate is 0"),
            false => (taken, "takes", ""),
        });
        for (taken, what, so) in freeze.chain(groups) {
            let (key, pattern) = (&taken.key, &taken.pattern);
            let before = match taken.matched - taken.amount.tensors {
                0 => String::new(),
                1 => " (1 more is taken by others)".to_owned(),
                count => format!(" ({count} more are taken by others)"),
            };
            lines.push(format!(
                "{key} `{pattern}` {what} {}{before}{so}",
                taken.amount
            ));
        }
        lines
    }

    /// The first segments of all names, in the model's order.
    fn heads(&self) -> String {
        let mut seen = BTreeSet::new();
        let heads: Vec<String> = (self.names.iter())
            .map(|name| name.split('.').next().unwrap_or(name).to_owned())
            .filter(|head| seen.insert(head.clone()))
            .collect();
        some(&heads)
    }

    /// The names that a pattern without a match most likely stands for.
    fn nearest(&self, pattern: &str) -> String {
        let literal: String = pattern
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
            .collect();
        let literal = literal.trim_matches('.');
        if literal.contains("running_") || literal.contains("num_batches") {
            return "running statistics are no parameters: they stand still where the weight and the bias of their \
                    layer are frozen"
                .to_owned();
        }
        let mut parts = BTreeSet::new();
        for name in &self.names {
            let ends = name.match_indices('.').map(|(at, _)| at);
            parts.extend(ends.chain([name.len()]).map(|end| &name[..end]));
        }
        let scored = parts
            .iter()
            .map(|part| (strsim::normalized_damerau_levenshtein(literal, part), *part));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.len().cmp(&a.1.len())));
        let heads = self.heads();
        let near = best
            .filter(|(score, _)| *score >= 0.5)
            .and_then(|(_, part)| {
                let example = self.names.iter().find(|name| {
                    (name.strip_prefix(part))
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                });
                example.map(|example| match example == part {
                    true => format!("did you mean `{part}`? "),
                    false => format!("did you mean `{part}`, as in `{example}`? "),
                })
            });
        let near = near.unwrap_or_else(|| match self.names.as_slice() {
            [] => String::new(),
            [first, ..] => format!("there are names such as `{first}`; "),
        });
        format!("{near}the names begin with {heads}")
    }
}

/// The patterns; one that is no regular expression, which the recipe's own check refuses, matches nothing.
fn compiled<'a>(patterns: impl Iterator<Item = &'a str>) -> Vec<Option<Regex>> {
    patterns.map(|pattern| Regex::new(pattern).ok()).collect()
}

/// Counts a parameter for every pattern that matches it, and gives it to the first where it is free: the number of that.
fn take(
    list: &mut [Taken],
    patterns: &[Option<Regex>],
    parameter: &ParameterInfo,
    mut free: bool,
) -> Option<usize> {
    let mut first = None;
    for (number, (taken, pattern)) in list.iter_mut().zip(patterns).enumerate() {
        let matches = |pattern: &Regex| pattern.is_match(&parameter.name);
        if pattern.as_ref().is_some_and(matches) {
            taken.matched += 1;
            first.get_or_insert(number);
            if std::mem::take(&mut free) {
                taken.amount += parameter;
            }
        }
    }
    first
}

/// Whether a parameter of this name is frozen by one of the patterns.
///
/// # Errors
/// A pattern that is no regular expression.
pub(crate) fn frozen_by(
    patterns: &[String],
) -> Result<impl Fn(&str) -> bool + use<>, regex::Error> {
    let patterns: Vec<Regex> = (patterns.iter())
        .map(|pattern| Regex::new(pattern))
        .collect::<Result<_, _>>()?;
    Ok(move |name: &str| patterns.iter().any(|pattern| pattern.is_match(name)))
}

/// `11177538` as `11,177,538`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use firesight_models::classification::{ClassifierConfig, InputSpec};

    use super::*;

    fn resnet20() -> Vec<NetworkParameters> {
        let config = ClassifierConfig::named("resnet20").unwrap();
        let model = config
            .init(InputSpec::gray(8), 10, &Device::flex())
            .unwrap();
        vec![NetworkParameters::of("model", &model)]
    }

    fn group(pattern: &str) -> ParameterGroup {
        ParameterGroup {
            pattern: pattern.into(),
            rate_factor: 0.1,
            weight_decay: None,
        }
    }

    fn summary(freeze: &[&str], groups: &[&str]) -> ParameterSummary {
        let freeze: Vec<String> = freeze.iter().map(|p| (*p).to_owned()).collect();
        let groups: Vec<ParameterGroup> = groups.iter().map(|p| group(p)).collect();
        ParameterSummary::new(&resnet20(), "task.classification", &freeze, &groups)
    }

    fn problems(summary: &ParameterSummary) -> String {
        let text = "task = 1";
        let loaded = firesight_recipe::read_str::<serde_json::Value>(text, "r.toml", &[]).unwrap();
        let mut checks = loaded.diagnostics();
        summary.check("task.classification", &mut checks);
        // Without the line breaks of long messages.
        let text = checks.into_diagnostics().to_string();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_parameter_is_counted_once() {
        let summary = summary(&["^conv1", "1\\.weight$"], &["^layer1", "^layer"]);
        assert_eq!(summary.frozen[0].amount.tensors, 1);
        // conv1.weight is the first pattern's; bn1.weight and both of each of nine blocks are left.
        assert_eq!(
            summary.frozen[1].matched,
            summary.frozen[1].amount.tensors + 1
        );
        let taken: usize = summary.groups.iter().map(|g| g.amount.tensors).sum();
        // All that trains but bn1.bias and the head's two.
        assert_eq!(taken + 3, summary.trainable.tensors);
        let frozen: usize = summary.frozen.iter().map(|f| f.amount.elements).sum();
        assert_eq!(frozen + summary.trainable.elements, summary.total.elements);
        assert_eq!(problems(&summary), "");
        let lines = summary.lines();
        assert!(lines[0].ends_with("parameters train"), "{}", lines[0]);
        assert_eq!(
            lines[1],
            "task.classification.freeze[0] `^conv1` freezes 1 tensor of 144 parameters"
        );
        assert!(
            lines[2].ends_with("(1 more is taken by others)"),
            "{}",
            lines[2]
        );
    }

    #[test]
    fn a_pattern_without_a_match_is_named_with_names_that_exist() {
        let found = problems(&summary(&["^layr1\\.", "^backbone\\."], &["^layer9"]));
        for part in [
            "`^layr1\\.` matches no parameter",
            "did you mean `layer1`, as in `layer1.0.conv1.weight`?",
            "`^backbone\\.` matches no parameter",
            "the names begin with conv1, bn1, layer1, layer2, layer3, fc",
            "`^layer9` matches no parameter",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        // Names of Burn's modules are no names of parameters.
        assert!(problems(&summary(&["gamma"], &[])).contains("matches no parameter"));
        let statistics = problems(&summary(&["bn1.running_mean"], &[]));
        assert!(
            statistics.contains("running statistics are no parameters"),
            "{statistics}"
        );
    }

    #[test]
    fn a_group_that_never_counts_and_a_model_that_stands_still_are_errors() {
        let found = problems(&summary(&[], &["^layer", "^layer1"]));
        assert!(found.contains("`^layer1` never counts"), "{found}");
        let found = problems(&summary(&["^layer1"], &["^layer1"]));
        assert!(found.contains("`^layer1` never counts"), "{found}");
        let found = problems(&summary(&["."], &[]));
        assert!(found.contains("nothing is left to train"), "{found}");
    }

    #[test]
    fn a_group_of_the_rate_0_does_not_train() {
        let group = |pattern: &str, rate_factor| ParameterGroup {
            pattern: pattern.into(),
            rate_factor,
            weight_decay: None,
        };
        let of = |groups: &[ParameterGroup]| {
            ParameterSummary::new(&resnet20(), "task.classification", &[], groups)
        };
        let summary = of(&[group("^layer", 0.0), group("^conv1", 0.5)]);
        let still = summary.groups[0].amount;
        assert_eq!(
            summary.trainable.elements,
            summary.total.elements - still.elements
        );
        assert_eq!(problems(&summary), "");
        let lines = summary.lines();
        let said = ", which stand still: its rate is 0";
        assert!(
            lines[1].ends_with(said) && !lines[2].contains(said),
            "{lines:?}"
        );
        let found = problems(&of(&[group("^layer", 0.0), group(".", 0.0)]));
        assert!(
            found.contains("parameters are frozen or of the rate 0; nothing is left to train"),
            "{found}"
        );
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 11_177_538].map(grouped),
            ["0", "999", "1,000", "11,177,538"]
        );
    }
}
