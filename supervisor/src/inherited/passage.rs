//! Sockets by the names they were passed under: what `fd:NAME` and `fd:NUMBER` mean.

use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

use super::Place;
use crate::address::{Address, Passed, Target};

/// What systemd has passed, as it calls it. Goes to a successor, which gets the sockets under other numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    number: RawFd,
    /// May be empty.
    name: String,
    /// What it listens on, or why it cannot be served.
    found: Result<Place, String>,
}

impl Entry {
    fn is(&self, wanted: &Passed) -> bool {
        match wanted {
            Passed::Name(name) => self.name == *name,
            Passed::Number(number) => self.number == *number,
        }
    }

    /// How to name it.
    fn shown(&self) -> String {
        if self.name.is_empty() { format!("fd:{}", self.number) } else { format!("fd:{} ({})", self.name, self.number) }
    }
}

impl Passage {
    /// Notes one socket.
    pub(super) fn add(&mut self, number: RawFd, name: &str, found: Result<Place, String>) {
        self.0.push(Entry { number, name: name.to_owned(), found });
    }

    /// Whether nothing was passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was passed for these places.
    #[must_use]
    pub(super) fn to(&self, places: &[Place]) -> Self {
        let is_there = |entry: &&Entry| entry.found.as_ref().is_ok_and(|place| places.contains(place));
        Self(self.0.iter().filter(is_there).cloned().collect())
    }

    /// Puts addresses in the place of names: systemd gives one name to all sockets of a unit.
    ///
    /// # Errors
    /// What was passed instead, or why it cannot be served.
    pub fn resolve(&self, listen: &[Address]) -> Result<Vec<Address>, String> {
        let mut resolved: Vec<Address> = Vec::new();
        for address in listen {
            let Target::Passed(wanted) = &address.target else {
                resolved.push(address.clone());
                continue;
            };
            let mut entries = self.0.iter().filter(|entry| entry.is(wanted)).peekable();
            if entries.peek().is_none() {
                return Err(self.refusal(wanted));
            }
            for Entry { number, found, .. } in entries {
                let place = found.as_ref().map_err(|reason| {
                    format!("Error: --listen {wanted} cannot be served: descriptor {number}: {reason}")
                })?;
                let found = place.address().with_tls(address.tls).with_proxy(address.proxy);
                // Queues of one address, or the same socket by its name and by its number.
                if !resolved.contains(&found) {
                    resolved.push(found);
                }
            }
        }
        Ok(resolved)
    }

    /// That there is no such socket.
    #[must_use]
    pub fn refusal(&self, wanted: &Passed) -> String {
        if self.is_empty() {
            return format!(
                "Error: --listen {wanted} is a socket that systemd passes (LISTEN_FDS), and nothing was passed to this \
                 process"
            );
        }
        let there: Vec<String> = self.0.iter().map(Entry::shown).collect();
        format!("Error: --listen {wanted} was not passed by systemd; there is {}", there.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage() -> Passage {
        let mut passage = Passage::default();
        let tcp = |address: &str| Ok(Place::Tcp(address.parse().unwrap()));
        passage.add(3, "web", tcp("127.0.0.1:80"));
        passage.add(4, "web", tcp("[::1]:80"));
        passage.add(5, "", Ok(Place::Abstract("a".to_owned())));
        passage.add(6, "bad", Err("it is not a listening socket".to_owned()));
        passage.add(7, "queue", tcp("127.0.0.1:81"));
        passage.add(8, "queue", tcp("127.0.0.1:81"));
        passage
    }

    fn resolve(listen: &[&str]) -> Result<Vec<String>, String> {
        let listen: Vec<Address> = listen.iter().map(|text| Address::parse(text).unwrap()).collect();
        Ok(passage().resolve(&listen)?.iter().map(Address::as_option).collect())
    }

    #[test]
    fn names_and_numbers_give_way_to_addresses() {
        assert_eq!(resolve(&["fd:web,ssl", "h:1"]).unwrap(), ["127.0.0.1:80,ssl", "[::1]:80,ssl", "h:1"]);
        assert_eq!(resolve(&["fd:5,proxy", "fd:4"]).unwrap(), ["unix:@a,proxy", "[::1]:80"]);
        assert_eq!(resolve(&["fd:queue", "fd:7", "fd:8"]).unwrap(), ["127.0.0.1:81"]);
    }

    #[test]
    fn what_is_not_there() {
        let all = "there is fd:web (3), fd:web (4), fd:5, fd:bad (6), fd:queue (7), fd:queue (8)";
        for wanted in ["fd:api", "fd:9"] {
            let expected = format!("Error: --listen {wanted} was not passed by systemd; {all}");
            assert_eq!(resolve(&[wanted]).unwrap_err(), expected);
        }
        let error = resolve(&["fd:bad"]).unwrap_err();
        assert_eq!(error, "Error: --listen fd:bad cannot be served: descriptor 6: it is not a listening socket");
        let error = Passage::default().resolve(&[Address::parse("fd:web").unwrap()]).unwrap_err();
        assert!(error.ends_with("(LISTEN_FDS), and nothing was passed to this process"), "{error}");
    }

    #[test]
    fn a_successor_hears_of_what_is_served() {
        let served = [Place::Abstract("a".to_owned()), Place::Unix("/x".into())];
        let left = passage().to(&served);
        assert_eq!(left.0.len(), 1);
        let json = serde_json::to_string(&left).unwrap();
        assert_eq!(serde_json::from_str::<Passage>(&json).unwrap(), left);
    }
}
