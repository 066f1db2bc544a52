//! The words that DynamoDB keeps for itself: a bare attribute name may not be one of them, in any case.

/// One word per line, upper case, in byte order.
const TEXT: &str = include_str!("reserved_words.txt");

const COUNT: usize = 573;

/// Longest reserved word. A longer name needs no search, and a shorter one is upper-cased on the stack.
const LENGTH_MAX: usize = 14;

static WORDS: [&str; COUNT] = split_lines();

/// Whether `name` is reserved.
pub fn is_reserved(name: &str) -> bool {
    let mut upper = [0u8; LENGTH_MAX];
    let Some(upper) = upper.get_mut(..name.len()) else { return false };
    upper.copy_from_slice(name.as_bytes());
    upper.make_ascii_uppercase();
    WORDS.binary_search_by(|word| word.as_bytes().cmp(upper)).is_ok()
}

/// Runs at compile time: a word too many or too few in the file does not compile.
const fn split_lines() -> [&'static str; COUNT] {
    let mut words = [""; COUNT];
    let (mut rest, mut count) = (TEXT, 0);
    while !rest.is_empty() {
        let mut length = 0;
        while rest.as_bytes()[length] != b'\n' {
            length += 1;
        }
        let (word, line_end) = rest.split_at(length);
        assert!(length <= LENGTH_MAX, "a reserved word is longer than LENGTH_MAX");
        words[count] = word;
        count += 1;
        rest = line_end.split_at(1).1;
    }
    assert!(count == COUNT, "reserved_words.txt does not hold COUNT words");
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_upper_case() {
        assert!(WORDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(WORDS.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')));
        assert_eq!(WORDS.iter().map(|word| word.len()).max(), Some(LENGTH_MAX));
    }

    #[test]
    fn lookups_ignore_case() {
        for word in WORDS {
            assert!(is_reserved(word) && is_reserved(&word.to_lowercase()), "{word}");
        }
        for word in ["name", "Status", "sIzE", "no", "state", "total", "abort", "zone", "true"] {
            assert!(is_reserved(word), "{word}");
        }
        for name in ["", "pk", "aborted", "abor", "zones", "a_name", "current_timestamps", "ſize"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
