//! The files beside the data that a recipe names: weights to start from, a network whose features images are compared
//! in. Whether they are there is known before anything is trained.

use std::path::Path;

use firesight_models::tags;
use firesight_recipe::{Checks, Diagnostics, Loaded};

use super::Recipe;
use crate::download::weights_path;
use crate::init::InitConfig;
use crate::task::NamedFile;

/// Looks for the files that a recipe names. What is not there and will be fetched is told in words.
///
/// # Errors
/// Every file that is missing and every tag that there is not, with the place of the key.
pub fn check_files(loaded: &Loaded<Recipe>) -> Result<Vec<String>, Diagnostics> {
    let task = loaded.value.task.table();
    let mut checks = loaded.diagnostics();
    let mut notes = Vec::new();
    for (key, file) in task.files() {
        let key = format!("task.{}.{key}", task.name());
        match file {
            NamedFile::Init(_, InitConfig::Weights(path)) => {
                is_file(&mut checks, &format!("{key}.weights"), path);
            }
            NamedFile::Init(model, InitConfig::Tag(name)) => {
                notes.extend(published(&mut checks, &format!("{key}.tag"), model, name));
            }
            NamedFile::File(path) => is_file(&mut checks, &key, path),
            NamedFile::Run(path) => {
                if !Path::new(path).exists() {
                    let message = format!("there is no run folder {path}");
                    checks.error(&key, message, FROM_HERE);
                }
            }
        }
    }
    checks.finish().map(|_| notes)
}

const FROM_HERE: Option<&str> = Some("paths are relative to the working directory");

fn is_file(checks: &mut Checks<'_>, key: &str, path: &str) {
    if !Path::new(path).is_file() {
        checks.error(key, format!("there is no file {path}"), FROM_HERE);
    }
}

/// What has to be said of published weights.
fn published(checks: &mut Checks<'_>, key: &str, model: &str, name: &str) -> Option<String> {
    let Some(tag) = tags::tag(model, name) else {
        let message = format!("there are no published weights `{name}` of {model}");
        let known: Vec<&str> = tags::tags(model).map(|tag| tag.tag).collect();
        let help = match known.is_empty() {
            true => "take `{ weights = \"FILE\" }`".to_owned(),
            false => format!("there are {}", known.join(", ")),
        };
        checks.error(key, message, Some(&help));
        return None;
    };
    let path = weights_path(tag);
    if path.is_file() {
        return None;
    }
    let (url, path) = (tag.url(), path.display());
    match cfg!(feature = "download") {
        true => Some(format!(
            "{key}: the weights are not there yet and will be fetched from {url}; without a connection, put that file \
             to {path}"
        )),
        false => {
            let message = format!("the weights are not there: {path}");
            let help = format!("this build fetches nothing: put {url} to {path}");
            checks.error(key, message, Some(&help));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(task: &str) -> Loaded<Recipe> {
        let text = format!(
            "epochs = 1\ndata = {{ source = {{ digits = {{}} }}, batch-size = 8 }}\noptimizer = {{ sgd = {{}} }}\n\
             task = {{ {task} }}\n"
        );
        firesight_recipe::read_str(&text, "r.toml", &[]).unwrap()
    }

    #[test]
    fn what_is_missing_is_an_error_at_its_key_and_what_is_fetched_a_note() {
        let weights = "init = { weights = \"none/a.pth\" }";
        for task in [
            format!("classification = {{ model = \"resnet18\", {weights} }}"),
            format!("segmentation = {{ model = \"unet\", {weights} }}"),
            format!("detection = {{ model = \"retinanet_resnet50_fpn\", {weights} }}"),
            format!("detection = {{ model = \"retinanet\", backbone-{weights} }}"),
            "generation = { model = \"dcgan\", features = { inception = \"none/a.pth\" } }".into(),
            "generation = { model = \"dcgan\", features = { run = \"none/a.pth\" } }".into(),
        ] {
            let found = check_files(&loaded(&task)).unwrap_err().to_string();
            assert!(
                found.contains("none/a.pth") && found.contains("r.toml:4"),
                "{found}"
            );
        }
        let tag = |name: &str| {
            format!("classification = {{ model = \"resnet18\", init = {{ tag = \"{name}\" }} }}")
        };
        let found = check_files(&loaded(&tag("IMAGENET")))
            .unwrap_err()
            .to_string();
        assert!(
            found.contains("IMAGENET1K_V1") && found.contains("r.toml:4"),
            "{found}"
        );
        let notes = check_files(&loaded(&tag("IMAGENET1K_V1")));
        if cfg!(feature = "download") {
            // The folder of weights may hold it where this is tested.
            assert!(
                notes
                    .unwrap()
                    .iter()
                    .all(|note| note.contains("put that file to") && note.contains(".pth"))
            );
        }
    }
}
