//! Reading the layers of a recipe into a serde type with every finding at once.
//!
//! The layers are not merged beforehand, since what wins depends on the type: a table that is a struct takes its keys
//! from all layers, one that is an enum takes the variant that the uppermost layer names. So each [`Node`]
//! carries what all layers say at its path, and the visitor's question decides.

mod access;
mod context;
mod fault;
mod node;
mod number;
mod stand_in;

use serde::de::DeserializeOwned;

pub(crate) use context::{Context, Places, sort};

use crate::item::Item;
use node::Node;

/// Reads `layers` (lowest first, each a table) into a `T`; `None` where nothing could be made of them. The findings
/// are in the context, and a value beside findings has stand-ins at the paths that are damaged.
pub(crate) fn read<T: DeserializeOwned>(layers: &[Item], context: &Context) -> Option<T> {
    let items: Vec<&Item> = layers.iter().collect();
    items.first()?;
    loop {
        context.start_pass();
        match T::deserialize(Node::top(items.clone(), context)) {
            Ok(value) => return Some(value),
            Err(_) if context.changed() && !context.ended.get() => {}
            Err(_) => return None,
        }
    }
}
