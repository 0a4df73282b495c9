//! Cipher suites by name.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::ALL_CIPHER_SUITES;

/// The names OpenSSL uses for TLS 1.2; for TLS 1.3 they are those of IANA.
const OPENSSL_NAMES: &[(&str, &str)] = &[
    ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    ("ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
];

/// The IANA name; the library writes its TLS 1.3 names with a number in them.
fn iana_name(suite: SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// Suites for a list such as `ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256`, in its order. A list that names only
/// suites of one version leaves those of the other as they are, as `cipher_list` does in OpenSSL.
///
/// # Errors
/// Which name is not known, and which ones are.
pub fn suites(list: Option<&str>) -> Result<Vec<SupportedCipherSuite>, String> {
    let Some(list) = list else { return Ok(ALL_CIPHER_SUITES.to_vec()) };
    let mut chosen = Vec::new();
    for name in list.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        let iana = OPENSSL_NAMES.iter().find(|(openssl, _)| *openssl == name).map_or(name, |(_, iana)| iana);
        let found = ALL_CIPHER_SUITES.iter().find(|suite| iana_name(**suite) == iana);
        chosen.push(*found.ok_or_else(|| unknown(name))?);
    }
    let is_13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    for version_13 in [true, false] {
        if !chosen.iter().any(|suite| is_13(suite) == version_13) {
            chosen.extend(ALL_CIPHER_SUITES.iter().copied().filter(|suite| is_13(suite) == version_13));
        }
    }
    Ok(chosen)
}

fn unknown(name: &str) -> String {
    let known: Vec<String> = ALL_CIPHER_SUITES
        .iter()
        .map(|suite| {
            let iana = iana_name(*suite);
            OPENSSL_NAMES.iter().find(|(_, known)| *known == iana).map_or(iana, |(openssl, _)| (*openssl).to_owned())
        })
        .collect();
    format!("'{name}' in the cipher list is not a cipher suite of this server; it has {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        suites(Some(list)).unwrap().into_iter().map(iana_name).collect()
    }

    #[test]
    fn names_of_both_kinds_in_the_given_order() {
        assert_eq!(
            names("ECDHE-RSA-AES128-GCM-SHA256:TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"),
            [
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                "TLS_AES_128_GCM_SHA256"
            ]
        );
    }

    #[test]
    fn the_other_version_is_left_alone() {
        assert_eq!(names("ECDHE-RSA-AES128-GCM-SHA256").len(), 4, "all three of TLS 1.3 remain");
        assert_eq!(names("TLS_AES_128_GCM_SHA256").len(), 7, "all six of TLS 1.2 remain");
        assert_eq!(suites(None).unwrap().len(), 9);
    }

    #[test]
    fn every_openssl_name_is_a_suite() {
        let list: Vec<&str> = OPENSSL_NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(suites(Some(&list.join(":"))).unwrap().len(), 9);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = suites(Some("HIGH:!aNULL")).unwrap_err();
        assert!(
            error.starts_with("'HIGH' in the cipher list is not a cipher suite of this server; it has "),
            "{error}"
        );
        assert!(error.contains("ECDHE-RSA-AES128-GCM-SHA256"), "{error}");
    }
}
