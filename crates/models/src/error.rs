//! What can be wrong with a model that a recipe asks for.

/// Why a model could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// The input images are smaller than the network's strides allow.
    #[error(
        "{model} needs images of at least {minimum}x{minimum} pixels, the input is {height}x{width}; \
         resize the images, or take a model with a smaller stride"
    )]
    InputTooSmall {
        /// The model's name in the registry.
        model: String,
        /// The smallest side in pixels.
        minimum: usize,
        /// Height of the input in pixels.
        height: usize,
        /// Width of the input in pixels.
        width: usize,
    },
    /// Images of a size that the network does not make.
    #[error(
        "{model} makes square images of {sides} pixels, the data gives {height}x{width}; bring them to one of \
         these sizes in `data.preprocess`: `{{ resize = {{ width = 32, height = 32 }} }}`"
    )]
    InputSide {
        /// The model's name.
        model: String,
        /// The sides there are.
        sides: &'static str,
        /// Height of the images in pixels.
        height: usize,
        /// Width of the images in pixels.
        width: usize,
    },
    /// The input has no channel.
    #[error("{model}: the input needs at least one channel, got 0")]
    NoChannels {
        /// The model's name in the registry.
        model: String,
    },
    /// A classifier without a class.
    #[error("{model}: a classifier needs at least one class, got 0")]
    NoClasses {
        /// The model's name in the registry.
        model: String,
    },
    /// An option of the recipe is out of its range.
    #[error("{model}: `{key}`: {message}")]
    Option {
        /// The model's name in the registry.
        model: String,
        /// The key inside the model's table.
        key: String,
        /// What is wrong and what would be right.
        message: String,
    },
    /// Weights of another network.
    #[error("{model}: {message}")]
    Weights {
        /// The model's name.
        model: String,
        /// What they have, and what would be right.
        message: String,
    },
    /// No model of that name is in the zoo.
    #[error("no model is called `{name}`{}; the command `models` lists them all",
        .nearest.as_ref().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default())]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
}

impl ModelError {
    /// No model of that name, with the nearest of the names there are.
    pub(crate) fn unknown(name: &str, names: impl Iterator<Item = &'static str>) -> Self {
        let distances = names.map(|known| (strsim::levenshtein(known, name), known));
        let near = distances
            .min()
            .filter(|(distance, known)| *distance <= known.len() / 3);
        Self::Unknown {
            name: name.to_string(),
            nearest: near.map(|(_, known)| known.to_string()),
        }
    }
}
