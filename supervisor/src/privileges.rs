//! `--user` and `--group`: after binding, supplementary groups first, the user last, for good (D-05).

use std::ffi::CString;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgid, setgroups, setuid};

use crate::address::Access;
use crate::settings::Settings;

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

/// Whether this server may run as the user it would run as. An application with all rights of the machine needs
/// somebody who wants that; a container has its own root.
///
/// # Errors
/// What to do instead.
pub fn check_root(settings: &Settings) -> Result<Option<&'static str>, String> {
    let service = &settings.service;
    let identity = Identity::find(service.user.as_deref(), service.group.as_deref())?;
    let drops = identity.and_then(|identity| identity.uid).is_some_and(|uid| !uid.is_root());
    let circumstances = Circumstances {
        root: geteuid().is_root() && !drops,
        consent: service.allow_root,
        container: in_container(),
        service: settings.production_given || service.daemonize,
    };
    circumstances.verdict()
}

#[derive(Clone, Copy)]
struct Circumstances {
    root: bool,
    consent: bool,
    container: bool,
    service: bool,
}

impl Circumstances {
    fn verdict(self) -> Result<Option<&'static str>, String> {
        match self {
            Self { root: false, .. } | Self { consent: true, .. } | Self { container: true, .. } => Ok(None),
            Self { service: true, .. } => Err("Refusing to serve as root: name another user with --user, or allow it \
                                               with --allow-root (PAGI_ALLOW_ROOT=1)"
                .to_owned()),
            Self { service: false, .. } => Ok(Some("The application runs as root; --user NAME changes that")),
        }
    }
}

/// The marks that container engines leave, and a machine whose first process is this program.
fn in_container() -> bool {
    let marks = ["/run/.containerenv", "/.dockerenv"];
    let first = || Some(std::fs::read_link("/proc/1/exe").ok()? == std::env::current_exe().ok()?);
    marks.iter().any(|mark| Path::new(mark).exists()) || first().unwrap_or(false)
}

/// Who gets a file; nobody where nothing was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// User.
    pub uid: Option<Uid>,
    /// Group.
    pub gid: Option<Gid>,
}

/// Looks up whom a socket file is for. Unlike somebody to become, they may be numbers that the system has no name for:
/// those of another container.
///
/// # Errors
/// `Unknown user: NAME`, `Unknown group: NAME`.
pub fn find_owner(access: &Access) -> Result<Owner, String> {
    // The last number means nobody to chown(2).
    let number = |name: &str| name.parse().ok().filter(|&number| number != u32::MAX);
    let user = |name: &String| match number(name) {
        Some(number) => Ok(Uid::from_raw(number)),
        None => find_user(name).map(|user| user.uid),
    };
    let group = |name: &String| match number(name) {
        Some(number) => Ok(Gid::from_raw(number)),
        None => find_group(name).map(|group| group.gid),
    };
    Ok(Owner { uid: access.owner.as_ref().map(user).transpose()?, gid: access.group.as_ref().map(group).transpose()? })
}

fn find_user(name: &str) -> Result<User, String> {
    let found = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    found.ok().flatten().ok_or_else(|| format!("Unknown user: {name}"))
}

/// Looks up a group by its name or number.
///
/// # Errors
/// `Unknown group: NAME`.
pub fn find_group(name: &str) -> Result<Group, String> {
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
    fn whom_a_file_is_for() {
        let owner = |owner: &str, group: &str| {
            find_owner(&Access { mode: None, owner: Some(owner.to_owned()), group: Some(group.to_owned()) })
        };
        let found = owner("root", "4242424").unwrap();
        assert_eq!((found.uid, found.gid), (Some(Uid::from_raw(0)), Some(Gid::from_raw(4_242_424))));
        assert_eq!(owner("no-such-user", "0").unwrap_err(), "Unknown user: no-such-user");
        assert_eq!(owner("0", "4294967295").unwrap_err(), "Unknown group: 4294967295");
        let nobody = find_owner(&Access::default()).unwrap();
        assert!(nobody.uid.is_none() && nobody.gid.is_none());
    }

    #[test]
    fn root_needs_consent_in_production() {
        let bare = Circumstances { root: true, consent: false, container: false, service: true };
        assert!(bare.verdict().unwrap_err().starts_with("Refusing to serve as root"));
        assert!(Circumstances { service: false, ..bare }.verdict().unwrap().is_some());
        for fine in [
            Circumstances { root: false, ..bare },
            Circumstances { consent: true, ..bare },
            Circumstances { container: true, ..bare },
        ] {
            assert_eq!(fine.verdict(), Ok(None));
        }
    }

    #[test]
    fn nothing_asked_nothing_done() {
        assert!(Identity::find(None, None).unwrap().is_none());
    }
}
