//! The WGSL files under `shaders/`, as `build.rs` collected them.

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// Text of `shaders/<name>.wgsl`, comments removed.
pub(super) fn find(name: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// Names of all shader files, without the extension.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(n, _)| *n)
}
