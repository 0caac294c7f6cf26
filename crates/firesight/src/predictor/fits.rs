//! Whether what is stored beside weights agrees with itself.

use firesight_data::MAX_CHANNELS;
use firesight_data::augment::MAX_SIDE;
use firesight_recipe::Loaded;

use crate::card::ModelCard;
use crate::error::bail;
use crate::recipe::{self, Recipe};

/// Whether what is stored beside weights about their model agrees with the recipe that builds it.
///
/// # Errors
/// A task, a model, channels, sides or classes that contradict the recipe; each is named.
pub(super) fn same_model(card: &ModelCard, loaded: &Loaded<Recipe>) -> crate::Result<()> {
    let recipe = &loaded.value;
    let task = recipe.task.table();
    for (key, said, built) in [
        ("task", card.task.as_str(), task.name()),
        ("model", card.model.as_str(), task.model_name().as_str()),
    ] {
        if said != built {
            bail!("`{key}` is `{said}`, but the recipe beside it says `{built}`");
        }
    }
    if !(1..=MAX_CHANNELS).contains(&card.channels) {
        bail!(
            "`channels` is {}; from 1 to {MAX_CHANNELS} are possible",
            card.channels
        );
    }
    for (key, side) in [("width", card.width), ("height", card.height)] {
        if !(1..=MAX_SIDE).contains(&side) {
            bail!("`{key}` is {side}; from 1 to {MAX_SIDE} are possible");
        }
    }
    for (key, values) in [
        ("data.mean", &recipe.data.mean),
        ("data.std", &recipe.data.std),
    ] {
        if values.len() != 1 && values.len() != card.channels {
            let (count, channels) = (values.len(), card.channels);
            bail!(
                "`channels` is {channels}, but `{key}` of the recipe beside it has {count} values"
            );
        }
    }
    recipe::check_data(loaded, card)?;
    Ok(())
}
