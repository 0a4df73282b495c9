//! Content codings, and which of them a client takes (RFC 9110 §8.4, §12.5.3).

use serde::{Deserialize, Serialize};

use crate::header::{HeaderList, list_elements};
use crate::scope::quality;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// Gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// All of them, the ones that compress better per time first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `content-encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the name of a file with such content ends in.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// The coding of this name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let is = |candidate: &str| name.eq_ignore_ascii_case(candidate.as_bytes());
        Self::ALL.into_iter().find(|coding| is(coding.name())).or_else(|| is("x-gzip").then_some(Self::Gzip))
    }
}

/// How much a client wants each coding, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    zstd: Option<u32>,
    brotli: Option<u32>,
    gzip: Option<u32>,
    identity: Option<u32>,
    others: Option<u32>,
}

impl Wishes {
    /// Reads the `accept-encoding` fields of a request. Without one, or with one that cannot be understood, no coding is
    /// wanted.
    #[must_use]
    pub fn of(headers: &HeaderList) -> Self {
        let mut wishes = Self::default();
        for element in headers.values(b"accept-encoding").flat_map(list_elements) {
            let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
            let Some(weight) = weight.map_or(Some(1000), quality) else { continue };
            match Coding::named(name) {
                Some(coding) => *wishes.slot(coding) = Some(weight),
                None if name.eq_ignore_ascii_case(b"identity") => wishes.identity = Some(weight),
                None if name == b"*" => wishes.others = Some(weight),
                None => {}
            }
        }
        wishes
    }

    fn slot(&mut self, coding: Coding) -> &mut Option<u32> {
        match coding {
            Coding::Zstd => &mut self.zstd,
            Coding::Brotli => &mut self.brotli,
            Coding::Gzip => &mut self.gzip,
        }
    }

    fn weight(mut self, coding: Coding) -> u32 {
        self.slot(coding).or(self.others).unwrap_or(0)
    }

    /// Whether any coding at all is wanted.
    #[must_use]
    pub fn any(self) -> bool {
        Coding::ALL.into_iter().any(|coding| self.takes(coding))
    }

    /// Whether a coding is wanted: not ruled out, and not less than the content as it is.
    #[must_use]
    pub fn takes(self, coding: Coding) -> bool {
        let weight = self.weight(coding);
        weight > 0 && weight >= self.identity.unwrap_or(0)
    }

    /// The codings a client takes, most wanted first; where it does not care, in the order in which they are offered.
    #[must_use]
    pub fn ranked(self, offered: &[Coding]) -> Vec<Coding> {
        let mut ranked: Vec<Coding> = offered.iter().copied().filter(|&coding| self.takes(coding)).collect();
        ranked.sort_by_key(|&coding| std::cmp::Reverse(self.weight(coding)));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(accept: &[&str]) -> String {
        let mut headers = HeaderList::new();
        accept.iter().for_each(|value| headers.push(b"accept-encoding", value.as_bytes()));
        let names: Vec<_> = Wishes::of(&headers).ranked(&Coding::ALL).into_iter().map(Coding::name).collect();
        names.join(" ")
    }

    #[test]
    fn accept_encoding_table() {
        for (accept, expected) in [
            (&[][..], ""),
            (&[""], ""),
            (&["gzip"], "gzip"),
            (&["X-GZIP"], "gzip"),
            (&["gzip, deflate, br, zstd"], "br zstd gzip"),
            (&["gzip;q=0.9, zstd;q=0.5"], "gzip zstd"),
            (&["gzip;q=0"], ""),
            (&["gzip;q=0, *"], "br zstd"),
            (&["*;q=0"], ""),
            (&["identity, gzip;q=0.5"], ""),
            (&["identity;q=0.2, gzip;q=0.5"], "gzip"),
            (&["gzip;q=2"], ""),
            (&["gzip; q=1.000", "br"], "br gzip"),
            (&["gzipx, abr"], ""),
        ] {
            assert_eq!(ranked(accept), expected, "{accept:?}");
        }
    }
}
