//! How often somebody may be wrong about a password: a guess is counted before it is looked at, so that many at once are no
//! way around, and taken back where it was right.
//!
//! Counted by address and by name. Whoever is let in already is not asked here, so nobody locks out a colleague who works.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Wrong guesses within [`WINDOW`].
const MOST: u32 = 10;

/// How long a wrong guess counts.
const WINDOW: Duration = Duration::from_secs(60);

/// No more are remembered. Beyond, everybody waits: a flood of names must not forget who guesses.
const REMEMBERED: usize = 10_000;

/// The guesses of late.
#[derive(Debug, Default)]
pub(super) struct Tries {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    addresses: HashMap<IpAddr, Count>,
    names: HashMap<String, Count>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    guesses: u32,
    /// When the first was made, by the machine's uptime.
    since: Duration,
}

impl Tries {
    /// One more guess; an error says how long to wait before the next.
    pub(super) fn begin(&self, from: IpAddr, name: &str, now: Duration) -> Result<(), Duration> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let address = wait(&mut book.addresses, &from, now);
        let named = wait(&mut book.names, name, now);
        if let Some(wait) = address.max(named) {
            return Err(wait);
        }
        count(&mut book.addresses, from, now);
        count(&mut book.names, name.to_owned(), now);
        Ok(())
    }

    /// That guess was right.
    pub(super) fn take_back(&self, from: IpAddr, name: &str) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        for count in [book.addresses.get_mut(&from)].into_iter().flatten() {
            count.guesses = count.guesses.saturating_sub(1);
        }
        if let Some(count) = book.names.get_mut(name) {
            count.guesses = count.guesses.saturating_sub(1);
        }
    }
}

/// How long this one must wait; none if it need not.
fn wait<K, Q>(counts: &mut HashMap<K, Count>, key: &Q, now: Duration) -> Option<Duration>
where
    K: Hash + Eq + std::borrow::Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    let left = |count: &Count| (count.since + WINDOW).saturating_sub(now);
    if counts.len() >= REMEMBERED {
        counts.retain(|_, count| !left(count).is_zero());
    }
    match counts.get(key) {
        Some(count) if left(count).is_zero() => {
            counts.remove(key);
            None
        }
        Some(count) => (count.guesses >= MOST).then(|| left(count)),
        None => (counts.len() >= REMEMBERED).then_some(WINDOW),
    }
}

fn count<K: Hash + Eq>(counts: &mut HashMap<K, Count>, key: K, now: Duration) {
    let count = counts.entry(key).or_insert(Count {
        guesses: 0,
        since: now,
    });
    count.guesses += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn after_ten_wrong_guesses_an_address_waits_whatever_name_it_tries() {
        let (tries, now) = (Tries::default(), Duration::from_secs(1000));
        for guess in 0..MOST {
            assert_eq!(tries.begin(HERE, &format!("name{guess}"), now), Ok(()));
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(
            tries.begin(HERE, "ana", later),
            Err(Duration::from_secs(40))
        );
        assert_eq!(tries.begin(address(1), "ana", later), Ok(()));
        assert_eq!(tries.begin(HERE, "ana", now + WINDOW), Ok(()));
    }

    #[test]
    fn a_name_that_many_addresses_guess_at_waits_too() {
        let (tries, now) = (Tries::default(), Duration::ZERO);
        for last in 0..10 {
            assert_eq!(tries.begin(address(last), "ana", now), Ok(()));
        }
        assert_eq!(tries.begin(address(99), "ana", now), Err(WINDOW));
        assert_eq!(tries.begin(address(99), "eva", now), Ok(()));
    }

    #[test]
    fn a_right_guess_does_not_count() {
        let (tries, now) = (Tries::default(), Duration::ZERO);
        for _ in 0..5 * MOST {
            assert_eq!(tries.begin(HERE, "ana", now), Ok(()));
            tries.take_back(HERE, "ana");
        }
    }

    #[test]
    fn a_flood_of_names_takes_no_more_room() {
        let (tries, now) = (Tries::default(), Duration::ZERO);
        for index in 0..REMEMBERED + 500 {
            let from = IpAddr::from(u32::try_from(index).unwrap().to_be_bytes());
            let _ = tries.begin(from, &format!("name{index}"), now);
        }
        assert!(tries.book.lock().unwrap().names.len() <= REMEMBERED);
        assert_eq!(tries.begin(HERE, "ana", now + WINDOW), Ok(()));
    }
}
