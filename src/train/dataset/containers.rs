//! Folders that hold a part of a data set rather than one of its classes: `train` beside `test`, `images` beside
//! `masks`.

use std::collections::BTreeMap;

/// What the name of a folder, file or array says about its part of a data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// For training.
    Training,
    /// For validation or tests.
    HeldOut,
    /// Pictures, beside folders that describe them.
    Pictures,
    /// Masks, labels and the like: a description of each picture.
    Descriptions,
}

const TRAINING: [&str; 5] = ["train", "training", "trainset", "traindata", "trainval"];
const HELD_OUT: [&str; 14] = [
    "val",
    "valid",
    "validation",
    "valset",
    "dev",
    "test",
    "tests",
    "testing",
    "testset",
    "testdata",
    "eval",
    "evaluation",
    "holdout",
    "heldout",
];
const PICTURES: [&str; 11] = [
    "image",
    "images",
    "img",
    "imgs",
    "picture",
    "pictures",
    "photo",
    "photos",
    "jpegs",
    "jpegimages",
    "frames",
];
const DESCRIPTIONS: [&str; 13] = [
    "mask",
    "masks",
    "label",
    "labels",
    "annotation",
    "annotations",
    "annots",
    "seg",
    "segmentation",
    "segmentations",
    "groundtruth",
    "gt",
    "bboxes",
];
/// Extensions of the archives and tables whose names may be part of a path.
const PACKED: [&str; 4] = [".tar", ".zip", ".npz", ".parquet"];

/// The deepest level at which containers are looked for, because an archive may have thousands of levels.
const MAX_LEVEL: usize = 32;

/// The words of a name: `DIV2K_train_HR` is div, 2, k, train, hr; `trainA` is train, a.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for c in name.chars() {
        let kind = |c: char| (c.is_alphabetic(), c.is_numeric());
        if kind(c) != (false, false) {
            let begins = before.is_none_or(|before: char| {
                kind(before) != kind(c) || (before.is_lowercase() && c.is_uppercase())
            });
            match words.last_mut() {
                Some(word) if !begins => word.extend(c.to_lowercase()),
                _ => words.push(c.to_lowercase().collect()),
            }
        }
        before = Some(c);
    }
    words
}

impl Part {
    /// The position of the words in a name that say this, and their number.
    fn find(self, words: &[String]) -> Option<(usize, usize)> {
        let run = |list: &[&str]| {
            let at = words.windows(list.len()).position(|run| run == list)?;
            Some((at, list.len()))
        };
        let any = |list: &[&str]| {
            // Arrays are called xtrain and ytest too.
            let bare = |word: &String| word.strip_prefix(['x', 'y']).unwrap_or(word).to_owned();
            let is = |word: &String| {
                list.contains(&word.as_str()) || list.contains(&bare(word).as_str())
            };
            words.iter().position(is).map(|at| (at, 1))
        };
        match self {
            Self::Training => any(&TRAINING),
            // MNIST's test files are called t10k.
            Self::HeldOut => any(&HELD_OUT).or_else(|| run(&["t", "10", "k"])),
            Self::Pictures => any(&PICTURES),
            Self::Descriptions => any(&DESCRIPTIONS).or_else(|| run(&["ground", "truth"])),
        }
    }
}

/// What a folder's name says, and its other words. `train2017` and `val2017` belong together, because their other words
/// are the same.
fn part(name: &str) -> Option<(Part, String)> {
    let mut words = words(name);
    let all = [Part::Training, Part::HeldOut, Part::Descriptions, Part::Pictures];
    let (part, (at, length)) = all.into_iter().find_map(|part| Some((part, part.find(&words)?)))?;
    words.drain(at..at + length);
    Some((part, words.join(" ")))
}

/// Whether the path of a file or an array says that it is a part of this kind.
pub(super) fn says(path: &str, part: Part) -> bool {
    path.split('/').any(|name| part.find(&words(name)).is_some())
}

/// Which of some paths to learn from.
pub(super) struct Arranged {
    /// Each path without its containers, or `None` if it is set aside.
    pub paths: Vec<Option<String>>,
    /// What was chosen and what was set aside, as sentences.
    pub notes: Vec<String>,
}

/// A rule that chose some folders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Training,
    OnlyHeldOut,
    Pictures,
}

/// The numbers of pictures that a rule kept and set aside, by the names of their folders.
#[derive(Default)]
struct Count {
    kept: BTreeMap<String, usize>,
    aside: BTreeMap<String, usize>,
}

/// Looks for containers at every level of the paths down to [`MAX_LEVEL`].
pub(super) fn arrange(paths: &[&str]) -> Arranged {
    let mut arranged = vec![None; paths.len()];
    let mut counts = BTreeMap::new();
    let all = (0..paths.len()).map(|i| (i, paths[i])).collect();
    visit(all, "", 0, &mut arranged, &mut counts);
    let notes = counts.into_iter().map(|(rule, count)| note(rule, &count)).collect();
    Arranged { paths: arranged, notes }
}

/// Arranges paths that share a folder: the rest of each path, and what remains of that folder's own path.
fn visit(
    paths: Vec<(usize, &str)>,
    prefix: &str,
    level: usize,
    arranged: &mut [Option<String>],
    counts: &mut BTreeMap<Rule, Count>,
) {
    let mut folders: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
    let mut files = Vec::new();
    for (index, path) in paths {
        match path.split_once('/').filter(|_| level < MAX_LEVEL) {
            Some((folder, rest)) => folders.entry(folder).or_default().push((index, rest)),
            None => files.push((index, path)),
        }
    }
    let chosen = choose(&folders.keys().copied().collect::<Vec<_>>(), files.is_empty());
    let count = chosen.as_ref().map(|(rule, _)| counts.entry(*rule).or_default());
    match (chosen, count) {
        (Some((_, kept)), Some(count)) => {
            for (folder, paths) in &folders {
                let into =
                    if kept.contains_key(folder) { &mut count.kept } else { &mut count.aside };
                *into.entry((*folder).to_owned()).or_default() += paths.len();
            }
            if !files.is_empty() {
                *count.aside.entry("files beside them".to_owned()).or_default() += files.len();
            }
            folders.retain(|folder, _| kept.contains_key(folder));
            for (folder, paths) in folders {
                let prefix = match kept[folder].as_str() {
                    "" => prefix.to_owned(),
                    name => format!("{prefix}{name}/"),
                };
                visit(paths, &prefix, level + 1, arranged, counts);
            }
        }
        _ => {
            for (index, name) in files {
                arranged[index] = Some(format!("{prefix}{name}"));
            }
            for (folder, paths) in folders {
                let prefix = match unpacked(folder).as_str() {
                    "" => prefix.to_owned(),
                    name => format!("{prefix}{name}/"),
                };
                visit(paths, &prefix, level + 1, arranged, counts);
            }
        }
    }
}

/// If some folders are containers: the folders to keep, and the new name of each (empty for a mere container).
fn choose<'a>(folders: &[&'a str], alone: bool) -> Option<(Rule, BTreeMap<&'a str, String>)> {
    let parts: Vec<(&str, Part, String)> = folders
        .iter()
        .filter_map(|&name| part(&unpacked(name)).map(|(part, others)| (name, part, others)))
        .collect();
    let of = |kind: Part| parts.iter().filter(move |(_, part, _)| *part == kind);
    // Several kept folders are named by their other words: trainA and trainB in CycleGAN's data become A and B.
    let names = |kept: Vec<&(&'a str, Part, String)>| {
        let several = kept.iter().any(|(_, _, others)| *others != kept[0].2);
        let name = |others: &String| if several { others.clone() } else { String::new() };
        kept.into_iter().map(|(folder, _, others)| (*folder, name(others))).collect()
    };
    // The other words of training and test folders must be the same: a train_station is not a part of a data set.
    let training: Vec<_> = of(Part::Training)
        .filter(|(_, _, others)| of(Part::HeldOut).any(|(_, _, same)| same == others))
        .collect();
    if !training.is_empty() {
        return Some((Rule::Training, names(training)));
    }
    let held_out: Vec<_> = of(Part::HeldOut).collect();
    if held_out.len() > 1 && held_out.len() == folders.len() && alone {
        return Some((Rule::OnlyHeldOut, names(held_out)));
    }
    let pictures: Vec<_> = of(Part::Pictures).collect();
    if !pictures.is_empty() && of(Part::Descriptions).next().is_some() {
        return Some((Rule::Pictures, names(pictures)));
    }
    None
}

/// A folder's name. The name of an archive or table is reduced to what distinguishes it, without its number:
/// `train-0007.tar` becomes `train`.
fn unpacked(name: &str) -> String {
    match PACKED.iter().find_map(|ending| name.strip_suffix(ending)) {
        Some(stem) => {
            let mut words = words(stem);
            words.retain(|word| word != "of" && !word.chars().all(char::is_numeric));
            words.join("-")
        }
        None => name.to_owned(),
    }
}

fn note(rule: Rule, count: &Count) -> String {
    let list = |names: &BTreeMap<String, usize>| {
        let shown =
            names.iter().take(5).map(|(name, n)| format!("{name} ({})", super::thousands(*n)));
        let more = if names.len() > 5 { ", ..." } else { "" };
        shown.collect::<Vec<_>>().join(", ") + more
    };
    let (kept, aside) = (list(&count.kept), list(&count.aside));
    match rule {
        Rule::Training => format!("Learning from the training part, {kept}; set aside: {aside}"),
        Rule::OnlyHeldOut => format!("There is no training part: learning from {kept}"),
        Rule::Pictures => {
            format!("Learning from the pictures in {kept}; set aside what describes them: {aside}")
        }
    }
}
