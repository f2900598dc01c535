//! What holds of any filter.

use proptest::prelude::*;

use super::super::Filter;
use super::case::{gap, holds, output, rename, write};
use crate::model::{Seq, Timestamp};

/// Text of single terms, each valid.
fn term() -> impl Strategy<Value = String> {
    let bytes = prop::collection::vec(any::<u8>(), 1..6);
    let quoted = bytes.prop_map(|bytes| {
        let hex: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{hex}\"")
    });
    let key = prop::sample::select(vec!["", "comm:", "exe!=", "ancestor=", "content:", "path:"]);
    let text = prop_oneof![
        quoted,
        "[a-z0-9]{1,4}x",
        "\"[ -!#-\\[\\]-~é\u{202e}]{1,8}x\"",
        "/[a-z]( ?|\\.|\\\\/)[0-9]/",
    ];
    let number = (
        prop::sample::select(vec!["pid", "uid", "size", "len", "offset", "seq"]),
        prop::sample::select(vec![":", "=", "!=", ">", ">=", "<", "<="]),
        1_u64..u64::MAX,
        0..64_u32,
    );
    prop_oneof![
        (key, text).prop_map(|(key, text)| format!("{key}{text}")),
        number.prop_map(|(key, sign, n, shift)| format!("{key}{sign}{}", u64::max(n >> shift, 1))),
        (0..1_000_000_u64, 0..1_000_000_u64).prop_map(|(a, b)| format!("t:{a}us..{}ms", a + b)),
        "size:[0-9]{1,9}(KiB|MB)\\.\\.",
        "(path|comm|exe):\\*[a-z]{1,3}(\\?|\\{a,b\\}|\\[a-c\\])",
        "(op:(write|read,exit|gap)|prov:missing|reason:torn,mmap|stream!=stdout)",
    ]
}

/// Text of whole filters, nearly always valid.
fn filter() -> impl Strategy<Value = String> {
    term().prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} or {b}")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

proptest! {
    #[test]
    fn the_normal_form_parses_to_an_equal_filter(text in filter()) {
        if let Ok(filter) = Filter::parse(&text) {
            let normal = filter.to_string();
            let again = Filter::parse(&normal);
            prop_assert_eq!(again.as_ref(), Ok(&filter), "{}", normal);
            for case in [write(), rename(), output(), gap()] {
                prop_assert_eq!(filter.matches(&case), again.as_ref().unwrap().matches(&case));
            }
            prop_assert_eq!(again.unwrap().to_string(), normal);
        }
    }

    /// Guards the property above: its generator must not run dry.
    #[test]
    fn most_generated_terms_are_valid(texts in prop::collection::vec(term(), 40)) {
        let valid = texts.iter().filter(|text| Filter::parse(text).is_ok()).count();
        prop_assert!(valid >= 20, "{valid} of 40");
    }

    #[test]
    fn connectives_follow_their_parts(a in term(), b in term()) {
        if let (Ok(one), Ok(other)) = (Filter::parse(&a), Filter::parse(&b)) {
            for case in [write(), rename(), output(), gap()] {
                let (x, y) = (one.matches(&case).unwrap(), other.matches(&case).unwrap());
                prop_assert_eq!(holds(&format!("{a} {b}"), &case), x && y);
                prop_assert_eq!(holds(&format!("{a} or {b}"), &case), x || y);
                prop_assert_eq!(holds(&format!("not ({a} or {b})"), &case), !(x || y));
            }
        }
    }

    #[test]
    fn what_matches_lies_within_the_bounds(text in filter(), ns in 0..2_000_000_000_u64, seq: u64, shift in 0..64) {
        if let Ok(filter) = Filter::parse(&text) {
            let mut case = write();
            case.event.time = Timestamp(ns);
            case.event.seq = Seq(seq >> shift);
            if filter.matches(&case).unwrap() {
                if let Some((first, last)) = filter.time_bounds() {
                    prop_assert!((first..=last).contains(&case.event.time));
                }
                if let Some((first, last)) = filter.seq_bounds() {
                    prop_assert!((first..=last).contains(&case.event.seq));
                }
            }
        }
    }

    #[test]
    fn any_text_is_answered_on_one_line(text: String, near in "[-a-z:=<>!\"/\\\\(){}\\[\\]*?#0-9 \u{1b}\né]{0,40}") {
        for text in [text, near] {
            match Filter::parse(&text) {
                Ok(filter) => prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter)),
                Err(error) => {
                    prop_assert!(!error.to_string().chars().any(char::is_control), "{}", error);
                    prop_assert!(error.at <= text.len());
                }
            }
        }
    }
}
