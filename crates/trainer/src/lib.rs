//! The training-recipe runner as a library.
