//! What a reload changes, and what of it needs a restart.

use super::Config;

/// The sections that differ, for the log line of a reload.
pub fn changed_sections(old: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("tesamanager", old.tesamanager != new.tesamanager),
        ("state", old.state != new.state),
        ("http", old.http != new.http),
        ("console", old.console != new.console),
        ("daemon", old.daemon != new.daemon),
        ("safety", old.safety != new.safety),
        ("notify", old.notify != new.notify),
        ("traces", old.traces != new.traces),
        ("parties", old.parties != new.parties),
        ("service_level", old.service_levels != new.service_levels),
        ("job", old.jobs != new.jobs),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}

/// Whether a run that began under `old` would act otherwise under `new`.
pub fn acts_otherwise(old: &Config, new: &Config) -> bool {
    old.safety != new.safety || old.tesamanager != new.tesamanager || old.jobs != new.jobs
}

/// The keys that differ and can't be swapped while the process runs: the store that holds its ledger, the socket
/// that it listens on, the form of the log, where spans go. Everything else takes effect at once.
pub fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let (old_state, new_state) = (&old.state, &new.state);
    [
        ("state.url", old_state.url != new_state.url),
        (
            "state.password_file",
            old_state.password_file != new_state.password_file,
        ),
        ("http.listen", old.http != new.http),
        ("console", old.console != new.console),
        (
            "daemon.log_format",
            old.daemon.log_format != new.daemon.log_format,
        ),
        ("traces", old.traces != new.traces),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect()
}
