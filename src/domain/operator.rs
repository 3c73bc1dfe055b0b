use super::{Site, Slug, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

const NAME_CHARS: usize = 64;

/// The id of an operator: a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(Uuid);

impl OperatorId {
    /// Wraps a UUID.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OperatorId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// What an operator may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Deploys the sites that let them.
    Deployer,
    /// Everything, and people.
    Admin,
}

/// The word is no role.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no role: use viewer, deployer or admin")]
pub struct InvalidRole(String);

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Deployer, Self::Admin];

    /// The word in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| InvalidRole(text.chars().take(80).collect()))
    }
}

/// What an operator is called, on every record: 1 to 64 characters, none of them invisible, no space at an end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorName(String);

/// The text cannot be an operator's name.
#[derive(Debug, thiserror::Error)]
#[error("a name must be 1 to 64 visible characters, without a space at either end")]
pub struct InvalidName;

impl OperatorName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names must not share: people do not differ in case alone.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// A name from what a provider says: what cannot stand in one is taken out.
    ///
    /// # Errors
    /// [`InvalidName`] when nothing is left.
    pub fn from_foreign(text: &str) -> Result<Self, InvalidName> {
        let visible: String = text.chars().filter(|c| is_visible(*c)).take(NAME_CHARS).collect();
        Self::try_from(visible.trim().to_owned())
    }
}

/// Controls and what changes the order of reading (Unicode 15, UAX 9) have no place in a name.
fn is_visible(c: char) -> bool {
    let changes_order = matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !changes_order
}

impl TryFrom<String> for OperatorName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let length = text.chars().count();
        if (1..=NAME_CHARS).contains(&length) && text.trim() == text && text.chars().all(is_visible) {
            return Ok(Self(text));
        }
        Err(InvalidName)
    }
}

impl FromStr for OperatorName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<OperatorName> for String {
    fn from(name: OperatorName) -> Self {
        name.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Their id.
    pub id: OperatorId,
    /// What they are called.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// How they sign in.
    pub sign_in: SignInWay,
    /// Since when they are on the list.
    pub created_at: Timestamp,
    /// Since when they may not come in any more.
    pub disabled_at: Option<Timestamp>,
}

/// How an operator signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignInWay {
    /// With a password.
    Password,
    /// Through the OpenID provider, which also says what they may do.
    Provider,
    /// Not yet: a link to set a password was given out.
    Invited,
}

/// Whose word a request is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The operator.
    pub operator: OperatorId,
    /// What they are called.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// Set when it came with an API token.
    pub token: Option<TokenScope>,
}

/// What a token narrows its operator's rights to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenScope {
    /// What its operator calls it.
    pub name: String,
    /// The sites that it may deploy; empty for all that its operator may.
    pub sites: Vec<Slug>,
}

/// Why somebody may not deploy a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDeploy {
    /// A viewer only reads.
    #[error("Viewers cannot deploy. An admin can make you a deployer.")]
    Viewer,
    /// The site names its deployers.
    #[error("console.toml names who may deploy this site, and you are not among them.")]
    NotNamed,
    /// The token is for other sites.
    #[error("This token is not for this site. Create one that is.")]
    OtherSites,
}

impl Caller {
    /// Whether the caller may deploy `site`.
    ///
    /// # Errors
    /// [`NoDeploy`] says why not.
    pub fn may_deploy(&self, site: &Site) -> Result<(), NoDeploy> {
        if self.role < Role::Deployer {
            return Err(NoDeploy::Viewer);
        }
        let named = site.deployers.is_empty() || site.deployers.contains(&self.name);
        if self.role < Role::Admin && !named {
            return Err(NoDeploy::NotNamed);
        }
        let in_scope = |token: &TokenScope| token.sites.is_empty() || token.sites.contains(&site.slug);
        if self.token.as_ref().is_some_and(|token| !in_scope(token)) {
            return Err(NoDeploy::OtherSites);
        }
        Ok(())
    }
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// What a page calls it; it opens nothing.
    pub handle: String,
    /// Since when.
    pub signed_in_at: Timestamp,
    /// When it last asked for something, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Where it signed in from.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// An API token, without what opens the door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its id, by which it is revoked.
    pub id: String,
    /// Whose word it is.
    pub operator: OperatorName,
    /// What they call it.
    pub name: String,
    /// The sites that it may deploy; empty for all that its operator may.
    pub sites: Vec<Slug>,
    /// Since when it exists.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenInfo {
    /// Whether it still opens the door at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
