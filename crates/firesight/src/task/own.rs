//! A task that is another program's code.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::TaskRecipe;

/// A task of one's own in a recipe that is written in Rust. In a run's `recipe.toml` it stands as its name and its
/// settings; to go on with such a run or to use it, the program gives the task again.
#[derive(Clone)]
pub struct OwnTask(Arc<dyn TaskRecipe>);

impl OwnTask {
    /// A task of one's own.
    pub fn new(task: impl TaskRecipe + 'static) -> Self {
        Self(Arc::new(task))
    }
}

impl Deref for OwnTask {
    type Target = dyn TaskRecipe;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Debug for OwnTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnTask({}, {})", self.name(), self.settings())
    }
}

/// The same name and the same settings.
impl PartialEq for OwnTask {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.settings() == other.settings()
    }
}

impl Serialize for OwnTask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("OwnTask", 3)?;
        table.serialize_field("name", self.name())?;
        table.serialize_field("model", &self.model_name())?;
        table.serialize_field("settings", &self.settings())?;
        table.end()
    }
}
