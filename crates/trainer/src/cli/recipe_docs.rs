//! `trainer recipe-docs`: the reference of all recipe keys, made from the types.

use super::End;
use crate::recipe::Recipe;

/// The reference in Markdown.
pub fn text() -> String {
    firesight_recipe::docs(&schemars::schema_for!(Recipe), "Recipe reference")
}

/// Prints the reference.
///
/// # Errors
/// None; the signature is that of all commands.
pub fn run() -> anyhow::Result<End> {
    print!("{}", text());
    Ok(End::Done)
}
