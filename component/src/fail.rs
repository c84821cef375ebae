//! Fail points: places where a test has the process die, as if by `kill -9`. Only in builds with debug assertions, and
//! only where `TANDEM_MUC_FAIL_AT` names the place; elsewhere this is nothing.

/// Dies here if a test wants it.
pub(crate) fn point(name: &str) {
    if cfg!(debug_assertions) && std::env::var("TANDEM_MUC_FAIL_AT").is_ok_and(|wanted| wanted == name) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
