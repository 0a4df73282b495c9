//! Distinguished names as text (RFC 4514, TLS-5).

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate, X509Name};

/// Attribute types with a name of their own: those of RFC 4514 §3 and the rest of RFC 4519 that certificates use.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.4", "sn"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "givenName"),
    ("2.5.4.43", "initials"),
    ("2.5.4.44", "generationQualifier"),
    ("2.5.4.46", "dnQualifier"),
];

/// The subject of a certificate, or `None` when the certificate cannot be read.
#[must_use]
pub fn of_subject(der: &[u8]) -> Option<String> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| rfc4514(certificate.subject()))
}

/// The most specific part comes first, parts are separated by commas (RFC 4514 §2.1).
fn rfc4514(name: &X509Name<'_>) -> String {
    let parts: Vec<String> =
        name.iter_rdn().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

/// `TYPE=VALUE`; where either has no text form, the value is its encoding in hexadecimal (RFC 4514 §2.4).
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
    match (short, text(attribute.attr_value())) {
        (Some(name), Some(text)) => format!("{name}={}", escaped(&text)),
        (short, _) => {
            let mut shown = format!("{}=#", short.unwrap_or(&oid));
            for byte in attribute.attr_value().to_der_vec().unwrap_or_default() {
                // Writing to a String cannot fail.
                let _ = write!(shown, "{byte:02x}");
            }
            shown
        }
    }
}

/// The characters of a string type.
fn text(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            String::from_utf8(bytes.to_vec()).ok()
        }
        // T.61 in the standard, Latin-1 in every certificate that was ever made.
        Tag::T61String => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let units: Vec<u16> =
                bytes.chunks(2).map(|pair| pair.iter().fold(0, |sum, &b| sum << 8 | u16::from(b))).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// RFC 4514 §2.4.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (position, character) in text.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => shown.extend(['\\', character]),
            '#' if position == 0 => shown.push_str("\\#"),
            ' ' if position == 0 || position == last => shown.push_str("\\ "),
            '\0' => shown.push_str("\\00"),
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn subject(parts: &[(DnType, DnValue)]) -> String {
        let mut name = DistinguishedName::new();
        for (kind, value) in parts {
            name.push(kind.clone(), value.clone());
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.custom_extensions = Vec::<CustomExtension>::new();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        of_subject(certificate.der()).unwrap()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    #[test]
    fn tls_5_reversed_and_separated_by_commas() {
        let shown = subject(&[
            (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
            (DnType::OrganizationName, utf8("Bäckerei Müller")),
            (DnType::CommonName, utf8("Müller, Hans")),
        ]);
        assert_eq!(shown, "CN=Müller\\, Hans,O=Bäckerei Müller,C=DE");
    }

    #[test]
    fn tls_5_every_escape() {
        assert_eq!(subject(&[(DnType::CommonName, utf8(" a+b\"c;<d>\\ "))]), "CN=\\ a\\+b\\\"c\\;\\<d\\>\\\\\\ ");
        assert_eq!(subject(&[(DnType::CommonName, utf8("#1 is #1"))]), "CN=\\#1 is #1");
        assert_eq!(subject(&[(DnType::CommonName, utf8(" "))]), "CN=\\ ");
        assert_eq!(subject(&[(DnType::CommonName, utf8("a\0b"))]), "CN=a\\00b");
    }

    #[test]
    fn tls_5_unknown_types_are_shown_as_their_encoding() {
        let kind = DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]);
        assert_eq!(subject(&[(kind, utf8("a@b"))]), "1.2.840.113549.1.9.1=#0c03614062");
    }

    #[test]
    fn tls_5_old_string_types() {
        let teletex = DnValue::TeletexString("Caf".try_into().unwrap());
        let bmp = DnValue::BmpString(rcgen::string::BmpString::try_from("Ωmega").unwrap());
        assert_eq!(subject(&[(DnType::OrganizationName, teletex), (DnType::CommonName, bmp)]), "CN=Ωmega,O=Caf");
    }

    #[test]
    fn what_is_no_certificate_has_no_name() {
        assert_eq!(of_subject(b"nonsense"), None);
    }
}
