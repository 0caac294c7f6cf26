//! Published weights that a recipe asks for by name.

use std::path::{Path, PathBuf};

use firesight_data::download::{Kind, Remote, fetch};
use firesight_models::tags::Tag;

use crate::error::{Context, bail};
use crate::notify::Notify;

/// The environment variable that names the folder of published weights.
const WEIGHTS: &str = "FIRESIGHT_WEIGHTS";

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
pub fn weights(tag: &Tag, notify: &dyn Notify) -> crate::Result<PathBuf> {
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
    fetch(&remote, folder, &mut |progress| notify.fetching(progress))?;
    Ok(path)
}
