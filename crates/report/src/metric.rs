//! What a number of an evaluation is: how it is called, how it is read, which way it is good.
//!
//! A task describes its metrics once, before training. A run folder keeps the description in `environment.json`, so
//! that the terminal, the report and a comparison say the same of a number.
//!
//! ```
//! use firesight_report::metric::{Metric, Metrics};
//!
//! let top1 = Metric::share("top1", "Top-1 accuracy").needs("at least one image");
//! let metrics = Metrics(vec![top1, Metric::loss("loss", "Loss")]);
//! assert_eq!(metrics.of("top1").show(0.98611), "98.61\u{a0}%");
//! assert!(metrics.of("loss").better_than(0.1, 0.2));
//! // What nobody has described is a plain number under its own name, good in neither direction.
//! assert_eq!((metrics.of("dust_count").title.as_str(), metrics.of("dust_count").better), ("Dust count", None));
//! ```

use serde::{Deserialize, Serialize};

use crate::format::{NONE, number};

/// The description of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metric {
    /// Its name in `metrics.jsonl`, `eval --json` and the recipe: `top1`, `class_iou.cell`.
    pub key: String,
    /// Its name for a person: `Top-1 accuracy`.
    pub title: String,
    /// What kind of number it is.
    pub unit: Unit,
    /// Which way it is good; none where it tells something but is not to be driven anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// Heading of the chart that it is drawn in; metrics of one heading share a chart.
    pub chart: String,
    /// Whether it is one of many of its kind, such as one for each class: left out where there is one line for all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub detail: bool,
    /// What a split must hold for it to be defined: `at least one image`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub needs: String,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A number without a unit: a loss, a distance.
    #[default]
    Plain,
    /// A share from 0 to 1, shown in percent.
    Share,
}

/// Which way a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl Metric {
    fn new(key: impl Into<String>, title: impl Into<String>, unit: Unit) -> Self {
        let title = title.into();
        Self {
            key: key.into(),
            chart: title.clone(),
            title,
            unit,
            ..Self::default()
        }
    }

    /// A share from 0 to 1, the more the better.
    pub fn share(key: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            better: Some(Better::Higher),
            ..Self::new(key, title, Unit::Share)
        }
    }

    /// A loss or a distance, the less the better.
    pub fn loss(key: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            better: Some(Better::Lower),
            ..Self::new(key, title, Unit::Plain)
        }
    }

    /// A number that is good in neither direction.
    pub fn plain(key: impl Into<String>, title: impl Into<String>) -> Self {
        Self::new(key, title, Unit::Plain)
    }

    /// The same, drawn in a chart with this heading.
    #[must_use]
    pub fn chart(self, heading: &str) -> Self {
        Self {
            chart: heading.to_owned(),
            ..self
        }
    }

    /// The same, good in this direction.
    #[must_use]
    pub fn better(self, better: Better) -> Self {
        Self {
            better: Some(better),
            ..self
        }
    }

    /// The same, as one of many of its kind.
    #[must_use]
    pub fn detail(self) -> Self {
        Self {
            detail: true,
            ..self
        }
    }

    /// The same, defined only where a split holds this.
    #[must_use]
    pub fn needs(self, what: impl Into<String>) -> Self {
        Self {
            needs: what.into(),
            ..self
        }
    }

    /// A value as a page shows it: `98.61 %` (with a space that does not break), `0.0423`.
    pub fn show(&self, value: f64) -> String {
        match self.unit {
            _ if !value.is_finite() => NONE.into(),
            Unit::Share => format!("{:.2}\u{a0}%", value * 100.0),
            Unit::Plain => number(value, 4),
        }
    }

    /// A value in a line of a log, where numbers of several lines stand below each other: `98.61 %`, `0.0423`.
    pub fn line(&self, value: f64) -> String {
        match self.unit {
            Unit::Share => format!("{:.2} %", value * 100.0),
            Unit::Plain => format!("{value:.4}"),
        }
    }

    /// Whether `a` is better than `b`; any number is better than `NaN`, and none where no direction is good.
    pub fn better_than(&self, a: f64, b: f64) -> bool {
        match self.better {
            None => false,
            Some(_) if b.is_nan() => !a.is_nan(),
            Some(Better::Higher) => a > b,
            Some(Better::Lower) => a < b,
        }
    }
}

/// The metrics of a run; the first one stands for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(pub Vec<Metric>);

impl Metrics {
    /// The metric of a key, if it is described.
    pub fn get(&self, key: &str) -> Option<&Metric> {
        self.0.iter().find(|metric| metric.key == key)
    }

    /// The metric of a key; one that is not described is a plain number under its own name.
    pub fn of(&self, key: &str) -> Metric {
        let known = self.get(key).cloned();
        known.unwrap_or_else(|| Metric::plain(key, capitalized(key)))
    }

    /// The metrics in a line, those left out that are one of many: `loss 0.2500  top1 98.61 %`. Each is called by its
    /// key, as the recipe and the files call it.
    pub fn summary<'a>(&self, values: impl IntoIterator<Item = (&'a String, &'a f64)>) -> String {
        let parts = values.into_iter().filter_map(|(key, value)| {
            let metric = self.of(key);
            (!metric.detail).then(|| format!("{key} {}", metric.line(*value)))
        });
        parts.collect::<Vec<_>>().join("  ")
    }
}

/// `mean_accuracy` as `Mean accuracy`.
pub(crate) fn capitalized(key: &str) -> String {
    let words = key.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_how_a_number_is_read() {
        let ap = Metric::share("ap50", "AP50").chart("Average precision");
        assert_eq!(
            (ap.show(0.5), ap.line(0.5)),
            ("50.00\u{a0}%".into(), "50.00 %".into())
        );
        assert!(ap.better_than(0.2, 0.1) && ap.better_than(0.1, f64::NAN));
        assert!(!ap.better_than(f64::NAN, 0.1) && !ap.better_than(0.1, 0.1));
        let loss = Metric::loss("loss", "Loss");
        assert_eq!(
            (loss.show(0.25), loss.line(0.25)),
            ("0.25".into(), "0.2500".into())
        );
        assert!(loss.better_than(0.1, 0.2) && !loss.better_than(0.2, 0.1));
        let neither = Metric::plain("spread", "Spread");
        assert!(!neither.better_than(0.1, 0.2) && !neither.better_than(0.2, f64::NAN));
    }

    #[test]
    fn a_line_leaves_out_what_there_is_many_of() {
        let metrics = Metrics(vec![
            Metric::share("miou", "Mean IoU"),
            Metric::share("class_iou.cell", "IoU, cell").detail(),
        ]);
        let values = [("class_iou.cell", 0.5), ("loss", 0.25), ("miou", 0.75)];
        let values: std::collections::BTreeMap<String, f64> =
            values.map(|(key, value)| (key.to_owned(), value)).into();
        assert_eq!(metrics.summary(&values), "loss 0.2500  miou 75.00 %");
        assert_eq!(
            capitalized("ünder_score"),
            "Ünder score",
            "no slicing inside a character"
        );
        assert_eq!(capitalized(""), "");
    }
}
