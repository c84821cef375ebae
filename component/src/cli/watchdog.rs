//! systemd: READY once every domain serves, the watchdog petted while none of them hangs, STATUS in words.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::service::{DomainStatus, Status};

const LOOK: Duration = Duration::from_millis(500);

/// Looks at `status` twice a second and tells systemd. Outside systemd it says nothing to nobody.
pub(super) async fn pet(status: Status) {
    let mut is_ready_told = false;
    let mut last = String::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let verdicts: Vec<_> = status.domains().map(|domain| (domain.domain(), domain.verdict())).collect();
        let words: Vec<String> = verdicts
            .iter()
            .map(|(domain, verdict)| match verdict {
                Ok(state) | Err(state) => format!("{domain}: {state}"),
            })
            .collect();
        let words = words.join("; ");
        let mut states = Vec::new();
        if status.domains().all(DomainStatus::is_moving) {
            states.push(NotifyState::Watchdog);
        }
        if words != last {
            states.push(NotifyState::Status(&words));
        }
        if !is_ready_told && verdicts.iter().all(|(_, verdict)| verdict.is_ok()) {
            states.push(NotifyState::Ready);
            is_ready_told = true;
        }
        let _ = sd_notify::notify(&states);
        last = words;
    }
}

/// Tells systemd that the end has begun.
pub(super) fn say_stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
