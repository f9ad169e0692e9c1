//! Decides what to learn from: which of the pictures or arrays under a path, and with which classes.

use super::labels::Labels;
use super::pictures::{self, Other, Survey};
use super::source::Source;
use super::{
    Broken, DatasetError, Options, Progress, arrays, cifar, containers, files, sidecars, sniff,
};
use std::path::Path;

/// The pictures found, before they become items.
pub(super) struct Found {
    pub source: Box<dyn Source>,
    pub labels: Option<Labels>,
    pub skipped: Vec<Broken>,
    /// Height and width of all, or of the first if a size is requested.
    pub size: (usize, usize),
    /// Whether all are gray.
    pub gray: bool,
    /// See [`Dataset::notes`](super::Dataset::notes).
    pub notes: Vec<String>,
}

/// The pictures at a path, and the size that all of them have, unless a size is requested.
pub(super) fn find(
    path: &Path,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Found, DatasetError> {
    let (mut files, focus) = files::Files::open(path, options.memory)?;
    let survey = |files| {
        pictures::survey(files, options.threads, &|done, of| {
            progress(Progress::Looking { done, of });
        })
    };
    if let Some(focus) = focus {
        let head = files.head(focus, sniff::HEAD).unwrap_or_default();
        if sniff::sniff(&head) != sniff::Kind::Parquet {
            // One file. The files beside it are not trained on, but one may hold its labels.
            let found = arrays::find(&files, Some(focus), options.memory)?;
            return Ok(of_arrays(found, Vec::new(), Vec::new()));
        }
        files.entries = vec![files.entries.swap_remove(focus)];
    }
    let found = survey(files);
    let of = |kind: Other| -> Vec<usize> {
        found.others.iter().filter(|(_, other)| *other == kind).map(|(entry, _)| *entry).collect()
    };
    let (archives, tables) = (of(Other::Archive), of(Other::Parquet));
    let bare = found.pictures.len() == 0
        && of(Other::Array).is_empty()
        && cifar::find(found.pictures.files(), None, options.memory)?.is_none();
    // Archives and tables beside pictures may hold the same pictures again.
    let (found, notes) = if bare && !archives.is_empty() {
        let mut files = found.pictures.into_files();
        files.expand(&archives)?;
        (survey(files), Vec::new())
    } else if bare && !tables.is_empty() {
        of_tables(found, &tables, options.memory, &survey)?
    } else {
        (found, Vec::new())
    };
    if found.pictures.len() == 0 {
        return nothing_but_arrays(found, path, options);
    }
    of_pictures(found, path, options, notes)
}

/// The pictures in parquet files, and what was chosen of them.
#[cfg(feature = "parquet")]
fn of_tables(
    found: Survey,
    tables: &[usize],
    memory: u64,
    survey: &dyn Fn(files::Files) -> Survey,
) -> Result<(Survey, Vec<String>), DatasetError> {
    let mut files = found.pictures.into_files();
    let notes = super::parquet::expand(&mut files, tables, memory)?;
    Ok((survey(files), notes))
}

/// A build without the crate that reads parquet files counts them as unused files.
#[cfg(not(feature = "parquet"))]
fn of_tables(
    found: Survey,
    _tables: &[usize],
    _memory: u64,
    _survey: &dyn Fn(files::Files) -> Survey,
) -> Result<(Survey, Vec<String>), DatasetError> {
    Ok((found, Vec::new()))
}

fn of_arrays(found: arrays::Found, mut notes: Vec<String>, skipped: Vec<Broken>) -> Found {
    let arrays::Found { arrays, labels, .. } = found;
    let (size, gray) = ((arrays.h, arrays.w), arrays.c == 1);
    notes.splice(0..0, found.notes);
    Found { source: Box::new(arrays), labels, skipped, size, gray, notes }
}

/// The arrays, if there are no pictures among the files.
fn nothing_but_arrays(
    survey: Survey,
    path: &Path,
    options: &Options,
) -> Result<Found, DatasetError> {
    let Survey { pictures, broken, others } = survey;
    let files = pictures.into_files();
    let mut unused = files.unused.clone();
    let found = arrays::find(&files, None, options.memory);
    let used = found.as_ref().map_or(&[][..], |found| &found.used);
    for (entry, other) in others.iter().filter(|(entry, _)| !used.contains(entry)) {
        unused.add(other.unread(), &files.entries[*entry].name);
    }
    let skipped: Vec<Broken> = broken.into_iter().map(|(_, broken)| broken).collect();
    match found {
        Ok(found) => Ok(of_arrays(found, unused.notes(), skipped)),
        Err(DatasetError::Empty { .. }) => {
            let unused = Some(unused.summary()).filter(|unused| !unused.is_empty());
            let found: Vec<String> = first_of(&skipped).into_iter().chain(unused).collect();
            let found = if found.is_empty() { "no files".to_owned() } else { found.join(", ") };
            Err(DatasetError::Empty { path: path.to_string_lossy().into_owned(), found })
        }
        Err(error) => Err(error),
    }
}

/// The pictures to learn from, and their classes.
fn of_pictures(
    survey: Survey,
    path: &Path,
    options: &Options,
    mut notes: Vec<String>,
) -> Result<Found, DatasetError> {
    let Survey { mut pictures, broken, others } = survey;
    let files = pictures.files();
    let name = |entry: usize| files.entries[entry].name.as_str();
    let mut paths: Vec<&str> = (0..pictures.len()).map(|index| pictures.path(index)).collect();
    // A broken picture also belongs to a part.
    paths.extend(broken.iter().map(|(entry, _)| name(*entry)));
    let mut arranged = containers::arrange(&paths);
    notes.append(&mut arranged.notes);
    let of_broken = arranged.paths.split_off(pictures.len());
    let kept = of_broken.iter().zip(broken).filter(|(path, _)| path.is_some());
    let skipped: Vec<Broken> = kept.map(|(_, (_, broken))| broken).collect();
    let mut unused = files.unused.clone();
    let kept: Vec<&str> = paths
        .iter()
        .zip(&arranged.paths)
        .filter_map(|(p, kept)| kept.as_ref().map(|_| *p))
        .collect();
    let beside = sidecars::find(files, &kept);
    for &(entry, other) in &others {
        let ending = Path::new(name(entry)).extension().and_then(|ending| ending.to_str());
        if beside.ending.is_none_or(|used| ending != Some(used)) {
            unused.add(other.unread(), name(entry));
        }
    }
    let names = files.class_names.clone();
    pictures.retain(|index| arranged.paths[index].is_some());
    if pictures.len() == 0 {
        let found = first_of(&skipped).unwrap_or_default();
        return Err(DatasetError::Empty { path: path.to_string_lossy().into_owned(), found });
    }
    let arranged: Vec<String> = arranged.paths.into_iter().flatten().collect();
    let table = (0..pictures.len()).map(|index| pictures.class(index).cloned());
    let folder = path.to_string_lossy();
    let given = table.collect::<Option<Vec<_>>>().or(beside.classes);
    let labels = if let Some(classes) = given {
        if let Some(ending) = beside.ending {
            notes.push(format!("The classes are those of the .{ending} files"));
        }
        match Labels::of_classes(&classes, &folder, names) {
            Err(DatasetError::Label { index, found, max, .. }) => {
                let picture = pictures.path(index);
                notes.push(format!(
                    "The classes are not used: that of {picture} is {found}, and they go from 0 to {max}"
                ));
                None
            }
            labels => Some(labels?),
        }
    } else {
        notes.extend(beside.note);
        let paths = arranged.iter().map(String::as_str);
        if let Some(stray) = Labels::stray(paths.clone()) {
            let stray = pictures.path(stray);
            let why = format!("{stray} lies in none of them");
            notes.push(format!("The folders are not used as classes: {why}"));
        }
        Labels::of_paths(paths)
    };
    notes.append(&mut unused.notes());
    let size = |index| (pictures.header(index).h, pictures.header(index).w);
    let odd = (1..pictures.len()).find(|&index| size(index) != size(0));
    if let (Some(odd), None) = (odd, options.resolution) {
        let text = |(h, w): (usize, usize)| format!("{h}x{w}");
        return Err(DatasetError::Sizes {
            path: path.to_string_lossy().into_owned(),
            first: pictures.name(0),
            first_size: text(size(0)),
            other: pictures.name(odd),
            other_size: text(size(odd)),
        });
    }
    let gray = (0..pictures.len()).all(|index| pictures.header(index).gray);
    let size = size(0);
    Ok(Found { source: Box::new(pictures), labels, skipped, size, gray, notes })
}

/// `2 broken pictures (a/1.png: it is empty)`.
fn first_of(broken: &[Broken]) -> Option<String> {
    let Broken { file, why } = broken.first()?;
    let pictures = if broken.len() == 1 { "picture" } else { "pictures" };
    Some(format!("{} broken {pictures} ({file}: {why})", broken.len()))
}
