//! From a shader file and its variant to the WGSL text a driver compiles.
//!
//! Four directives, each alone on its line, are all there is:
//!
//! * `#import lib/act` pastes `shaders/lib/act.wgsl`, once per module;
//! * `#if FLAG`, `#if !FLAG`, `#else`, `#endif` keep or drop lines (they nest);
//! * `#for i in 0..8` … `#end` repeats lines with `$i` replaced by 0, 1, … 7 (they nest; the upper
//!   bound may be a constant's name), because an accumulator array indexed by a loop variable lives
//!   in memory on some drivers and named scalars do not;
//! * everything else is WGSL. Constants of the variant are put at the top as `const NAME: u32 = 8u;`,
//!   and with them [`FOLD`].

use super::{FOLD, sources};

/// A compile-time number of a shader variant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Const {
    /// An unsigned integer.
    U32(u32),
}

/// What is wrong with a shader file. Only a mistake in this crate can cause one, so the tests that
/// expand every variant are where it is seen.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("shader {file}:{line}: {what}")]
pub struct ExpandError {
    /// Path under `shaders/`, without the extension.
    pub file: String,
    /// Line of the directive, from 1.
    pub line: usize,
    /// What was wrong.
    pub what: String,
}

/// Expands `shaders/<name>.wgsl` for one variant.
///
/// # Errors
/// An unknown import, an unbalanced `#if`/`#for`, or a bad range, with its file and line.
pub fn expand(name: &str, flags: &[&str], consts: &[(&str, Const)]) -> Result<String, ExpandError> {
    let mut out = String::new();
    let fold = ("FOLD", Const::U32(FOLD));
    for (key, value) in consts.iter().filter(|(key, _)| *key != "FOLD").chain([&fold]) {
        let Const::U32(v) = value;
        out.push_str(&format!("const {key}: u32 = {v}u;\n"));
    }
    let mut expander = Expander { flags, consts, imported: Vec::new() };
    expander.file(name, &mut out)?;
    Ok(out)
}

struct Expander<'a> {
    flags: &'a [&'a str],
    consts: &'a [(&'a str, Const)],
    imported: Vec<String>,
}

impl Expander<'_> {
    fn file(&mut self, name: &str, out: &mut String) -> Result<(), ExpandError> {
        match sources::find(name) {
            Some(text) => self.lines(name, 0, text, out),
            None => Err(error(name, 0, "no such shader")),
        }
    }

    /// Expands `text`, which follows line `number`.
    fn lines(
        &mut self,
        file: &str,
        mut number: usize,
        mut text: &str,
        out: &mut String,
    ) -> Result<(), ExpandError> {
        // One entry per open `#if`: whether its current branch is kept.
        let mut kept: Vec<bool> = Vec::new();
        while !text.is_empty() {
            let line;
            (line, text) = first_line(text);
            number += 1;
            let wrong = |what: &str| error(file, number, what);
            if let Some(flag) = line.strip_prefix("#if ") {
                kept.push(self.holds(flag));
            } else if line == "#else" {
                let top = kept.last_mut().ok_or_else(|| wrong("#else without #if"))?;
                *top = !*top;
            } else if line == "#endif" {
                kept.pop().ok_or_else(|| wrong("#endif without #if"))?;
            } else if kept.contains(&false) {
                // Dropped by an enclosing #if; a #for inside it needs no balancing here.
            } else if let Some(import) = line.strip_prefix("#import ") {
                if !self.imported.iter().any(|done| done == import) {
                    self.imported.push(import.to_owned());
                    self.file(import, out).map_err(|e| {
                        if e.line == 0 { wrong(&format!("{}: {}", e.file, e.what)) } else { e }
                    })?;
                }
            } else if let Some(range) = line.strip_prefix("#for ") {
                let (variable, from, to) =
                    self.range(range).ok_or_else(|| wrong("a #for reads `#for i in 0..8`"))?;
                let (body, count, rest) =
                    loop_body(text).ok_or_else(|| wrong("#for without #end"))?;
                let key = format!("${variable}");
                for value in from..to {
                    let round = body.replace(&key, &value.to_string());
                    self.lines(file, number, &round, out)?;
                }
                text = rest;
                number += count;
            } else if line == "#end" {
                return Err(wrong("#end without #for"));
            } else {
                out.push_str(line);
                out.push('\n');
            }
        }
        if kept.is_empty() { Ok(()) } else { Err(error(file, number, "#if without #endif")) }
    }

    fn holds(&self, flag: &str) -> bool {
        match flag.strip_prefix('!') {
            Some(flag) => !self.flags.contains(&flag),
            None => self.flags.contains(&flag),
        }
    }

    /// `i in 0..8` or `i in 0..TILE`.
    fn range<'t>(&self, text: &'t str) -> Option<(&'t str, u32, u32)> {
        let (variable, range) = text.split_once(" in ")?;
        let (from, to) = range.split_once("..")?;
        let to = match to.parse() {
            Ok(number) => number,
            Err(_) => {
                let (_, Const::U32(number)) = self.consts.iter().find(|(name, _)| *name == to)?;
                *number
            }
        };
        Some((variable, from.parse().ok()?, to))
    }
}

/// A line and what comes after it.
fn first_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// Of what follows a `#for`: its body, the body's lines and one for the `#end`, and the rest.
fn loop_body(text: &str) -> Option<(&str, usize, &str)> {
    let (mut depth, mut count, mut rest) = (0, 0, text);
    while !rest.is_empty() {
        let end = text.len() - rest.len();
        let line;
        (line, rest) = first_line(rest);
        count += 1;
        if line == "#end" {
            if depth == 0 {
                return Some((text.get(..end)?, count, rest));
            }
            depth -= 1;
        } else if line.starts_with("#for ") {
            depth += 1;
        }
    }
    None
}

fn error(file: &str, line: usize, what: &str) -> ExpandError {
    ExpandError { file: file.to_owned(), line, what: what.to_owned() }
}
