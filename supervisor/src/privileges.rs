//! `--user` and `--group`: after binding, supplementary groups first, the user last, for good (D-05).

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};

/// Whom to become.
#[derive(Debug, Clone)]
pub struct Identity {
    /// User, or unchanged.
    pub uid: Option<Uid>,
    /// Group.
    pub gid: Gid,
    /// Name whose supplementary groups apply.
    name: Option<CString>,
}

impl Identity {
    /// Looks up names or numbers; `None` when nothing was asked for.
    ///
    /// # Errors
    /// `Must run as root to use --user/--group`, `Unknown user: NAME`, `Unknown group: NAME`.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, String> {
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let refused = || "Must run as root to use --user/--group".to_owned();
        let is_root = geteuid().is_root();
        let user = user.map(find_user).transpose().map_err(|error| if is_root { error } else { refused() })?;
        let group = group.map(find_group).transpose().map_err(|error| if is_root { error } else { refused() })?;
        let gid = group.map(|group| group.gid).or(user.as_ref().map(|user| user.gid));
        if !is_root {
            // The successor of a server that has changed its identity has it already.
            let same_user = user.as_ref().is_none_or(|user| user.uid == geteuid());
            return if same_user && gid.is_none_or(|gid| gid == getegid()) { Ok(None) } else { Err(refused()) };
        }
        let Some(gid) = gid else { return Ok(None) };
        let name = match &user {
            Some(user) => Some(CString::new(user.name.as_str()).map_err(|error| error.to_string())?),
            None => None,
        };
        Ok(Some(Self { uid: user.map(|user| user.uid), gid, name }))
    }

    /// Becomes them.
    ///
    /// # Errors
    /// Says which step failed; the process must not go on then.
    pub fn assume(&self) -> Result<(), String> {
        let step = |what: &str, result: nix::Result<()>| {
            result.map_err(|error| format!("Cannot drop privileges: {what}: {error}"))
        };
        match &self.name {
            Some(name) => step("initgroups", initgroups(name, self.gid))?,
            None => step("setgroups", setgroups(&[self.gid]))?,
        }
        step("setgid", setgid(self.gid))?;
        let Some(uid) = self.uid else { return Ok(()) };
        step("setuid", setuid(uid))?;
        if !uid.is_root() && setuid(Uid::from_raw(0)).is_ok() {
            return Err("Cannot drop privileges: root can be regained".to_owned());
        }
        Ok(())
    }
}

fn find_user(name: &str) -> Result<User, String> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    found.ok().flatten().ok_or_else(|| format!("Unknown user: {name}"))
}

fn find_group(name: &str) -> Result<Group, String> {
    let found = match name.parse() {
        Ok(number) => Group::from_gid(Gid::from_raw(number)),
        Err(_) => Group::from_name(name),
    };
    found.ok().flatten().ok_or_else(|| format!("Unknown group: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(find_user("root").unwrap().uid, Uid::from_raw(0));
        assert_eq!(find_user("0").unwrap().name, "root");
        assert_eq!(find_group("0").unwrap().name, "root");
        assert_eq!(find_user("no-such-user").unwrap_err(), "Unknown user: no-such-user");
        assert_eq!(find_group("no-such-group").unwrap_err(), "Unknown group: no-such-group");
    }

    #[test]
    fn nothing_asked_nothing_done() {
        assert!(Identity::find(None, None).unwrap().is_none());
    }
}
