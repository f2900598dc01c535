//! What masking promises: no secret shows, however the text that holds it is cut.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::matcher::Found;
use super::{Carry, Masked, Matcher, Redactor};
use crate::scope::Scope;

const WORD: &str = "correct horse battery/staple";

/// Secrets, and how much of each may show: what says what it is, and the next three.
fn secrets() -> Vec<(&'static str, usize)> {
    vec![
        ("AKIAIOSFODNN7EXAMPLE", 7),
        ("ASIAIOSFODNN7EXAMPLE", 7),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", 7),
        ("github_pat_11AAAAAAA0aBcDeFgHiJkL_mnopqrstuv", 14),
        ("glpat-x8Hs-9dKqLw3nZpT7vBy", 9),
        ("npm_aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789", 7),
        (
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
            6,
        ),
        ("SK0123456789abcdef0123456789abcdef", 5),
        (
            "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",
            6,
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7bq\nZ0FqKpT1n9sQ=\n-----END RSA PRIVATE KEY-----",
            31,
        ),
        (WORD, 3),
    ]
}

fn redactor() -> Redactor {
    Redactor::new(&[WORD.as_bytes().to_vec()], &["secrets/*.yml".into()]).unwrap()
}

fn found(matcher: &Matcher, text: &str) -> Vec<String> {
    let Found { ranges, .. } = matcher.find(text.as_bytes());
    ranges
        .into_iter()
        .map(|range| text[range].to_owned())
        .collect()
}

/// A text of secrets among other things, and where the secrets are.
fn text() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, &'static str, usize)>)> {
    let part = (prop::sample::select(secrets()), "[ :\"\n][a-z ]{0,12}\n?");
    prop::collection::vec(part, 1..6).prop_map(|parts| {
        let (mut text, mut at) = (b"begin ".to_vec(), Vec::new());
        for ((secret, shows), between) in parts {
            at.push((text.len(), secret, shows));
            text.extend_from_slice(secret.as_bytes());
            text.extend_from_slice(between.as_bytes());
        }
        (text, at)
    })
}

proptest! {
    #[test]
    fn no_cut_shows_a_secret((text, at) in text(), cuts in prop::collection::vec(1_usize..40, 1..200)) {
        let redactor = redactor();
        let (mut carry, mut shown, mut rest) = (Carry::default(), Vec::new(), text.as_slice());
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (piece, next) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            let mut piece = piece.to_vec();
            for (range, mask) in carry.feed(&redactor, &piece.clone()) {
                piece[range].copy_from_slice(&mask);
            }
            shown.extend(piece);
            rest = next;
        }
        prop_assert_eq!(shown.len(), text.len());
        for (start, secret, shows) in at {
            let from = start + shows;
            let clear = (from..start + secret.len()).filter(|at| shown[*at] == text[*at]);
            // A digit of a mask may happen to be the one that stood there.
            let clear: Vec<usize> = clear.filter(|at| !b"*0123456789abcdef".contains(&text[*at])).collect();
            prop_assert!(clear.is_empty(), "{secret}: {:?}", String::from_utf8_lossy(&shown));
        }
    }

    #[test]
    fn what_is_masked_stays_masked_and_holds_no_secret((text, _) in text()) {
        let redactor = redactor();
        let mut masked = text.clone();
        prop_assert!(redactor.mask(&mut masked));
        prop_assert_eq!(masked.len(), text.len());
        prop_assert!(!redactor.matcher.is_in(&masked));
        let once = masked.clone();
        redactor.mask(&mut masked);
        prop_assert_eq!(once, masked);
    }

    #[test]
    fn what_is_none_is_left_alone(mut text in "[a-z0-9 .,:=()\n]{0,400}") {
        text.push('\n');
        let mut masked = text.clone().into_bytes();
        redactor().mask(&mut masked);
        prop_assert_eq!(masked, text.into_bytes());
    }
}

#[test]
fn each_shape_is_found_whole_and_nothing_beside_it() {
    let matcher = Matcher::new(&[]).unwrap();
    for (secret, _) in secrets() {
        if secret != WORD {
            assert_eq!(found(&matcher, &format!("a {secret} b")), [secret]);
        }
    }
    for (text, secret) in [
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        (
            "AccountKey=Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==;x",
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==",
        ),
        (
            "Authorization: Bearer abcdefgh12345678\r\n",
            "abcdefgh12345678",
        ),
        ("https://user:pa55word@example.com/x", "pa55word"),
        (
            "x 0123456789abcdef0123456789abcdef-us12 y",
            "0123456789abcdef0123456789abcdef-us12",
        ),
    ] {
        assert_eq!(found(&matcher, text), [secret]);
    }
    // Each begins where a shape would let the one before it go on.
    let side_by_side = "github_pat_11AAAAAAA0aBcDglpat-x8Hs-9dKqAKIAIOSFODNN7EXAMPLE";
    assert_eq!(found(&matcher, side_by_side), [side_by_side]);
    for text in [
        "npm_config_cache",
        "ASIAPACIFIC",
        "pypi-server",
        "xoxo",
        "SKU",
        "sk-learn is",
        "key-value",
    ] {
        assert!(found(&matcher, text).is_empty(), "{text}");
    }
}

#[test]
fn the_beginning_of_a_secret_at_the_end_is_masked() {
    let redactor = redactor();
    for (text, from) in [
        ("key AKIAIOSFOD", 4),
        ("SK0123", 0),
        ("a correct h", 2),
        ("-----BEGIN EC PRIVATE KEY-----\nMIIE", 0),
        ("aws_secret_access_key=wJal", 22),
    ] {
        let mut masked = text.as_bytes().to_vec();
        redactor.mask(&mut masked);
        assert_eq!(&masked[..from], &text.as_bytes()[..from]);
        assert!(masked[from] == b'*', "{text}");
    }
}

#[test]
fn a_long_content_is_masked_as_a_short_one_is() {
    let redactor = redactor();
    let mut text = Vec::new();
    for at in 0..60_000_u32 {
        let secret = secrets()[at as usize % secrets().len()].0;
        text.extend_from_slice(format!("{at}: {secret}\n").as_bytes());
    }
    assert!(text.len() > 3 << 20);
    let any = Cell::new(false);
    let mut masked = Vec::new();
    Masked::new(text.as_slice(), &redactor, false, &any)
        .read_to_end(&mut masked)
        .unwrap();
    let mut whole = text;
    redactor.mask(&mut whole);
    assert!(any.get());
    assert!(masked == whole);
}

#[test]
fn some_files_are_secret_as_a_whole() {
    let top = tempfile::tempdir().unwrap();
    let root: PathBuf = top.path().canonicalize().unwrap();
    let scope = Scope::new(std::slice::from_ref(&root), &root.join("state"), &[]).unwrap();
    let redactor = redactor();
    for path in [
        ".env",
        "a/.env.local",
        ".ssh/known_hosts",
        "x/id_rsa",
        ".aws/credentials",
        "secrets/a.yml",
    ] {
        assert!(redactor.denies(&scope, &root.join(path)), "{path}");
    }
    for path in [
        "env",
        ".env/lib/python/site.py",
        "ssh/config",
        "id_rsa.md",
        "other/secrets/a.yml",
    ] {
        assert!(!redactor.denies(&scope, &root.join(path)), "{path}");
    }
    assert!(!redactor.denies(&scope, Path::new("/elsewhere/secrets/a.yml")));
    let mut content = b"A=1\n".repeat(40_000);
    assert!(redactor.mask_content(&mut content, true));
    assert!(!content.contains(&b'A') && !content.contains(&b'\n'));
}
