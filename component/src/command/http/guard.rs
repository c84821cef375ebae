//! Who may ask by HTTP. Orders want the token; so do readers where there is one, and without one they have to be on
//! this machine. A wrong token is answered slowly, and many wrong ones at once are turned away.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tracing::warn;

use super::Refused;

/// How long a wrong token waits for its answer.
const SLOWED: Duration = Duration::from_secs(1);
/// So many wait at once; more are turned away unslowed, so that they hold nothing of ours.
const SLOWED_MAX: usize = 16;

#[derive(Clone)]
pub(super) struct Guard {
    token: Option<SecretString>,
    slowed: Arc<Semaphore>,
}

impl Guard {
    pub(super) fn new(token: Option<SecretString>) -> Guard {
        Guard { token, slowed: Arc::new(Semaphore::new(SLOWED_MAX)) }
    }

    /// Lets in who may order.
    pub(super) async fn admit_order(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(token) = &self.token else {
            let what = "no orders are taken here: set [http] token_file, and give the token in it";
            return Err(Refused(StatusCode::FORBIDDEN, what.to_owned()));
        };
        self.compare(token, headers).await
    }

    /// Lets in who may read.
    pub(super) async fn admit_reader(&self, headers: &HeaderMap, from: IpAddr) -> Result<(), Refused> {
        match &self.token {
            Some(token) => self.compare(token, headers).await,
            None if from.to_canonical().is_loopback() => Ok(()),
            None => {
                let what = "without [http] token_file only this machine may read; set it, and give the token in it";
                Err(Refused(StatusCode::FORBIDDEN, what.to_owned()))
            }
        }
    }

    /// The right token always passes at once, so that nobody who guesses can keep the operator out.
    async fn compare(&self, token: &SecretString, headers: &HeaderMap) -> Result<(), Refused> {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| are_equal(given, token.expose_secret().as_bytes())) {
            return Ok(());
        }
        let Ok(place) = self.slowed.clone().try_acquire_owned() else {
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait".to_owned()));
        };
        warn!(has_token = given.is_some(), "http: refused: not the token of [http] token_file");
        tokio::time::sleep(SLOWED).await;
        drop(place);
        let what = "not authorized; give the token of [http] token_file as: Authorization: Bearer TOKEN";
        Err(Refused(StatusCode::UNAUTHORIZED, what.to_owned()))
    }
}

/// Compares digests, so that time tells nothing of how much was right.
fn are_equal(given: &[u8], token: &[u8]) -> bool {
    let (given, token) = (Sha256::digest(given), Sha256::digest(token));
    given.iter().zip(token.iter()).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_equal_or_not() {
        assert!(are_equal(b"swordfish", b"swordfish"));
        assert!(!are_equal(b"swordfis", b"swordfish"));
        assert!(!are_equal(b"", b"swordfish"));
    }
}
