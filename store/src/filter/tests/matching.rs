//! What each key and connective matches.

use super::super::{Filter, Subject};
use super::case::{check, gap, holds, output, rename, write};

#[test]
fn paths() {
    check(
        &write(),
        &[
            "path:target/**",
            "path:**/*.log",
            "path=target",
            "path:./target//debug/",
            "path:target/debug/build.log",
            "path:.",
            "path:targ?t/*/b{ui,x}ld.log",
            "path:/debug.b/",
            "path:\"target/de*\" or path:*/*/*",
            "path:tar*/",
            "path!=src",
            r"path:target/debug/build\.log",
        ],
        &[
            "path:*.log",
            "path:tar",
            "path:debug",
            "path:target/*",
            "path:target/debug/build.log/x",
            "path:/^debug/",
            "path:src/**",
            "path!=target",
        ],
    );
}

#[test]
fn a_rename_has_two_paths() {
    check(
        &rename(),
        &["path:*.log", "path:old.tmp", "new", "size=10", "op:rename"],
        &["path:third", "not path:new.log", "size:11..", "pid=44"],
    );
}

#[test]
fn bytes_and_blanks_in_quotes() {
    check(
        &gap(),
        &[
            r#"path:"a b""#,
            r#"path:"a b/c(d)\xff""#,
            r#""(d)\xff""#,
            r"path:/^a b.c\(d\)(?-u:\xff)$/",
            r#"path:"a b/*""#,
            "(path:/ b/)",
        ],
        &[r#"path:"a b/c(d)""#, r#""(d)\xfe""#, r#""\u{ff}""#],
    );
}

#[test]
fn processes() {
    check(
        &write(),
        &[
            "pid=44",
            "pid=044",
            "pid:40..50",
            "pid!=45",
            "comm=go",
            "comm:g*",
            "comm:/^g/",
            "exe:go",
            "exe:g?",
            "exe:/usr/local/bin/go",
            "exe:/usr/**",
            "exe:/bin.go$/",
            "ancestor:7",
            "ancestor:make",
            "ancestor:ma*",
            "ancestor=1",
            "ancestor=44",
            "ancestor:go",
            "ancestor!=9",
            "uid=1000",
        ],
        &[
            "pid=45",
            "comm=g",
            "exe:usr",
            "exe:bin/go",
            "exe:/usr/*",
            "ancestor=4",
            "ancestor!=7",
            "ancestor:g",
            "ancestor:\"7\"",
            "pid>44",
            "uid<1000",
        ],
    );
    check(
        &output(),
        &["not pid=44", "comm!=go", "ancestor!=44"],
        &[
            "pid:0..",
            "comm:*",
            "ancestor:make",
            "ancestor=44",
            "uid:0..",
        ],
    );
}

#[test]
fn a_process_without_recorded_parents_is_its_own_ancestor_only() {
    let mut orphan = write();
    orphan.ancestors.clear();
    check(
        &orphan,
        &["ancestor=44", "ancestor:go"],
        &["ancestor=7", "ancestor:make", "ancestor=1"],
    );
}

#[test]
fn who_alone_is_told_from_what() {
    for (text, only_who) in [
        ("", true),
        ("pid=44", true),
        ("uid=0 (comm:go or not exe:/bin/**) -ancestor=7", true),
        ("ancestor:make", true),
        ("pid=44 op:write", false),
        ("pid=44 or path:x", false),
        ("not t:1s", false),
        ("size>1", false),
        ("content:x", false),
        ("word", false),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.asks_only_who(), only_who, "{text}");
    }
}

#[test]
fn numbers() {
    check(
        &write(),
        &[
            "size>1MiB",
            "size=2MiB",
            "size:2097152",
            "size:1MiB..2MiB",
            "size:..2MiB",
            "size!=1MiB",
            "size:>=2MiB",
            "len:13B",
            "len<1KiB",
            "offset=4KiB",
            "offset<=4096",
            "t:2m..2m14s",
            "t=2m5s",
            "t>2m4.999999999s",
            "time<=2m5s",
            "t:..2m5s",
            "seq:#100..#200",
            "seq=150",
            "seq:#150..",
        ],
        &[
            "size>2MiB",
            "size<2MiB",
            "size!=2MiB",
            "size:..2097151",
            "len>=14",
            "offset>4096",
            "t>2m5s",
            "t<2m5s",
            "t:2m6s..",
            "seq:151..",
            "seq:..#149",
        ],
    );
    check(&output(), &["len=12"], &["size:0..", "offset:0.."]);
}

#[test]
fn words_of_the_vocabulary() {
    check(
        &write(),
        &[
            "op:write",
            "op:create,write",
            "prov:captured",
            "provenance=missing,captured",
        ],
        &[
            "op:create,read",
            "op!=write",
            "prov:observed",
            "reason:torn",
            "stream:stdout",
        ],
    );
    check(
        &gap(),
        &["reason:watch-limit", "op:gap", "reason:torn,watch-limit"],
        &["reason:torn", "prov:missing"],
    );
    check(&rename(), &["prov:missing"], &["prov:captured,observed"]);
    check(
        &output(),
        &["stream:stderr", "stream=stdout,stderr"],
        &["stream:stdout", "stream!=stderr"],
    );
}

#[test]
fn texts_and_contents() {
    check(
        &write(),
        &[
            "debug",
            "/g.t\\/deb|d.b/",
            "content:\"ERROR\"",
            "content:ERROR",
            "content:/^ERROR: \\w+ /",
            r#"content:"\xff\"x\"""#,
        ],
        &["Debug", "content:error", "content:/ok.ERROR/", "ERROR"],
    );
    check(
        &output(),
        &["FAIL", "/^FAIL/", "content:\"FAIL two\"", "content:/^one$/"],
        &["fail", "content:three"],
    );
    assert_eq!(output().rebuilt.get(), 0);
}

#[test]
fn connectives() {
    check(
        &write(),
        &[
            "",
            "  ",
            "op:write pid=44",
            "op:write and pid=44",
            "op:read or pid=44",
            "pid=45 op:write or pid=44",
            "pid=44 or pid=45 op:read",
            "not pid=45",
            "-pid=45",
            "not not pid=44",
            "NOT pid=45 AND (op:read OR op:write)",
            "((pid=44))",
            "not(pid=45)(op:write)",
            "op:write not path:src/**",
        ],
        &[
            "op:write pid=45",
            "(pid=44 or pid=45) op:read",
            "not (pid=44 or pid=45)",
            "-(pid=44)",
            "- pid=44",
        ],
    );
}

#[test]
fn content_is_asked_for_last_and_only_if_it_decides() {
    for (text, asked) in [
        ("content:ERROR pid=45", 0),
        ("content:ERROR or pid=44", 0),
        ("(content:ERROR or op:read) ancestor:none", 0),
        ("not content:ERROR op:read", 0),
        ("content:ERROR pid=44", 1),
        ("content:ERROR content:nothing", 2),
    ] {
        let case = write();
        holds(text, &case);
        assert_eq!(case.rebuilt.get(), asked, "{text}");
        assert!(Filter::parse(text).unwrap().needs_content());
    }
    assert!(
        !Filter::parse("pid=44 path:x or t>2s")
            .unwrap()
            .needs_content()
    );
}

#[test]
fn a_failed_look_up_is_no_answer() {
    let mut case = write();
    case.content = Err("damaged");
    let filter = Filter::parse("not content:ERROR").unwrap();
    assert_eq!(filter.matches(&case), Err("damaged"));
    let dynamic: &dyn Subject<Error = &'static str> = &case;
    assert_eq!(filter.matches(dynamic), Err("damaged"));
}
