//! The statements that run for every request, write, beat or page, by the name of the constant: tests ask both
//! databases how they would go about each.

use super::super::looks as page;
use super::{
    acknowledgements, attempts, audit, claims, classes, controls, finding_lists, findings, history,
    housekeeping, intend, looks, notices, orders, requests, run_lists, runs,
};

macro_rules! named {
    ($($noun:ident: $($statement:ident)+;)+) => {
        &[$($((concat!(stringify!($noun), "::", stringify!($statement)), $noun::$statement),)+)+]
    };
}

/// What both back ends have.
pub const HOT: &[(&str, &str)] = named! {
    acknowledgements: LIVE ACKNOWLEDGED SAY TAKE_BACK ABOUT OF_REQUEST HOLDING_IDS;
    attempts: ADVANCE RECOVER DUE OF_ORDERS STEPS COUNTS LIST LIST_OF_REFERENCE LIST_OF_RUN LIST_IN_STATE
        LIST_SEARCHED NUMBER_SEARCHED SINCE;
    audit: LIST;
    claims: CONTRADICTIONS FORGET;
    classes: CLASSES CLASS_ID MEMBERS NEWLY_OPEN OF_NO_CLASS WITHOUT_DETAILS FILL;
    controls: TAKE_TRIGGERS;
    findings: LIVE LIVE_OF_KIND LIVE_ABOUT NEWLY_OPEN TOUCH RESOLVE RESOLVE_LEFT_BEHIND COUNTS
        LIVE_MISSING WITH_ATTENTION MISSING BACK ATTENTION;
    finding_lists: LIST LIST_LIVE LIST_WAITING LIST_OF_REFERENCE LIST_SEARCHED OLDEST_SEARCHED NUMBER_SEARCHED;
    history: BESIDE OF_REQUEST ORGS REQUESTS OF_EACH FORGOTTEN LET_GO STEP OUTDATED;
    housekeeping: STEPS ATTEMPTS RUNS SLOTS UNRUN_SLOTS FINDINGS ACKNOWLEDGEMENTS OBSERVATIONS DECISIONS
        DECISIONS_ON_NOTHING LOOKS TRIGGERS AUDIT DUPLICATES RETRIES CLASSES CONTRADICTIONS;
    intend: PAUSED LATCHED ACKNOWLEDGED REPEATED OPEN_ATTEMPT OF_RUN OF_HOUR;
    looks: LOOKS FORGET AGAIN;
    notices: DIFFERS DUE TAKE;
    orders: RETRIES KNOWN;
    requests: OBSERVATIONS FIND_OBSERVATIONS DECISIONS_ABOUT;
    runs: SLOT_TAKEN RUNNING HELD BEAT FINISH REAP LAST_SLOT WRITABLE_SINCE;
    run_lists: LIST LIST_OF_JOB;
};

/// What only this one has.
pub const HOT_HERE: &[(&str, &str)] = dialect! {
    sqlite: &[
        ("looks::MARKS", page::MARKS),
        ("looks::MANY_DUE", page::MANY_DUE),
        ("looks::FEW", page::FEW),
        ("looks::MANY", page::MANY),
        ("looks::ALL_AGAIN", looks::ALL_AGAIN),
    ],
    postgres: &[
        ("looks::MARKS", page::MARKS),
        ("looks::DUE", page::DUE),
        ("rates::RESERVE", super::super::rates::RESERVE),
    ],
};
