//! Datasets and weights that a recipe asks for by name, fetched where the person can see it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use firesight_data::DataError;
use firesight_data::download::{Kind, Progress, Remote, fetch};
use firesight_models::tags::Tag;
use indicatif::{ProgressBar, ProgressStyle};

/// The environment variable that names the folder of published weights.
const WEIGHTS: &str = "FIRESIGHT_WEIGHTS";

/// Runs what fetches files, with a bar on a terminal and a line for each file elsewhere.
///
/// # Errors
/// Those of `work`.
///
/// ```
/// use firesight_data::download::Progress;
///
/// let fetched = trainer::download::shown(|progress| {
///     let url = "https://example.org/data.bin";
///     progress(Progress { url, done: 0, total: Some(10) });
///     progress(Progress { url, done: 10, total: Some(10) });
///     Ok(10)
/// });
/// assert_eq!(fetched.unwrap(), 10);
/// ```
pub fn shown<T>(
    work: impl FnOnce(&mut dyn FnMut(Progress<'_>)) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let terminal = std::io::stderr().is_terminal();
    let style = ProgressStyle::with_template(
        "{msg} {bar:28} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
    )
    .expect("the template is a constant");
    let mut bar: Option<(String, ProgressBar)> = None;
    let result = work(&mut |progress| {
        if bar.as_ref().is_none_or(|(url, _)| url != progress.url) {
            if let Some((_, old)) = bar.take() {
                old.finish_and_clear();
            }
            let size = match progress.total {
                Some(total) => format!(" ({})", indicatif::HumanBytes(total)),
                None => String::new(),
            };
            let new = match terminal {
                true => ProgressBar::no_length().with_style(style.clone()),
                false => ProgressBar::hidden(),
            };
            match terminal {
                true => new.println(format!("fetching {}{size}", progress.url)),
                false => eprintln!("fetching {}{size}", progress.url),
            }
            let name = progress.url.rsplit('/').next().unwrap_or(progress.url);
            new.set_message(name.to_owned());
            bar = Some((progress.url.to_owned(), new));
        }
        if let Some((_, bar)) = &bar {
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.done);
        }
    });
    if let Some((_, bar)) = bar {
        bar.finish_and_clear();
    }
    result
}

/// Where the file of published weights lies, or will.
pub fn weights_path(tag: &Tag) -> PathBuf {
    let folder = std::env::var_os(WEIGHTS).unwrap_or_else(|| "weights".into());
    Path::new(&folder).join(tag.file)
}

/// The file of published weights, fetched unless it is there: in the folder that the environment variable
/// `FIRESIGHT_WEIGHTS` names, or in `weights` below the working directory. Either way its content is the published
/// one, as far as the published digits of its SHA-256 tell.
///
/// # Errors
/// A transfer that fails, a file that cannot be read, another content.
pub fn weights(tag: &Tag) -> anyhow::Result<PathBuf> {
    let path = weights_path(tag);
    let folder = path.parent().unwrap_or(Path::new("."));
    if path.exists() {
        let content = std::fs::read(&path).with_context(|| path.display().to_string())?;
        if !tag.matches(&content) {
            let (path, prefix) = (path.display(), tag.sha256_prefix);
            bail!("{path}: its SHA-256 does not begin with {prefix}");
        }
        return Ok(path);
    }
    let remote = Remote {
        url: tag.url(),
        sha256: tag.sha256_prefix.to_owned(),
        bytes: None,
        kind: Kind::File,
    };
    shown(|progress| fetch(&remote, folder, progress))?;
    Ok(path)
}
