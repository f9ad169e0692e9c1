//! Classes: the first folder in a picture's path, or what an array, a table or a file beside the picture says.

use super::DatasetError;

/// The most classes. A number beyond this is not a label.
const MAX_CLASSES: u32 = 65_536;

/// The class of every item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Labels {
    /// Names of the classes. Those of folders are sorted.
    pub names: Vec<String>,
    /// Class of each item, an index into `names`.
    pub of: Vec<u32>,
}

/// What is said about one item's class.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Class {
    Number(f64),
    Name(String),
}

impl Class {
    /// The label in a text that holds nothing else.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map_or_else(|| Self::Name(text.to_owned()), Self::Number)
    }
}

impl Labels {
    /// Classes by path: the first folder after those that all paths share. None if there is only one class, or if a
    /// picture lies outside all folders.
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
        Some(Self::of_names(folders?.into_iter()))
    }

    /// If the others lie in several folders (after those that all share), a path that lies in none of them.
    pub(super) fn stray<'a>(paths: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
        let mut skip = 0;
        loop {
            let folder = |path: &'a str| path[skip..].split_once('/').map(|(folder, _)| folder);
            let mut found = paths.clone().map(folder);
            let first = found.clone().flatten().next()?;
            match found.clone().position(|folder| folder.is_none()) {
                Some(stray) => {
                    return found.flatten().any(|folder| folder != first).then_some(stray);
                }
                None if found.any(|folder| folder != Some(first)) => return None,
                None => skip += first.len() + 1,
            }
        }
    }

    /// Classes given by names, which are sorted.
    fn of_names<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut sorted: Vec<&str> = names.clone().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let of = names.filter_map(|name| sorted.binary_search(&name).ok()).map(|i| i as u32);
        Self { of: of.collect(), names: sorted.into_iter().map(str::to_owned).collect() }
    }

    /// Classes given by numbers from 0 on, with the given names if there is one for each; otherwise classes given by
    /// names. `name` tells where a number that is not a label was found.
    ///
    /// # Errors
    /// [`DatasetError::Label`] for a number that is not a label; [`DatasetError::TooLarge`] for too many names.
    pub(super) fn of_classes(
        classes: &[Class],
        file: &str,
        given: Option<Vec<String>>,
    ) -> Result<Self, DatasetError> {
        let number = |class: &Class| match class {
            Class::Number(number) => Some(*number),
            Class::Name(_) => None,
        };
        if let Some(numbers) = classes.iter().map(number).collect::<Option<Vec<f64>>>() {
            return Self::of_numbers(numbers.into_iter(), file, given);
        }
        let texts = classes.iter().map(|class| match class {
            Class::Number(number) => number.to_string(),
            Class::Name(name) => name.clone(),
        });
        let texts: Vec<String> = texts.collect();
        let labels = Self::of_names(texts.iter().map(String::as_str));
        if labels.names.len() > MAX_CLASSES as usize {
            return Err(DatasetError::TooLarge {
                file: file.to_owned(),
                what: "names more classes than are learned,",
                have: labels.names.len() as u64,
                limit: MAX_CLASSES.into(),
                remedy: "To train without classes, keep that array elsewhere.".to_owned(),
            });
        }
        Ok(labels)
    }

    /// Classes given by numbers from 0 on, with the given names if there is one for each.
    ///
    /// # Errors
    /// [`DatasetError::Label`] for a number that is not a label.
    pub(super) fn of_numbers(
        numbers: impl Iterator<Item = f64>,
        file: &str,
        given: Option<Vec<String>>,
    ) -> Result<Self, DatasetError> {
        let label = |number: f64| {
            let whole = number >= 0.0 && number < f64::from(MAX_CLASSES) && number.fract() == 0.0;
            whole.then_some(number as u32)
        };
        let of: Result<Vec<u32>, DatasetError> = numbers
            .enumerate()
            .map(|(index, number)| {
                label(number).ok_or_else(|| DatasetError::Label {
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
