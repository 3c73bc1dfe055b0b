//! Signing in with a password.
//!
//! Whatever is wrong, the answer is the same and takes as long. Guessing is slowed down per address and per
//! account; a browser that its operator has signed in with before is not held up by others who guess (OWASP,
//! Slow Down Online Guessing Attacks with Device Cookies), so nobody can lock an operator out.

use super::opaque;
use crate::domain::{AuditAction, Operator, OperatorName, Problem, Refusal};
use crate::server::audit::Source;
use crate::server::store::Account;
use crate::server::{Console, clock};
use secrecy::SecretString;

/// Within this time failures are counted, in milliseconds.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Failures from one address in that time, after which it has to wait.
const MOST_BY_ADDRESS: i64 = 50;
/// Failures for one account in that time, after which browsers that were never signed in have to wait.
const MOST_BY_ACCOUNT: i64 = 10;
/// Failures of one known browser, after which it is as good as unknown.
const MOST_BY_DEVICE: i64 = 10;

/// Somebody at the door.
pub struct Attempt<'a> {
    /// The name as it was typed.
    pub name: &'a str,
    /// The password as it was typed.
    pub password: SecretString,
    /// Where they are.
    pub address: &'a str,
    /// What the browser's device cookie holds.
    pub device: Option<&'a str>,
}

/// Checks name and password, and writes down what came of it.
///
/// # Errors
/// A [`Refusal`]: 401 whatever is wrong, 429 after too many failures, 503.
pub async fn by_password(console: &Console, attempt: Attempt<'_>) -> Result<Operator, Refusal> {
    let store = &console.store;
    // Failures are counted while holding a turn, so that guesses sent all at once are still counted one by one.
    let _turn = console.passwords.turn().await;
    let name = attempt.name.parse::<OperatorName>().ok();
    let key = name
        .as_ref()
        .map_or_else(|| attempt.name.chars().take(64).collect(), OperatorName::key);
    let account = match &name {
        Some(name) => store.account(name).await?,
        None => None,
    };
    let device = known_device(console, attempt.device, account.as_ref()).await?;
    let since = clock::now().plus_millis(-WINDOW_MS);
    let (by_account, by_address) = store.sign_in_failures(&key, attempt.address, since).await?;
    if by_address >= MOST_BY_ADDRESS || (device.is_none() && by_account >= MOST_BY_ACCOUNT) {
        return Err(too_many());
    }
    let phc = account.as_ref().and_then(|account| account.password.clone());
    let verified = console.passwords.verify(attempt.password, phc).await;
    let operator = account
        .map(|account| account.operator)
        .filter(|operator| verified && operator.disabled_at.is_none());
    if let Some(device) = &device {
        store.count_device(device, operator.is_none(), MOST_BY_DEVICE).await?;
    }
    let source = Source::nobody(attempt.address);
    let Some(operator) = operator else {
        store
            .record_audit(&source.does(AuditAction::SignInFailed).about(key))
            .await?;
        return Err(wrong());
    };
    let entry = source.does(AuditAction::SignedIn).about(operator.name.as_str());
    store.record_audit(&entry.with("by", "password")).await?;
    Ok(operator)
}

/// The fingerprint of the device cookie, if its browser has signed this account in before.
async fn known_device(
    console: &Console,
    device: Option<&str>,
    account: Option<&Account>,
) -> Result<Option<String>, Refusal> {
    let (Some(device), Some(account)) = (device, account) else {
        return Ok(None);
    };
    let device = opaque::fingerprint(device);
    let known = console.store.is_known_device(&device, account.operator.id).await?;
    Ok(known.then_some(device))
}

fn wrong() -> Refusal {
    Refusal::new(
        Problem::NotSignedIn,
        "Name or password is wrong, or the account is disabled. An admin can give out a link to set a new password.",
    )
}

fn too_many() -> Refusal {
    Refusal::new(
        Problem::TooManyRequests,
        "Too many failed tries. Wait a quarter of an hour, or use a browser that you have signed in with before.",
    )
    .with_retry_after(WINDOW_MS.unsigned_abs() / 1000)
}
