//! Commands that a person can paste: the program as it was called, and each word quoted where the shell needs it.
//!
//! A program that `cargo run` started is called by its path in `target`, which runs from the same folder and has the
//! features that it was built with; `cargo run` would need them again.

use std::fmt;
use std::path::Path;

use super::{DeviceArgs, RecipeArgs};

/// A command under construction.
#[derive(Clone, Debug)]
pub(super) struct Hint(Vec<String>);

/// The program as it was called, with a subcommand.
pub(super) fn command(name: &str) -> Hint {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = match program.is_empty() {
        true => env!("CARGO_PKG_NAME").to_owned(),
        false => program.to_string_lossy().into_owned(),
    };
    Hint(vec![program, name.to_owned()])
}

/// The whole command line that the process was started with.
pub(super) fn whole() -> Hint {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    Hint(words.collect())
}

impl Hint {
    /// Adds a path. One that begins with a dash is kept from being taken for an option.
    pub(super) fn path(self, path: &Path) -> Self {
        let text = path.display().to_string();
        self.word(match text.starts_with('-') {
            true => format!("./{text}"),
            false => text,
        })
    }

    /// Adds a word.
    pub(super) fn word(mut self, word: impl Into<String>) -> Self {
        self.0.push(word.into());
        self
    }

    /// Adds a word that stands for what the person puts there, unquoted: `IMAGE`.
    pub(super) fn blank(self, name: &str) -> Self {
        self.word(name)
    }

    /// Adds an option with its value, where there is one.
    pub(super) fn option(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.word(name).word(value.to_string()),
            None => self,
        }
    }

    /// Adds the options of the device.
    pub(super) fn device(self, device: &DeviceArgs) -> Self {
        self.option("--device", device.device.as_ref())
    }

    /// Adds the data root.
    pub(super) fn data_root(self, args: &RecipeArgs) -> Self {
        let root = args.data_root.as_ref().map(|root| root.display());
        self.option("--data-root", root)
    }

    /// Adds what replaces values of the recipe.
    pub(super) fn overrides(self, args: &RecipeArgs) -> Self {
        let add = |hint: Self, set: &String| hint.word("--set").word(set.clone());
        args.set.iter().fold(self, add)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// A word as a shell takes it: as it is where that is safe, else in quotes.
fn quoted(word: &str) -> String {
    let safe =
        |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c) || (cfg!(windows) && c == '\\');
    if !word.is_empty() && word.chars().all(safe) {
        return word.to_owned();
    }
    match cfg!(windows) {
        true => format!("\"{}\"", word.replace('"', "\\\"")),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_the_words_back() {
        let words = [
            "my runs/it's",
            "",
            "a$b`c`",
            "--set",
            "data.source={digits={}}",
            "ünï",
            "x\ny",
            "*.png",
            "~",
            "a\\b",
            "#1",
        ];
        let hint = Hint(words.map(str::to_owned).to_vec());
        let script = format!("printf '%s\\0' {hint}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text.trim_end_matches('\0').split('\0').collect::<Vec<_>>(),
            words
        );
    }

    #[test]
    fn options_are_carried() {
        let device = DeviceArgs {
            device: Some("flex".into()),
        };
        let recipe = RecipeArgs {
            set: vec!["epochs=2".into(), "data.augment=[]".into()],
            data_root: Some("/my data".into()),
        };
        let hint = command("train")
            .path(Path::new("-r.toml"))
            .overrides(&recipe);
        let hint = hint
            .data_root(&recipe)
            .device(&device)
            .blank("IMAGE")
            .to_string();
        let expected = "train ./-r.toml --set epochs=2 --set 'data.augment=[]' --data-root '/my data' --device flex IMAGE";
        assert!(hint.ends_with(expected), "{hint}");
    }
}
