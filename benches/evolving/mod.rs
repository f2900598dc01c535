//! A tree of about 48 MB that changes a little at each step, as a project at work does: a
//! database, a log, sources and a linked program. The same steps lead to the same bytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use diffkeeper_demo::rng::Rng;

use crate::common::{clean, run};
use crate::corpora;

pub(crate) const STEPS: usize = 30;
/// What makes one, and its steps.
pub(crate) const PROGRAMS: [&str; 3] = ["sqlite3", "cc", "awk"];

const LOG: usize = 8 << 20;
/// Of the headers of this machine.
const SOURCES: u64 = 12 << 20;
/// Units of the program, of which each step compiles one anew.
const UNITS: usize = 40;

/// Fills `tree` in `made`, and puts beside it the programs that steps put into it.
pub(crate) fn make(made: &Path) {
    let tree = made.join("tree");
    shell(&tree, DATABASE);
    let (mut rng, mut log) = (Rng::new(1), Vec::new());
    while log.len() < LOG {
        corpora::append(&mut rng, &mut log);
    }
    fs::write(tree.join("log"), log).unwrap();
    fs::create_dir(tree.join("src")).unwrap();
    sources(Path::new("/usr/include"), &tree.join("src"), &mut 0);
    programs(made);
    fs::copy(made.join("program-0"), tree.join("program")).unwrap();
}

const DATABASE: &str = "sqlite3 db \"
    create table t(id integer primary key, name text, value text);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 210000)
    insert into t select i, 'the name of row ' || i, printf('%08x-%08x-%08x-%08x state: ready',
        i * 2654435761 % 4294967296, i * 2246822519 % 4294967296,
        i * 3266489917 % 4294967296, i * 668265263 % 4294967296) || printf('%.24c', '.') from n\"";

fn shell(dir: &Path, script: &str) {
    let mut command = Command::new("sh");
    clean(&mut command);
    run(command.args(["-ec", script]).current_dir(dir)).expect(0);
}

/// Copies headers in the order of their names until there are enough.
fn sources(from: &Path, to: &Path, bytes: &mut u64) {
    for path in sorted(from) {
        let copy = to.join(path.file_name().unwrap());
        if *bytes >= SOURCES || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            sources(&path, &copy, bytes);
        } else {
            *bytes += fs::copy(path, copy).unwrap();
        }
    }
}

fn sorted(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The program of each step, in which one unit has other constants and one function more.
fn programs(made: &Path) {
    let unit = |unit: usize, number: usize| {
        format!(
            "awk 'BEGIN {{ for (i = 0; i < 1000 + {number}; i++) {{
                k = i % 100 == {number} ? {number} * 7919 : 3
                printf \"int f{unit}_%d(int x) {{ return x > %d ? x * %d + %d : x - 1; }}\\n\", i, i, i, k
            }} }}' >unit.c; cc -c -o unit{unit}.o unit.c"
        )
    };
    shell(made, "echo 'int main(void) { return 0; }' >main.c");
    (0..UNITS).for_each(|number| shell(made, &unit(number, 0)));
    for number in 0..=STEPS {
        shell(made, &unit(number % UNITS, number));
        shell(made, &format!("cc -o program-{number} main.c unit*.o"));
    }
}

/// Changes `tree` once more: twenty rows, 16 KiB at the end of the log, three lines in each of
/// three sources, and the program, which is removed and written as linkers do.
pub(crate) fn step(made: &Path, tree: &Path, number: usize) {
    let mut rng = Rng::new(number as u64);
    let row = number * 2909 % 10500;
    shell(
        tree,
        &format!("sqlite3 db \"update t set name = 'changed {number}' where id % 10500 = {row}\""),
    );
    let mut lines = Vec::new();
    corpora::append(&mut rng, &mut lines);
    let mut log = fs::OpenOptions::new();
    let mut log = log.append(true).open(tree.join("log")).unwrap();
    log.write_all(&lines).unwrap();
    edit(&mut rng, tree);
    let program = tree.join("program");
    fs::remove_file(&program).unwrap();
    fs::copy(made.join(format!("program-{number}")), program).unwrap();
}

fn edit(rng: &mut Rng, tree: &Path) {
    let mut files = Vec::new();
    collect(&tree.join("src"), &mut files);
    for _ in 0..3 {
        let file = rng.pick(&files).unwrap();
        let mut content = fs::read(file).unwrap();
        corpora::change_lines(rng, &mut content);
        fs::write(file, content).unwrap();
    }
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for path in sorted(dir) {
        match path.is_dir() {
            true => collect(&path, files),
            false if fs::metadata(&path).unwrap().len() > 0 => files.push(path),
            false => {}
        }
    }
}
