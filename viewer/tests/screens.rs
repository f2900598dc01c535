//! Whole screens, for every pane and mode, at three sizes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::sample;
use diffkeeper_store::model::Seq;
use diffkeeper_viewer::Options;
use diffkeeper_viewer::app::{Begin, Input};
use diffkeeper_viewer::harness::{Harness, with};
use diffkeeper_viewer::theme::{Depth, Theme};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn options(at: Option<u64>) -> Options {
    Options {
        program: [&b"diffkeeper"[..], b"tui"].map(<[u8]>::to_vec).into(),
        begin: Begin {
            at: at.map(Seq),
            marks: BTreeMap::from([('a', Seq(3))]),
            ..Begin::default()
        },
        ..Options::default()
    }
}

/// Takes a picture at each size after the keys were pressed.
fn pictures(name: &str, at: Option<u64>, drive: impl Fn(&mut Harness<'_>)) {
    let sample = sample();
    let source = sample.source();
    for (width, height) in SIZES {
        let screen = with(&source, (width, height), options(at), |harness| {
            assert!(harness.settle());
            drive(harness);
            assert!(harness.settle());
            harness.screen()
        });
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), screen.unwrap());
    }
}

fn press(name: &str, at: Option<u64>, keys: &[&str]) {
    pictures(name, at, |harness| {
        for key in keys {
            harness.keys(&[key]);
            assert!(harness.settle());
        }
    });
}

/// The write that broke it.
const CULPRIT: Option<u64> = Some(51);

#[test]
fn the_first_screen() {
    press("first", None, &[]);
}

#[test]
fn every_pane() {
    press("events", CULPRIT, &[]);
    press("content", CULPRIT, &["enter"]);
    press("tree", CULPRIT, &["tab", "tab", "down", "enter"]);
    press("tree-changes", CULPRIT, &["v"]);
    press("processes", CULPRIT, &["p", "down"]);
}

#[test]
fn every_view_of_a_content() {
    press("side", CULPRIT, &["enter", "d"]);
    press("hex", CULPRIT, &["enter", "d", "d"]);
    press("raw", CULPRIT, &["enter", "d", "d", "d"]);
    press("binary", Some(47), &["enter"]);
    press("colours", Some(44), &["enter"]);
    press("attributes", Some(45), &["enter"]);
    press("output", Some(52), &["enter"]);
    press("against-mark", CULPRIT, &["enter", "D", "a"]);
    press("more-context", Some(44), &["enter", "}", "}", "}"]);
}

#[test]
fn every_moment() {
    press("start", CULPRIT, &["0"]);
    press("gap", Some(46), &[]);
    press("zoomed", CULPRIT, &["z", "z", "z", "z"]);
    press("clock", CULPRIT, &["w"]);
    press("next-version", Some(3), &["t", "t", "T"]);
    press("trouble", Some(3), &["!"]);
    press("no-further-trouble", None, &["!"]);
    press("marked", CULPRIT, &["m", "b"]);
    press("gone-to-mark", CULPRIT, &["'", "a"]);
}

#[test]
fn every_mode() {
    press("help", CULPRIT, &["?"]);
    press("copy-menu", CULPRIT, &["y"]);
    press("copied-view", CULPRIT, &["y", "v"]);
    press("copied-diff", CULPRIT, &["y", "d"]);
    press("open-menu", CULPRIT, &["o"]);
    press("who-menu", CULPRIT, &["W"]);
    press("mark-letter", CULPRIT, &["m"]);
    press("export-prompt", CULPRIT, &["x"]);
    pictures("go-to-error", CULPRIT, |harness| {
        harness.text(":3h");
        harness.keys(&["enter"]);
    });
    pictures("gone-to", CULPRIT, |harness| {
        harness.text(":50%");
        harness.keys(&["enter"]);
    });
}

#[test]
fn every_way_to_find() {
    pictures("filter", CULPRIT, |harness| {
        harness.text("fpath:status.log");
        harness.keys(&["enter"]);
    });
    press("filter-by-name", CULPRIT, &["p", "down", "W", "n"]);
    press("filter-by-program", CULPRIT, &["W", "e"]);
    press("filter-by-ancestor", CULPRIT, &["W", "a"]);
    pictures("filter-error", CULPRIT, |harness| {
        harness.text("fop:unlink");
        assert!(harness.settle());
        harness.text(" size>");
    });
    pictures("filter-nothing", CULPRIT, |harness| {
        harness.text("fpath:no-such");
        harness.keys(&["enter"]);
    });
    pictures("search", Some(3), |harness| {
        harness.text("/db.lock");
        harness.keys(&["enter"]);
        assert!(harness.settle());
        harness.keys(&["n"]);
    });
    pictures("picker", CULPRIT, |harness| harness.text("gmg"));
    pictures("picked", CULPRIT, |harness| {
        harness.text("gmg");
        assert!(harness.settle());
        harness.keys(&["enter"]);
    });
    pictures("history", CULPRIT, |harness| {
        harness.text("cConnection Lost");
        harness.keys(&["enter"]);
    });
}

#[test]
fn too_small_and_back() {
    let sample = sample();
    let source = sample.source();
    with(&source, (120, 40), options(CULPRIT), |harness| {
        assert!(harness.settle());
        let before = harness.screen();
        harness.input(Input::Resize(30, 5));
        assert!(harness.settle());
        assert_eq!(harness.screen().trim_end(), "needs 40x8, has 30x5");
        harness.input(Input::Resize(120, 40));
        assert!(harness.settle());
        assert_eq!(harness.screen(), before);
    })
    .unwrap();
}

#[test]
fn ascii_and_no_colours() {
    let sample = sample();
    let source = sample.source();
    with(&source, (120, 40), options(CULPRIT), |harness| {
        assert!(harness.settle());
        harness.set_theme(Theme {
            depth: Depth::None,
            ascii: true,
            ..Theme::default()
        });
        let screen = harness.screen();
        assert!(screen.is_ascii(), "{screen}");
        let colours = harness.draw().content.iter();
        let plain = ratatui::style::Color::Reset;
        assert!(
            colours
                .clone()
                .all(|cell| cell.fg == plain && cell.bg == plain)
        );
        insta::assert_snapshot!("ascii-120x40", screen);
    })
    .unwrap();
}
