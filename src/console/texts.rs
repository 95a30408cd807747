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
pub(super) const PEOPLE: &str = "Needs a person";
pub(super) const ORDERS: &str = "Orders";
pub(super) const FINDINGS: &str = "Findings";
pub(super) const ATTEMPTS: &str = "Attempts";
pub(super) const RUNS: &str = "Runs";
pub(super) const AUDIT: &str = "Audit";
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
pub(super) const FAULT: &str = "A fault of the program";
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

// Lists.
pub(super) const ANY: &str = "any";
pub(super) const FILTER: &str = "Filter";
pub(super) const ALL: &str = "Without filters";
pub(super) const THESE_ROWS: &str = "These rows as";
pub(super) const NO_ROWS: &str = "Nothing is like that.";
pub(super) const FIRST_PAGE: &str = "First page";
pub(super) const NEXT_PAGE: &str = "Next page";
pub(super) const SEARCH: &str = "either reference begins with";
pub(super) const SORT: &str = "order";
pub(super) const GROUP_BY: &str = "count by";
pub(super) const WITH_ACKNOWLEDGED: &str = "with acknowledged ones";
pub(super) const SINCE: &str = "since (12h, 2026-11-27, yesterday)";
pub(super) const UNTIL: &str = "until";
pub(super) const ORDERS_ARE: &str =
    "Requests that have not moved for longer than their rule allows, oldest first.";
pub(super) const ATTEMPTS_ARE: &str =
    "Every write. Only what a read has shown, or a person has said, is called confirmed.";
pub(super) const NOBODY_ALIVE: &str =
    "No daemon is alive just now: what comes next is what the schedules say.";
pub(super) const NOT_READ: &str = "not yet read";

// One order.
pub(super) const REQUEST: &str = "Request";
pub(super) const STANDS: &str = "Where it stands";
pub(super) const NOTHING_DUE: &str = "Nothing is due: no job finds it stuck.";
pub(super) const WHY: &str = "Why: the last decision of each job";
pub(super) const UNDECIDED: &str =
    "No job has decided about it: it was not read yet, or no rule is for it.";
pub(super) const WHOSE_TIME: &str = "Whose time it was";
pub(super) const COMPRESSED: &str =
    "The longer a stretch, the more its bar is shortened; the figures are below.";
pub(super) const TIMELINE: &str = "Timeline";
pub(super) const NEVER_TRIED: &str = "Nothing was ever sent for it.";
pub(super) const HANDS_OFF: &str = "What people said";

// Needs a person.
pub(super) const UNSETTLED: &str = "Writes whose outcome reading could not settle";
pub(super) const UNSETTLED_NONE: &str = "None.";
pub(super) const UNSETTLED_ARE: &str = "Nothing else is sent to these orders until a person says whether the write had its effect. The newest come first.";
pub(super) const ALL_OF_THEM: &str = "All of them";
pub(super) const ALL_GIVEN_UP: &str = "All that were given up";

// Acts.
pub(super) const REASON: &str = "why, for the audit";
pub(super) const PAUSE_UNTIL: &str = "until (2h, 22:00; empty: until resumed)";
pub(super) const FOUND_OUT: &str = "What you found out";
pub(super) const HAD_EFFECT: &str = "the write had its effect (confirmed)";
pub(super) const HAD_NO_EFFECT: &str = "it had none, and may be tried again (ineffective)";
pub(super) const PAUSE: &str = "Pause";
pub(super) const PAUSE_ALL: &str = "Pause every job";
pub(super) const RESUME: &str = "Resume";
pub(super) const TRIGGER: &str = "Run now";
pub(super) const RELEASE: &str = "Release";
pub(super) const ACKNOWLEDGE: &str = "Hands off";
pub(super) const TAKE_BACK: &str = "Take that back";
pub(super) const SETTLE: &str = "Settle";
pub(super) const RETRY: &str = "Let it be tried again";
pub(super) const DONE: &str = "Done";
pub(super) const NOT_DONE: &str = "Not done";
pub(super) const AS: &str = "As";
pub(super) const IN_THE_AUDIT: &str = "In the audit";
pub(super) const NOT_PROVEN: &str = "Not yet proven:";
pub(super) const OPEN_WRITES: &str =
    "writes that left before are not settled yet; they go on to be verified by reading.";
pub(super) const PAUSED: &str =
    "that no replica writes: each heeds it within 2 s, and what left before that is on its way.";
pub(super) const RESUMED: &str =
    "that anything is sent: the next runs decide afresh, within guard and caps.";
pub(super) const TRIGGERED: &str =
    "that it ran: a daemon takes it up within a second or so, and the run is then listed.";
pub(super) const NOTHING_SENT: &str = "that anything is repaired: nothing was sent by this.";
pub(super) const ACKNOWLEDGED: &str =
    "that the order is mended: it is only left alone. A write that left before is not taken back.";
pub(super) const SETTLED: &str =
    "what became of the write: that rests on your word, and no read has shown it.";
