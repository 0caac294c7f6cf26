//! Numbers, durations and metric names as a person reads them.

/// The sign that stands for a number that is not known or not finite.
pub(crate) const NONE: &str = "–";

/// A number with about `digits` significant digits: `0.0423`, `1,437`, `1.2e-6`.
pub(crate) fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..=14).contains(&magnitude) {
        let text = format!("{value:.*e}", digits.saturating_sub(1));
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = if mantissa.contains('.') {
            mantissa.trim_end_matches('0').trim_end_matches('.')
        } else {
            mantissa
        };
        return format!("{mantissa}e{exponent}");
    }
    let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        text
    };
    group(&text)
}

/// A count with a comma between thousands.
pub(crate) fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A large count in a few characters: `11.2 M`.
pub(crate) fn short_count(value: u64) -> String {
    let scaled = |unit: f64| number(value as f64 / unit, 3);
    match value {
        0..=9_999 => count(value),
        10_000..=999_999 => format!("{} k", scaled(1e3)),
        1_000_000..=999_999_999 => format!("{} M", scaled(1e6)),
        _ => format!("{} G", scaled(1e9)),
    }
}

fn group(text: &str) -> String {
    let (sign, rest) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, ""), |(w, f)| (w, f));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        // Four digits stand without a comma, as in years and step numbers.
        if index > 0 && whole.len() > 4 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{fraction}")
}

/// A time span: `0.8 s`, `42 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..=59 => format!("{whole} s"),
        60..=3_599 => format!("{} min {:02} s", whole / 60, whole % 60),
        3_600..=86_399 => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// An RFC 3339 time as `2026-11-23 18:32 UTC`; other text stays as it is.
pub(crate) fn moment(text: &str) -> String {
    match humantime::parse_rfc3339_weak(text) {
        Ok(time) => {
            let text = humantime::format_rfc3339_seconds(time).to_string();
            format!("{} {} UTC", &text[..10], &text[11..16])
        }
        Err(_) => text.to_string(),
    }
}

/// How a metric is called and shown. The one place that knows metric names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metric {
    /// `Top-1 accuracy`.
    pub label: String,
    /// Whether it is a share from 0 to 1, shown in percent.
    pub share: bool,
    /// Whether less is better.
    pub lower_is_better: bool,
    /// Heading of the chart that it is drawn in; metrics of one heading share a chart.
    pub chart: String,
}

impl Metric {
    /// Knows a metric by the name that `eval --json` gives it.
    pub(crate) fn of(name: &str) -> Self {
        let (family, rest) = name.split_once('_').unwrap_or((name, ""));
        let digits = |prefix: &str| {
            family
                .strip_prefix(prefix)
                .filter(|d| d.chars().all(|c| c.is_ascii_digit()))
        };
        let suffix = if rest.is_empty() {
            String::new()
        } else {
            format!(", {}", rest.replace('_', " "))
        };
        let share = |label: String, chart: &str| Metric {
            chart: if chart.is_empty() {
                label.clone()
            } else {
                chart.into()
            },
            label,
            share: true,
            lower_is_better: false,
        };
        let plain = |label: String, lower_is_better| Metric {
            chart: label.clone(),
            label,
            share: false,
            lower_is_better,
        };
        if let Some(k) = digits("top").filter(|k| !k.is_empty() && rest.is_empty()) {
            return share(format!("Top-{k} accuracy"), "");
        }
        if let Some(t) = digits("ap").filter(|_| rest != "class") {
            let by_size = !rest.is_empty();
            let chart = if by_size {
                "Average precision by size"
            } else {
                "Average precision"
            };
            return share(format!("AP{t}{suffix}"), chart);
        }
        if let Some(n) = digits("ar") {
            let chart = if rest.is_empty() {
                "Average recall"
            } else {
                "Average recall by size"
            };
            return share(format!("AR{n}{suffix}"), chart);
        }
        match (family, rest) {
            ("fid" | "kid", _) => {
                let samples = if rest.is_empty() {
                    String::new()
                } else {
                    format!(" ({rest} samples)")
                };
                return plain(format!("{}{samples}", family.to_uppercase()), true);
            }
            ("map", _) => return share(format!("mAP{suffix}"), ""),
            ("miou", "") => return share("Mean IoU".into(), ""),
            ("iou", "") => return share("IoU".into(), ""),
            ("fw", "iou") => return share("Frequency-weighted IoU".into(), ""),
            ("boundary", "f1") => return share("Boundary F1".into(), ""),
            ("voc", "ap") => return share("VOC AP".into(), "VOC average precision"),
            ("voc", "ap_11") => {
                return share("VOC AP, 11 points".into(), "VOC average precision");
            }
            ("f1", "") => return share("F1".into(), ""),
            _ => {}
        }
        if let Some(class) = name.strip_prefix("class_iou.") {
            return share(format!("IoU, {class}"), "IoU by class");
        }
        // What was measured on a number of samples ends in it: `precision_5000`.
        let (stem, samples) = match name.rsplit_once('_') {
            Some((stem, count)) if count.parse::<u64>().is_ok() => {
                (stem, format!(" ({count} samples)"))
            }
            _ => (name, String::new()),
        };
        let mut label = stem.replace('_', " ");
        if let Some(first) = label.get(..1) {
            label = first.to_uppercase() + &label[1..];
        }
        label += &samples;
        let last = stem.rsplit('_').next().unwrap_or(stem);
        if [
            "accuracy",
            "precision",
            "recall",
            "iou",
            "dice",
            "f1",
            "confidence",
            "share",
        ]
        .contains(&last)
        {
            return Metric {
                // The largest share of one class among generated images: all alike at 1.
                lower_is_better: stem.starts_with("largest"),
                ..share(label.replace(" iou", " IoU"), "")
            };
        }
        plain(
            label,
            ["loss", "error", "mae", "mse", "rmse"].contains(&last),
        )
    }

    /// A value of the metric: `98.61 %`, `0.0423`.
    pub(crate) fn show(&self, value: f64) -> String {
        if !value.is_finite() {
            return NONE.into();
        }
        if self.share {
            format!("{:.2}\u{a0}%", value * 100.0)
        } else {
            number(value, 4)
        }
    }

    /// Whether `a` is better than `b`; no number is better than `NaN`.
    pub(crate) fn better(&self, a: f64, b: f64) -> bool {
        if b.is_nan() {
            return !a.is_nan();
        }
        if self.lower_is_better { a < b } else { a > b }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_grouped() {
        let shown: Vec<_> = [
            0.0,
            0.042_31,
            1.0,
            12.5,
            1437.0,
            1_234_567.0,
            -0.5,
            1.234e-7,
            f64::NAN,
        ]
        .iter()
        .map(|&v| number(v, 3))
        .collect();
        assert_eq!(
            shown,
            [
                "0",
                "0.0423",
                "1",
                "12.5",
                "1437",
                "1,234,567",
                "-0.5",
                "1.23e-7",
                "–"
            ]
        );
        assert_eq!(
            [
                short_count(980),
                short_count(61_706),
                short_count(11_173_962)
            ],
            ["980", "61.7 k", "11.2 M"]
        );
        let spans = [0.84, 42.2, 185.0, 7_620.0, 277_200.0].map(duration);
        assert_eq!(
            spans,
            ["0.8 s", "42 s", "3 min 05 s", "2 h 07 min", "3 d 05 h"]
        );
        assert_eq!(moment("2026-11-23T18:32:25Z"), "2026-11-23 18:32 UTC");
        assert_eq!(moment("<yesterday>"), "<yesterday>");
    }

    #[test]
    fn metrics_are_known_by_name() {
        let label = |name| Metric::of(name).label;
        assert_eq!(label("top1"), "Top-1 accuracy");
        assert_eq!(label("ap_small"), "AP, small");
        assert_eq!(label("ap50"), "AP50");
        assert_eq!(label("ar100"), "AR100");
        assert_eq!(label("fid_5000"), "FID (5000 samples)");
        assert_eq!(label("mean_accuracy"), "Mean accuracy");
        assert_eq!(label("precision_5000"), "Precision (5000 samples)");
        assert!(Metric::of("recall_1000").share && Metric::of("least_class_share_1000").share);
        assert_eq!(label("voc_ap_11"), "VOC AP, 11 points");
        assert_eq!(label("class_iou.white cell"), "IoU, white cell");
        assert!(Metric::of("fw_iou").share && Metric::of("boundary_f1").share);
        assert_eq!(label("ünknown"), "ünknown", "no slicing inside a character");
        assert_eq!(label(""), "");
        assert!(Metric::of("fid_5000").lower_is_better && Metric::of("loss").lower_is_better);
        assert!(!Metric::of("miou").lower_is_better && Metric::of("miou").share);
        assert!(Metric::of("largest_class_share_50").lower_is_better);
        assert!(!Metric::of("least_class_share_50").lower_is_better);
        assert_eq!(Metric::of("top1").show(0.98611), "98.61\u{a0}%");
        assert_eq!(Metric::of("ap").chart, Metric::of("ap75").chart);
        assert!(
            Metric::of("loss").better(0.1, f64::NAN) && !Metric::of("loss").better(f64::NAN, 0.1)
        );
    }
}
