//! The WGSL files under `shaders/`, collected by `build.rs`.

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// The text of `shaders/<name>.wgsl`.
pub(super) fn find(name: &str) -> Option<&'static str> {
    entry(name).map(|(_, text)| text)
}

/// The name and the text of `shaders/<name>.wgsl`.
pub(super) fn entry(name: &str) -> Option<(&'static str, &'static str)> {
    SOURCES.iter().find(|(n, _)| *n == name).copied()
}

/// Names of all shader files, without the extension.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(n, _)| *n)
}
