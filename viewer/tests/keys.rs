//! docs/tui.md lists the keys that there are.

use std::fmt::Write;
use std::path::Path;

use diffkeeper_viewer::keymap::GROUPS;

const BEGIN: &str = "<!-- keys: `DIFFKEEPER_TEST_UPDATE=1 cargo test -p diffkeeper-viewer --test keys` writes this -->\n";
const END: &str = "<!-- end of keys -->\n";

fn table() -> String {
    let mut text = String::from("\n| keys | action | what it does |\n|---|---|---|\n");
    for (group, bindings) in GROUPS {
        let _ = writeln!(text, "| **{group}** | | |");
        for (keys, action) in *bindings {
            let keys: Vec<String> = keys.split(' ').map(|key| format!("`{key}`")).collect();
            let _ = writeln!(
                text,
                "| {} | `{}` | {} |",
                keys.join(" "),
                action.word(),
                action.help()
            );
        }
    }
    text + "\n"
}

#[test]
fn the_documented_keys_are_those_of_the_keymap() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tui.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let parts = text.split_once(BEGIN).and_then(|(head, rest)| {
        let (table, tail) = rest.split_once(END)?;
        Some((head, table, tail))
    });
    let (head, documented, tail) = parts.unwrap_or_default();
    if std::env::var_os("DIFFKEEPER_TEST_UPDATE").is_some() {
        let text = format!("{head}{BEGIN}{}{END}{tail}", table());
        assert!(std::fs::write(&path, text).is_ok());
        return;
    }
    assert_eq!(documented, table());
}
