//! Table `muc_database`: one row that says which database this is, so that a node or a relay notices a wrong one; and
//! what it says of the time.

use tandem_muc_core::time::Utc;
use uuid::Uuid;

use super::SqlStore;
use super::error::StoreError;
use super::session::{Session, Statement};

const TABLE: &str = "muc_database";

const READ: Statement = Statement::on(TABLE, "SELECT id_txt FROM muc_database WHERE row_no = 1");
const NAME: Statement =
    Statement::on(TABLE, "INSERT INTO muc_database (row_no, id_txt, made_ms) VALUES (1, ?, {now_ms})");
const CLOCK: Statement = Statement::on(TABLE, "SELECT {now_ms} FROM muc_database WHERE row_no = 1");

impl SqlStore {
    /// What the database's clock says; `None` where the database has no identity yet.
    pub async fn database_clock(&self) -> Result<Option<Utc>, StoreError> {
        self.bounded(async {
            let mut session = self.noter().await?;
            let row = session.fetch_one(CLOCK, &[]).await?;
            let now = row.map(|mut row| row.int().map(Utc)).transpose();
            now.map_err(|what| StoreError::Damaged { table: TABLE, what })
        })
        .await
    }

    /// The database's identity, the same for every node for ever; whoever asks first gives it.
    pub async fn database_id(&self) -> Result<String, StoreError> {
        self.bounded(async {
            let mut session = self.noter().await?;
            if let Some(id) = read(&mut session).await? {
                return Ok(id);
            }
            // Where another node is faster, its id is as good.
            match session.execute(NAME, &[Uuid::new_v4().to_string().into()]).await {
                Ok(_) | Err(StoreError::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
            let gone = || StoreError::Damaged { table: TABLE, what: "its row was just removed by somebody".into() };
            read(&mut session).await?.ok_or_else(gone)
        })
        .await
    }
}

async fn read(session: &mut Session) -> Result<Option<String>, StoreError> {
    let row = session.fetch_one(READ, &[]).await?;
    row.map(|mut row| row.text()).transpose().map_err(|what| StoreError::Damaged { table: TABLE, what })
}
