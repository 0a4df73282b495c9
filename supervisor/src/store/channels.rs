//! Who listens to which channel.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// A connected worker.
pub type Client = u64;

/// Channels and the workers that have listeners on them. A worker says how many it has; messages go to it once.
#[derive(Debug, Default)]
pub struct Channels {
    listeners: HashMap<Rc<[u8]>, BTreeMap<Client, u64>>,
    of_client: HashMap<Client, HashSet<Rc<[u8]>>>,
}

impl Channels {
    /// A client has so many listeners on a channel now; 0 is none.
    pub fn set(&mut self, client: Client, channel: &[u8], count: u64) {
        if count == 0 {
            return self.leave(client, channel);
        }
        let name = self.listeners.get_key_value(channel).map_or_else(|| Rc::from(channel), |(name, _)| Rc::clone(name));
        self.listeners.entry(Rc::clone(&name)).or_default().insert(client, count);
        self.of_client.entry(client).or_default().insert(name);
    }

    /// A client is gone.
    pub fn forget(&mut self, client: Client) {
        for channel in self.of_client.get(&client).cloned().unwrap_or_default() {
            self.leave(client, &channel);
        }
    }

    /// The clients that listen to a channel, but for one, and how many listeners they have.
    pub fn audience(&self, channel: &[u8], except: Client) -> impl Iterator<Item = (Client, u64)> + '_ {
        let listeners = self.listeners.get(channel).into_iter().flatten();
        listeners.map(|(&client, &count)| (client, count)).filter(move |&(client, _)| client != except)
    }

    fn leave(&mut self, client: Client, channel: &[u8]) {
        if let Some(listeners) = self.listeners.get_mut(channel) {
            listeners.remove(&client);
            if listeners.is_empty() {
                self.listeners.remove(channel);
            }
        }
        if let Some(channels) = self.of_client.get_mut(&client) {
            channels.remove(channel);
            if channels.is_empty() {
                self.of_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(channels: &Channels, channel: &[u8], except: Client) -> Vec<(Client, u64)> {
        channels.audience(channel, except).collect()
    }

    #[test]
    fn everybody_else_who_listens() {
        let mut channels = Channels::default();
        assert_eq!(audience(&channels, b"news", 1), []);
        channels.set(1, b"news", 2);
        channels.set(2, b"news", 1);
        channels.set(2, b"news", 5);
        channels.set(3, b"other", 1);
        assert_eq!(audience(&channels, b"news", 1), [(2, 5)]);
        assert_eq!(audience(&channels, b"news", 3), [(1, 2), (2, 5)]);
        channels.set(2, b"news", 0);
        assert_eq!(audience(&channels, b"news", 3), [(1, 2)]);
    }

    #[test]
    fn nothing_is_left_of_who_is_gone() {
        let mut channels = Channels::default();
        channels.set(1, b"a", 1);
        channels.set(1, b"b", 1);
        channels.set(2, b"b", 1);
        channels.forget(1);
        channels.forget(1);
        assert_eq!(audience(&channels, b"b", 0), [(2, 1)]);
        channels.set(2, b"b", 0);
        channels.set(2, b"never", 0);
        assert!(channels.listeners.is_empty() && channels.of_client.is_empty());
    }
}
