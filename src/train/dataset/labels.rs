//! Classes: the first folder of a picture's path, or numbers in an array.

use super::DatasetError;

/// Most classes: beyond it a number is no label.
const MAX_CLASSES: u32 = 65_536;

/// The class of every item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Labels {
    /// Names of the classes. Those of folders are sorted.
    pub names: Vec<String>,
    /// Class of each item, an index into `names`.
    pub of: Vec<u32>,
}

impl Labels {
    /// Classes of paths: the first folder, after folders that all paths share. None if there is only
    /// one, or if a picture lies outside of all.
    pub(super) fn of_paths<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let mut shared = 0;
        let folder = |path: &'a str, skip| path[skip..].split_once('/').map(|(folder, _)| folder);
        loop {
            let first = folder(paths.clone().next()?, shared)?;
            let mut others = paths.clone().map(|path| folder(path, shared));
            if !others.all(|other| other == Some(first)) {
                break;
            }
            shared += first.len() + 1;
        }
        let folders: Option<Vec<&str>> = paths.map(|path| folder(path, shared)).collect();
        let folders = folders?;
        let mut names = folders.clone();
        names.sort_unstable();
        names.dedup();
        let of = folders.iter().filter_map(|f| names.binary_search(f).ok()).map(|i| i as u32);
        Some(Self { of: of.collect(), names: names.into_iter().map(str::to_owned).collect() })
    }

    /// Classes of numbers from 0 up, with the names given if there is one for each.
    ///
    /// # Errors
    /// [`DatasetError::Label`] for a number that is no label.
    pub(super) fn of_numbers(
        numbers: impl Iterator<Item = i128>,
        file: &str,
        given: Option<Vec<String>>,
    ) -> Result<Self, DatasetError> {
        let of: Result<Vec<u32>, DatasetError> = numbers
            .enumerate()
            .map(|(index, number)| {
                let label = u32::try_from(number).ok().filter(|&label| label < MAX_CLASSES);
                label.ok_or_else(|| DatasetError::Label {
                    file: file.to_owned(),
                    index,
                    found: number.to_string(),
                    max: MAX_CLASSES - 1,
                })
            })
            .collect();
        let of = of?;
        let count = of.iter().max().map_or(0, |&max| max as usize + 1);
        let names = given.filter(|names| names.len() >= count);
        Ok(Self { names: names.unwrap_or_else(|| (0..count).map(|i| i.to_string()).collect()), of })
    }
}
