//! With file notifications and a real filesystem.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use super::bed::Bed;

fn pause() {
    std::thread::sleep(Duration::from_millis(150));
}

#[test]
fn a_short_story_is_told_in_order() {
    let bed = Bed::new();
    fs::write(bed.root().join("old"), "old").unwrap();
    bed.record(|root| {
        fs::write(root.join("status.log"), "INIT: System OK\n").unwrap();
        pause();
        fs::write(root.join("db.lock"), "").unwrap();
        pause();
        fs::write(root.join("status.log"), "ERROR: Connection Lost\n").unwrap();
        pause();
        fs::rename(root.join("db.lock"), root.join("gone.lock")).unwrap();
        pause();
        fs::remove_file(root.join("gone.lock")).unwrap();
        fs::set_permissions(root.join("old"), fs::Permissions::from_mode(0o400)).unwrap();
    });
    bed.assert_exact();
    let expected = [
        "exec",
        "create status.log",
        "write status.log",
        "create db.lock",
        "write status.log",
        "rename db.lock gone.lock",
        "unlink gone.lock",
        "chmod old",
        "exit",
    ];
    // The moment between cutting the old content and writing the new may be seen.
    let mut story = bed.story();
    story.retain(|line| line != "truncate status.log");
    assert_eq!(story, expected);
}

#[test]
fn everything_at_once_ends_exact() {
    let bed = Bed::new();
    bed.record(|root| {
        let script = r#"
            mkdir -p a/b/c; echo 1 > a/b/c/f; ln a/b/c/f a/hard; ln -s b/c a/soft
            mv a/b z; mkdir a/b; echo 2 > a/b/new; echo 3 >> z/c/f; mkfifo pipe
            for i in $(seq 200); do echo $i > t$i; mv t$i u$i; done
            rm -rf u1*; cp -a a copy; rm -rf a; touch -d 2001-01-01 z/c/f; truncate -s 1000000 sparse
            for i in $(seq 50); do echo $i > tmp; mv tmp final; done
            mkdir d1 d2; echo x > d1/x; echo y > d2/y; mv d1 d2/inner; mv d2 d3
            chmod 700 d3; chmod 600 final
        "#;
        let status = Command::new("sh").arg("-ec").arg(script).current_dir(root).status();
        assert!(status.unwrap().success());
    });
    bed.assert_exact();
    assert_eq!(bed.unannounced(), 0, "{:#?}", bed.story());
}

#[test]
fn a_baseline_is_not_an_event() {
    let bed = Bed::new();
    let root = bed.root();
    fs::create_dir_all(root.join("x/y")).unwrap();
    fs::write(root.join("x/y/f"), vec![7; 3 << 20]).unwrap();
    fs::write(root.join("long"), vec![8; 9 << 20]).unwrap();
    fs::hard_link(root.join("x/y/f"), root.join("twin")).unwrap();
    symlink("nowhere", root.join("link")).unwrap();
    bed.record(|_| {});
    bed.assert_exact();
    assert_eq!(bed.story(), ["exec", "exit"]);
}

#[test]
fn ten_thousand_files_in_new_directories() {
    let bed = Bed::new();
    bed.record(|root| {
        for dir in 0..100 {
            let dir = root.join(format!("d{}/e{dir}", dir % 10));
            fs::create_dir_all(&dir).unwrap();
            for file in 0..100 {
                fs::write(dir.join(format!("f{file}")), file.to_string()).unwrap();
            }
        }
    });
    bed.assert_exact();
    assert_eq!(bed.unannounced(), 0);
}
