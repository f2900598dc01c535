//! How long things take; run by hand, prints and asserts nothing about time.

use super::*;

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = act();
    println!("{what}: {:?}", start.elapsed());
    result
}

#[test]
#[ignore = "a measurement"]
fn pace() {
    let mut rig = timed("make and watch 10,000 directories", || {
        Rig::with(&[], Notify::QUEUE, 1 << 18, |tree| {
            timed("  make", || {
                for n in 0..100 {
                    for m in 0..99 {
                        fs::create_dir_all(tree.join(format!("{n}/{m}"))).unwrap();
                    }
                }
                for m in 0..2000 {
                    fs::create_dir_all(tree.join(format!("wide/{m}"))).unwrap();
                }
            });
        })
    });
    timed("sync", || rig.settle());
    fs::rename(rig.at("wide"), rig.at("moved")).unwrap();
    timed("settle a rename of 2,000 of 12,000 directories", || {
        rig.settle()
    });
    timed("remove them", || {
        fs::remove_dir_all(rig.at("moved")).unwrap()
    });
    let facts = timed("settle the removal", || rig.settle());
    println!("  {} facts", facts.len());
    timed("write 20,000 files", || {
        for n in 0..20_000 {
            fs::write(rig.at(&format!("{}/file-{n}", n % 100)), "x").unwrap();
        }
    });
    let facts = timed("settle", || rig.settle());
    println!("  {} facts", facts.len());
    timed("copy /usr/include", || {
        let status = std::process::Command::new("cp")
            .args(["-r", "/usr/include"])
            .arg(rig.at("copy"))
            .status();
        assert!(status.unwrap().success());
    });
    let facts = timed("settle", || rig.settle());
    println!("  {} facts", facts.len());
    timed("remove it", || fs::remove_dir_all(rig.at("copy")).unwrap());
    let facts = timed("settle", || rig.settle());
    println!("  {} facts", facts.len());
}
