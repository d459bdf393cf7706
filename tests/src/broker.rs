//! The broker under test: a Leveret process of the test's own, or a RabbitMQ that runs already.
//!
//! `LEVERET_TEST_BROKER` chooses: unset or `leveret` starts a process for each test, `host:port` is a RabbitMQ, whose
//! management API `LEVERET_TEST_HTTP` names in the same way.
//! `LEVERET_TEST_BINARY` names the binary, by default the release build in the workspace's target directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::{Channel, Connection};
use crate::http::Http;
use crate::login::Login;
use crate::wait::{self, DEADLINE};

/// How much of the broker's log a failed test shows.
const LOG_LINES: usize = 20;

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    addresses: Addresses,
    /// `None` for a RabbitMQ, which is not ours to stop.
    process: Option<Process>,
}

/// Where a broker listens.
#[derive(Clone, Copy, Debug)]
struct Addresses {
    amqp: SocketAddr,
    /// The management API.
    http: Option<SocketAddr>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    arguments: Vec<String>,
    /// Data directory and log; removed when the test ends.
    home: TempDir,
}

impl Broker {
    /// The broker of this test.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The broker of this test, where Leveret is told with `arguments` what RabbitMQ does by default.
    pub fn start_with(arguments: &[&str]) -> Self {
        match std::env::var("LEVERET_TEST_BROKER") {
            Ok(address) if address != "leveret" => {
                let http = std::env::var("LEVERET_TEST_HTTP").ok();
                let http = http.map(|address| resolve(&address));
                let addresses = Addresses { amqp: resolve(&address), http };
                Self { addresses, process: None }
            }
            _ => Self::leveret(arguments),
        }
    }

    /// A Leveret process with more arguments for `serve`. For tests that are meant for Leveret only.
    pub fn leveret(arguments: &[&str]) -> Self {
        Self::run(Command::new(binary()), arguments)
    }

    /// A Leveret process that can make no file larger than `bytes`, a multiple of 512: to its store the disk is full then.
    /// The limit ends with the process: [`Broker::restart`] starts one without.
    pub fn leveret_with_small_files(bytes: u64) -> Self {
        // Beyond the limit a write raises SIGXFSZ; where that is ignored, it fails instead. The shell becomes the broker.
        let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, &(bytes / 512).to_string()]).arg(binary());
        Self::run(shell, &[])
    }

    fn run(program: Command, arguments: &[&str]) -> Self {
        let home = TempDir::new().expect("a temporary directory can be made");
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let (child, addresses) = spawn(program, home.path(), &arguments);
        Self { addresses, process: Some(Process { child, arguments, home }) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses.amqp
    }

    /// Its management API, as `guest`.
    pub fn http(&self) -> Http {
        Http::new(self.addresses.http.expect("a management API, of RabbitMQ in LEVERET_TEST_HTTP"))
    }

    /// Whether this is RabbitMQ: for the tests that state how the two differ.
    pub fn is_rabbitmq(&self) -> bool {
        self.process.is_none()
    }

    /// A name no other test uses, since the tests may share one RabbitMQ. It is short, since a reply text that quotes it
    /// is cut at 255 octets.
    pub fn name(&self, label: &str) -> String {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        format!("test-{:x}-{number}-{label}", now.as_micros())
    }

    /// A connection with the default login.
    pub fn connect(&self) -> Connection {
        Login::default()
            .open(self.address())
            .unwrap_or_else(|closed| panic!("the broker refused guest: {closed:?}"))
    }

    /// A channel on a connection of its own.
    pub fn channel(&self) -> Channel {
        self.connect().channel()
    }

    /// Where this Leveret keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        data_dir(self.process().home.path())
    }

    /// What this Leveret has logged since the test began.
    pub fn log(&self) -> String {
        read_log(self.process().home.path())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process().child.id()
    }

    /// Ends the process as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        let child = &mut self.process_mut().child;
        child.kill().expect("the process is ours to kill");
        child.wait().expect("a killed process can be waited for");
    }

    /// Asks for a clean stop with SIGTERM, without waiting.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a valid pid");
        kill_process(pid, Signal::TERM).expect("the process is ours to signal");
    }

    /// The exit status, once the process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.process_mut().child;
        wait::until("the broker exits", || child.try_wait().expect("a child can be waited for"))
    }

    /// A clean stop, which must exit with 0.
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "a clean stop ended with {status}\n{}", self.log());
    }

    /// Starts again on the same data, with other arguments.
    pub fn restart_with(&mut self, arguments: &[&str]) {
        self.process_mut().arguments = arguments.iter().map(ToString::to_string).collect();
        self.restart();
    }

    /// Starts again on the same data, on new ports.
    pub fn restart(&mut self) {
        let process = self.process_mut();
        let program = Command::new(binary());
        let (child, addresses) = spawn(program, process.home.path(), &process.arguments);
        process.child = child;
        self.addresses = addresses;
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("this test is meant for Leveret only")
    }

    fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().expect("this test is meant for Leveret only")
    }
}

impl Drop for Broker {
    /// Ends the process. Whatever a test did, the broker must have survived it: that is asserted for every test here.
    fn drop(&mut self) {
        let Some(process) = &mut self.process else {
            return;
        };
        let log = read_log(process.home.path());
        let _already_gone = process.child.kill();
        let _reaped = process.child.wait();
        if thread::panicking() {
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
            eprintln!("--- end of the broker's log ---\n{}", last.join("\n"));
        } else {
            assert!(!log.contains("panicked at"), "a task of the broker panicked:\n{log}");
        }
    }
}

/// Runs `leveret serve` on a data directory until it ends by itself, as it does when it refuses to start.
pub fn serve_to_end(data: &Path, listen: &str) -> Output {
    let mut child = Command::new(binary())
        .args(["serve", "--listen", listen, "--http-listen", "127.0.0.1:0"])
        .args(["--log", "warn", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary().display()));
    wait::until("the second broker gives up", || {
        child.try_wait().expect("a child can be waited for")
    });
    child.wait_with_output().expect("the output of a child can be read")
}

/// Runs `program`, which is a Leveret or becomes one, with the arguments of `serve`.
fn spawn(mut program: Command, home: &Path, arguments: &[String]) -> (Child, Addresses) {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(home.join("log"))
        .expect("a log file can be made");
    let mut child = program
        .args(["serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"])
        .args(["--log", "warn", "--data"])
        .arg(data_dir(home))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary().display()));
    let stdout = child.stdout.take().expect("stdout is piped");
    match ready_addresses(stdout) {
        Some(addresses) => (child, addresses),
        None => {
            let _already_gone = child.kill();
            let _reaped = child.wait();
            panic!("the broker did not start\n{}", read_log(home));
        }
    }
}

/// The addresses in the ready line, or nothing if the process ends or says nothing until the deadline.
fn ready_addresses(stdout: ChildStdout) -> Option<Addresses> {
    let (sender, lines) = mpsc::channel();
    // Reads to the end, so that the broker never blocks on a full pipe.
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _test_has_ended = sender.send(line);
        }
    });
    loop {
        let line = lines.recv_timeout(DEADLINE).ok()?;
        if let Some(amqp) = address_after("amqp://", &line) {
            return Some(Addresses { amqp, http: address_after("http://", &line) });
        }
    }
}

/// The address after `scheme` in a line such as `Leveret 0.1.0 listens on amqp://127.0.0.1:5672; data in ...`.
fn address_after(scheme: &str, line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(scheme)?;
    rest.split([';', ',', ' ', '/']).next()?.parse().ok()
}

fn data_dir(home: &Path) -> PathBuf {
    home.join("data")
}

fn read_log(home: &Path) -> String {
    fs::read_to_string(home.join("log")).unwrap_or_default()
}

fn binary() -> PathBuf {
    std::env::var_os("LEVERET_TEST_BINARY").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/leveret")),
        PathBuf::from,
    )
}

fn resolve(address: &str) -> SocketAddr {
    address
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .unwrap_or_else(|| panic!("not host:port: {address}"))
}
