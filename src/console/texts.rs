//! What the pages say by themselves, in one place, so that it can be said in another language too.

pub(super) const PRODUCT: &str = "tesa-reconciler";
pub(super) const SKIP: &str = "Skip to the content";
pub(super) const SECTIONS: &str = "Sections";
pub(super) const BACK: &str = "Back to the overview";
pub(super) const AS_OF: &str = "As of";
pub(super) const LIVE_ON: &str = "brought up to date every 10 s";
pub(super) const LIVE_WAITS: &str = "not brought up to date while you select or fill something in";
pub(super) const LIVE_FAILS: &str = "can't be brought up to date just now";
pub(super) const READ_ONLY: &str = "Read only: nobody is asked who they are";
pub(super) const NONE: &str = "none";

// The sections.
pub(super) const OVERVIEW: &str = "Overview";
pub(super) const SYSTEM: &str = "System";

// At the door.
pub(super) const FOREIGN_HOST: &str = "This is not a name of this console: open it by its address, or have the name added to [console].hosts.\n";
pub(super) const WHO: &str = "Say who you are: name and password.\n";
pub(super) const TOO_OFTEN: &str = "Too many wrong passwords: wait, then try again.\n";
pub(super) const BAD_HEADER: &str = "The proxy's header names nobody, or more than one.\n";
pub(super) const NO_PASSWORDS: &str =
    "Nobody is let in: the password file is of no use just now. The daemon's log says why.\n";
pub(super) const FOREIGN_PAGE: &str = "Refused: this did not come from a page of this console.\n";
pub(super) const ONLY_LOOKS: &str =
    "Refused: you may look, and not act. That takes the role operator.\n";
pub(super) const TOO_SLOW: &str = "The store takes too long: try again.\n";

// Trouble.
pub(super) const NOT_FOUND: &str = "Not found";
pub(super) const NO_SUCH_PAGE: &str = "There is no such page.";
pub(super) const MISTAKEN: &str = "That makes no sense";
pub(super) const NO_STORE: &str = "The store does not answer";

// Overview.
pub(super) const VERDICT: &str = "How things stand";
pub(super) const STOPS: &str = "What keeps writes from going";
pub(super) const STOPS_NOTHING: &str = "Nothing: no pause, no hold, no open circuit.";
pub(super) const WAITS: &str = "Waits for a person, oldest first";
pub(super) const WAITS_NOTHING: &str = "Nothing waits for a person.";
pub(super) const JOBS: &str = "Jobs";
pub(super) const BACKLOG: &str = "Stuck requests by status";
pub(super) const BACKLOG_NOTHING: &str = "No request is stuck.";
pub(super) const NEXT: &str = "What comes next";
pub(super) const OBSERVES: &str = "observe: it reads, decides and records, and no write leaves";
pub(super) const ENFORCES: &str = "enforce: it writes";

// System.
pub(super) const REPLICAS: &str = "Daemons on this store";
pub(super) const NO_REPLICAS: &str = "No daemon has beaten lately.";
pub(super) const STORE: &str = "Store";
pub(super) const RATES: &str = "Rates";
pub(super) const WRITES: &str = "Writes whose outcome is not settled";
pub(super) const WRITES_NONE: &str = "None: every write is proven, or known to have had no effect.";
