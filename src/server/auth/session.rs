//! Sessions: on the server, found by a random id in a cookie.
//!
//! tower-sessions does the cookie, makes ids and changes them at sign-in; the record keeps the sessions. They
//! end after a while without a request, at the latest a while after sign-in, and when somebody ends them.

use super::opaque;
use super::provider::UnderWay;
use crate::domain::{Operator, OperatorId, SessionInfo, Timestamp};
use crate::server::clock;
use crate::server::store::{SessionAges, SessionRow, Store, StoreError};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tower_sessions::cookie::SameSite;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};
use tower_sessions::{Expiry, Session, SessionManagerLayer, SessionStore};
use uuid::Uuid;

const SIGNED_IN: &str = "signed_in";
const UNDER_WAY: &str = "under_way";
/// How long a sign-in at the provider may take, and a little more, in milliseconds.
const UNDER_WAY_MS: i64 = 15 * 60 * 1000;
const FORGET_EVERY: Duration = Duration::from_mins(10);

/// Who is signed in, as a session holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// Who.
    pub operator: OperatorId,
    /// Since when.
    pub at: Timestamp,
    /// From which address.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
}

/// The record's sessions, as tower-sessions wants them.
#[derive(Debug, Clone)]
pub struct Sessions {
    store: Store,
    ages: SessionAges,
}

impl Sessions {
    /// Sessions that live this long.
    pub fn new(store: Store, ages: SessionAges) -> Self {
        Self { store, ages }
    }

    /// Forgets sessions and links that have ended, from time to time, until told to stop.
    pub async fn forget_ended(self, stop: CancellationToken) {
        let mut beat = interval(FORGET_EVERY);
        while stop.run_until_cancelled(beat.tick()).await.is_some() {
            if let Err(error) = self.store.forget_ended_sessions(self.ages, clock::now()).await {
                tracing::warn!(%error, "ended sessions could not be forgotten; trying again");
            }
        }
    }

    /// The layer that finds each request's session. Over https the cookie is bound to this very host (RFC 6265bis,
    /// section 4.1.3.2); over plain http, which is for this machine alone, no browser would take such a name.
    pub fn layer(&self, secure: bool) -> SessionManagerLayer<Self> {
        SessionManagerLayer::new(self.clone())
            .with_name(cookie_name("session", secure))
            .with_secure(secure)
            .with_http_only(true)
            .with_same_site(SameSite::Lax)
            .with_expiry(Expiry::OnSessionEnd)
    }

    /// Signs an operator in, under a new id: whoever knew the old one knows nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_in(
        &self,
        session: &Session,
        who: SignedIn,
    ) -> std::result::Result<(), tower_sessions::session::Error> {
        session.clear().await;
        session.cycle_id().await?;
        let ends = who.at.plus_millis(self.ages.absolute_ms);
        session.set_expiry(Some(Expiry::AtDateTime(moment(ends))));
        session.insert(SIGNED_IN, who).await
    }

    /// Keeps a sign-in that is under way at the provider, for as long as one may take.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_under_way(
        session: &Session,
        under_way: &UnderWay,
    ) -> std::result::Result<(), tower_sessions::session::Error> {
        if Self::signed_in(session).await?.is_none() {
            let ends = clock::now().plus_millis(UNDER_WAY_MS);
            session.set_expiry(Some(Expiry::AtDateTime(moment(ends))));
        }
        session.insert(UNDER_WAY, under_way).await
    }

    /// Takes the sign-in that is under way; once, whatever comes of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_under_way(
        session: &Session,
    ) -> std::result::Result<Option<UnderWay>, tower_sessions::session::Error> {
        let under_way = session.remove(UNDER_WAY).await?;
        // Now, and not with the answer: the same answer sent twice at once finds nothing.
        session.save().await?;
        Ok(under_way)
    }

    /// Who is signed in here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signed_in(session: &Session) -> std::result::Result<Option<SignedIn>, tower_sessions::session::Error> {
        session.get(SIGNED_IN).await
    }

    /// The sessions of an operator, the one last seen first; `session` is the one that asks.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn of(
        &self,
        operator: OperatorId,
        session: &Session,
    ) -> std::result::Result<Vec<SessionInfo>, StoreError> {
        let own = session.id().map(|id| key(&id));
        let rows = self.store.sessions_of(operator, self.ages, clock::now()).await?;
        let info = |row: SessionRow| {
            let data: Option<SignedIn> = signed_in_of(&row.data);
            SessionInfo {
                current: own.as_deref() == Some(row.id_sha256.as_str()),
                handle: row.handle,
                signed_in_at: row.created_at,
                last_seen_at: row.last_seen_at,
                expires_at: row.expires_at,
                address: data.as_ref().map(|data| data.address.clone()).unwrap_or_default(),
                user_agent: data.map(|data| data.user_agent).unwrap_or_default(),
            }
        };
        Ok(rows.into_iter().map(info).collect())
    }
}

impl SignedIn {
    /// This operator, signed in now.
    pub fn now(operator: &Operator, address: &str, user_agent: &str) -> Self {
        Self {
            operator: operator.id,
            at: clock::now(),
            address: address.to_owned(),
            user_agent: user_agent.chars().filter(|c| !c.is_control()).take(300).collect(),
        }
    }
}

/// The name of one of our cookies.
pub fn cookie_name(what: &str, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}console_{what}")
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let now = clock::now();
        let data = encode(record)?;
        loop {
            let row = SessionRow {
                id_sha256: key(&record.id),
                handle: Uuid::now_v7().to_string(),
                operator: signed_in_of(&data).map(|who| who.operator),
                data: data.clone(),
                created_at: now,
                last_seen_at: now,
                expires_at: timestamp(record.expiry_date),
            };
            if self.store.create_session(&row).await.map_err(backend)? {
                return Ok(());
            }
            record.id = Id::default();
        }
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (id, data) = (key(&record.id), encode(record)?);
        let saved = self.store.save_session(&id, &data, timestamp(record.expiry_date)).await;
        saved.map_err(backend)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let loaded = self.store.load_session(&key(id), self.ages, clock::now()).await;
        let Some((data, expires_at)) = loaded.map_err(backend)? else {
            return Ok(None);
        };
        Ok(Some(Record {
            id: *id,
            data: serde_json::from_str(&data).map_err(|error| Error::Decode(error.to_string()))?,
            expiry_date: moment(expires_at),
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.store.delete_session(&key(id)).await.map_err(backend)
    }
}

fn key(id: &Id) -> String {
    opaque::fingerprint(&id.to_string())
}

fn encode(record: &Record) -> Result<String> {
    serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))
}

fn signed_in_of(data: &str) -> Option<SignedIn> {
    let mut data: serde_json::Value = serde_json::from_str(data).ok()?;
    serde_json::from_value(data.get_mut(SIGNED_IN)?.take()).ok()
}

fn backend(error: StoreError) -> Error {
    Error::Backend(error.to_string())
}

fn timestamp(moment: OffsetDateTime) -> Timestamp {
    Timestamp::from_millis(i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
}

fn moment(timestamp: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(timestamp.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
