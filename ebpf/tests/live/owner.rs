//! What is told where the programs were loaded on behalf of an ordinary user: of their own
//! processes everything, of others what the modes of files let them see.

use crate::bed::{Bed, Records};
use diffkeeper_ebpf::wire::{Reason, What};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const OWNER: u32 = 12_345;

/// A directory of the owner's with one that is closed to them and one that is not.
fn bed() -> Option<Bed> {
    Bed::with(|config, dir| {
        config.owner = Some(OWNER);
        chown(dir, Some(OWNER), Some(OWNER)).unwrap();
        for (name, mode) in [("closed", 0o700), ("open", 0o755)] {
            DirBuilder::new().mode(mode).create(dir.join(name)).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    })
}

fn write(path: &Path, mode: u32, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .append(true)
        .mode(mode)
        .open(path)
        .unwrap();
    file.set_permissions(fs::Permissions::from_mode(mode))
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn contents(records: &Records) -> Vec<String> {
    let written = records.iter().filter_map(|record| match record.what {
        What::Write { bytes, .. } => bytes.map(|bytes| String::from_utf8_lossy(bytes).into()),
        _ => None,
    });
    written.collect()
}

fn names(records: &Records) -> Vec<String> {
    let made = records.iter().filter_map(|record| match record.what {
        What::Create(entry) => Some(String::from_utf8_lossy(entry.name).into()),
        _ => None,
    });
    made.collect()
}

#[test]
fn of_other_users_only_what_the_owner_could_read_is_told() {
    let Some(mut bed) = bed() else { return };
    let path = |name: &str| bed.path(name);
    let [plain, secret, deep] = ["open/plain", "open/secret", "closed/deep"].map(path);
    let records = bed.record(|| {
        write(&plain, 0o644, "plain text");
        write(&secret, 0o600, "secret text");
        write(&deep, 0o644, "deep text");
    });
    assert_eq!(contents(&records), ["plain text"]);
    assert_eq!(names(&records), ["plain", "secret"]);
    // The owner's recorder is to look for itself.
    let doubts = records.iter().filter(
        |record| matches!(&record.what, What::Dirty { reason, .. } if *reason == Reason::NoPayload),
    );
    assert_eq!(doubts.count(), 1);
}

#[test]
fn of_the_owner_everything_is_told() {
    let Some(mut bed) = bed() else { return };
    let secret = bed.path("open/secret");
    write(&secret, 0o600, "root's, ");
    let mut secret = OpenOptions::new().append(true).open(secret).unwrap();
    let records = bed.record(|| {
        // This thread alone becomes the owner, with a file that they could not open.
        let (gid, uid) = (Gid::from_raw(OWNER), Uid::from_raw(OWNER));
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        secret.write_all(b"the owner's").unwrap();
    });
    assert!(contents(&records).contains(&"the owner's".to_owned()));
}

#[test]
fn what_others_execute_is_told_by_name_alone() {
    let Some(mut bed) = bed() else { return };
    let child = std::sync::Mutex::new(0);
    let records = bed.record(|| {
        let mut made = Command::new("true").arg("secret").spawn().unwrap();
        *child.lock().unwrap() = made.id();
        made.wait().unwrap();
    });
    let child = child.into_inner().unwrap();
    let execs = records.iter().filter_map(|record| match record.what {
        What::Exec(exec) if record.task.pid == child => Some(exec),
        _ => None,
    });
    let execs: Vec<_> = execs.collect();
    assert_eq!(execs.len(), 1);
    assert_eq!((execs[0].comm, execs[0].uid), (&b"true"[..], 0));
    assert_eq!((execs[0].argv, execs[0].filename), (&b""[..], &b""[..]));
    assert!(execs[0].cwd.is_none());
}

/// The owner could not continue them.
#[test]
fn others_are_never_held_back() {
    let bed = Bed::with(|config, _| {
        config.owner = Some(OWNER);
        config.hold_back = true;
        config.ring_bytes = 256 << 10;
    });
    let Some(mut bed) = bed else { return };
    let script = "umask 022; for i in 1 2 3 4 5 6; do head -c 65536 /dev/zero; done >file";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .current_dir(bed.path("."))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it was stopped");
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = bed.capture().stats().unwrap();
    assert_eq!(stats.stops, 0);
    assert!(stats.lost_in_all() > 0, "the ring never filled: {stats:?}");
}
