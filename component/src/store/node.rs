//! Tables `muc_node` and `muc_duty`: the nodes that live, and what each does, or could do, for each service. A node
//! writes its own rows with every beat; everybody reads all. Times are the database's, so no two clocks are compared.

use super::connection::{Row, Value};
use super::error::StoreError;
use super::session::{Session, Statement};
use super::{Epoch, SqlStore};

const NODE: &str = "muc_node";
const DUTY: &str = "muc_duty";

/// An incarnation starts when its first beat is written.
const BEAT: Statement = Statement::on(
    NODE,
    "UPDATE muc_node SET started_ms = CASE WHEN incarnation_txt = ? THEN started_ms ELSE {now_ms} END,
     incarnation_txt = ?, pid_no = ?, beat_ms = {now_ms}, version_txt = ?, schema_no = ?, http_txt = ?, is_paused = ?
     WHERE node_txt = ?",
);
const NEW_NODE: Statement = Statement::on(
    NODE,
    "INSERT INTO muc_node (incarnation_txt, pid_no, version_txt, schema_no, http_txt, is_paused, node_txt, started_ms,
     beat_ms) VALUES (?, ?, ?, ?, ?, ?, ?, {now_ms}, {now_ms})",
);
const NODES: Statement = Statement::on(
    NODE,
    "SELECT node_txt, incarnation_txt, pid_no, version_txt, schema_no, http_txt, is_paused, started_ms, beat_ms,
     {now_ms} - beat_ms FROM muc_node ORDER BY node_txt",
);
const DO: Statement = Statement::on(
    DUTY,
    "UPDATE muc_duty SET since_ms = CASE WHEN state_txt = ? AND reason_txt = ? THEN since_ms ELSE {now_ms} END,
     home_txt = ?, twin_txt = ?, state_txt = ?, reason_txt = ?, why_txt = ?, is_fit = ?, unfit_txt = ?, level_no = ?,
     epoch = ?, gap_ms = ?, secret_tag_txt = ?, servers_txt = ?, beat_ms = {now_ms}
     WHERE node_txt = ? AND service_txt = ?",
);
const NEW_DUTY: Statement = Statement::on(
    DUTY,
    "INSERT INTO muc_duty (home_txt, twin_txt, state_txt, reason_txt, why_txt, is_fit, unfit_txt, level_no, epoch,
     gap_ms, secret_tag_txt, servers_txt, node_txt, service_txt, since_ms, beat_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {now_ms}, {now_ms})",
);
const DUTIES: Statement = Statement::on(
    DUTY,
    "SELECT node_txt, service_txt, home_txt, twin_txt, state_txt, reason_txt, why_txt, is_fit, unfit_txt, level_no,
     epoch, gap_ms, secret_tag_txt, servers_txt, since_ms, {now_ms} - since_ms, {now_ms} - beat_ms FROM muc_duty
     ORDER BY service_txt, node_txt",
);
const DUTIES_FOR: Statement = Statement::on(
    DUTY,
    "SELECT node_txt, service_txt, home_txt, twin_txt, state_txt, reason_txt, why_txt, is_fit, unfit_txt, level_no,
     epoch, gap_ms, secret_tag_txt, servers_txt, since_ms, {now_ms} - since_ms, {now_ms} - beat_ms FROM muc_duty
     WHERE service_txt = ? ORDER BY node_txt",
);

/// `level_no` where it is not known.
const NO_LEVEL: i64 = -1;

/// A node's sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeBeat<'a> {
    /// Its name.
    pub node: &'a str,
    /// Unlike that of any other run of this node.
    pub incarnation: &'a str,
    /// The number of its process.
    pub pid: u32,
    /// Of the program.
    pub version: &'a str,
    /// Where it answers HTTP.
    pub http: Option<&'a str>,
    /// Whether an operator told it to make no moves by itself.
    pub is_paused: bool,
}

/// A node as it was last seen.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "those of NodeBeat are said there")]
pub struct NodeSeen {
    pub node: String,
    pub incarnation: String,
    pub pid: u32,
    pub version: String,
    /// The schema its program knows.
    pub schema: u32,
    pub http: Option<String>,
    pub is_paused: bool,
    /// When this incarnation first beat.
    pub started_ms: i64,
    /// When it last beat.
    pub beat_ms: i64,
    /// How long ago that is.
    pub silent_ms: u64,
}

/// What a node does, or could do, for a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Duty {
    /// The service domain.
    pub service: String,
    /// Its home node.
    pub home: String,
    /// The node's twin, where it has one.
    pub twin: Option<String>,
    /// The state an operator reads.
    pub state: String,
    /// Why, in fixed words …
    pub reason: String,
    /// … and in a sentence.
    pub why: String,
    /// Whether the node could serve if asked.
    pub is_fit: bool,
    /// If not, why.
    pub unfit: Option<String>,
    /// The attachment level, 0 to 2, if it is known.
    pub level: Option<u8>,
    /// The node's last reign, 0 for none.
    pub epoch: Epoch,
    /// How long nobody served at its last takeover.
    pub gap_ms: Option<u64>,
    /// What tells nodes with different secrets apart, without telling the secret.
    pub secret_tag: String,
    /// The servers it attaches to, in order, in words.
    pub servers: String,
}

/// A duty as it was last written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DutySeen {
    /// Whose.
    pub node: String,
    /// What it wrote.
    pub duty: Duty,
    /// Since when state and reason are these.
    pub since_ms: i64,
    /// How long that is.
    pub lasting_ms: u64,
    /// How long ago it was written.
    pub silent_ms: u64,
}

impl SqlStore {
    /// Writes a node's sign of life and what it does: all of it or nothing.
    pub async fn beat(&self, node: &NodeBeat<'_>, duties: &[Duty]) -> Result<(), StoreError> {
        self.bounded(async {
            let mut session = self.noter().await?;
            // Two drivers of a node that starts may both find no row and insert one; the later one finds it then.
            match beat_once(&mut session, node, duties).await {
                Err(StoreError::Damaged { .. }) => beat_once(&mut session, node, duties).await,
                done => done,
            }
        })
        .await
    }

    /// All nodes that ever beat, by name.
    pub async fn nodes(&self) -> Result<Vec<NodeSeen>, StoreError> {
        self.bounded(async {
            let rows = self.watcher().await?.fetch(NODES, &[]).await?;
            let read = |row| read_node(row).map_err(|what| StoreError::Damaged { table: NODE, what });
            rows.into_iter().map(read).collect()
        })
        .await
    }

    /// What all nodes do for `service`, or for all services, by service and node.
    pub async fn duties(&self, service: Option<&str>) -> Result<Vec<DutySeen>, StoreError> {
        self.bounded(async {
            let mut session = self.watcher().await?;
            let rows = match service {
                Some(service) => session.fetch(DUTIES_FOR, &[service.into()]).await?,
                None => session.fetch(DUTIES, &[]).await?,
            };
            let read = |row| read_duty(row).map_err(|what| StoreError::Damaged { table: DUTY, what });
            rows.into_iter().map(read).collect()
        })
        .await
    }
}

async fn beat_once(session: &mut Session, node: &NodeBeat<'_>, duties: &[Duty]) -> Result<(), StoreError> {
    session.begin(NODE).await?;
    match write(session, node, duties).await {
        Ok(()) => session.commit(NODE).await,
        Err(error) => {
            session.rollback(NODE).await;
            Err(error)
        }
    }
}

async fn write(session: &mut Session, node: &NodeBeat<'_>, duties: &[Duty]) -> Result<(), StoreError> {
    let said = [
        node.incarnation.into(),
        i64::from(node.pid).into(),
        node.version.into(),
        i64::from(SqlStore::SCHEMA).into(),
        node.http.into(),
        node.is_paused.into(),
        node.node.into(),
    ];
    let known: Vec<Value<'_>> = std::iter::once(node.incarnation.into()).chain(said.clone()).collect();
    if session.execute(BEAT, &known).await? == 0 {
        session.execute(NEW_NODE, &said).await?;
    }
    for duty in duties {
        write_duty(session, node.node, duty).await?;
    }
    Ok(())
}

async fn write_duty(session: &mut Session, node: &str, duty: &Duty) -> Result<(), StoreError> {
    let said = [
        duty.home.as_str().into(),
        duty.twin.as_deref().into(),
        duty.state.as_str().into(),
        duty.reason.as_str().into(),
        duty.why.as_str().into(),
        duty.is_fit.into(),
        duty.unfit.as_deref().into(),
        duty.level.map_or(NO_LEVEL, i64::from).into(),
        duty.epoch.0.into(),
        Value::maybe_count(duty.gap_ms),
        duty.secret_tag.as_str().into(),
        duty.servers.as_str().into(),
        node.into(),
        duty.service.as_str().into(),
    ];
    let since = [duty.state.as_str().into(), duty.reason.as_str().into()];
    let known: Vec<Value<'_>> = since.into_iter().chain(said.clone()).collect();
    if session.execute(DO, &known).await? == 0 {
        session.execute(NEW_DUTY, &said).await?;
    }
    Ok(())
}

fn read_node(mut row: Row) -> Result<NodeSeen, String> {
    Ok(NodeSeen {
        node: row.text()?,
        incarnation: row.text()?,
        pid: u32::try_from(row.int()?).unwrap_or_default(),
        version: row.text()?,
        schema: u32::try_from(row.int()?).unwrap_or_default(),
        http: row.maybe_text()?,
        is_paused: row.bool()?,
        started_ms: row.int()?,
        beat_ms: row.int()?,
        silent_ms: row.count()?,
    })
}

fn read_duty(mut row: Row) -> Result<DutySeen, String> {
    let node = row.text()?;
    let duty = Duty {
        service: row.text()?,
        home: row.text()?,
        twin: row.maybe_text()?,
        state: row.text()?,
        reason: row.text()?,
        why: row.text_or_empty()?,
        is_fit: row.bool()?,
        unfit: row.maybe_text()?,
        level: u8::try_from(row.int()?).ok(),
        epoch: Epoch(row.int()?),
        gap_ms: row.maybe_count()?,
        secret_tag: row.text_or_empty()?,
        servers: row.text_or_empty()?,
    };
    Ok(DutySeen { node, duty, since_ms: row.int()?, lasting_ms: row.count()?, silent_ms: row.count()? })
}
