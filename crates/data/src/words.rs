//! Numbers in messages.

use std::fmt::Display;

/// A count of things by their name: `1 image`, `2 images`, `2 classes`.
///
/// ```
/// use firesight_data::words::counted;
///
/// assert_eq!([counted(1, "image"), counted(2, "image")], ["1 image", "2 images"]);
/// assert_eq!([counted(1, "class"), counted(0, "class")], ["1 class", "0 classes"]);
/// ```
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, thing: &str) -> String {
    let ending = match count == N::from(1) {
        true => "",
        false if thing.ends_with(['s', 'x']) => "es",
        false => "s",
    };
    format!("{count} {thing}{ending}")
}
