//! Source files and the paths in them, read without a parser: comments, texts and test code are blanked, then
//! what is joined by `::` is a path.

use std::collections::BTreeSet;
use std::path::Path;

/// One file under `src/`.
pub struct File {
    /// Relative to `src/`.
    pub path: String,
    /// As it stands.
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// It is the module `top`, or within it.
    pub fn is_in(&self, top: &str) -> bool {
        self.module().first().is_some_and(|first| first == top)
    }

    /// The module it makes: `store/sqlite/mod.rs` makes `store::sqlite`. `main.rs` counts as a module of its own. What
    /// `store/sql` holds is compiled within each back end, as `store::sqlite::sql` and `store::postgres::sql`: here its
    /// back end has no name.
    fn module(&self) -> Vec<String> {
        let path = self.path.replacen("store/sql/", "store/_/sql/", 1);
        let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let parts = path.split('/').filter(|part| *part != "lib");
        parts.map(str::to_owned).collect()
    }

    /// Every path that its code names, from `crate` on or from another crate's name on.
    pub fn paths(&self) -> BTreeSet<String> {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") {
            return BTreeSet::new();
        }
        let code = without_test_items(&code_of(&self.text));
        let paths = Tokens::new(&code).paths();
        paths.into_iter().map(|path| self.absolute(path)).collect()
    }

    fn absolute(&self, path: Vec<String>) -> String {
        let mut module = self.module();
        let mut rest = path.as_slice();
        match rest.first().map(String::as_str) {
            Some("tesa_reconciler") => module.clear(),
            Some("self" | "super") => {}
            _ => return path.join("::"),
        }
        while let [first, tail @ ..] = rest {
            match first.as_str() {
                "super" => drop(module.pop()),
                "self" | "tesa_reconciler" => {}
                _ => break,
            }
            rest = tail;
        }
        let crate_root = ["crate".to_owned()];
        [&crate_root, module.as_slice(), rest].concat().join("::")
    }
}

/// All files under `src/`.
pub fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 20, "src/ was not read");
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.push(File::new(relative, &text));
        }
    }
}

/// The code with comments, texts and characters blanked.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| literal(rest, code.chars().last()));
        match skipped {
            Some(length) => {
                code.push(' ');
                rest = &rest[length..];
            }
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

/// The length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(text.len())
}

/// The length of the text or character literal that `text` begins with; `before` is the character before it.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !in_word && let Some(raw) = text.strip_prefix('r').or_else(|| text.strip_prefix("br")) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let begin = text.len() - raw.len() + hashes + 1;
            return text[begin..]
                .find(&close)
                .map(|end| begin + end + close.len());
        }
    }
    if text.starts_with('"') {
        return closing(text, '"');
    }
    // 'a' and '\n' are characters; 'a without a second quote is a lifetime.
    let mut chars = text.chars();
    match (chars.next()?, chars.next()?, chars.next()) {
        ('\'', '\\', _) => closing(text, '\''),
        ('\'', c, Some('\'')) => Some(2 + c.len_utf8()),
        _ => None,
    }
}

/// Where the literal that begins with a quote ends, escapes heeded.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The code without the items marked `#[cfg(test)]`.
fn without_test_items(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        rest = &item[item_length(item)..];
    }
    kept.push_str(rest);
    kept
}

/// An item ends at its first semicolon outside of braces, or at the brace that closes its first one.
fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Code as words and signs.
struct Tokens<'a>(Vec<&'a str>);

impl<'a> Tokens<'a> {
    fn new(code: &'a str) -> Self {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut tokens = Vec::new();
        let mut rest = code.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if word(first) {
                rest.find(|c| !word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(&rest[..length]);
            rest = rest[length..].trim_start();
        }
        Self(tokens)
    }

    /// All paths; a group in braces gives one for each of its members.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        let mut at = 0;
        while at < self.0.len() {
            let begins = is_word(self.0[at]) && (at == 0 || self.0[at - 1] != ".");
            at = if begins {
                self.path(at, &[], &mut paths)
            } else {
                at + 1
            };
        }
        paths
    }

    /// Reads the path at `at`, below `parent`; answers where it ends.
    fn path(&self, mut at: usize, parent: &[String], paths: &mut Vec<Vec<String>>) -> usize {
        let begin = at;
        let mut path = parent.to_vec();
        loop {
            match self.get(at) {
                Some("{") if !path.is_empty() => return self.group(at + 1, &path, paths),
                Some("*") if !path.is_empty() => path.push("*".to_owned()),
                // `use a::{self}` names `a`.
                Some("self") if !parent.is_empty() => {}
                Some(word) if is_word(word) => path.push(word.to_owned()),
                _ => break,
            }
            at += 1;
            if self.get(at) != Some("::") {
                break;
            }
            at += 1;
        }
        // Elsewhere than behind `use`, a lone word is a variable, a keyword or a type.
        let imported = begin > 0 && self.0[begin - 1] == "use";
        if path.len() > 1 || imported {
            paths.push(path);
        }
        at
    }

    /// Reads the members of a group up to its closing brace.
    fn group(&self, mut at: usize, parent: &[String], paths: &mut Vec<Vec<String>>) -> usize {
        loop {
            match self.get(at) {
                None => return at,
                Some("}") => return at + 1,
                Some(",") => at += 1,
                // `as name`: the alias is no path.
                Some("as") => at += 2,
                Some(_) => at = self.path(at, parent, paths).max(at + 1),
            }
        }
    }

    fn get(&self, at: usize) -> Option<&'a str> {
        self.0.get(at).copied()
    }
}

fn is_word(token: &str) -> bool {
    let first = token.chars().next();
    first.is_some_and(|c| c.is_alphabetic() || c == '_')
}
