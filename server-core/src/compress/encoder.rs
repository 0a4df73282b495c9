//! The encoders, with one face.

use std::io::{self, Write};

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::coding::Coding;

/// Window of Zstandard and Brotli, as a power of two: what one response that is under way costs in memory is a small
/// multiple of it.
const WINDOW: u32 = 18;

/// Compresses one body.
pub(crate) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// An encoder of this effort, from 1 to 9.
    pub(crate) fn new(coding: Coding, level: u32) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(level))),
            Coding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(Vec::new(), 4096, level, WINDOW))),
            Coding::Zstd => {
                let level = i32::try_from(level).unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL);
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                encoder.window_log(WINDOW)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Takes a piece of the body and gives what a client needs to see all of it.
    pub(crate) fn piece(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        fn piece(encoder: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
            encoder.write_all(bytes)?;
            encoder.flush()
        }
        Ok(std::mem::take(match self {
            Self::Gzip(encoder) => {
                piece(encoder, bytes)?;
                encoder.get_mut()
            }
            Self::Brotli(encoder) => {
                piece(encoder, bytes)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                piece(encoder, bytes)?;
                encoder.get_mut()
            }
        }))
    }

    /// Takes the last piece and gives the rest.
    pub(crate) fn finish(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(mut encoder) => {
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Self::Brotli(mut encoder) => {
                encoder.write_all(bytes)?;
                Ok(encoder.into_inner())
            }
            Self::Zstd(mut encoder) => {
                encoder.write_all(bytes)?;
                encoder.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => drop(flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out)),
            Coding::Brotli => drop(brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out)),
            Coding::Zstd => drop(zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out)),
        }
        out
    }

    #[test]
    fn every_piece_can_be_read_when_it_has_come() {
        for coding in Coding::ALL {
            for level in [1, 4, 9] {
                let mut encoder = Encoder::new(coding, level).unwrap();
                let (mut sent, mut expected) = (Vec::new(), Vec::new());
                for number in 0..5 {
                    let piece = format!("piece number {number} of a body, and again: piece number {number}\n");
                    expected.extend_from_slice(piece.as_bytes());
                    sent.extend(encoder.piece(piece.as_bytes()).unwrap());
                    assert_eq!(decoded(coding, &sent), expected, "{coding:?} {level}");
                }
                sent.extend(encoder.finish(b"the end").unwrap());
                expected.extend_from_slice(b"the end");
                assert_eq!(decoded(coding, &sent), expected);
            }
            let large = vec![b'x'; 1_000_000];
            let sent = Encoder::new(coding, 4).unwrap().finish(&large).unwrap();
            assert!(sent.len() < 10_000 && decoded(coding, &sent) == large, "{coding:?}");
        }
    }
}
