//! Whether a console's answers agree with each other: board, history, record.

use super::ledger::Kind;
use super::world::{ANSWER_WITHIN, Operator, SITES, World, slug};
use serde_json::Value;

/// How often it is asked again when it does not answer, because its database is away.
const TRIES: usize = 3;

/// What a console says of a site, in three ways.
struct Said {
    tile: Value,
    newest: Value,
    record: Value,
}

/// Asks the console at `door` for each site in every way. A site that changes meanwhile says nothing; two answers
/// between which the board has stayed the same must be one.
pub(super) async fn agree(world: &World, operator: &Operator, door: &str) {
    for _ in 0..TRIES {
        let Ok(said) = everything(operator, door).await else {
            continue;
        };
        for Said { tile, newest, record } in said {
            let keys = ["id", "state", "operator", "run_id", "requested_at", "finished_at"];
            let differs = |key: &&str| tile[key] != newest[key] || tile[key] != record[key];
            if let Some(key) = keys.iter().find(|key| differs(key)) {
                let (board, history, record) = (&tile[key], &newest[key], &record[key]);
                let what = format!("{key} is {board} on the board, {history} in history, {record} on record");
                world.wrong(Kind::Inconsistent, format!("{door}: {what}"));
            }
        }
        return;
    }
}

/// What is said of each site that has stayed the same.
async fn everything(operator: &Operator, door: &str) -> Result<Vec<Said>, reqwest::Error> {
    let get = async |path: String| -> Result<Value, reqwest::Error> {
        let request = operator.http.get(format!("{door}/api/internal/{path}"));
        let request = request.timeout(ANSWER_WITHIN);
        request.send().await?.error_for_status()?.json().await
    };
    let before = get("board".to_owned()).await?;
    let mut said = Vec::new();
    for site in (0..SITES).map(slug) {
        let history = get(format!("site?slug={site}")).await?;
        let tile = latest(&before, &site);
        let record = match tile["id"].as_str() {
            Some(id) => get(format!("deploys/{id}")).await?,
            None => Value::Null,
        };
        let newest = history["page"]["deploys"][0].clone();
        said.push((site, Said { tile, newest, record }));
    }
    let after = get("board".to_owned()).await?;
    said.retain(|(site, said)| said.tile == latest(&after, site));
    Ok(said.into_iter().map(|(_, said)| said).collect())
}

/// What the tile of a site shows.
fn latest(board: &Value, site: &str) -> Value {
    let mut tiles = board["tiles"].as_array().unwrap().iter();
    let tile = tiles.find(|tile| tile["site"]["slug"] == site).unwrap();
    tile["latest"].clone()
}
