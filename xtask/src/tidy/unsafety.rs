// SPDX-License-Identifier: GPL-2.0

//! Reasons beside `unsafe`: `// SAFETY:` before each block and implementation, `# Safety` in
//! the documentation of each function.

use super::lexer::{Source, Token};

/// Every `unsafe` that lacks its reason: its line and what is wrong.
pub(super) fn check(source: &Source, forbidden: bool) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut blocks = Vec::new();
    let mut next_is_trait_impl = false;
    for (at, token) in source.tokens.iter().enumerate() {
        match token.text.as_str() {
            "impl" => next_is_trait_impl |= is_trait_impl(&source.tokens[at..]),
            "{" => blocks.push(std::mem::take(&mut next_is_trait_impl)),
            "}" => {
                blocks.pop();
            }
            "unsafe" if forbidden => {
                found.push((token.line, "`unsafe` is forbidden in this room".to_owned()));
            }
            "unsafe" => {
                let in_trait_impl = blocks.last() == Some(&true);
                if let Some(what) = missing_reason(source, at, in_trait_impl) {
                    found.push((token.line, what.to_owned()));
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether `impl … for … {` begins here.
fn is_trait_impl(tokens: &[Token]) -> bool {
    tokens
        .iter()
        .take_while(|token| !matches!(token.text.as_str(), "{" | ";"))
        .zip(tokens.iter().skip(1))
        // `for<'a>` is something else.
        .any(|(token, next)| token.text == "for" && next.text != "<")
}

/// What the `unsafe` at index `at` lacks.
fn missing_reason(source: &Source, at: usize, in_trait_impl: bool) -> Option<&'static str> {
    let text = |ahead: usize| {
        source
            .tokens
            .get(at + ahead)
            .map_or("", |token| &token.text)
    };
    match text(1) {
        "{" => (!has_safety_comment(source, at)).then_some("`unsafe` block without `// SAFETY:`"),
        "impl" => (!has_safety_comment(source, at)).then_some("`unsafe impl` without `// SAFETY:`"),
        "fn" | "extern" | "trait" => {
            // A type such as `unsafe extern "C" fn(…)`, or a block of declarations.
            let is_function = match (text(1), text(2), text(3)) {
                ("fn", name, _) => name != "(",
                ("extern", _, "fn") => text(4) != "(",
                ("trait", ..) => true,
                _ => false,
            };
            // The trait says what must hold; its implementation need not repeat it.
            let documented = in_trait_impl
                || source
                    .comment_above(statement_line(source, at))
                    .contains("# Safety");
            (is_function && !documented).then_some("`unsafe fn` without a section `# Safety`")
        }
        _ => None,
    }
}

/// Whether `SAFETY:` stands above the statement, or between its beginning and the block.
fn has_safety_comment(source: &Source, at: usize) -> bool {
    let first = statement_line(source, at);
    let last = source.tokens[at].line;
    let mut inside = source.comments[first..=last].iter().flatten();
    inside.any(|comment| comment.contains("SAFETY:"))
        || source.comment_above(first).contains("SAFETY:")
        || source.comment_above(last).contains("SAFETY:")
}

/// The line in which the statement around the token at `at` begins.
fn statement_line(source: &Source, at: usize) -> usize {
    let begin = source.tokens[..at]
        .iter()
        .rposition(|token| matches!(token.text.as_str(), ";" | "{" | "}" | "," | "=>"))
        .map_or(0, |before| before + 1);
    source.tokens[begin].line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> usize {
        check(&Source::new(text), false).len()
    }

    #[test]
    fn a_block_needs_its_reason() {
        assert_eq!(complaints("fn f() {\n    unsafe { g() };\n}\n"), 1);
        assert_eq!(
            complaints("fn f() {\n    // SAFETY: Held.\n    unsafe { g() };\n}\n"),
            0
        );
        assert_eq!(
            complaints("fn f() {\n    // SAFETY: Held.\n    let x =\n        unsafe { g() };\n}\n"),
            0
        );
        assert_eq!(
            complaints("fn f() {\n    // SAFETY: Held.\n    g();\n    unsafe { g() };\n}\n"),
            1
        );
        assert_eq!(
            complaints("fn f() {\n    // Quite safe.\n    unsafe { g() };\n}\n"),
            1
        );
    }

    #[test]
    fn a_function_needs_its_section() {
        assert_eq!(complaints("/// Does.\npub unsafe fn f() {}\n"), 1);
        assert_eq!(complaints("unsafe extern \"C\" fn f() {}\n"), 1);
        assert_eq!(
            complaints("/// Does.\n///\n/// # Safety\n///\n/// Call once.\nunsafe fn f() {}\n"),
            0
        );
        assert_eq!(complaints("type F = unsafe extern \"C\" fn(u8);\n"), 0);
    }

    #[test]
    fn an_implementation_needs_a_reason_but_its_methods_do_not() {
        assert_eq!(complaints("unsafe impl Send for X {}\n"), 1);
        assert_eq!(
            complaints("// SAFETY: Plain data.\nunsafe impl Send for X {}\n"),
            0
        );
        let text = "// SAFETY: Counts.\nunsafe impl A for X {\n    unsafe fn f() {}\n}\n";
        assert_eq!(complaints(text), 0);
        assert_eq!(complaints("impl X {\n    unsafe fn f() {}\n}\n"), 1);
    }

    #[test]
    fn where_it_is_forbidden_no_reason_helps() {
        let source = Source::new("// SAFETY: No.\nfn f() { unsafe { g() } }\n");
        assert_eq!(check(&source, true).len(), 1);
    }
}
