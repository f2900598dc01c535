//! What the module around it promises, over a session whose every event is known.
#![allow(clippy::unwrap_used, reason = "tests")]
use diffkeeper_store::model::Seq;

use super::{Form, Job, Scope, Told};
use crate::cli::SessionArg;
use crate::testing::{Captured, bed};
use crate::trace;

/// What `diff` writes between two events of the session in [`crate::testing`].
fn diff(form: Form, from: u64, to: u64, paths: &[&str]) -> (String, Told) {
    let bed = bed();
    let store = bed.store();
    let reader = trace::session(&store, SessionArg { session: None }).unwrap();
    let captured = Captured::default();
    let mut output = captured.output(false);
    let mut job = Job {
        reader: &reader,
        form,
        context: 1,
        output: &mut output,
        told: Told::default(),
    };
    let scope = Scope(paths.iter().map(|path| path.as_bytes().to_vec()).collect());
    let (before, after) = (reader.snapshot(Seq(from)), reader.snapshot(Seq(to)));
    job.show_all(&before.unwrap(), &after.unwrap(), &scope)
        .unwrap();
    let told = job.told;
    output.finish().unwrap();
    (captured.text(), told)
}

#[test]
fn text_is_unified_and_harmless() {
    let (text, told) = diff(Form::Unified, 0, 1, &[]);
    let expected = "\
diff --git a/status.log b/status.log
--- a/status.log
+++ b/status.log
@@ -1,2 +1,3 @@
 one
-two
+TWO
+\\x1b[2J!
\\ No newline at end of file
";
    assert_eq!(text, expected);
    assert_eq!((told.changed, told.escaped), (1, 1));
}

#[test]
fn links_renames_and_modes_are_told_as_git_does() {
    let (text, told) = diff(Form::Unified, 1, 3, &[]);
    let expected = "\
diff --git a/status.log b/log\\xff
similarity index 100%
rename from status.log
rename to log\\xff
diff --git a/soft b/soft
new file mode 120000
--- /dev/null
+++ b/soft
@@ -0,0 +1,2 @@
+to
+there
\\ No newline at end of file
";
    assert_eq!(text, expected);
    assert_eq!(told.changed, 2);
    let (text, _) = diff(Form::Unified, 4, 5, &[]);
    let expected = "diff --git a/bin b/bin\nold mode 100644\nnew mode 100600\n";
    assert_eq!(text, expected);
}

#[test]
fn binary_files_say_how_they_differ() {
    let (text, _) = diff(Form::Unified, 3, 4, &[]);
    let expected = "\
diff --git a/bin b/bin
Binary files a/bin and b/bin differ: 64B -> 64B, 1 byte differs, first at offset 0x14
";
    assert_eq!(text, expected);
    let (text, _) = diff(Form::Hex, 3, 4, &[]);
    let row = |mark: char, at: &str, five: &str, dot: &str| {
        let zeros = "00 00 00 00";
        format!("{mark}{at}  {zeros} {five} 00 00 00  {zeros} {zeros} |{dot}|\n")
    };
    let dots = "................";
    let rows = [
        "@@ 0x00000000 @@\n".to_owned(),
        row(' ', "00000000", "00", dots),
        row('-', "00000010", "00", dots),
        row('+', "00000010", "01", dots),
        row(' ', "00000020", "00", dots),
    ];
    assert!(text.ends_with(&rows.concat()), "{text}\n{}", rows.concat());
}

#[test]
fn a_lost_content_is_told_and_counted() {
    let (text, told) = diff(Form::Unified, 5, 9, &[]);
    let expected = "\
diff --git a/bin b/bin
# the content after was not recorded (torn)
";
    assert_eq!(text, expected);
    assert_eq!((told.missing, told.damaged), (1, 0));
}

#[test]
fn counts_are_those_of_git() {
    let (text, _) = diff(Form::Stat, 0, 4, &[]);
    let expected = " \
 bin                     | Bin 64 -> 64 bytes
 status.log => log\\xff | 3 ++-
 soft                    | 2 ++
 3 paths changed, 4 insertions(+), 1 deletion(-)
";
    let squeeze = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(squeeze(&text), squeeze(expected));
}

#[test]
fn json_gives_an_object_a_change() {
    let (text, _) = diff(Form::Json, 2, 4, &[]);
    let expected = r#"{"change":"modified","path":"bin","kind":"file","old_mode":420,"old_size":64,"old_provenance":"observed","new_mode":420,"new_size":64,"new_provenance":"observed","binary":true}
{"change":"renamed","path_b64":"bG9n/w==","from":"status.log","kind":"file","old_mode":420,"old_size":13,"old_provenance":"observed","new_mode":420,"new_size":13,"new_provenance":"observed","added":0,"removed":0}
"#;
    assert_eq!(text, expected);
}

#[test]
fn paths_choose_and_no_change_shows_nothing() {
    let (text, told) = diff(Form::Stat, 0, 4, &["bin"]);
    assert!(text.contains(" bin ") && !text.contains("soft"), "{text}");
    assert_eq!(told.changed, 1);
    let (text, told) = diff(Form::Unified, 0, 4, &["bi"]);
    assert_eq!((text.as_str(), told.changed), ("", 0));
    let (text, told) = diff(Form::Unified, 4, 4, &[]);
    assert_eq!((text.as_str(), told.changed), ("", 0));
    // A rename is found by either name.
    assert_eq!(diff(Form::Stat, 1, 3, &["status.log"]).1.changed, 1);
}
