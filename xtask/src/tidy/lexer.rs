// SPDX-License-Identifier: GPL-2.0

//! Just enough of Rust's lexical structure to tell code from comments and from strings.

/// A word, a number, a punctuation mark (`::` and `=>` are one), or `"` for any literal in
/// quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The text; literals in quotes are all `"`.
    pub(super) text: String,
    /// The line, counted from zero.
    pub(super) line: usize,
    /// Whether it belongs to an item that is compiled for tests only.
    pub(super) test: bool,
}

/// A file, taken apart.
#[derive(Debug)]
pub(super) struct Source {
    /// The code.
    pub(super) tokens: Vec<Token>,
    /// What of each line is comment, without the slashes; `None` if there is none.
    pub(super) comments: Vec<Option<String>>,
    /// The number of tokens in each line.
    pub(super) code: Vec<usize>,
}

impl Source {
    /// Takes `text` apart.
    pub(super) fn new(text: &str) -> Self {
        let lines = text.lines().count().max(1);
        let mut lexer = Lexer {
            chars: text.chars().collect(),
            at: 0,
            line: 0,
            tokens: Vec::new(),
            comments: vec![None; lines],
        };
        lexer.run();
        let mut code = vec![0; lines];
        for token in &lexer.tokens {
            code[token.line] += 1;
        }
        let mut source = Self {
            tokens: lexer.tokens,
            comments: lexer.comments,
            code,
        };
        source.mark_tests();
        source
    }

    /// Marks the items under `#[cfg(test)]`.
    fn mark_tests(&mut self) {
        const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
        let mut at = 0;
        while at + ATTRIBUTE.len() <= self.tokens.len() {
            let here = self.tokens[at..].iter().map(|token| token.text.as_str());
            if !here.take(ATTRIBUTE.len()).eq(ATTRIBUTE) {
                at += 1;
                continue;
            }
            let end = self.end_of_item(at + ATTRIBUTE.len());
            for token in &mut self.tokens[at..end] {
                token.test = true;
            }
            at = end;
        }
    }

    /// The index behind the item that begins at `at`: behind its `;` or its block.
    fn end_of_item(&self, mut at: usize) -> usize {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(at) {
            at += 1;
            match token.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" => depth = depth.saturating_sub(1),
                "}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break;
                    }
                }
                ";" if depth == 0 => break,
                _ => {}
            }
        }
        at
    }

    /// The comment that stands in the lines right above `line`, and in the rest of that
    /// line. Attributes in between are passed over.
    pub(super) fn comment_above(&self, line: usize) -> String {
        let mut first = line;
        while first > 0 {
            let above = first - 1;
            let is_attribute = self
                .tokens
                .iter()
                .find(|token| token.line == above)
                .is_some_and(|token| token.text == "#");
            let is_comment = self.code[above] == 0 && self.comments[above].is_some();
            if !is_comment && !is_attribute {
                break;
            }
            first = above;
        }
        self.comments[first..=line]
            .iter()
            .flatten()
            .map(|comment| format!("{comment}\n"))
            .collect()
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
    comments: Vec<Option<String>>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn advance(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        c
    }

    fn push(&mut self, text: impl Into<String>, line: usize) {
        self.tokens.push(Token {
            text: text.into(),
            line,
            test: false,
        });
    }

    fn run(&mut self) {
        while self.at < self.chars.len() {
            let (c, next) = (self.peek(0), self.peek(1));
            let line = self.line;
            match c {
                _ if c.is_whitespace() => {
                    self.advance();
                }
                '/' if next == '/' => self.line_comment(),
                '/' if next == '*' => self.block_comment(),
                '"' => self.quoted('"', line),
                '\'' => self.quote_or_lifetime(line),
                'r' | 'b' | 'c' if self.raw_string(line) => {}
                'b' | 'c' if next == '"' => {
                    self.advance();
                    self.quoted('"', line);
                }
                'b' if next == '\'' => {
                    self.advance();
                    self.quoted('\'', line);
                }
                _ if is_word(c) => {
                    let mut word = String::new();
                    while is_word(self.peek(0)) {
                        word.push(self.advance());
                    }
                    self.push(word, line);
                }
                _ => {
                    self.advance();
                    let pair = matches!((c, next), (':', ':') | ('=', '>') | ('-', '>'));
                    if pair {
                        self.advance();
                        self.push(format!("{c}{next}"), line);
                    } else {
                        self.push(c, line);
                    }
                }
            }
        }
    }

    fn note(&mut self, line: usize, text: &str) {
        if let Some(comment) = self.comments.get_mut(line) {
            comment.get_or_insert_default().push_str(text);
        }
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            text.push(self.advance());
        }
        self.note(line, text.trim_start_matches(['/', '!']));
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            let (line, pair) = (self.line, (self.peek(0), self.peek(1)));
            let c = self.advance();
            match pair {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                ('\n', _) => continue,
                _ => {
                    self.note(line, c.encode_utf8(&mut [0; 4]));
                    continue;
                }
            }
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }

    /// A literal with escapes; the opening quote comes next.
    fn quoted(&mut self, quote: char, line: usize) {
        self.advance();
        while self.at < self.chars.len() {
            match self.advance() {
                '\\' => {
                    self.advance();
                }
                c if c == quote => break,
                _ => {}
            }
        }
        self.push('"', line);
    }

    fn quote_or_lifetime(&mut self, line: usize) {
        if self.peek(1) == '\\' || self.peek(2) == '\'' {
            return self.quoted('\'', line);
        }
        self.advance();
        while is_word(self.peek(0)) {
            self.advance();
        }
        self.push("'", line);
    }

    /// A literal such as `r#"…"#`, `br"…"`. Returns whether there was one.
    fn raw_string(&mut self, line: usize) -> bool {
        let prefix = match (self.peek(0), self.peek(1)) {
            ('r', _) => 1,
            (_, 'r') => 2,
            _ => return false,
        };
        let hashes = (prefix..)
            .take_while(|&ahead| self.peek(ahead) == '#')
            .count();
        if self.peek(prefix + hashes) != '"' {
            return false;
        }
        for _ in 0..=prefix + hashes {
            self.advance();
        }
        while self.at < self.chars.len() {
            if self.advance() == '"' && (0..hashes).all(|ahead| self.peek(ahead) == '#') {
                for _ in 0..hashes {
                    self.advance();
                }
                break;
            }
        }
        self.push('"', line);
        true
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Source::new(text)
            .tokens
            .into_iter()
            .map(|token| token.text)
            .collect()
    }

    #[test]
    fn strings_and_comments_are_not_code() {
        assert_eq!(
            words("let a = \"unsafe { \\\" }\"; // unsafe"),
            ["let", "a", "=", "\"", ";"]
        );
        assert_eq!(words("r#\"a \" unsafe\"# b"), ["\"", "b"]);
        assert_eq!(words("/* a /* b */ unsafe */ c"), ["c"]);
        assert_eq!(words("c\"x\" b'\\'' 'a' '\\n'"), ["\"", "\"", "\"", "\""]);
    }

    #[test]
    fn a_lifetime_is_not_the_beginning_of_a_literal() {
        assert_eq!(words("&'a str"), ["&", "'", "str"]);
    }

    #[test]
    fn comments_are_found_above_attributes_too() {
        let source = Source::new("// One.\n#[inline]\n// Two.\nfn f() {} // Three.\n");
        assert_eq!(source.comment_above(3), " One.\n Two.\n Three.\n");
    }

    #[test]
    fn only_items_for_tests_are_marked() {
        let source = Source::new("fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n");
        let test = |name| {
            source
                .tokens
                .iter()
                .find(|token| token.text == name)
                .unwrap()
                .test
        };
        assert!(!test("a"));
        assert!(test("b"));
        assert!(!test("c"));
    }
}
