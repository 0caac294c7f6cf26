//! Axes of a chart: their ranges and round ticks.

/// An axis: its range in values and in view-box units.
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) log: bool,
}

impl Axis {
    pub(crate) fn place(&self, value: f64) -> f64 {
        let scale = |v: f64| {
            if self.log {
                v.max(f64::MIN_POSITIVE).log10()
            } else {
                v
            }
        };
        let share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low));
        self.from + share.clamp(-0.05, 1.05) * (self.to - self.from)
    }
}

/// Values at a step of 1, 2 or 5 times a power of ten around `low..=high`, about `count` of them;
/// the outermost enclose the range.
pub(crate) fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let (low, high) = if high > low {
        (low, high)
    } else {
        let around = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
        (low - around, high + around)
    };
    let raw = (high - low) / count as f64;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|k| k * power)
        .into_iter()
        .find(|s| *s >= raw * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step + 1e-9).floor();
    let last = (high / step - 1e-9).ceil();
    (0..=(last - first).clamp(1.0, 100.0) as u64)
        .map(|index| {
            let value = (first + index as f64) * step;
            // 3 * 0.1 is not 0.3: round to a digit below the step.
            let scale = 10_f64.powf(2.0 - step.log10().floor());
            if scale.is_finite() && scale > 0.0 {
                (value * scale).round() / scale
            } else {
                value
            }
        })
        .collect()
}

/// Powers of ten around `low..=high`; with their 2 and 5 fold where there are few.
pub(crate) fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = high.log10().ceil() - low.log10().floor();
    let folds: &[f64] = match decades {
        d if d <= 2.0 => &[1.0, 2.0, 5.0],
        d if d <= 4.0 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let every = (decades / 6.0).ceil().max(1.0) as i32;
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let mut values: Vec<f64> = (first..=last)
        .filter(|power| (power - first) % every == 0)
        .flat_map(|power| {
            // Read from text, so that 3e-1 is the number nearest to it.
            folds
                .iter()
                .filter_map(move |fold| format!("{fold}e{power}").parse().ok())
        })
        .collect();
    let from = values.iter().rposition(|v| *v <= low * 1.0001).unwrap_or(0);
    let to = values
        .iter()
        .position(|v| *v >= high * 0.9999)
        .unwrap_or(values.len() - 1);
    values.truncate(to + 1);
    values.drain(..from);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(linear_ticks(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(linear_ticks(0.13, 0.87, 5), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(linear_ticks(3.0, 3.0, 5), [2.6, 2.8, 3.0, 3.2, 3.4]);
        assert_eq!(log_ticks(0.03, 2.3), [0.03, 0.1, 0.3, 1.0, 3.0]);
        assert_eq!(log_ticks(1e-8, 100.0).first(), Some(&1e-8));
    }

    #[test]
    fn values_beyond_the_axis_stay_near_it() {
        let axis = Axis {
            low: 0.1,
            high: 10.0,
            from: 0.0,
            to: 100.0,
            log: true,
        };
        assert_eq!(
            [0.1, 1.0, 10.0].map(|v| axis.place(v).round()),
            [0.0, 50.0, 100.0]
        );
        assert_eq!(axis.place(0.0).round(), -5.0);
    }
}
