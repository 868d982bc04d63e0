//! A queue in which each address waits for itself: who sends much delays itself first.
//!
//! Addresses take turns. One that failed lately comes after all that did not, so that a new client passes every guesser. An
//! entry that is asked for a second time comes first: who guesses, has no reason to repeat itself.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

/// Entries of one address: half of the connections that may be open, for a proxy sends all clients from one.
pub(super) const MOST_OF_ADDRESS: usize = 256;

/// Entries of all addresses: as many as connections, of which each has one at a time.
const MOST: usize = 512;

/// Addresses whose failure is remembered.
const MOST_FAILED: usize = 1024;

/// Waiting entries by address.
pub(super) struct Queue<T> {
    /// Addresses in the order of their turns, none without an entry.
    lines: VecDeque<(IpAddr, VecDeque<T>)>,
    /// Entries that were asked for again.
    urgent: VecDeque<(IpAddr, T)>,
    /// The addresses that failed last, the latest first.
    failed: VecDeque<IpAddr>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lines: VecDeque::new(), urgent: VecDeque::new(), failed: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    /// Adds an entry; false if its address, or all of them, have too many. In a full line the last entry `is_gone` gives way:
    /// the first ones are soon done. Where all lines together are full, an entry of the longest gives way to a shorter one.
    pub(super) fn push(&mut self, address: IpAddr, entry: T, is_gone: impl Fn(&T) -> bool) -> bool {
        let address = network(address);
        let own = self.lines.iter().position(|(other, _)| *other == address);
        if let Some((_, line)) = own.and_then(|at| self.lines.get_mut(at))
            && line.len() >= MOST_OF_ADDRESS
            && let Some(gone) = line.iter().rposition(is_gone)
        {
            line.remove(gone);
        }
        let waiting = own.and_then(|at| self.lines.get(at)).map_or(0, |(_, line)| line.len());
        if waiting >= MOST_OF_ADDRESS || (self.len() >= MOST && !self.drop_longest(waiting)) {
            return false;
        }
        match own.and_then(|at| self.lines.get_mut(at)) {
            Some((_, line)) => line.push_back(entry),
            None => self.lines.push_back((address, VecDeque::from([entry]))),
        }
        true
    }

    /// An entry that waits already, which comes first from now on.
    pub(super) fn hurry(&mut self, is_same: impl Fn(&T) -> bool) -> Option<&mut T> {
        if let Some(at) = self.urgent.iter().position(|(_, entry)| is_same(entry)) {
            return self.urgent.get_mut(at).map(|(_, entry)| entry);
        }
        let place =
            |(at, (_, line)): (usize, &(IpAddr, VecDeque<T>))| Some((at, line.iter().position(&is_same)?));
        let (at, within) = self.lines.iter().enumerate().find_map(place)?;
        let (address, line) = self.lines.get_mut(at)?;
        self.urgent.push_back((*address, line.remove(within)?));
        if line.is_empty() {
            self.lines.remove(at);
        }
        self.urgent.back_mut().map(|(_, entry)| entry)
    }

    /// The next entry: one that is urgent, else of the addresses that did not fail lately, if there is one.
    pub(super) fn pop(&mut self) -> Option<(IpAddr, T)> {
        if let Some(next) = self.urgent.pop_front() {
            return Some(next);
        }
        let is_clean = |(address, _): &(IpAddr, _)| !self.failed.contains(address);
        let at = self.lines.iter().position(is_clean).unwrap_or(0);
        let (address, mut line) = self.lines.remove(at)?;
        let entry = line.pop_front()?;
        if !line.is_empty() {
            self.lines.push_back((address, line));
        }
        Some((address, entry))
    }

    /// Remembers that an entry of this address failed.
    pub(super) fn failed(&mut self, address: IpAddr) {
        self.failed.retain(|other| *other != address);
        self.failed.truncate(MOST_FAILED - 1);
        self.failed.push_front(address);
    }

    fn len(&self) -> usize {
        self.urgent.len() + self.lines.iter().map(|(_, line)| line.len()).sum::<usize>()
    }

    /// Drops the newest entry of the longest line, if that is longer than this one will be.
    fn drop_longest(&mut self, waiting: usize) -> bool {
        let longest = self.lines.iter_mut().max_by_key(|(_, line)| line.len());
        let Some((_, line)) = longest.filter(|(_, line)| line.len() > waiting + 1) else { return false };
        line.pop_back().is_some()
    }
}

/// The network that one client has: of IPv6 the half that is assigned to a site.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn all(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop()).map(|(_, entry)| entry).collect()
    }

    #[test]
    fn addresses_take_turns() {
        let mut queue = Queue::default();
        for (address, entry) in [(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (3, 31)] {
            assert!(queue.push(at(address), entry, |_| false));
        }
        assert_eq!(all(&mut queue), [10, 20, 30, 11, 31, 12]);
    }

    #[test]
    fn who_failed_comes_last() {
        let mut queue = Queue::default();
        queue.failed(at(1));
        for (address, entry) in [(1, 10), (1, 11), (2, 20)] {
            queue.push(at(address), entry, |_| false);
        }
        assert_eq!(all(&mut queue), [20, 10, 11]);
        for address in 0..=255 {
            for low in 0..=4 {
                queue.failed([10, 0, low, address].into());
            }
        }
        assert_eq!(queue.failed.len(), MOST_FAILED);
    }

    #[test]
    fn who_asks_again_comes_first() {
        let mut queue = Queue::default();
        for (address, entry) in [(1, 10), (1, 11), (1, 12), (2, 20)] {
            queue.push(at(address), entry, |_| false);
        }
        assert_eq!(queue.hurry(|entry| *entry == 12), Some(&mut 12));
        assert_eq!(queue.hurry(|entry| *entry == 20), Some(&mut 20));
        assert_eq!(queue.hurry(|entry| *entry == 12), Some(&mut 12), "once is enough");
        assert_eq!(queue.hurry(|entry| *entry == 99), None);
        assert_eq!((queue.len(), queue.lines.len()), (4, 1));
        assert_eq!(all(&mut queue), [12, 20, 10, 11]);
    }

    #[test]
    fn a_full_line_refuses_its_own_and_a_full_queue_the_longest_line() {
        let mut queue = Queue::default();
        for entry in 0..256 {
            assert!(queue.push(at(1), entry, |_| false) && queue.push(at(2), entry, |_| false));
        }
        assert!(!queue.push(at(1), 0, |_| false), "the line is full");
        assert!(queue.push(at(1), 999, |entry| [7, 9].contains(entry)), "one that is gone gives way");
        assert!(queue.push(at(3), 1000, |_| false), "one of another line gives way");
        assert_eq!(queue.len(), MOST);
        let entries = all(&mut queue);
        assert!(entries.contains(&1000) && entries.len() == MOST);
        assert_eq!(entries.iter().filter(|entry| **entry == 7).count(), 2, "the last that was gone gave way");
        assert_eq!(entries.iter().filter(|entry| **entry == 9).count(), 1);
        let mut queue = Queue::default();
        for address in 0..=255 {
            assert!(
                queue.push(at(address), 0, |_| false) && queue.push([10, 0, 0, address].into(), 0, |_| false)
            );
        }
        assert!(!queue.push([10, 0, 1, 0].into(), 0, |_| false), "all wait for one");
    }

    #[test]
    fn a_client_is_one_address_and_of_ipv6_one_network() {
        let network = |text: &str| network(text.parse().expect("an address")).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
