//! Expands a shader file for one variant into the WGSL text that a driver compiles.
//!
//! There are four directives, each alone on its line:
//!
//! * `#import lib/act` brings in `shaders/lib/act.wgsl`, once per module;
//! * `#if FLAG`, `#if !FLAG`, `#else`, `#endif` keep or drop lines (they nest);
//! * `#for i in 0..8` … `#end` repeats lines with `$i` replaced by 0, 1, … 7 (they nest, and the upper bound may be a
//!   constant's name). Some drivers keep an array in memory when a loop variable indexes it, but keep named scalars in
//!   registers;
//! * everything else is WGSL.
//!
//! Every line of the file keeps its number, so a compiler's error points into the file. Directives and dropped lines
//! become empty lines. The first round of a `#for` keeps its lines; the other rounds go on the line of the `#end`,
//! without comments. The imported files and the variant's constants (`const NAME: u32 = 8u;`, including [`FOLD`])
//! follow the file, each after a comment that names it; [`legend`] lists where each begins.

use super::{FOLD, sources};

/// A mistake in a shader file. No user's input can cause one, because the tests expand every variant.
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

/// Begins the comment before each part that follows the file.
const PART: &str = "// ---- ";

/// Expands `shaders/<name>.wgsl` for one variant.
///
/// # Errors
/// An unknown import, an unbalanced `#if` or `#for`, or a bad range, with its file and line.
pub fn expand(name: &str, flags: &[&str], consts: &[(&str, u32)]) -> Result<String, ExpandError> {
    let mut expander = Expander { flags, consts, imports: Vec::new() };
    let text = sources::find(name).ok_or_else(|| error(name, 0, "no such shader"))?;
    let mut out = String::new();
    expander.lines(name, 0, text, &mut out)?;
    // An imported file may import others, which join the end of the list.
    let mut done = 0;
    while let Some(&(import, text)) = expander.imports.get(done) {
        out += &format!("{PART}{import}\n");
        expander.lines(import, 0, text, &mut out)?;
        done += 1;
    }
    out += &format!("{PART}constants of this variant\n");
    let fold = ("FOLD", FOLD);
    for (key, value) in consts.iter().chain([&fold]) {
        out += &format!("const {key}: u32 = {value}u;\n");
    }
    Ok(out)
}

/// Lists where the parts that follow the file begin in an expanded text, to be read with a compiler's error.
pub fn legend(expanded: &str) -> String {
    let parts = expanded.lines().zip(1..).filter_map(|(line, number): (&str, usize)| {
        Some(format!("{} after line {number}", line.strip_prefix(PART)?))
    });
    parts.collect::<Vec<_>>().join(", ")
}

struct Expander<'a> {
    flags: &'a [&'a str],
    consts: &'a [(&'a str, u32)],
    /// Names and texts, in the order of their first use.
    imports: Vec<(&'static str, &'static str)>,
}

impl Expander<'_> {
    /// Expands `text`, which follows line `number` of `file`, to the same number of lines.
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
            let directive = line.trim();
            if let Some(flag) = directive.strip_prefix("#if ") {
                kept.push(self.holds(flag));
            } else if directive == "#else" {
                let top = kept.last_mut().ok_or_else(|| wrong("#else without #if"))?;
                *top = !*top;
            } else if directive == "#endif" {
                kept.pop().ok_or_else(|| wrong("#endif without #if"))?;
            } else if kept.contains(&false) {
                // An enclosing #if drops these lines, so a #for among them need not be balanced here.
            } else if let Some(import) = directive.strip_prefix("#import ") {
                let found = sources::entry(import)
                    .ok_or_else(|| wrong(&format!("there is no {import} to import")))?;
                if !self.imports.contains(&found) {
                    self.imports.push(found);
                }
            } else if let Some(range) = directive.strip_prefix("#for ") {
                let (variable, from, to) =
                    self.range(range).ok_or_else(|| wrong("a #for reads `#for i in 0..8`"))?;
                let (body, rest) = loop_body(text).ok_or_else(|| wrong("#for without #end"))?;
                let length = body.lines().count();
                out.push('\n');
                for value in from..to {
                    let round = body.replace(&format!("${variable}"), &value.to_string());
                    if value == from {
                        self.lines(file, number, &round, out)?;
                    } else {
                        let mut expanded = String::new();
                        self.lines(file, number, &round, &mut expanded)?;
                        *out += &on_one_line(&expanded);
                    }
                }
                if from >= to {
                    *out += &"\n".repeat(length);
                }
                text = rest;
                number += length + 1;
            } else if directive == "#end" {
                return Err(wrong("#end without #for"));
            } else {
                *out += line;
            }
            out.push('\n');
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
        let to = to.parse().ok().or_else(|| {
            let (_, number) = self.consts.iter().find(|(name, _)| *name == to)?;
            Some(*number)
        })?;
        Some((variable, from.parse().ok()?, to))
    }
}

/// A line and what comes after it.
fn first_line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.trim_end(), rest)
}

/// Splits the text after a `#for` into its body and what follows its `#end`.
fn loop_body(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut rest) = (0, text);
    while !rest.is_empty() {
        let end = text.len() - rest.len();
        let line;
        (line, rest) = first_line(rest);
        let directive = line.trim_start();
        if directive.starts_with("#for ") {
            depth += 1;
        } else if directive == "#end" {
            if depth == 0 {
                return Some((&text[..end], rest));
            }
            depth -= 1;
        }
    }
    None
}

/// The code of some lines, without comments and line ends. WGSL has no strings, so `//` always begins a comment.
fn on_one_line(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default().trim())
        .filter(|code| !code.is_empty())
        .flat_map(|code| [code, " "])
        .collect()
}

fn error(file: &str, line: usize, what: &str) -> ExpandError {
    ExpandError { file: file.to_owned(), line, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, flags: &[&str]) -> Result<String, ExpandError> {
        let consts = [("TWO", 2), ("NONE", 0)];
        let mut expander = Expander { flags, consts: &consts, imports: Vec::new() };
        let mut out = String::new();
        expander.lines("a file", 0, text, &mut out).map(|()| out)
    }

    #[test]
    fn a_dropped_line_leaves_an_empty_one() {
        let text = "a // a\n  #if X\nb\n#else\nc\n#endif\n\n#if !X\nd\n#endif\ne\n";
        assert_eq!(lines(text, &["X"]).unwrap(), "a // a\n\nb\n\n\n\n\n\n\n\ne\n");
        assert_eq!(lines(text, &[]).unwrap(), "a // a\n\n\n\nc\n\n\n\nd\n\ne\n");
    }

    #[test]
    fn the_first_round_keeps_its_lines_and_the_others_share_the_last() {
        let text = "#for i in 0..3\na$i; // number $i\n  b$i;\n#end\nc\n";
        let expanded = "\na0; // number 0\n  b0;\na1; b1; a2; b2; \nc\n";
        assert_eq!(lines(text, &[]).unwrap(), expanded);
        let nested = "#for i in 0..TWO\n#for j in 0..TWO\n$i$j\n#end\n#end\nc\n";
        assert_eq!(lines(nested, &[]).unwrap(), "\n\n00\n01 \n10 11 \nc\n");
        assert_eq!(lines("#for i in 0..NONE\na\nb\n#end\nc\n", &[]).unwrap(), "\n\n\n\nc\n");
    }

    #[test]
    fn every_file_keeps_its_lines_and_the_rest_follows_it() {
        for name in sources::names() {
            let Ok(expanded) = expand(name, &[], &[]) else { continue };
            for (line, expanded) in sources::find(name).unwrap().lines().zip(expanded.lines()) {
                let replaced = line.contains('$') || line.trim() == "#end";
                let same = expanded.is_empty() || expanded == line.trim_end();
                assert!(same || replaced, "{name}: {line}");
            }
        }
        let expanded = expand("nn/affine_act", &["ACT_SILU"], &[("TILE", 7)]).unwrap();
        let length = sources::find("nn/affine_act").unwrap().lines().count();
        assert!(legend(&expanded).starts_with(&format!("lib/act after line {}, ", length + 1)));
        assert!(expanded.ends_with("const TILE: u32 = 7u;\nconst FOLD: u32 = 32768u;\n"));
        let act = sources::find("lib/act").unwrap().lines().next().unwrap();
        assert_eq!(expanded.lines().nth(length + 1), Some(act));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, line, what) in [
            ("a\n#else\n", 2, "#else without #if"),
            ("#endif\n", 1, "#endif without #if"),
            ("#if A\n\n", 2, "#if without #endif"),
            ("#import lib/none\n", 1, "there is no lib/none to import"),
            ("#for i in 0..MANY\n#end\n", 1, "a #for reads `#for i in 0..8`"),
            ("\n#for i in 0..2\n", 2, "#for without #end"),
            ("#for i in 0..2\na\n#else\n#end\n", 3, "#else without #if"),
            ("#end\n", 1, "#end without #for"),
        ] {
            assert_eq!(lines(text, &[]), Err(error("a file", line, what)), "{text}");
        }
    }
}
