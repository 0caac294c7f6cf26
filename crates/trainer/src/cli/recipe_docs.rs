//! `trainer recipe-docs`: the reference of all recipe keys, made from the types.
//!
//! ```
//! let reference = trainer::cli::recipe_docs::text();
//! assert!(reference.contains("| `batch-size` |"));
//! ```

use super::End;
use firesight::recipe::Recipe;

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

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_in_docs_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipe.md");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == super::text(),
            "docs/recipe.md is not current; run `trainer recipe-docs > docs/recipe.md`"
        );
    }
}
