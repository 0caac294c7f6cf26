//! What a library has to say while it works; a program shows it, or does not.

pub use firesight_data::download::Progress;

/// Hears what happens before and beside a training. `()` hears nothing.
pub trait Notify {
    /// Something worth telling: what became of the weights that a network starts from.
    fn note(&self, text: &str) {
        let _ = text;
    }

    /// A file that is being fetched.
    fn fetching(&self, progress: Progress<'_>) {
        let _ = progress;
    }
}

impl Notify for () {}
