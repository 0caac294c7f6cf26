//! What the samples of a split told, summed up, and what is to be said about it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::look::Seen;
use super::{ClassCount, Finding, Lesson, ScanReport, Severity, SplitReport};
use crate::source::{Remark, Source};
use crate::target::Mask;

/// How many findings of a kind are listed; all are counted.
const LISTED: usize = 50;
/// How many suspicions of the same words are.
const ALIKE: usize = 3;
/// How many classes that do not occur are named one by one.
const ABSENT: usize = 8;
/// How many are named where they are more.
const NAMED: usize = 20;

/// What the samples of one split told so far.
pub(super) struct Summary {
    split: SplitReport,
    sizes: BTreeMap<[usize; 3], usize>,
    bad: BTreeMap<usize, String>,
    suspicious: BTreeMap<usize, Vec<String>>,
    remarks: BTreeMap<usize, Vec<Remark>>,
}

impl Summary {
    pub fn new(name: &str, source: &dyn Source, lesson: Lesson) -> Self {
        let names = match lesson {
            Lesson::Classes | Lesson::Boxes => source.classes(),
            Lesson::Masks => source.mask_classes(),
            Lesson::Pictures => &[],
        };
        let class = |name: &String| ClassCount {
            name: name.clone(),
            ..ClassCount::default()
        };
        Self {
            split: SplitReport {
                name: name.into(),
                samples: source.len(),
                looked_at: 0,
                bad: Vec::new(),
                lesson,
                classes: names.iter().map(class).collect(),
                ignored: 0,
                sizes: Vec::new(),
            },
            sizes: BTreeMap::new(),
            bad: BTreeMap::new(),
            suspicious: BTreeMap::new(),
            remarks: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, index: usize, seen: Seen) {
        self.split.looked_at += 1;
        if let Some(message) = seen.bad {
            self.bad.insert(index, message);
            return;
        }
        if !seen.remarks.is_empty() {
            self.remarks.insert(index, seen.remarks);
        }
        if !seen.suspicious.is_empty() {
            self.suspicious.insert(index, seen.suspicious);
        }
        if let Some(size) = seen.size {
            *self.sizes.entry(size).or_default() += 1;
        }
        let classes = &mut self.split.classes;
        seen.crowds
            .iter()
            .for_each(|&class| classes[class].crowds += 1);
        let mut of_picture: BTreeMap<usize, u64> = BTreeMap::new();
        seen.classes
            .iter()
            .for_each(|&class| *of_picture.entry(class).or_default() += 1);
        for (value, count) in seen.pixels {
            match value {
                Mask::IGNORE => self.split.ignored += count,
                class => *of_picture.entry(class.into()).or_default() += count,
            }
        }
        for (class, count) in of_picture {
            classes[class].count += count;
            classes[class].pictures += 1;
        }
    }

    /// Adds a sample that is bad for a reason that was known without looking at it.
    pub fn known_bad(&mut self, index: usize, message: String) {
        self.bad.entry(index).or_insert(message);
    }

    /// Adds the split and what is to be said about it to the report. `remarked` holds the remarks that were made of
    /// earlier splits.
    pub fn finish(
        mut self,
        source: &dyn Source,
        remarked: &mut HashSet<(String, String)>,
        report: &mut ScanReport,
    ) {
        self.split.bad = self.bad.keys().copied().collect();
        let mut sizes: Vec<_> = self
            .sizes
            .iter()
            .map(|(&[w, h, c], &count)| (w, h, c, count))
            .collect();
        sizes.sort_by_key(|&(.., count)| std::cmp::Reverse(count));
        self.split.sizes = sizes;
        let mut list = Lister::new(&self.split.name);
        for (severity, remark) in said_of(&self.split, source) {
            list.add(severity, remark.origin, remark.message, report);
        }
        for (index, message) in self.bad {
            list.add(Severity::Bad, source.origin(index), message, report);
        }
        let of_samples = self.remarks.into_values().flatten();
        for remark in source.remarks().into_iter().chain(of_samples) {
            if remarked.insert((remark.origin.clone(), remark.message.clone())) {
                list.add(Severity::Suspicious, remark.origin, remark.message, report);
            }
        }
        for (index, messages) in self.suspicious {
            for message in messages {
                list.add(Severity::Suspicious, source.origin(index), message, report);
            }
        }
        let mut channels: Vec<usize> = self.sizes.keys().map(|size| size[2]).collect();
        channels.sort_unstable();
        channels.dedup();
        if channels.len() > 1 {
            let message = format!("images of {channels:?} channels are mixed");
            list.add(
                Severity::Suspicious,
                self.split.name.clone(),
                message,
                report,
            );
        }
        list.finish(report);
        report.splits.push(self.split);
    }
}

/// What is to be said of the labels of a split as a whole.
fn said_of(split: &SplitReport, source: &dyn Source) -> Vec<(Severity, Remark)> {
    let good = split.looked_at.saturating_sub(split.bad.len());
    if split.lesson == Lesson::Pictures || good == 0 {
        return Vec::new();
    }
    let is_whole = split.looked_at == split.samples;
    let among = match is_whole {
        true => String::new(),
        false => format!(
            " in the {} of {} labels looked at",
            split.looked_at, split.samples
        ),
    };
    let there: Vec<&ClassCount> = split.classes.iter().filter(|c| c.count > 0).collect();
    let trains = split.name == "train";
    let nothing = match (split.lesson, &there[..]) {
        (Lesson::Boxes, []) => Some("there is no object in any picture".to_owned()),
        (Lesson::Masks, []) => Some("no pixel of any mask counts".to_owned()),
        (_, []) => Some("no picture has a class".to_owned()),
        // A single class of objects is still told from all else in the pictures.
        (Lesson::Classes | Lesson::Masks, [only]) if trains && split.classes.len() > 1 => {
            let absent = split.classes.iter().filter(|c| c.count == 0);
            let absent: Vec<String> = absent.map(|class| format!("`{}`", class.name)).collect();
            let (others, does) = match absent.len() {
                1 => (absent.join(", "), "does not"),
                2..=ABSENT => (absent.join(", "), "do not"),
                many => (format!("none of the {many} others"), "does"),
            };
            Some(format!(
                "class `{}` alone occurs, {others} {does}",
                only.name
            ))
        }
        _ => None,
    };
    let ignored = ignored(split, &there, source);
    let mut said = Vec::new();
    let mut say = |severity, origin: &str, message: String| {
        said.push((severity, Remark::new(origin, message)));
    };
    match (nothing, ignored) {
        (Some(nothing), ignored) => {
            let follows = match (trains, there.is_empty()) {
                (true, true) => "there is nothing to learn",
                (true, false) => "there is nothing to tell apart",
                (false, _) => "nothing can be measured on it",
            };
            let ignored = ignored.map_or(String::new(), |ignored| format!("; {ignored}"));
            let severity = match trains && is_whole {
                true => Severity::Empty,
                false => Severity::Suspicious,
            };
            let message = format!("{nothing}{among}: {follows}{ignored}");
            say(severity, &split.name, message);
        }
        (None, Some(ignored)) => say(Severity::Suspicious, &split.name, ignored),
        (None, None) => {}
    }
    let place = match split.lesson {
        Lesson::Masks => " in any mask",
        _ => "",
    };
    let absent: Vec<&ClassCount> = split.classes.iter().filter(|c| c.count == 0).collect();
    if absent.len() > ABSENT {
        let names = absent.iter().take(NAMED);
        let names: Vec<String> = names.map(|class| format!("`{}`", class.name)).collect();
        let more = if absent.len() > NAMED { ", ..." } else { "" };
        let origin = format!("{} of {} classes", absent.len(), split.classes.len());
        let message = format!("do not occur{place}{among}: {}{more}", names.join(", "));
        say(Severity::Suspicious, &origin, message);
        return said;
    }
    for class in absent {
        let crowds = match class.crowds {
            0 => String::new(),
            count => format!(" but as a crowd ({count} of them), which is not learned from"),
        };
        let message = format!("does not occur{place}{crowds}{among}");
        say(
            Severity::Suspicious,
            &format!("class `{}`", class.name),
            message,
        );
    }
    said
}

/// What is to be said of ignored pixels, if it is to be.
fn ignored(split: &SplitReport, there: &[&ClassCount], source: &dyn Source) -> Option<String> {
    let counted: u64 = split.classes.iter().map(|class| class.count).sum();
    let share = split.ignored as f64 / (split.ignored + counted).max(1) as f64;
    if split.lesson != Lesson::Masks || split.ignored == 0 {
        return None;
    }
    // Masks of 0 and 255 alone are most likely binary ones, however little is ignored.
    let binary = there.len() <= 1
        && there
            .iter()
            .all(|class| class.name == split.classes[0].name);
    if share <= 0.5 && !binary {
        return None;
    }
    let hint = source
        .ignored_hint()
        .map_or(String::new(), |hint| format!("; {hint}"));
    Some(format!(
        "{:.1} % of the pixels of its masks are ignored (the value 255){hint}",
        100.0 * share
    ))
}

/// Adds findings until there are enough of a kind, and then only counts.
struct Lister<'a> {
    split: &'a str,
    counts: [usize; 3],
    /// How often each suspicion is listed, and how often it was met beyond that.
    alike: BTreeMap<String, [usize; 2]>,
}

const SEVERITIES: [Severity; 3] = [Severity::Empty, Severity::Bad, Severity::Suspicious];

impl<'a> Lister<'a> {
    fn new(split: &'a str) -> Self {
        Self {
            split,
            counts: [0; 3],
            alike: BTreeMap::new(),
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        origin: String,
        message: String,
        report: &mut ScanReport,
    ) {
        let count = &mut self.counts[severity as usize];
        if severity == Severity::Suspicious {
            let [listed, more] = self.alike.entry(message.clone()).or_default();
            if *listed == ALIKE {
                *more += 1;
                return;
            }
            *listed += usize::from(*count < LISTED);
        }
        *count += 1;
        if *count <= LISTED {
            report.findings.push(Finding {
                severity,
                split: self.split.into(),
                origin,
                message,
            });
        }
    }

    fn finish(self, report: &mut ScanReport) {
        let more = self.alike.into_iter().filter(|(_, [_, more])| *more > 0);
        for (message, [_, more]) in more {
            let is_one =
                |finding: &Finding| finding.split == self.split && finding.message == message;
            let last = report.findings.iter().rposition(is_one);
            let finding = Finding {
                severity: Severity::Suspicious,
                split: self.split.into(),
                origin: self.split.into(),
                message: format!("and {more} more: {message}"),
            };
            let place = last.map_or(report.findings.len(), |last| last + 1);
            report.findings.insert(place, finding);
        }
        for (severity, count) in SEVERITIES.into_iter().zip(self.counts) {
            if count > LISTED {
                report.findings.push(Finding {
                    severity,
                    split: self.split.into(),
                    origin: self.split.into(),
                    message: format!("and {} more", count - LISTED),
                });
            }
        }
    }
}

/// Adds what there is of pictures that occur several times; `places` are numbers of splits and samples.
pub(super) fn duplicates(
    parts: &[(&'static str, &Arc<dyn Source>)],
    places: HashMap<[u8; 32], Vec<(usize, usize)>>,
    report: &mut ScanReport,
) {
    let mut groups: Vec<Vec<(usize, usize)>> = places
        .into_values()
        .filter(|group| group.len() > 1)
        .collect();
    groups.sort_unstable();
    let mut lists: Vec<Lister> = parts.iter().map(|(name, _)| Lister::new(name)).collect();
    for group in groups {
        let (first_split, first) = group[0];
        let mut within = false;
        let mut between = false;
        for &(split, index) in &group[1..] {
            between |= split != first_split;
            within |= split == first_split;
            let (part, other) = (parts[split].1, parts[first_split].1);
            let of_split = match split == first_split {
                true => String::new(),
                false => format!(" of {}", parts[first_split].0),
            };
            let of_class = match part.class_of(index) == other.class_of(first) {
                true => "",
                false => ", of another class",
            };
            let message = format!(
                "the same picture as {}{of_split}{of_class}",
                other.origin(first)
            );
            lists[split].add(Severity::Suspicious, part.origin(index), message, report);
        }
        report.shared_between_splits += usize::from(between);
        report.repeated_within_a_split += usize::from(within);
    }
    lists.into_iter().for_each(|list| list.finish(report));
}
