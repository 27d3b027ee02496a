// SPDX-License-Identifier: GPL-2.0

//! What can bring the kernel down on a bad image, or change a number without a word:
//! panics, indexing that is not proven, casts by `as`.

use super::lexer::{Source, Token};

/// What is looked for in a file.
#[derive(Clone, Copy)]
pub(super) struct Ban {
    /// `unwrap`, `expect`, `panic!` and their like.
    pub(super) panics: bool,
    /// Numeric and pointer casts by `as`, without `// CAST:`.
    pub(super) casts: bool,
    /// Indexing by what is not a constant, without `// BOUNDS:`.
    pub(super) indexing: bool,
}

/// Everything banned in a file: its line and what is wrong. Tests are let off.
pub(super) fn check(source: &Source, ban: Ban) -> Vec<(usize, String)> {
    let tokens = &source.tokens;
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| !token.test) {
        let reason = |word| source.comment_above(token.line).contains(word);
        if ban.panics
            && let Some(what) = panics(tokens, at)
        {
            found.push((token.line, format!("{what} panics")));
        }
        if ban.casts && is_cast(tokens, at) && !reason("CAST:") {
            found.push((
                token.line,
                "`as` without `// CAST:`: use `From` or `TryFrom`".to_owned(),
            ));
        }
        if ban.indexing && is_steered_index(tokens, at) && !reason("BOUNDS:") {
            found.push((
                token.line,
                "indexing without `// BOUNDS:`: use `get`".to_owned(),
            ));
        }
    }
    found
}

fn text(tokens: &[Token], at: Option<usize>) -> &str {
    at.and_then(|at| tokens.get(at))
        .map_or("", |token| &token.text)
}

fn panics(tokens: &[Token], at: usize) -> Option<String> {
    let (before, next) = (text(tokens, at.checked_sub(1)), text(tokens, Some(at + 1)));
    let name = tokens[at].text.as_str();
    match name {
        "unwrap" | "expect" if before == "." => Some(format!("`.{name}()`")),
        "panic" | "unreachable" | "todo" | "unimplemented" if next == "!" => {
            Some(format!("`{name}!`"))
        }
        _ => None,
    }
}

/// `as` before a type that begins in lower case or with `*`, `_` or `&`. Traits in
/// `<T as Trait>` and renamed imports, which are mostly traits as well, begin in upper case;
/// those in lower case follow `use`.
fn is_cast(tokens: &[Token], at: usize) -> bool {
    if tokens[at].text != "as" {
        return false;
    }
    let statement = tokens[..at]
        .iter()
        .rposition(|token| matches!(token.text.as_str(), ";" | "}"))
        .map_or(0, |before| before + 1);
    let imported = tokens[statement..at]
        .iter()
        .any(|token| token.text == "use");
    let to = text(tokens, Some(at + 1));
    !imported && (to == "*" || to == "&" || to.starts_with(|c: char| c == '_' || c.is_lowercase()))
}

/// `x[…]`, where the brackets hold more than numbers, constants and dots.
fn is_steered_index(tokens: &[Token], at: usize) -> bool {
    if tokens[at].text != "[" {
        return false;
    }
    let before = text(tokens, at.checked_sub(1));
    let keyword = matches!(
        before,
        "let" | "ref" | "mut" | "in" | "for" | "return" | "const" | "dyn" | "as" | "else" | "match"
    );
    let indexed = before == ")"
        || before == "]"
        || (!keyword && before.starts_with(|c: char| c == '_' || c.is_alphabetic()));
    if !indexed {
        return false;
    }
    let mut depth = 0_usize;
    for token in &tokens[at..] {
        match token.text.as_str() {
            "[" => depth += 1,
            "]" => {
                depth -= 1;
                if depth == 0 {
                    return false;
                }
            }
            word if word.starts_with(|c: char| c == '_' || c.is_lowercase()) => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(code: &str) -> usize {
        let all = Ban {
            panics: true,
            casts: true,
            indexing: true,
        };
        check(&Source::new(code), all).len()
    }

    #[test]
    fn what_panics_is_named() {
        assert_eq!(complaints("fn f() { g().unwrap(); }"), 1);
        assert_eq!(complaints("fn f() { g().expect(\"x\"); panic!(); }"), 2);
        assert_eq!(complaints("fn f() { unreachable!(\"no\") }"), 1);
        assert_eq!(complaints("fn f() { g().unwrap_or(0); expect(3); }"), 0);
        assert_eq!(complaints("// never .unwrap() here\n"), 0);
    }

    #[test]
    fn casts_are_named_and_traits_are_not() {
        assert_eq!(complaints("fn f() { g(x as u32); h(y as *const u8); }"), 2);
        assert_eq!(
            complaints("fn f() {\n    // CAST: 64 bits.\n    g(x as u64);\n}"),
            0
        );
        assert_eq!(complaints("use a::b as c;\nuse a::{b as d, e};\n"), 0);
        assert_eq!(complaints("fn f() { <T as Trait>::f(); }"), 0);
    }

    #[test]
    fn an_index_from_outside_needs_its_proof() {
        assert_eq!(complaints("fn f() { a[i]; }"), 1);
        assert_eq!(complaints("fn f() { a[..len]; }"), 1);
        assert_eq!(complaints("impl Trait for [u8] {}"), 0);
        assert_eq!(complaints("fn f() { a[0]; a[..4]; a[SIZE..]; }"), 0);
        assert_eq!(
            complaints("fn f() {\n    // BOUNDS: `i` is below 8.\n    a[i];\n}"),
            0
        );
        assert_eq!(
            complaints("fn f(a: &mut [u8], b: [u8; n]) { let [x, y] = b; vec![x]; }"),
            0
        );
    }

    #[test]
    fn tests_are_let_off() {
        assert_eq!(
            complaints("#[cfg(test)]\nmod tests { fn f() { g().unwrap(); } }"),
            0
        );
    }
}
