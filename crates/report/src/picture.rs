//! Pictures of a run folder as data URIs, so that the page is one file.

use std::path::{Component, Path};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

/// A larger file is not put into the page.
const MOST_BYTES: u64 = 12 << 20;
/// A picture of fewer pixels in width is enlarged without smoothing.
const PIXEL_ART: u32 = 96;

/// A picture for the page, or the reason why it is missing.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Inlined {
    /// `data:image/png;base64,...`; empty where the picture is missing.
    pub src: String,
    pub alt: String,
    pub caption: String,
    /// Whether to enlarge without smoothing.
    pub pixelated: bool,
    /// Width in pixels, where it is known.
    pub width: Option<u32>,
    /// Height in pixels, where it is known.
    pub height: Option<u32>,
    /// Why there is no picture.
    pub missing: String,
}

/// Reads the picture at `path`, relative to the folder `run`.
pub(crate) fn inline(run: &Path, path: &Path, alt: &str, caption: &str) -> Inlined {
    let mut picture = Inlined {
        alt: alt.into(),
        caption: caption.into(),
        ..Inlined::default()
    };
    match read(run, path) {
        Ok((kind, bytes)) => {
            picture.src = format!("data:image/{kind};base64,{}", STANDARD.encode(&bytes));
            if kind == "png" && bytes.len() >= 24 {
                let number = |at: usize| {
                    bytes[at..at + 4]
                        .iter()
                        .fold(0, |n, &b| n << 8 | u32::from(b))
                };
                (picture.width, picture.height) = (Some(number(16)), Some(number(20)));
                picture.pixelated = number(16) < PIXEL_ART;
            }
        }
        Err(reason) => picture.missing = reason,
    }
    picture
}

fn read(run: &Path, path: &Path) -> Result<(&'static str, Vec<u8>), String> {
    if path.as_os_str().is_empty() {
        return Err("no picture".into());
    }
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(inside) {
        return Err(format!("{} lies outside the run folder", path.display()));
    }
    let file = run.join(path);
    let size = std::fs::metadata(&file)
        .map_err(|_| format!("{} is missing", path.display()))?
        .len();
    if size > MOST_BYTES {
        return Err(format!(
            "{} is too large to show here ({} MiB)",
            path.display(),
            size >> 20
        ));
    }
    let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", path.display()))?;
    let kind = match &bytes[..] {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, 0xff, ..] => "jpeg",
        _ => return Err(format!("{} is neither PNG nor JPEG", path.display())),
    };
    Ok((kind, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_of_the_run_are_shown() {
        let run = tempfile::tempdir().unwrap();
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x20\0\0\0\x10".to_vec();
        png.extend([8, 2, 0, 0, 0]);
        std::fs::write(run.path().join("a.png"), &png).unwrap();
        std::fs::write(run.path().join("b.png"), "<svg onload=alert(1)>").unwrap();
        let shown = inline(run.path(), Path::new("a.png"), "alt", "");
        assert!(
            shown.src.starts_with("data:image/png;base64,iVBOR"),
            "{}",
            shown.src
        );
        assert_eq!(
            (shown.width, shown.height, shown.pixelated),
            (Some(32), Some(16), true)
        );
        for (path, reason) in [
            ("b.png", "neither PNG nor JPEG"),
            ("c.png", "missing"),
            ("../a.png", "outside"),
            ("/etc/hostname", "outside"),
            ("", "no picture"),
        ] {
            let shown = inline(run.path(), Path::new(path), "", "");
            assert!(
                shown.src.is_empty() && shown.missing.contains(reason),
                "{}",
                shown.missing
            );
        }
    }
}
