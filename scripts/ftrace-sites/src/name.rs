//! Names as people read them.

/// The demangled form of a Rust symbol, without its hash; other names as they are.
pub fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// A text with the Rust symbols in it demangled: words that begin with `_R` or `_ZN`.
pub fn demangled_text(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    let mut rest = text;
    let mut done = String::with_capacity(text.len());
    while let Some(start) = rest.find(is_word) {
        let (before, word) = rest.split_at(start);
        let (word, after) = word.split_at(word.find(|c| !is_word(c)).unwrap_or(word.len()));
        done.push_str(before);
        match word.starts_with("_R") || word.starts_with("_ZN") {
            true => done.push_str(&demangled(word)),
            false => done.push_str(word),
        }
        rest = after;
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_in_a_text_are_demangled() {
        let text = "  1) | _RNvCsfkjwozuQnDk_4demo9level_one [demo]() {\n";
        assert_eq!(demangled_text(text), "  1) | demo::level_one [demo]() {\n");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let text = "submit_bio <-_Read x_R _Rust\u{e9}";
        assert_eq!(demangled_text(text), text);
    }
}
