//! A report as `check` prints it.

use std::fmt;

use super::{ClassCount, Finding, Lesson, ScanReport, Severity, SplitReport};
use crate::words::counted;

/// How many classes are shown one by one.
const SHOWN: usize = 40;
/// How many of the rarest and of the most frequent are shown where there are more.
const ENDS: usize = 10;

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.splits
            .iter()
            .try_for_each(|split| write!(f, "{split}"))?;
        for finding in &self.findings {
            let mark = match finding.severity {
                Severity::Empty => "empty",
                Severity::Bad => "bad",
                Severity::Suspicious => "suspicious",
            };
            let Finding {
                split,
                origin,
                message,
                ..
            } = finding;
            write!(f, "  {mark}: {origin}: {message}")?;
            match origin == split {
                true => writeln!(f)?,
                false => writeln!(f, " ({split})")?,
            }
        }
        for (count, what) in [
            (self.shared_between_splits, "in more than one split"),
            (self.repeated_within_a_split, "there more than once"),
        ] {
            match count {
                0 => {}
                1 => writeln!(f, "  1 picture is {what}")?,
                _ => writeln!(f, "  {count} pictures are {what}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for SplitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}: {}", self.name, counted(self.samples, "image"))?;
        if !self.bad.is_empty() {
            write!(f, ", {} of them bad", self.bad.len())?;
        }
        writeln!(f)?;
        if self.looked_at < self.samples {
            writeln!(f, "    labels looked at: {}", self.looked_at)?;
        }
        let all: u64 = self.classes.iter().map(|class| class.count).sum();
        let pixels = all + self.ignored;
        let share = |count: u64| 100.0 * count as f64 / pixels.max(1) as f64;
        match self.lesson {
            Lesson::Pictures => {}
            Lesson::Classes => {
                let shown = |class: &ClassCount| format!("{} {}", class.name, class.count);
                writeln!(f, "    classes: {}", list(&self.classes, shown))?;
            }
            Lesson::Boxes => {
                let shown = |class: &ClassCount| {
                    let crowds = match class.crowds {
                        0 => String::new(),
                        count => format!(" and {}", counted(count, "crowd")),
                    };
                    let ClassCount {
                        name,
                        count,
                        pictures,
                        ..
                    } = class;
                    format!("{name} {count}{crowds} in {}", counted(*pictures, "image"))
                };
                writeln!(f, "    boxes: {}", list(&self.classes, shown))?;
            }
            Lesson::Masks => {
                let shown = |class: &ClassCount| {
                    let ClassCount {
                        name,
                        count,
                        pictures,
                        ..
                    } = class;
                    format!(
                        "{name} {count} ({:.1} %) in {}",
                        share(*count),
                        counted(*pictures, "image")
                    )
                };
                let (ignored, part) = (self.ignored, share(self.ignored));
                let classes = list(&self.classes, shown);
                writeln!(f, "    pixels: {classes}; ignored {ignored} ({part:.1} %)")?;
            }
        }
        if self.sizes.is_empty() {
            return Ok(());
        }
        let sizes = self.sizes.iter().take(5);
        let sizes: Vec<String> = sizes
            .map(|(w, h, c, count)| format!("{w}x{h}x{c} {count}"))
            .collect();
        let more = match self.sizes.len().saturating_sub(5) {
            0 => String::new(),
            more => format!(" and {more} other sizes"),
        };
        writeln!(f, "    sizes: {}{more}", sizes.join(", "))
    }
}

/// The classes in their order, or the ends of the list by frequency where they are many.
fn list(classes: &[ClassCount], shown: impl Fn(&ClassCount) -> String) -> String {
    let join = |classes: &[&ClassCount]| {
        let classes: Vec<String> = classes.iter().map(|class| shown(class)).collect();
        classes.join(", ")
    };
    let mut all: Vec<&ClassCount> = classes.iter().collect();
    if all.len() <= SHOWN {
        return join(&all);
    }
    all.sort_by_key(|class| std::cmp::Reverse(class.count));
    let there = all.partition_point(|class| class.count > 0);
    let absent = all.len() - there;
    let (rarest, most) = (
        &all[there.saturating_sub(ENDS)..there],
        &all[..ENDS.min(there)],
    );
    format!(
        "{} of them, {absent} without any; most: {}; fewest: {}",
        all.len(),
        join(most),
        join(rarest)
    )
}
