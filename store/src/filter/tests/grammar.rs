//! Bounds, normal forms, refusals and limits.

use super::super::Filter;
use crate::model::Seq;

#[test]
fn bounds() {
    const S: u64 = 1_000_000_000;
    let max = u64::MAX;
    for (text, bounds) in [
        ("", None),
        ("pid=44", None),
        ("t:2s..3s", Some((2 * S, 3 * S))),
        ("t>2s pid=44", Some((2 * S + 1, max))),
        ("t>=2s t<3s", Some((2 * S, 3 * S - 1))),
        ("t:1s or t:5s", Some((S, 5 * S))),
        ("t:1s or pid=44", None),
        ("not t:1s", None),
        ("t!=1s", None),
        ("(t:1s..2s or t:4s) t:2s.. path:x", Some((2 * S, 4 * S))),
        ("t<1s t>2s", Some((2 * S + 1, 2 * S + 1))),
    ] {
        let found = Filter::parse(text).unwrap().time_bounds();
        assert_eq!(found.map(|(a, b)| (a.0, b.0)), bounds, "{text}");
    }
    let filter = Filter::parse("seq:#100..#200 t:1s").unwrap();
    assert_eq!(filter.seq_bounds(), Some((Seq(100), Seq(200))));
    assert!(Filter::parse(" ").unwrap().is_empty());
    assert!(!filter.is_empty());
}

#[test]
fn normal_forms() {
    for (text, normal) in [
        ("path=src/ op=write,create", "op:create,write path:src"),
        (
            "content:x or (pid:44 and op=read)",
            "op:read pid=44 or content:x",
        ),
        ("(path:a or b) pid=4", "pid=4 (path:a or b)"),
        ("a or (b or c)", "a or b or c"),
        ("a (b c)", "a b c"),
        ("not (not a)", "a"),
        ("pid!=44", "not pid=44"),
        ("-(a b)", "not (a b)"),
        (
            "size>=1024 len<2KB offset:1MiB..3MiB",
            "len<=1999 offset:1MiB..3MiB size>=1KiB",
        ),
        ("t:120s..134s seq:100..200", "t:2m..2m14s seq:#100..#200"),
        ("prov:captured", "provenance:captured"),
        (r#""a b" "or" "44" "src""#, r#""a b" "or" "44" src"#),
        (
            r#"path:"a(b)*.log" path:. path:x*/"#,
            r#"path:"a(b)*.log" path:. path:x*/**"#,
        ),
        (r#""a\"b""#, r#""a\"b""#),
        (r#""\u{1b}[2J\xff""#, r#""\x1b[2J\xff""#),
        ("/a b/ exe:/bin/go", r#"exe:"/bin/go" /a b/"#),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.to_string(), normal, "{text}");
    }
}

#[test]
fn refusals_say_where_and_what() {
    for (text, at, message) in [
        ("pth:x", 0, "unknown key \"pth\": did you mean path?"),
        ("a sise>1", 2, "unknown key \"sise\": did you mean size?"),
        (
            "zebra:x",
            0,
            "unknown key \"zebra\": expected one of path, op, ",
        ),
        ("op:wirte", 3, "unknown word \"wirte\": did you mean write?"),
        (
            "op:write,",
            3,
            "unknown word \"\": expected one of create, ",
        ),
        (
            "stream:x",
            7,
            "unknown word \"x\": expected one of stdout, stderr",
        ),
        ("op>write", 0, "op takes : or = or !=, it has no order"),
        ("pid=x", 4, "expected a number, found \"x\""),
        ("pid=+4", 4, "expected a number"),
        ("pid=/4/", 4, "pid takes a number"),
        ("size>1M", 5, "\"M\" is not a unit of size"),
        ("t:5", 2, "expected a unit"),
        ("t:5s..2s", 2, "the range ends before it begins"),
        ("t>1s..2s", 2, "a range a..b goes with"),
        ("t:..", 2, "a range has at least one end"),
        ("size<0", 5, "no number is below 0"),
        ("ancestor:99999999999", 9, "\"99999999999\" is not a pid"),
        ("path:", 5, "expected a value"),
        ("path:\"\"", 5, "an empty path"),
        ("path:\"/etc\"", 5, "a path is relative"),
        ("path:../x", 5, "a path is relative"),
        ("path:/etc", 5, "a regular expression without its closing /"),
        (
            "path:/usr/lib",
            10,
            "expected a blank after the / that closes",
        ),
        ("path:/(/", 5, "unclosed group"),
        ("path://", 5, "an empty regular expression"),
        ("path:/\\w{99}/", 5, "too large: over 1 MiB"),
        ("path:/\\w{9999}/", 5, "too large"),
        ("path:a[", 5, "unclosed character class"),
        ("path:[ä]", 5, "[...] takes ASCII only"),
        (
            "path:\"\\xff*\"",
            5,
            "a pattern with wildcards must be UTF-8",
        ),
        ("content:\"\"", 8, "an empty text"),
        ("comm:\"\"", 5, "an empty name"),
        ("\"abc", 0, "a quote without its closing"),
        ("\"a\\q\"", 2, "expected \\\\, "),
        ("\"a\\xg0\"", 2, "expected \\\\, "),
        ("\"a\\u{d800}\"", 2, "expected \\\\, "),
        ("\"a\"b", 3, "expected a blank after the closing quote"),
        ("ab\"c\"", 2, "a quote must begin the value"),
        (
            "*.log",
            0,
            "\"*.log\" holds a *: write path:*.log for a pattern",
        ),
        ("!pid", 0, "\"!pid\" holds a !"),
        ("a or", 4, "expected a term"),
        ("or a", 0, "expected a term"),
        ("a and or b", 6, "expected a term"),
        ("not", 3, "expected a term"),
        ("-", 1, "expected a term"),
        ("()", 1, "expected a term"),
        ("(a", 0, "a ( without its )"),
        ("a)", 1, "a ) without its ("),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert!(error.message.starts_with(message), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
        let line = error.to_string();
        assert!(
            line.ends_with(&format!("(at byte {at} of the filter)")),
            "{line}"
        );
    }
}

#[test]
fn limits() {
    let deep = |n| format!("{}a{}", "(".repeat(n), ")".repeat(n));
    assert!(Filter::parse(&deep(Filter::MAX_DEPTH)).is_ok());
    assert!(Filter::parse(&deep(Filter::MAX_DEPTH + 1)).is_err());
    assert!(Filter::parse(&"(".repeat(Filter::MAX_LEN)).is_err());
    let not = |n| format!("{}a", "-".repeat(n));
    assert!(Filter::parse(&not(Filter::MAX_LEN - 1)).is_ok());
    assert!(Filter::parse(&not(Filter::MAX_LEN)).is_err());
    assert!(Filter::parse(&"a ".repeat(Filter::MAX_NEEDLES)).is_ok());
    assert!(Filter::parse(&"a ".repeat(Filter::MAX_NEEDLES + 1)).is_err());
    let braces = |n| format!("path:{}a{}", "{".repeat(n), "}".repeat(n));
    assert!(Filter::parse(&braces(4000)).is_err());
    assert!(Filter::parse(&format!("/{}a{}/", "(".repeat(4000), ")".repeat(4000))).is_err());
}
