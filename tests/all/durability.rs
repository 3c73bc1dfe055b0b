//! What "acknowledged" rests on with SQLite: the settings of each connection that writes. PostgreSQL's are in
//! `postgres.rs` and in the doctor.

use crate::support::database::{execute, is_postgres, sqlite_in};
use raxx_console::domain::{AuditAction, AuditFilter};
use raxx_console::server::audit::Source;
use raxx_console::server::store::Store;
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Row as _};

#[tokio::test]
async fn every_connection_to_a_file_writes_so_that_a_commit_is_on_disk() {
    if is_postgres() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_in(folder.path());
    let store = Store::open(&url).await.unwrap();
    // Each of our transactions writes down what its connection was told.
    let sql = "CREATE TRIGGER note AFTER INSERT ON console_audit BEGIN UPDATE console_audit SET detail = json_object( \
               'synchronous', (SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous), \
               'foreign_keys', (SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys), \
               'busy_timeout', (SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout)) WHERE seq = NEW.seq; END";
    execute(&url, sql).await;
    // As many at once as there are connections, so that each of them has its turn.
    let entry = Source::command_line().does(AuditAction::DeployRequested);
    let written = (0..8).map(|_| store.record_audit(&entry));
    assert!(futures::future::join_all(written).await.iter().all(Result::is_ok));
    let rows = store.audit_page(&AuditFilter::default(), 20).await.unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let told = json!({ "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000" });
        assert_eq!(serde_json::to_value(&row.detail).unwrap(), told);
    }
    let mut other = AnyConnection::connect(&url).await.unwrap();
    let row = sqlx::query("PRAGMA journal_mode").fetch_one(&mut other).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "wal");
}
