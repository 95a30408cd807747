//! "Did you mean …?": the nearest of a few known words.

/// The candidate that is most like `word`, if one is like it at all. Case and the choice of `-` or `_` don't count:
/// both are the most frequent slips.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    // A third of the letters may be wrong: more, and the suggestion is a guess that misleads.
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest word, or else all of them where they are few.
pub(crate) fn hint(word: &str, candidates: &[&str]) -> Option<String> {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if candidates.len() <= 20 => Some(format!("one of: {}", candidates.join(", "))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_find_their_word_and_strangers_find_none() {
        let known = ["reads_per_second", "writes_per_second", "mode", "AV"];
        for (word, expected) in [
            ("reads_per_secnd", Some("reads_per_second")),
            ("Reads-Per-Second", Some("reads_per_second")),
            ("moed", Some("mode")),
            ("av", Some("AV")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
