//! What a running agent tells Prometheus: the figures under their names, and the server
//! that gives them out where that is asked for.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diffkeeper_recorder::{Committed, Restored};
use diffkeeper_store::FORMS;
use diffkeeper_store::model::{Backend, OpKind};
use prometheus::{
    Counter, Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::error::CliError;
use crate::http::{self, Answer};

/// Milliseconds.
const BUCKETS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 1000.0, 10_000.0,
];

/// The figures of one agent.
#[derive(Clone)]
pub(crate) struct Metrics {
    figures: Arc<Figures>,
}

struct Figures {
    registry: Registry,
    state_dir: PathBuf,
    ready: AtomicBool,
    capture_duration: HistogramVec,
    capture: IntCounterVec,
    saved_bytes: IntGauge,
    saved_ratio: Gauge,
    recovery_duration: HistogramVec,
    recovery: IntCounterVec,
    store_size: IntGaugeVec,
    files: IntGauge,
    deltas: IntCounterVec,
    chunks: IntCounterVec,
    dedup_ratio: Gauge,
    info: GaugeVec,
    events: IntCounter,
    gaps: IntCounter,
    faults: IntCounter,
    queue: IntGauge,
    last_commit: Gauge,
    processor: Counter,
    memory: IntGauge,
    descriptors: IntGauge,
    started: Gauge,
}

impl Metrics {
    /// Begins to count, and to listen if an address is given.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub(crate) fn start(address: Option<&str>, state_dir: &Path) -> Result<Self, CliError> {
        let figures = Figures::new(state_dir.to_owned())
            .map_err(|error| CliError::recorder(format!("metrics: {error}")))?;
        let metrics = Self {
            figures: Arc::new(figures),
        };
        if let Some(address) = address {
            metrics.clone().listen(address).map_err(|error| {
                CliError::recorder(format!("--metrics-addr {address}: {error}"))
            })?;
        }
        Ok(metrics)
    }

    fn listen(self, address: &str) -> std::io::Result<()> {
        // `:9911` is every address of the machine.
        let address = match address.strip_prefix(':') {
            Some(port) => format!("0.0.0.0:{port}"),
            None => address.to_owned(),
        };
        let listener = TcpListener::bind(address)?;
        std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || http::serve(&listener, &|path| self.answer(path)))?;
        Ok(())
    }

    fn answer(&self, path: &str) -> Answer {
        match path {
            "/metrics" => self.figures.scrape(),
            "/healthz" => Answer::text("200 OK", "ok\n"),
            "/readyz" if self.figures.ready.load(Ordering::Acquire) => {
                Answer::text("200 OK", "restored, and recording\n")
            }
            "/readyz" => Answer::text("503 Service Unavailable", "not restored yet\n"),
            _ => Answer::text("404 Not Found", "/metrics, /healthz, /readyz\n"),
        }
    }

    pub(crate) fn baseline(&self, files: u64) {
        self.figures.files.set(signed(files));
    }

    pub(crate) fn fault(&self) {
        self.figures.faults.inc();
    }

    pub(crate) fn restored(&self, restored: &Restored) {
        let reason = if restored.passed_over.is_empty() {
            "start"
        } else {
            "damage"
        };
        let figures = &self.figures;
        let ms = restored.took.as_secs_f64() * 1000.0;
        figures
            .recovery_duration
            .with_label_values(&[reason])
            .observe(ms);
        figures.recovery.with_label_values(&["restored"]).inc();
    }

    pub(crate) fn nothing_to_restore(&self) {
        self.figures.recovery.with_label_values(&["nothing"]).inc();
    }

    pub(crate) fn ready(&self, backend: Backend) {
        let labels = [
            std::env::consts::OS,
            std::env::consts::ARCH,
            env!("CARGO_PKG_VERSION"),
            backend.word(),
        ];
        self.figures.info.with_label_values(&labels).set(1.0);
        self.figures.ready.store(true, Ordering::Release);
    }

    pub(crate) fn captured(&self, kind: &str, ms: f64, waiting: usize) {
        self.figures
            .queue
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.figures
            .capture_duration
            .with_label_values(&[kind])
            .observe(ms);
    }

    pub(crate) fn committed(&self, committed: &Committed) {
        self.figures.committed(committed);
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Brings a counter up to a total that is counted elsewhere.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

impl Figures {
    fn new(state_dir: PathBuf) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let name = |name: &str| format!("diffkeeper_{name}");
        macro_rules! register {
            ($metric:expr) => {{
                let metric = $metric?;
                registry.register(Box::new(metric.clone()))?;
                metric
            }};
        }
        let counters = |n: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name(n), help), labels)
        };
        let histogram = |n: &str, help: &str, label: &str| {
            let opts = HistogramOpts::new(name(n), help).buckets(BUCKETS.to_vec());
            HistogramVec::new(opts, &[label])
        };
        let agent_labels = ["os", "arch", "version", "capture_backend"];
        let up = register!(IntGauge::new(name("up"), "The agent is at work"));
        up.set(1);
        Ok(Self {
            capture_duration: register!(histogram(
                "capture_duration_ms",
                "Time taken to record one observation, or to commit a batch",
                "type"
            )),
            capture: register!(counters(
                "capture_total",
                "Events recorded, by kind of change",
                &["type", "outcome"]
            )),
            saved_bytes: register!(IntGauge::new(
                name("storage_saved_bytes_total"),
                "Lengths of all recorded contents less what they took in the store"
            )),
            saved_ratio: register!(Gauge::new(
                name("storage_saved_ratio"),
                "Saved bytes as a part of the lengths of all recorded contents"
            )),
            recovery_duration: register!(histogram(
                "recovery_duration_ms",
                "Time taken to check and restore the directory",
                "reason"
            )),
            recovery: register!(counters(
                "recovery_total",
                "Restores at start",
                &["outcome"]
            )),
            store_size: register!(IntGaugeVec::new(
                Opts::new(name("store_size_bytes"), "Bytes in the state directory"),
                &["type"]
            )),
            files: register!(IntGauge::new(
                name("files_tracked_total"),
                "Files and directories that are watched"
            )),
            deltas: register!(counters(
                "deltas_total",
                "Contents stored, by stored form",
                &["compression"]
            )),
            chunks: register!(counters(
                "chunk_total",
                "Blobs of contents, by whether the store held them already",
                &["outcome"]
            )),
            dedup_ratio: register!(Gauge::new(
                name("chunk_dedup_ratio"),
                "Part of the blobs that the store held already"
            )),
            info: register!(GaugeVec::new(
                Opts::new(name("agent_info"), "What is at work; always 1"),
                &agent_labels
            )),
            events: register!(IntCounter::new(name("events_total"), "Events recorded")),
            gaps: register!(IntCounter::new(name("gaps_total"), "Known losses")),
            faults: register!(IntCounter::new(
                name("faults_total"),
                "Faults of the recorder itself"
            )),
            queue: register!(IntGauge::new(
                name("queue_depth"),
                "Observations that wait to be recorded"
            )),
            last_commit: register!(Gauge::new(
                name("last_commit_timestamp_seconds"),
                "When something was last made safe from a crash, seconds since 1970"
            )),
            processor: register!(Counter::new(
                "process_cpu_seconds_total",
                "Processor time used, user and system"
            )),
            memory: register!(IntGauge::new(
                "process_resident_memory_bytes",
                "Memory that is resident"
            )),
            descriptors: register!(IntGauge::new(
                "process_open_fds",
                "Descriptors that are open"
            )),
            started: register!(Gauge::new(
                "process_start_time_seconds",
                "When the process started, seconds since 1970"
            )),
            ready: AtomicBool::new(false),
            state_dir,
            registry,
        })
    }

    fn committed(&self, committed: &Committed) {
        for kind in OpKind::ALL {
            let outcome = if *kind == OpKind::Gap {
                "lost"
            } else {
                "recorded"
            };
            let total = committed.counts.get(*kind);
            if total > 0 {
                let labels = [kind.word(), outcome];
                raise(&self.capture.with_label_values(&labels), total);
            }
        }
        raise(&self.events, committed.counts.total());
        raise(&self.gaps, committed.counts.get(OpKind::Gap));
        self.files.set(signed(committed.files));
        let tally = &committed.tally;
        for (form, count) in FORMS.iter().zip(tally.versions) {
            raise(&self.deltas.with_label_values(&[form]), count);
        }
        raise(&self.chunks.with_label_values(&["new"]), tally.new_blobs);
        raise(
            &self.chunks.with_label_values(&["shared"]),
            tally.shared_blobs,
        );
        let saved = signed(tally.plain_bytes) - signed(tally.stored_bytes);
        self.saved_bytes.set(saved);
        self.saved_ratio
            .set(ratio(saved as f64, tally.plain_bytes as f64));
        let blobs = tally.new_blobs + tally.shared_blobs;
        self.dedup_ratio
            .set(ratio(tally.shared_blobs as f64, blobs as f64));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.last_commit
            .set(now.map_or(0.0, |since| since.as_secs_f64()));
    }

    /// What the kernel says of this process.
    fn look_at_self(&self) {
        let own = Own::read().unwrap_or_default();
        self.processor
            .inc_by((own.processor - self.processor.get()).max(0.0));
        self.memory.set(own.memory);
        self.descriptors.set(own.descriptors);
        self.started.set(own.started);
    }

    fn scrape(&self) -> Answer {
        self.look_at_self();
        let sizes = sizes(&self.state_dir);
        for (kind, bytes) in ["journal", "tables", "other"].into_iter().zip(sizes) {
            self.store_size
                .with_label_values(&[kind])
                .set(signed(bytes));
        }
        let mut body = Vec::new();
        let encoder = TextEncoder::new();
        match encoder.encode(&self.registry.gather(), &mut body) {
            Ok(()) => Answer {
                status: "200 OK",
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body,
            },
            Err(error) => Answer::text("500 Internal Server Error", &format!("{error}\n")),
        }
    }
}

/// Figures of this process, from `/proc`.
#[derive(Default)]
struct Own {
    processor: f64,
    memory: i64,
    descriptors: i64,
    started: f64,
}

impl Own {
    /// Fields of `/proc/self/stat` are counted after the name, which may hold anything.
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<f64> = stat
            .rsplit(')')
            .next()?
            .split_ascii_whitespace()
            .map(|field| field.parse().unwrap_or(0.0))
            .collect();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let kernel = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = kernel
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?;
        let pages = *fields.get(21)?;
        let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Self {
            processor: (fields.get(11)? + fields.get(12)?) / ticks,
            memory: (pages * rustix::param::page_size() as f64) as i64,
            descriptors: i64::try_from(descriptors).ok()?,
            started: boot.trim().parse::<f64>().ok()? + fields.get(19)? / ticks,
        })
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Bytes of the database's journals, of its tables, and of the rest, as they lie on disk.
fn sizes(state_dir: &Path) -> [u64; 3] {
    let mut sizes = [0; 3];
    let mut dirs = vec![state_dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        for entry in entries {
            let (path, Ok(meta)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            if meta.is_dir() {
                dirs.push(path);
                continue;
            }
            let bytes = std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
            let kind = match path.extension().and_then(|ext| ext.to_str()) {
                Some("jnl") => 0,
                _ if path.starts_with(state_dir.join("db").join("keyspaces")) => 1,
                _ => 2,
            };
            if let Some(size) = sizes.get_mut(kind) {
                *size += bytes;
            }
        }
    }
    sizes
}
