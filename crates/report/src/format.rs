//! Numbers and durations as a person reads them.

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

/// A count of things by their name: `1 image`, `12,000 images`.
pub(crate) fn counted(value: u64, thing: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {thing}{ending}", count(value))
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
pub fn duration(seconds: f64) -> String {
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
}
