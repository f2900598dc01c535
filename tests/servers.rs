//! Real servers, killed with kill -9 together with their recorder, their directory deleted,
//! and run again: what they had acknowledged is there. Each skips where its server is missing.
//!
//! `DIFFKEEPER_TEST_SERVER_KILLS` (1; 10 for acceptance) is the number of rounds,
//! `DIFFKEEPER_TEST_GRACE_MS` (2000) is how old an acknowledgement must be to count.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Env, clean, demo, knob, missing, run, skip, until};
use diffkeeper_demo::rng::Rng;
use diffkeeper_demo::world;
use rustix::process::{Pid, Signal, kill_process};

fn rounds() -> u64 {
    knob("DIFFKEEPER_TEST_SERVER_KILLS", 1)
}

fn grace() -> Duration {
    Duration::from_millis(knob("DIFFKEEPER_TEST_GRACE_MS", 2000))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// `run` over the tree.
fn keep(env: &Env, backend: &str, args: &[&str]) -> Command {
    let mut command = Command::new(common::EXE);
    clean(&mut command);
    command
        .current_dir(env.base())
        .args(["run", "--backend", backend]);
    command
        .arg("--state-dir")
        .arg(env.state())
        .arg("--watch")
        .arg(env.tree());
    command
        .arg("--")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn start(env: &Env, backend: &str, args: &[&str]) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(env.base().join("log"));
    keep(env, backend, args)
        .stderr(log.unwrap())
        .spawn()
        .unwrap()
}

/// Waits until a server answers, which it cannot once it has ended.
fn until_up(env: &Env, server: &mut Child, what: &str, mut ready: impl FnMut() -> bool) {
    until(what, || {
        let ended = server.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?} before {what}: {}", log(env));
        ready()
    });
}

/// Everything that descends from a process, itself first.
fn family(first: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap().map(Result::unwrap) {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1);
        let pid = entry.file_name().to_string_lossy().parse();
        if let (Some(Ok(parent)), Ok(pid)) = (parent.map(str::parse), pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![first];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        all.extend(children.get(&pid).into_iter().flatten());
        at += 1;
    }
    all
}

/// kill -9 of the recorder, its command and all that descends from it; then the directory
/// goes. Gives the moment before the kill.
fn kill_and_delete(env: &Env, mut recorder: Child) -> Instant {
    let all = family(recorder.id());
    assert!(all.len() > 1, "the command runs: {}", log(env));
    let killed = Instant::now();
    for pid in &all {
        let pid = Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
        let _ = kill_process(pid, Signal::KILL);
    }
    recorder.wait().unwrap();
    let is_gone = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.rsplit(')').next().unwrap().starts_with(" Z")
    };
    until("all are dead", || all.iter().all(is_gone));
    fs::remove_dir_all(env.tree()).unwrap();
    killed
}

fn log(env: &Env) -> String {
    fs::read_to_string(env.base().join("log")).unwrap_or_default()
}

/// A command that ends in order, restored and recorded once more.
fn settle(env: &Env, backend: &str, args: &[&str]) {
    run(keep(env, backend, args).stderr(Stdio::piped())).expect(0);
}

/// Whether the kernel tier works here; a line that says why not.
fn has_kernel_tier() -> bool {
    let env = Env::new();
    let kind = run(Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(env.tree()));
    if !kind.out().starts_with("ext2/ext3") {
        skip("the directory of the tests is not on ext4");
        return false;
    }
    let mut tried = env.command("record");
    let tried = run(tried.args(["--backend", "tracepoint", "--", "true"]));
    if tried.code() == Some(125) {
        skip(&format!("no tracepoint tier: {}", tried.err().trim()));
        return false;
    }
    true
}

/// A client that speaks just enough of Redis' protocol.
struct Redis(BufReader<TcpStream>);

impl Redis {
    fn connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let mut redis = Self(BufReader::new(stream));
        (redis.ask("PING")? == "+PONG").then_some(redis)
    }

    /// The first line of an answer; the second for one that gives a length first.
    fn ask(&mut self, request: &str) -> Option<String> {
        self.0
            .get_mut()
            .write_all(format!("{request}\r\n").as_bytes())
            .ok()?;
        let mut line = || {
            let mut line = String::new();
            let read = self.0.read_line(&mut line).ok()?;
            (read > 0).then(|| line.trim_end().to_owned())
        };
        let first = line()?;
        match first.as_bytes() {
            [b'$', b'0'..=b'9', ..] => line(),
            _ => Some(first),
        }
    }
}

fn redis_rounds(backend: &str) {
    let env = Env::new();
    let port = free_port().to_string();
    let tree = env.tree();
    let args = [
        "redis-server",
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--dir",
        tree.to_str().unwrap(),
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--save",
        "",
        "--logfile",
        "",
    ];
    let (mut next, mut expected) = (1_u64, 0_u64);
    for round in 0..=rounds() {
        let mut server = start(&env, backend, &args);
        let mut client = None;
        until_up(&env, &mut server, "redis answers", || {
            client = Redis::connect(port.parse().unwrap());
            client.is_some()
        });
        let mut client = client.unwrap();
        let size: u64 = client
            .ask("DBSIZE")
            .unwrap()
            .trim_start_matches(':')
            .parse()
            .unwrap();
        eprintln!("{backend}, round {round}: {size} keys are back, {expected} had to be");
        assert!(
            (expected..next).contains(&size),
            "{size} keys, {expected} expected"
        );
        for n in 1..=size {
            assert_eq!(client.ask(&format!("GET k:{n}")).unwrap(), format!("v{n}"));
        }
        next = size + 1;
        let mut acknowledged = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(3000) {
            assert_eq!(client.ask(&format!("SET k:{next} v{next}")).unwrap(), "+OK");
            acknowledged.push((Instant::now(), next));
            next += 1;
            sleep(Duration::from_millis(1));
        }
        let killed = kill_and_delete(&env, server);
        let old = |(at, _): &&(Instant, u64)| *at + grace() < killed;
        expected = acknowledged
            .iter()
            .rev()
            .find(old)
            .map_or(size, |(_, n)| *n);
    }
    // The tree is gone with the last kill.
    run(env.command("verify").current_dir(env.base())).expect(0);
}

#[test]
fn redis_keeps_what_it_acknowledged() {
    if let Some(program) = missing(&["redis-server"]) {
        return skip(&format!("no {program}"));
    }
    redis_rounds("notify");
}

#[test]
fn redis_keeps_what_it_acknowledged_on_a_kernel_tier() {
    if let Some(program) = missing(&["redis-server"]) {
        return skip(&format!("no {program}"));
    }
    if has_kernel_tier() {
        redis_rounds("tracepoint");
    }
}

#[test]
fn nginx_serves_the_configuration_that_it_had() {
    if let Some(program) = missing(&["nginx"]) {
        return skip(&format!("no {program}"));
    }
    let env = Env::new();
    let port = free_port();
    let config = |word: &str| {
        format!(
            "daemon off; pid {0}/nginx.pid; error_log {0}/error.log; events {{}}\n\
             http {{ access_log off; client_body_temp_path {0}/body; proxy_temp_path {0}/proxy; \
             fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
             server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{word}'; }} }} }}\n",
            env.base().display()
        )
    };
    let path = env.tree().join("nginx.conf");
    fs::write(&path, config("first")).unwrap();
    let args = [
        "nginx",
        "-p",
        env.base().to_str().unwrap(),
        "-c",
        path.to_str().unwrap(),
    ];
    let answers = |word: &str| {
        let mut page = String::new();
        let Ok(mut client) = TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        let _ = client.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let _ = std::io::Read::read_to_string(&mut client, &mut page);
        page.ends_with(word)
    };
    let mut word = "first".to_owned();
    for round in 0..=rounds() {
        let mut server = start(&env, "notify", &args);
        until_up(&env, &mut server, "nginx answers as before", || {
            answers(&word)
        });
        word = format!("round {round}");
        let new = env.tree().join("nginx.conf.new");
        fs::write(&new, config(&word)).unwrap();
        fs::rename(&new, &path).unwrap();
        let pid = fs::read_to_string(env.base().join("nginx.pid")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        until("nginx has the new configuration", || answers(&word));
        sleep(grace());
        kill_and_delete(&env, server);
    }
    settle(&env, "notify", &["true"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), config(&word));
}

/// A game server whose saves span many files: kill -9 at random moments.
fn world_rounds(backend: &str, is_world: &dyn Fn(&Path) -> Result<u64, String>) {
    let env = Env::new();
    let mut rng = Rng::new(knob("DIFFKEEPER_TEST_SEED", 0) + 11);
    let server = demo("world-server");
    let tree = env.tree();
    let args = [server.to_str().unwrap(), "--dir", tree.to_str().unwrap()];
    let mut expected = 0;
    for round in 0..=rounds() {
        let errors = fs::File::options()
            .create(true)
            .append(true)
            .open(env.base().join("log"));
        let mut command = keep(&env, backend, &args);
        let mut recorder = command
            .stdout(Stdio::piped())
            .stderr(errors.unwrap())
            .spawn()
            .unwrap();
        let stdout = recorder.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let number = |line: std::io::Result<String>| line.ok()?.parse::<u64>().ok();
            let lines = BufReader::new(stdout).lines().map_while(number);
            lines.map(|n| (Instant::now(), n)).collect::<Vec<_>>()
        });
        sleep(Duration::from_millis(2500 + rng.below(2500)));
        let killed = kill_and_delete(&env, recorder);
        let saves = reader.join().unwrap();
        let old = |(at, _): &&(Instant, u64)| *at + grace() < killed;
        expected = saves.iter().rev().find(old).map_or(expected, |(_, n)| *n);
        settle(&env, backend, &["true"]);
        let last = saves.last().map_or(expected, |(_, n)| *n);
        let back = is_world(&tree).unwrap();
        eprintln!("{backend}, round {round}: save {back} of {last} is back, {expected} had to be");
        assert!(
            (expected..=last + 1).contains(&back),
            "save {back}, {expected} to {last} expected"
        );
    }
    run(&mut env.command("verify")).expect(0);
}

#[test]
fn a_world_is_saved_on_notifications() {
    // Not one instant of all files: only what each file says by itself holds.
    world_rounds("notify", &world::level);
}

#[test]
fn a_world_is_saved_whole_on_a_kernel_tier() {
    if has_kernel_tier() {
        world_rounds("tracepoint", &world::check);
    }
}

/// Where the newest PostgreSQL keeps its programs.
fn postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.map(|version| version.unwrap().path().join("bin"));
    bins.filter(|bin| bin.join("postgres").exists() && bin.join("pgbench").exists())
        .max()
}

/// PostgreSQL will not run as root.
struct Postgres {
    env: Env,
    bin: PathBuf,
    port: String,
}

impl Postgres {
    fn new(bin: PathBuf) -> Self {
        let env = Env::new();
        let port = free_port().to_string();
        let this = Self { env, bin, port };
        let base = this.env.base().to_owned();
        // The way to the directory is private to root otherwise.
        run(Command::new("chown")
            .arg("postgres")
            .arg(&base)
            .arg(this.env.tree()))
        .expect(0);
        let data = this.data();
        let mut init = this.as_postgres("initdb");
        init.args([
            "-D",
            data.to_str().unwrap(),
            "-A",
            "trust",
            "-U",
            "postgres",
        ]);
        run(init.args(["--no-instructions", "-E", "UTF8", "--locale=C"])).expect(0);
        this
    }

    fn data(&self) -> PathBuf {
        self.env.tree().join("data")
    }

    fn as_postgres(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ]);
        command
            .arg(self.bin.join(program))
            .current_dir(self.env.base());
        command
    }

    fn client(&self, program: &str) -> Command {
        let mut command = self.as_postgres(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port, "-U", "postgres"]);
        command
    }

    fn start(&self) -> Child {
        let server = self.bin.join("postgres");
        let data = self.data();
        let mut server = start(
            &self.env,
            "tracepoint",
            &[
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--",
                server.to_str().unwrap(),
                "-D",
                data.to_str().unwrap(),
                "-p",
                &self.port,
                "-c",
                "unix_socket_directories=",
                "-c",
                "shared_buffers=16MB",
                "-c",
                "max_connections=20",
                "-c",
                "max_wal_size=64MB",
            ],
        );
        until_up(&self.env, &mut server, "postgres answers", || {
            run(self.client("psql").args(["-c", "select 1", "postgres"])).code() == Some(0)
        });
        server
    }

    fn sql(&self, text: &str) -> String {
        let done = run(self.client("psql").args(["-Atc", text, "postgres"]));
        done.expect(0);
        done.out().trim().to_owned()
    }

    /// Rows of each client.
    fn ledger(&self) -> HashMap<u64, u64> {
        let rows = self.sql("select client, count(*) from ledger group by client");
        let row = |line: &str| {
            let (client, count) = line.split_once('|').unwrap();
            (client.parse().unwrap(), count.parse().unwrap())
        };
        rows.lines().map(row).collect()
    }
}

/// A failure is told with what the recorder and the server said.
impl Drop for Postgres {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", log(&self.env));
        }
    }
}

/// Transactions of each client that pgbench saw acknowledged before a moment.
fn acknowledged(dir: &Path, before: Duration) -> HashMap<u64, u64> {
    let mut counts = HashMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        for line in fs::read_to_string(entry.path()).unwrap().lines() {
            let fields: Vec<u64> = line
                .split(' ')
                .map_while(|field| field.parse().ok())
                .collect();
            // client, transaction, duration, script, seconds, microseconds
            let [client, _, _, _, seconds, micros] = fields.as_slice() else {
                continue;
            };
            if Duration::from_secs(*seconds) + Duration::from_micros(*micros) < before {
                *counts.entry(*client).or_default() += 1;
            }
        }
    }
    counts
}

#[test]
fn postgres_recovers_by_its_own_log() {
    let Some(bin) = postgres() else {
        return skip("no PostgreSQL");
    };
    if !rustix::process::geteuid().is_root() || missing(&["setpriv"]).is_some() {
        return skip("root starts it as another user");
    }
    if !has_kernel_tier() {
        return;
    }
    let postgres = Postgres::new(bin);
    let logs = postgres.env.base().join("pgbench");
    let script = postgres.env.base().join("script.sql");
    fs::write(
        &script,
        "insert into ledger (client) values (:client_id);\n",
    )
    .unwrap();
    let mut expected: HashMap<u64, u64> = HashMap::new();
    for round in 0..=rounds() {
        let server = postgres.start();
        if round == 0 {
            postgres.sql("create extension amcheck");
            postgres.sql("create table ledger (id serial primary key, client int)");
            sleep(grace());
        }
        let rows = postgres.ledger();
        for (client, least) in &expected {
            let found = rows.get(client).copied().unwrap_or(0);
            assert!(found >= *least, "client {client}: {found} rows of {least}");
        }
        postgres.sql(
            "select bt_index_check(oid, true) from pg_class where relkind = 'i' \
            and relam = (select oid from pg_am where amname = 'btree') and relpersistence <> 't'",
        );
        run(postgres
            .client("pg_dump")
            .args(["-f", "/dev/null", "postgres"]))
        .expect(0);
        eprintln!(
            "round {round}: {} rows are back",
            rows.values().sum::<u64>()
        );
        fs::create_dir(&logs).unwrap();
        run(Command::new("chown").arg("postgres").arg(&logs)).expect(0);
        let mut bench = postgres.client("pgbench");
        bench.args([
            "-n",
            "-c",
            "4",
            "-T",
            "60",
            "-l",
            "-f",
            script.to_str().unwrap(),
        ]);
        bench
            .arg(format!("--log-prefix={}/log", logs.display()))
            .arg("postgres");
        let bench = bench.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        sleep(Duration::from_millis(5000));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        kill_and_delete(&postgres.env, server);
        bench.unwrap().wait().unwrap();
        let seen = acknowledged(&logs, now.checked_sub(grace()).unwrap());
        assert!(seen.values().sum::<u64>() > 0, "pgbench wrote nothing");
        for (client, count) in seen {
            expected.insert(client, rows.get(&client).copied().unwrap_or(0) + count);
        }
        fs::remove_dir_all(&logs).unwrap();
    }
}
