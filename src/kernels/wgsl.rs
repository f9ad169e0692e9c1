//! From a shader file and its variant to the WGSL text a driver compiles.
//!
//! Four directives, each alone on its line, are all there is:
//!
//! * `#import lib/act` pastes `shaders/lib/act.wgsl`, once per module;
//! * `#if FLAG`, `#if !FLAG`, `#else`, `#endif` keep or drop lines (they nest);
//! * `#for i in 0..8` … `#end` repeats lines with `$i` replaced by 0, 1, … 7 (they nest; the upper
//!   bound may be a constant's name), because an accumulator array indexed by a loop variable lives
//!   in memory on some drivers and named scalars do not;
//! * everything else is WGSL. Constants of the variant are put at the top as `const NAME: u32 = 8u;`.

use super::sources;
use crate::lean;

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
    for (key, value) in consts {
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
        let Some(text) = sources::find(name) else {
            return Err(error(name, 0, "no such shader"));
        };
        let lines: Vec<(usize, String)> =
            text.lines().enumerate().map(|(i, l)| (i + 1, l.to_owned())).collect();
        self.lines(name, &lines, out)
    }

    fn lines(
        &mut self,
        file: &str,
        lines: &[(usize, String)],
        out: &mut String,
    ) -> Result<(), ExpandError> {
        // One entry per open `#if`: whether its current branch is kept.
        let mut kept: Vec<bool> = Vec::new();
        let mut i = 0;
        while i < lines.len() {
            let (number, line) = &lines[i];
            let trimmed = line.trim();
            i += 1;
            if let Some(flag) = trimmed.strip_prefix("#if ") {
                kept.push(self.holds(flag.trim()));
            } else if trimmed == "#else" {
                let top =
                    kept.last_mut().ok_or_else(|| error(file, *number, "#else without #if"))?;
                *top = !*top;
            } else if trimmed == "#endif" {
                kept.pop().ok_or_else(|| error(file, *number, "#endif without #if"))?;
            } else if kept.contains(&false) {
                // Dropped by an enclosing #if; a #for inside it needs no balancing here.
            } else if let Some(import) = trimmed.strip_prefix("#import ") {
                let import = import.trim();
                if !self.imported.iter().any(|done| done == import) {
                    self.imported.push(import.to_owned());
                    self.file(import, out).map_err(|e| {
                        if e.line == 0 {
                            error(file, *number, &format!("{}: {}", e.file, e.what))
                        } else {
                            e
                        }
                    })?;
                }
            } else if let Some(range) = trimmed.strip_prefix("#for ") {
                let (variable, from, to) = self
                    .range(range)
                    .ok_or_else(|| error(file, *number, "a #for reads `#for i in 0..8`"))?;
                let end = matching_end(&lines[i..])
                    .ok_or_else(|| error(file, *number, "#for without #end"))?;
                let body = &lines[i..i + end];
                i += end + 1;
                let key = format!("${variable}");
                for value in from..to {
                    let value = value.to_string();
                    let round: Vec<_> =
                        body.iter().map(|(n, l)| (*n, lean::replace(l, &key, &value))).collect();
                    self.lines(file, &round, out)?;
                }
            } else if trimmed == "#end" {
                return Err(error(file, *number, "#end without #for"));
            } else {
                out.push_str(line);
                out.push('\n');
            }
        }
        if kept.is_empty() { Ok(()) } else { Err(error(file, lines.len(), "#if without #endif")) }
    }

    fn holds(&self, flag: &str) -> bool {
        match flag.strip_prefix('!') {
            Some(flag) => !self.flags.contains(&flag),
            None => self.flags.contains(&flag),
        }
    }

    /// `i in 0..8` or `i in 0..TILE`.
    fn range<'t>(&self, text: &'t str) -> Option<(&'t str, u32, u32)> {
        let split = |text: &'t str, by: &str| {
            let at = lean::find(text, by)?;
            Some((&text[..at], &text[at + by.len()..]))
        };
        let (variable, range) = split(text, " in ")?;
        let (from, to) = split(range.trim(), "..")?;
        let to = match to.parse() {
            Ok(number) => number,
            Err(_) => {
                let (_, Const::U32(number)) = self.consts.iter().find(|(name, _)| *name == to)?;
                *number
            }
        };
        Some((variable.trim(), from.parse().ok()?, to))
    }
}

/// Index of the `#end` that closes the `#for` just before `lines`.
fn matching_end(lines: &[(usize, String)]) -> Option<usize> {
    let mut depth = 0;
    for (i, (_, line)) in lines.iter().enumerate() {
        match line.trim() {
            "#end" if depth == 0 => return Some(i),
            "#end" => depth -= 1,
            l if l.starts_with("#for ") => depth += 1,
            _ => {}
        }
    }
    None
}

fn error(file: &str, line: usize, what: &str) -> ExpandError {
    ExpandError { file: file.to_owned(), line, what: what.to_owned() }
}
