//! A throw-away PostgreSQL in a temporary directory: own data, own port on loopback and a Unix socket, every commit
//! synced. Started as the `postgres` user where the tests run as root, for PostgreSQL refuses root. Ended when dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The user everything belongs to.
pub const USER: &str = "tandem";
/// That user's password.
pub const PASSWORD: &str = "correct horse";

/// What is needed of it.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pg_isready"];

/// How long the server may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Postgres {
    binaries: PathBuf,
    /// User and group to run as, where the tests are root.
    runs_as: Option<(u32, u32)>,
    folder: TempDir,
    port: u16,
    server: Option<Child>,
}

/// How a server is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Sessions are ended, everything is written out.
    Fast,
    /// As in a crash; the next start recovers.
    Immediate,
}

impl Postgres {
    /// Starts one; `None` where PostgreSQL is not installed, which is a reason to skip what needs it.
    pub fn start() -> Result<Option<Postgres>, String> {
        let Some(binaries) = binaries() else {
            return Ok(None);
        };
        let runs_as = if is_root() { Some(unprivileged_user()?) } else { None };
        let folder = TempDir::with_prefix("tandem-pg-").map_err(|why| format!("no temporary directory: {why}"))?;
        if let Some((user, group)) = runs_as {
            chown(folder.path(), Some(user), Some(group)).map_err(|why| format!("chown: {why}"))?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).map_err(|why| format!("chmod: {why}"))?;
        let mut postgres = Postgres { binaries, runs_as, folder, port: free_port()?, server: None };
        postgres.init()?;
        postgres.resume()?;
        Ok(Some(postgres))
    }

    fn init(&self) -> Result<(), String> {
        let password_file = self.folder.path().join("password");
        fs::write(&password_file, PASSWORD).map_err(|why| format!("password file: {why}"))?;
        let made = self
            .command("initdb")
            .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--username", USER])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(self.data())
            .output()
            .map_err(|why| format!("initdb: {why}"))?;
        if made.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned()) }
    }

    /// Starts the server again after [`Postgres::stop`], on the same port; returns when it answers.
    pub fn resume(&mut self) -> Result<(), String> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .map_err(|why| format!("log file: {why}"))?;
        let server = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-c", "fsync=on", "-c", "max_connections=200", "-c", "shared_buffers=64MB"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|why| format!("postgres: {why}"))?;
        self.server = Some(server);
        let begun = Instant::now();
        while !self.is_ready() {
            if begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("postgres did not answer within {PATIENCE:?}:\n{log}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let asked = self
            .command("pg_isready")
            .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", "postgres"])
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// Ends the server; its data stay.
    pub fn stop(&mut self, how: Ending) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let signal = match how {
            Ending::Fast => "-INT",
            Ending::Immediate => "-QUIT",
        };
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(Some(_)) = server.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) -> Result<(), String> {
        self.sql("postgres", &format!("CREATE DATABASE {name}")).map(|_| ())
    }

    /// Runs statements as the owner of everything, as an operator would; what they give, without decoration.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let done = self
            .command("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", USER, "-d", database, "-c", statements])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .map_err(|why| format!("psql: {why}"))?;
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    /// Lets the server speak TLS with a certificate of its own, from the next connection on.
    pub fn enable_tls(&self) -> Result<(), String> {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .arg("-keyout")
            .arg(self.data().join("server.key"))
            .arg("-out")
            .arg(self.data().join("server.crt"))
            .output()
            .map_err(|why| format!("openssl: {why}"))?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        for name in ["server.key", "server.crt"] {
            let file = self.data().join(name);
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(|why| format!("chmod: {why}"))?;
            if let Some((user, group)) = self.runs_as {
                chown(&file, Some(user), Some(group)).map_err(|why| format!("chown: {why}"))?;
            }
        }
        self.sql("postgres", "ALTER SYSTEM SET ssl = on")?;
        self.sql("postgres", "SELECT pg_reload_conf()").map(|_| ())
    }

    /// The url of a database over TCP.
    pub fn url(&self, database: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        format!("postgres://{USER}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The url of a database over the Unix socket.
    pub fn socket_url(&self, database: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        let folder = self.folder.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://{USER}:{password}@{folder}:{}/{database}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        // libpq looks for certificates at home, which the other user may not read.
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        if let Some((user, group)) = self.runs_as {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop(Ending::Fast);
    }
}

/// The newest installed server's programs: Debian keeps them off the path.
fn binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        found.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&path));
    found.sort_by_key(|bin| version_of(bin));
    let has_all = |bin: &PathBuf| PROGRAMS.iter().all(|program| bin.join(program).is_file());
    found.into_iter().rev().find(has_all)
}

fn version_of(bin: &Path) -> u32 {
    let version = bin.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// User and group id of `postgres`, which comes with the distribution's package.
fn unprivileged_user() -> Result<(u32, u32), String> {
    let users = fs::read_to_string("/etc/passwd").map_err(|why| format!("/etc/passwd: {why}"))?;
    let found = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        match fields[..] {
            ["postgres", _, user, group, ..] => Some((user.parse().ok()?, group.parse().ok()?)),
            _ => None,
        }
    });
    found.ok_or_else(|| "the tests run as root and there is no user postgres to run the server as".into())
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|why| format!("no free port: {why}"))?;
    listener.local_addr().map(|address| address.port()).map_err(|why| format!("no free port: {why}"))
}
