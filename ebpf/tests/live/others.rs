//! What is not told, what is told of processes and their output, and of trees on file
//! systems without hooks under their locks.

use crate::bed::{Bed, id, tier};
use diffkeeper_ebpf::loader::Tier;
use diffkeeper_ebpf::wire::{AtOp, Stream, What};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn only_what_lies_below_a_root_is_told() {
    let bed = Bed::with(|config, dir| {
        fs::create_dir_all(dir.join("root/sub/excluded")).unwrap();
        fs::create_dir(dir.join("beside")).unwrap();
        config.roots = vec![id(&dir.join("root").metadata().unwrap())];
        let excluded = dir.join("root/sub/excluded");
        config.excluded = vec![id(&excluded.metadata().unwrap())];
    });
    let Some(mut bed) = bed else { return };
    let path = |name: &str| bed.path(name);
    let [beside, excluded, inside] =
        ["beside", "root/sub/excluded", "root/sub"].map(|dir| path(dir).join("file"));
    let (sub, moved) = (path("root/sub"), path("beside/moved"));
    let records = bed.record(|| {
        for file in [&beside, &excluded, &inside] {
            fs::write(file, "bytes").unwrap();
        }
        fs::rename(&sub, &moved).unwrap();
        fs::write(moved.join("file"), "outside now").unwrap();
        fs::rename(&moved, &sub).unwrap();
        fs::write(sub.join("file"), "inside again").unwrap();
    });
    let written: Vec<_> = records
        .changes()
        .iter()
        .filter_map(|record| match record.what {
            What::Write { bytes, .. } => bytes,
            _ => None,
        })
        .map(<[u8]>::to_vec)
        .collect();
    assert_eq!(written, [&b"bytes"[..], b"inside again"]);
    let changes = records.changes();
    let renames = changes
        .iter()
        .filter(|record| matches!(record.what, What::Rename(_)));
    assert_eq!(renames.count(), 2);
}

#[test]
fn the_recorder_is_not_recorded() {
    let bed = Bed::with(|config, _| config.recorder = std::process::id());
    let Some(mut bed) = bed else { return };
    let path = bed.path("file");
    let records = bed.record(|| fs::write(&path, "bytes").unwrap());
    assert_eq!(records.changes(), []);
}

#[test]
fn processes_are_told_from_fork_to_exit() {
    let Some(mut bed) = Bed::new() else { return };
    let mut pid = 0;
    let records = bed.record(|| {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "exit 3", "an argument"])
            .spawn()
            .unwrap();
        pid = child.id();
        child.wait().unwrap();
    });
    let told: Vec<_> = records.iter().collect();
    let fork = told.iter().find_map(|record| match record.what {
        What::Fork { child } if child.pid == pid => Some((record.task.pid, child.start)),
        _ => None,
    });
    let (parent, start) = fork.expect("no fork");
    assert_eq!(parent, std::process::id());
    let of_child = told.iter().filter(|record| record.task.pid == pid);
    let of_child: Vec<_> = of_child.collect();
    assert!(of_child.iter().all(|record| record.task.start == start));
    let exec = of_child.iter().find_map(|record| match record.what {
        What::Exec(exec) => Some(exec),
        _ => None,
    });
    let exec = exec.expect("no exec");
    assert_eq!(exec.argv, b"/bin/sh\0-c\0exit 3\0an argument\0");
    assert_eq!((exec.comm, exec.filename), (&b"sh"[..], &b"/bin/sh"[..]));
    assert_eq!((exec.ppid, exec.uid), (std::process::id(), 0));
    let shell = id(&fs::metadata("/bin/sh").unwrap());
    let exe = exec.exe.unwrap();
    assert_eq!((exe.dev, exe.ino), (shell.dev, shell.ino));
    let cwd = id(&fs::metadata(".").unwrap());
    assert_eq!(
        (exec.cwd.unwrap().dev, exec.cwd.unwrap().ino),
        (cwd.dev, cwd.ino)
    );
    let exits = of_child.iter().filter_map(|record| match record.what {
        What::Exit { status } => Some(status),
        _ => None,
    });
    assert_eq!(exits.collect::<Vec<_>>(), [3 << 8]);
}

#[test]
fn output_is_told_by_stream() {
    let (out, out_in) = std::io::pipe().unwrap();
    let (error, error_in) = std::io::pipe().unwrap();
    let of_pipe = |end: &dyn std::os::fd::AsFd| {
        let stat = rustix::fs::fstat(end.as_fd()).unwrap();
        diffkeeper_ebpf::loader::InodeId {
            dev: stat.st_dev,
            ino: stat.st_ino,
        }
    };
    let bed = Bed::with(|config, _| {
        config.stdout = Some(of_pipe(&out));
        config.stderr = Some(of_pipe(&error));
    });
    let Some(mut bed) = bed else { return };
    let script = "printf one; printf two >&2; printf three; head -c 200 /dev/zero";
    let records = bed.record(|| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        let mut child = command.stdout(out_in).stderr(error_in).spawn().unwrap();
        child.wait().unwrap();
    });
    drop((out, error));
    let told: Vec<_> = records
        .iter()
        .filter_map(|record| match record.what {
            What::Output { stream, bytes } => Some((stream, bytes.to_vec())),
            _ => None,
        })
        .collect();
    let expected = [
        (Stream::Stdout, b"one".to_vec()),
        (Stream::Stderr, b"two".to_vec()),
        (Stream::Stdout, b"three".to_vec()),
        (Stream::Stdout, vec![0; 200]),
    ];
    assert_eq!(told, expected);
}

/// The tracepoint tier has no hook under the locks of tmpfs: bytes are taken from the caller, unordered, and names
/// as the caller gives them.
#[test]
fn a_tree_on_tmpfs_is_told_unordered() {
    if tier() != Tier::Tracepoint {
        return;
    }
    let shm = Path::new("/dev/shm");
    let Some(mut bed) = Bed::below(shm, |config, _| config.foreign = true) else {
        return;
    };
    let (file, dir) = (bed.path("file"), bed.path("dir"));
    let records = bed.record(|| {
        fs::write(&file, "bytes").unwrap();
        fs::create_dir(&dir).unwrap();
        fs::rename(&file, dir.join("new")).unwrap();
        File::options()
            .write(true)
            .open(dir.join("new"))
            .unwrap()
            .set_len(2)
            .unwrap();
    });
    let changes = records.changes();
    assert!(changes.iter().all(|record| !record.ordered));
    let dirs = dir.as_os_str().as_encoded_bytes();
    // Paths are told of the whole process, where other tests run as well.
    let here = dir.parent().unwrap().as_os_str().as_encoded_bytes();
    let elsewhere = |what: &What<'_>| matches!(what, What::At(at) if !at.path.starts_with(here));
    let what = changes.iter().map(|record| record.what);
    let what: Vec<_> = what.filter(|what| !elsewhere(what)).collect();
    let [
        What::Create(entry),
        What::Write {
            offset: 0,
            bytes: Some(b"bytes"),
            ..
        },
        What::At(mkdir),
        What::At(rename),
        What::Truncate { inode },
    ] = &what[..]
    else {
        panic!("{what:?}")
    };
    assert_eq!((entry.name, inode.size), (&b"file"[..], 2));
    assert_eq!((mkdir.op, mkdir.path, mkdir.dir), (AtOp::Mkdir, dirs, None));
    assert_eq!(rename.op, AtOp::Rename);
    assert_eq!(rename.path, file.as_os_str().as_encoded_bytes());
    assert_eq!(
        rename.other_path,
        dir.join("new").as_os_str().as_encoded_bytes()
    );
}
