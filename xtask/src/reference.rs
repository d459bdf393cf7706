//! The reference: a real RabbitMQ 4 that the same tests run against, which is how we know that they ask for the right thing.
//!
//! Debian 12 has RabbitMQ 3.10; the current one comes from Debian sid, installed with debootstrap into a folder under
//! `target/` and run from there through chroot, which needs root. It listens on loopback only, on ports of its own, with
//! an empty data directory at each start. Called by [`crate::test`] and [`crate::bench`].

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::broker::stop;
use crate::command::run_logged;
use crate::{packages, paths};

const MIRROR: &str = "http://deb.debian.org/debian";
const START_LIMIT: Duration = Duration::from_secs(120);

/// What the black-box tests ask RabbitMQ for beside AMQP: its management API, and the exchange types that it has as
/// plugins and Leveret built in.
const PLUGINS: &str = "[rabbitmq_management, rabbitmq_consistent_hash_exchange, \
    rabbitmq_random_exchange, rabbitmq_recent_history_exchange].\n";

/// What RabbitMQ 4.3 refuses unless asked is permitted, since clients still use it and Leveret has it. Without /proc in
/// the chroot it cannot find out how much memory and disk there is.
const CONFIGURATION: &str = "\
loopback_users.guest = true
deprecated_features.permit.transient_nonexcl_queues = true
deprecated_features.permit.global_qos = true
total_memory_available_override_value = 8GB
vm_memory_calculation_strategy = allocated
disk_free_limit.absolute = 50MB
";

/// Installs the reference unless it is there already, and gives its root folder.
///
/// # Errors
/// When a step of the installation fails; its output is in `rabbitmq-install.log` beside the folder.
pub(crate) fn install() -> Result<PathBuf> {
    let root = paths::reference().join("rabbitmq");
    let stamp = root.join("installed");
    if stamp.exists() {
        return Ok(root);
    }
    fs::create_dir_all(paths::reference())?;
    if root.exists() {
        // The rest of an installation that was interrupted; debootstrap may have left this mounted.
        let _not_mounted =
            Command::new("umount").arg(root.join("proc")).stderr(Stdio::null()).status();
        fs::remove_dir_all(&root)?;
    }
    let log = paths::reference().join("rabbitmq-install.log");
    packages::install("debootstrap", "debootstrap")?;
    let mut debootstrap = Command::new("/usr/sbin/debootstrap");
    run_logged(debootstrap.args(["--variant=minbase", "sid"]).arg(&root).arg(MIRROR), &log)?;

    // Packages must not start what they install.
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
    run_logged(Command::new("chmod").arg("0755").arg(&policy), &log)?;
    let mut install = Command::new("chroot");
    install.arg(&root).args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install"]);
    run_logged(install.args(["--yes", "--no-install-recommends", "rabbitmq-server"]), &log)?;

    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n")?;
    fs::write(root.join("etc/rabbitmq/rabbitmq.conf"), CONFIGURATION)?;
    fs::write(stamp, version(&root)?)?;
    Ok(root)
}

/// The version of the installed RabbitMQ, such as `4.3.6`.
pub(crate) fn version(root: &Path) -> Result<String> {
    let folder = fs::read_dir(root.join("usr/lib/rabbitmq/lib"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find_map(|name| name.strip_prefix("rabbitmq_server-").map(str::to_string));
    folder.context("RabbitMQ is not where its package puts it")
}

/// A running reference; stopped when dropped.
pub(crate) struct Reference {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where its management API listens, if it runs with plugins.
    pub(crate) http: Option<SocketAddr>,
    epmd: Child,
    server: Child,
}

impl Reference {
    /// Starts RabbitMQ with no data and no plugins, as it is measured, and waits until it listens.
    ///
    /// # Errors
    /// When it does not come up within two minutes; its log is under `var/log/leveret-reference`.
    pub(crate) fn start(root: &Path) -> Result<Self> {
        Self::launch(root, false)
    }

    /// The same with the plugins that the tests use.
    ///
    /// # Errors
    /// As [`Reference::start`].
    pub(crate) fn start_with_plugins(root: &Path) -> Result<Self> {
        Self::launch(root, true)
    }

    fn launch(root: &Path, plugins: bool) -> Result<Self> {
        let [amqp, http, epmd_port, distribution] = free_ports()?;
        let (data, log) = ("/var/lib/leveret-reference", "/var/log/leveret-reference");
        let data = format!("{data}/{amqp}");
        for folder in [data.as_str(), log] {
            let mut make = Command::new("chroot");
            make.arg(root).args(["install", "-d", "-o", "rabbitmq", "-g", "rabbitmq", folder]);
            ensure!(make.status()?.success(), "cannot make {folder} in the reference");
        }
        if plugins {
            let data = root.join(data.trim_start_matches('/'));
            fs::write(data.join("enabled_plugins"), PLUGINS)?;
            let listener = format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {http}\n");
            fs::write(data.join("management.conf"), listener)?;
        }
        let epmd_port_text = epmd_port.to_string();
        let epmd = as_rabbitmq(root)
            .args(["/usr/bin/epmd", "-port", &epmd_port_text, "-address", "127.0.0.1"])
            .spawn()
            .context("cannot start epmd")?;
        let server = as_rabbitmq(root)
            .args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"])
            .arg(format!("HOME={data}"))
            .arg(format!("ERL_EPMD_PORT={epmd_port}"))
            .arg("ERL_EPMD_ADDRESS=127.0.0.1")
            // Runs the server in this very process, so that its pid is the one we have.
            .arg("RUNNING_UNDER_SYSTEMD=true")
            .arg("RABBITMQ_NODENAME=leveret-reference@localhost")
            .arg("RABBITMQ_NODE_IP_ADDRESS=127.0.0.1")
            .arg(format!("RABBITMQ_NODE_PORT={amqp}"))
            .arg(format!("RABBITMQ_DIST_PORT={distribution}"))
            .arg(format!("RABBITMQ_MNESIA_BASE={data}"))
            .arg(format!("RABBITMQ_LOG_BASE={log}"))
            .arg(format!("RABBITMQ_LOGS={log}/{amqp}.log"))
            .arg(format!("RABBITMQ_ENABLED_PLUGINS_FILE={data}/enabled_plugins"))
            // Read after /etc/rabbitmq/rabbitmq.conf, if it is there.
            .arg(format!("RABBITMQ_CONFIG_FILES={data}/*.conf"))
            .arg("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}")
            .arg("/usr/lib/rabbitmq/bin/rabbitmq-server")
            .spawn()
            .context("cannot start RabbitMQ")?;
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let http = plugins.then(|| loopback(http));
        let mut reference = Self { address: loopback(amqp), http, epmd, server };
        reference.wait_until_it_listens()?;
        Ok(reference)
    }

    /// The process to measure.
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        let addresses: Vec<SocketAddr> = [self.address].into_iter().chain(self.http).collect();
        while addresses.iter().any(|address| TcpStream::connect(address).is_err()) {
            if let Some(status) = self.server.try_wait()? {
                bail!("RabbitMQ ended with {status} while it started");
            }
            ensure!(Instant::now() < end, "RabbitMQ does not listen after {START_LIMIT:?}");
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        stop(&mut self.server);
        stop(&mut self.epmd);
    }
}

/// A command that runs in the reference's root as its user, and says nothing here.
fn as_rabbitmq(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    command.arg("--userspec=rabbitmq:rabbitmq").arg(root);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Ports that nobody listens on now.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
