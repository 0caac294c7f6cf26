//! What the library says while it works, on standard error: notes as lines, what is fetched as a bar on a terminal and
//! as a line for each file elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal;

use firesight::notify::{Notify, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// Standard error.
#[derive(Default)]
pub struct Terminal {
    /// The file that is being fetched, and its bar.
    fetching: RefCell<Option<(String, ProgressBar)>>,
}

impl Terminal {
    /// Begins with another file.
    fn begin(&self, progress: &Progress<'_>) -> ProgressBar {
        let size = match progress.total {
            Some(total) => format!(" ({})", indicatif::HumanBytes(total)),
            None => String::new(),
        };
        let style = ProgressStyle::with_template(
            "{msg} {bar:28} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
        )
        .expect("the template is a constant");
        eprintln!("fetching {}{size}", progress.url);
        let bar = match std::io::stderr().is_terminal() {
            true => ProgressBar::no_length().with_style(style),
            false => ProgressBar::hidden(),
        };
        let name = progress.url.rsplit('/').next().unwrap_or(progress.url);
        bar.set_message(name.to_owned());
        bar
    }
}

impl Notify for Terminal {
    fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    fn fetching(&self, progress: Progress<'_>) {
        let mut fetching = self.fetching.borrow_mut();
        let same = |(url, _): &(String, ProgressBar)| url == progress.url;
        if !fetching.as_ref().is_some_and(same) {
            if let Some((_, old)) = fetching.take() {
                old.finish_and_clear();
            }
            *fetching = Some((progress.url.to_owned(), self.begin(&progress)));
        }
        let Some((_, bar)) = fetching.as_ref() else {
            return;
        };
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.done);
        if progress.total == Some(progress.done) {
            bar.finish_and_clear();
        }
    }
}
