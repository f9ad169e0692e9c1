//! WGSL as short as it gets, for the page's module: `build.rs` does it, the tests here look at all shaders.

/// Without the spaces and line ends that separate nothing; directives keep their lines.
pub fn squeeze(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut directive = true;
    for &line in lines {
        if line.starts_with('#') || directive {
            if !out.is_empty() {
                out.push('\n');
            }
            directive = line.starts_with('#');
            if directive {
                out.push_str(line);
                continue;
            }
        }
        for word in line.split_whitespace() {
            if out.chars().last().zip(word.chars().next()).is_some_and(needs_space) {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    out
}

/// Whether two characters would be read as one token: both of a name or number, or both of an operator.
fn needs_space((a, b): (char, char)) -> bool {
    let word = |c: char| c.is_alphanumeric() || "_$.".contains(c);
    let operator = |c: char| "+-*/%&|^<>=!".contains(c);
    word(a) && word(b) || operator(a) && operator(b)
}

#[cfg(test)]
mod tests {
    use super::squeeze;
    use crate::kernels::sources;

    const OPERATORS: [&str; 21] = [
        "<<=", ">>=", "->", "&&", "||", "==", "!=", "<=", ">=", "<<", ">>", "+=", "-=", "*=", "/=",
        "%=", "&=", "|=", "^=", "++", "--",
    ];

    /// Names and numbers, operators as a compiler reads them, and whole directives.
    fn tokens(text: &str) -> Vec<&str> {
        let mut tokens = Vec::new();
        for line in text.lines() {
            let mut rest = line.trim();
            while !rest.is_empty() {
                let word = |c: char| !(c.is_alphanumeric() || "_$.".contains(c));
                let length = match rest.find(word).unwrap_or(rest.len()) {
                    _ if rest.starts_with('#') => rest.len(),
                    0 => OPERATORS.iter().find(|o| rest.starts_with(**o)).map_or(1, |o| o.len()),
                    length => length,
                };
                tokens.push(&rest[..length]);
                rest = rest[length..].trim_start();
            }
        }
        tokens
    }

    #[test]
    fn squeezed_shaders_are_the_same_tokens() {
        let (mut before, mut after) = (0, 0);
        for name in sources::names() {
            let text = sources::find(name).unwrap();
            let squeezed = squeeze(&text.lines().collect::<Vec<_>>());
            assert_eq!(tokens(&squeezed), tokens(text), "{name}");
            (before, after) = (before + text.len(), after + squeezed.len());
        }
        assert!(after * 10 < before * 9, "{before} bytes to {after}");
    }

    #[test]
    fn spaces_that_separate_stay() {
        let lines = ["let a = b - -c;", "#if X", "x = &y & &z;", "#endif", "return", "a;"];
        let squeezed = squeeze(&lines);
        assert_eq!(squeezed, "let a=b- -c;\n#if X\nx= &y& &z;\n#endif\nreturn a;");
    }
}
